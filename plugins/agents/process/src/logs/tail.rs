//! The end of a log, read backwards over rotated files.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::Path,
};

use carport_core::{Result, RpcError};

use super::{KEPT, MAX_LINE, Stream, TailLog, Window, file};

/// How much of a stream is read, in bytes.
const CEILING: u64 = 8 * 1024 * 1024;

/// How much text a reply holds in all its arrays, in bytes. Each line is in two of them.
const REPLY: usize = 8 * 1024 * 1024;

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

    fn show(&self, window: Window) -> Shown {
        let lines: Vec<&[u8]> = self.bytes.split_inclusive(|byte| *byte == b'\n').collect();
        let end = lines.len().saturating_sub(window.offset);
        let start = match window.lines {
            0 => 0,
            count => end.saturating_sub(count),
        };
        Shown {
            lines: lines[start..end].iter().map(|line| text(line)).collect(),
            total: lines.len(),
            more: self.cut || start > 0,
        }
    }
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
        let mut file = match File::open(file::rotated(path, number)) {
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
    let size = |lines: &[String]| lines.iter().map(String::len).sum::<usize>();
    let (mut out, mut err) = (size(stdout), size(stderr));
    let (mut out_gone, mut err_gone) = (0, 0);
    while 2 * (out + err) > REPLY {
        if out >= err {
            out -= stdout[out_gone].len();
            out_gone += 1;
        } else {
            err -= stderr[err_gone].len();
            err_gone += 1;
        }
    }
    stdout.drain(..out_gone);
    stderr.drain(..err_gone);
    out_gone + err_gone > 0
}
