//! Lines of a run's file that do not read: copied to a file beside it, so that nobody has to look for them.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::reading::{open, read_record};

/// Where the unreadable lines of the run in `path` are kept.
pub(super) fn path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".unreadable");
    name.into()
}

/// Copies every unreadable line of `file`, unless that was done before. The file itself is never
/// changed: what it holds may mean something to somebody.
pub(super) fn keep(file: &Path) -> io::Result<()> {
    let aside = path(file);
    if aside.exists() {
        return Ok(());
    }
    let (mut kept, mut lines, mut line) = (Vec::new(), 0, Vec::new());
    let mut reader = BufReader::new(open(file)?);
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.last() == Some(&b'\n') && read_record(&line[..line.len() - 1]).is_none() {
            kept.extend_from_slice(&line);
            lines += 1;
        }
        line.clear();
    }
    tracing::warn!(file = %file.display(), lines, kept = %aside.display(), "lines that do not read are skipped");
    // Whole or not at all: a half-written copy would pass for the whole one the next time.
    let half = aside.with_extension("half");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(super::NO_FOLLOW);
    options.open(&half)?.write_all(&kept)?;
    fs::rename(half, aside)
}
