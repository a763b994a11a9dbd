//! The end of a log, read backwards over rotated files.

use std::{
    collections::VecDeque,
    fs::OpenOptions,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
};

use carport_core::{Result, RpcError};

use super::{KEPT, MAX_LINE, Stream, TailLog, Window, file};

/// How much of a stream is read, in bytes.
const CEILING: u64 = 8 * 1024 * 1024;

/// How much text a reply holds in all its arrays, in bytes as they are sent. Each line is in two of
/// them.
const REPLY: usize = 8 * 1024 * 1024;

/// What the shortest line counts for: it takes that much memory.
const LEAST: usize = 64;

/// The end of the logs of the agent `id` under `state_root`, also while they are written and rotated.
/// A log that does not exist is empty. Blocks on the disk.
pub fn tail(state_root: &Path, id: &str, window: Window) -> Result<TailLog> {
    read(state_root, id, window, true)
}

/// With `unfinished`, a last line that has no end yet is a line too.
pub(super) fn read(
    state_root: &Path,
    id: &str,
    window: Window,
    unfinished: bool,
) -> Result<TailLog> {
    let one = |stream: Stream| {
        let path = file::path(state_root, id, stream)?;
        let shown = match window.streams.includes(stream) {
            true => Scan::of(&path, unfinished)
                .map_err(|error| RpcError::internal(format!("{}: {error}", path.display())))?
                .show(window),
            false => Shown::default(),
        };
        Ok::<_, RpcError>((path.display().to_string(), shown))
    };
    let (stdout_path, mut stdout) = one(Stream::Stdout)?;
    let (stderr_path, mut stderr) = one(Stream::Stderr)?;
    let cut = fit(&mut stdout.lines, &mut stderr.lines);
    Ok(TailLog {
        lines: stdout.lines.iter().chain(&stderr.lines).cloned().collect(),
        more: stdout.more || stderr.more || cut,
        stdout: stdout.lines,
        stderr: stderr.lines,
        stdout_total: stdout.total,
        stderr_total: stderr.total,
        stdout_path,
        stderr_path,
    })
}

/// The part of a stream that was read.
struct Scan {
    bytes: Vec<u8>,
    /// Older bytes were not read.
    cut: bool,
}

#[derive(Default)]
struct Shown {
    lines: Vec<String>,
    total: usize,
    more: bool,
}

impl Scan {
    fn of(path: &Path, unfinished: bool) -> io::Result<Self> {
        let (mut bytes, cut) = last_bytes(path)?;
        if cut {
            let first =
                bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            bytes.drain(..first);
        }
        if !unfinished {
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(whole);
        }
        Ok(Self { bytes, cut })
    }

    /// Walks back from the end, no further than a reply has room.
    fn show(&self, window: Window) -> Shown {
        let bytes = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        let total = match self.bytes.is_empty() {
            true => 0,
            false => bytes.iter().filter(|byte| **byte == b'\n').count() + 1,
        };
        let wanted = match window.lines {
            0 => total,
            count => count.min(total),
        };
        let wanted = wanted.min(total.saturating_sub(window.offset));
        let mut lines = VecDeque::new();
        let mut size = 0;
        for line in bytes.rsplit(|byte| *byte == b'\n').skip(window.offset).take(wanted) {
            let line = text(line);
            size += cost(&line);
            if 2 * size > REPLY {
                break;
            }
            lines.push_front(line);
        }
        let more = self.cut || lines.len() + window.offset < total;
        Shown { lines: lines.into(), total, more }
    }
}

/// What a line counts for in a reply: its text, escaped as JSON escapes it.
fn cost(line: &str) -> usize {
    let escaped = line.bytes().map(|byte| match byte {
        b'\t' | b'\n' | b'\r' | b'"' | b'\\' | 8 | 12 => 2,
        0..0x20 => 6,
        _ => 1,
    });
    escaped.sum::<usize>().max(LEAST)
}

/// A line as it is shown: without its end, cut, with replacement characters.
pub(super) fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut text = String::from_utf8_lossy(&line[..line.len().min(MAX_LINE)]).into_owned();
    // A replacement character is longer than the byte it stands for.
    text.truncate(text.floor_char_boundary(MAX_LINE));
    text
}

/// The last bytes of a stream, at most the ceiling, and whether there are older ones.
fn last_bytes(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let mut parts = Vec::new();
    let mut seen = Vec::new();
    let mut room = CEILING;
    // One more than are kept: a rotation meanwhile gives each file the next number.
    for number in 0..=KEPT + 1 {
        let mut open = OpenOptions::new();
        let mut file = match file::plain(open.read(true)).open(file::rotated(path, number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        if seen.contains(&found.ino()) || !found.is_file() {
            continue;
        }
        seen.push(found.ino());
        let take = found.len().min(room);
        file.seek(SeekFrom::Start(found.len() - take))?;
        let mut part = Vec::new();
        file.take(take).read_to_end(&mut part)?;
        parts.push(part);
        room -= take;
        if take < found.len() {
            return Ok((joined(parts), true));
        }
    }
    Ok((joined(parts), false))
}

fn joined(parts: Vec<Vec<u8>>) -> Vec<u8> {
    parts.into_iter().rev().flatten().collect()
}

/// Takes the oldest lines of the longer window until both fit a reply; whether any went.
fn fit(stdout: &mut Vec<String>, stderr: &mut Vec<String>) -> bool {
    let size = |lines: &[String]| lines.iter().map(|line| cost(line)).sum::<usize>();
    let (mut out, mut err) = (size(stdout), size(stderr));
    let (mut out_gone, mut err_gone) = (0, 0);
    while 2 * (out + err) > REPLY {
        if out >= err {
            out -= cost(&stdout[out_gone]);
            out_gone += 1;
        } else {
            err -= cost(&stderr[err_gone]);
            err_gone += 1;
        }
    }
    stdout.drain(..out_gone);
    stderr.drain(..err_gone);
    out_gone + err_gone > 0
}
