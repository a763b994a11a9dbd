//! What an earlier process left: torn tails are cut, and runs that it left open are ended.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use carport_core::{Durability, Time};

use super::{
    NO_FOLLOW,
    reading::{Records, open},
};
use crate::{
    record::{IncompleteReason, Line, RunEnded, RunRecord, RunStarted, Termination},
    turn::MAX_LINE,
};

/// What a run's file says of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) started: RunStarted,
    pub(crate) ended: Option<RunEnded>,
    pub(crate) turn_count: u64,
}

/// Bytes at the end of a file that hold the last line of nearly every run.
const USUAL_TAIL: u64 = 4096;
/// Bytes at the end of a file that hold a last line of any length, and one before it that is whole.
const LONGEST_TAIL: u64 = 2 * MAX_LINE as u64 + 2;

/// How the run ended, if the last line says so. It reads a few kilobytes of most files, so that a boot
/// can ask it of every one.
pub(super) fn last_record(path: &Path) -> io::Result<Option<RunEnded>> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    for window in [USUAL_TAIL, LONGEST_TAIL] {
        let tail = tail(&mut file, length, window)?;
        let Some(whole) = tail.strip_suffix(b"\n") else { return Ok(None) };
        let start = whole.iter().rposition(|byte| *byte == b'\n');
        if let Some(start) = start.map(|at| at + 1).or((window >= length).then_some(0)) {
            let last = str::from_utf8(&whole[start..]).map(RunRecord::read);
            return Ok(match last {
                Ok(Ok(RunRecord::Ended(ended))) => Some(ended),
                _ => None,
            });
        }
    }
    Ok(None)
}

fn tail(file: &mut File, length: u64, window: u64) -> io::Result<Vec<u8>> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(window)))?;
    file.read_to_end(&mut tail)?;
    Ok(tail)
}

/// What the file says of its run; `None` if it does not say how the run started.
pub(super) fn look(path: &Path) -> io::Result<Option<Found>> {
    let mut records = Records::open(path)?;
    let Some(first) = records.next()? else { return Ok(None) };
    let Ok(RunRecord::Started(started)) = RunRecord::read(first.text()) else {
        return Ok(None);
    };
    if let Some(ended) = last_record(path)? {
        let turn_count = ended.turn_count;
        return Ok(Some(Found { started, ended: Some(ended), turn_count }));
    }
    let mut turn_count = 0;
    while let Some(line) = records.next()? {
        match RunRecord::read(line.text()) {
            Ok(RunRecord::Ended(ended)) => {
                let turn_count = ended.turn_count;
                return Ok(Some(Found { started, ended: Some(ended), turn_count }));
            }
            _ => turn_count += 1,
        }
    }
    Ok(Some(Found { started, ended: None, turn_count }))
}

/// Makes the file of a dead process whole: its torn tail is cut, and if the run was open, it ends as
/// incomplete. A file whose first line never was whole is removed: nobody was told of that run. `true`
/// if the file is there afterwards. Doing it again changes nothing.
pub(super) fn adopt(path: &Path, now: Time, durability: Durability) -> io::Result<bool> {
    if cut_torn_tail(path)? == 0 {
        tracing::warn!(file = %path.display(), "a run that never began was removed");
        fs::remove_file(path)?;
        return Ok(false);
    }
    let Some(Found { started, ended: None, turn_count }) = look(path)? else { return Ok(true) };
    let ended = RunEnded {
        run_id: started.run_id.clone(),
        agent_id: started.agent_id,
        termination: Termination::Incomplete { reason: IncompleteReason::Restart, message: None },
        ended_at: now,
        turn_count,
    };
    let line = Line::of(&RunRecord::Ended(ended))?;
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).custom_flags(NO_FOLLOW).open(path)?;
    let length = file.metadata()?.len();
    // Whatever it is that has no end, and is too long to be a torn line, gets one.
    let begin = if tail(&mut file, length, 1)? == b"\n" { "" } else { "\n" };
    if let Err(error) = file.write_all(format!("{begin}{}\n", line.text()).as_bytes()) {
        file.set_len(length)?;
        return Err(error);
    }
    if durability != Durability::Process {
        file.sync_data()?;
    }
    tracing::info!(run = started.run_id, "an open run of an earlier daemon was ended");
    Ok(true)
}

/// Cuts what follows the last newline: the line that a crash interrupted. Returns the length that is
/// left. More than one line's length without a newline is no torn line, and stays.
fn cut_torn_tail(path: &Path) -> io::Result<u64> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let tail = tail(&mut file, length, LONGEST_TAIL)?;
    let newline = tail.iter().rposition(|byte| *byte == b'\n');
    let torn = match newline {
        Some(at) => tail.len() - at - 1,
        None if tail.len() as u64 == length => tail.len(),
        None => 0,
    };
    if torn > 0 {
        tracing::warn!(file = %path.display(), bytes = torn, "a torn last line was cut off");
        let file = OpenOptions::new().write(true).custom_flags(NO_FOLLOW).open(path)?;
        file.set_len(length - torn as u64)?;
    }
    Ok(length - torn as u64)
}
