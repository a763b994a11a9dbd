//! What an earlier process left: torn tails are cut, headers and last records are read.

use std::{
    fs::{self, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use carport_core::decode_name;

use super::reading::{next_record, open};
use crate::{
    record::{RunEnded, RunRecord, RunStarted},
    turn::MAX_LINE,
};

/// A run on disk.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) path: PathBuf,
    pub(crate) started: RunStarted,
    pub(crate) ended: Option<RunEnded>,
    pub(crate) turn_count: u64,
}

/// Looks at every run's file. What cannot be used is logged and left alone, except for a torn tail and
/// a file whose first line never was whole: nobody was told of those.
pub(super) fn recover(root: &Path) -> io::Result<Vec<Recovered>> {
    let mut runs = Vec::new();
    for agent in fs::read_dir(root)? {
        let agent = agent?;
        if !agent.file_type()?.is_dir()
            || decode_name(&agent.file_name().to_string_lossy()).is_none()
        {
            continue;
        }
        for file in fs::read_dir(agent.path())? {
            let path = file?.path();
            if path.extension().is_none_or(|it| it != "jsonl") {
                continue;
            }
            match look(&path) {
                Ok(run) => runs.extend(run),
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "a run's file is not readable");
                }
            }
        }
    }
    Ok(runs)
}

fn look(path: &Path) -> io::Result<Option<Recovered>> {
    cut_torn_tail(path)?;
    let mut reader = BufReader::new(open(path)?);
    let mut text = String::new();
    if !next_record(&mut reader, &mut text, path)? {
        tracing::warn!(file = %path.display(), "a run that never began was removed");
        fs::remove_file(path)?;
        return Ok(None);
    }
    let Ok(RunRecord::Started(started)) = serde_json::from_str(&text) else {
        tracing::error!(file = %path.display(), "does not begin with how the run started");
        return Ok(None);
    };
    if let Some(ended) = last_record(path)? {
        let turn_count = ended.turn_count;
        return Ok(Some(Recovered { path: path.into(), started, ended: Some(ended), turn_count }));
    }
    let mut turn_count = 0;
    while next_record(&mut reader, &mut text, path)? {
        turn_count += 1;
    }
    Ok(Some(Recovered { path: path.into(), started, ended: None, turn_count }))
}

/// How the run ended, if the last line says so. A line is at most 256 KiB long.
fn last_record(path: &Path) -> io::Result<Option<RunEnded>> {
    let mut file = open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_LINE as u64 + 2)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let line = tail.strip_suffix(b"\n").unwrap_or(&tail);
    let line = line.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    match serde_json::from_slice(line) {
        Ok(RunRecord::Ended(ended)) => Ok(Some(ended)),
        _ => Ok(None),
    }
}

/// Cuts what follows the last newline: the line that a crash interrupted.
fn cut_torn_tail(path: &Path) -> io::Result<()> {
    let bytes_after_newline = {
        let mut file = open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        // A write may hold many lines, but only the last of them can be torn.
        let window = length.min(2 * MAX_LINE as u64 + 2);
        file.seek(SeekFrom::Start(length - window))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        let end = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        (length, (tail.len() - end) as u64)
    };
    let (length, torn) = bytes_after_newline;
    if torn > 0 {
        tracing::warn!(file = %path.display(), bytes = torn, "a torn last line was cut off");
        OpenOptions::new().write(true).open(path)?.set_len(length - torn)?;
    }
    Ok(())
}
