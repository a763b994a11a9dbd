//! Lines of a graph's file that do not read: where they are, and a copy of them before the file is replaced.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::pen::{FLAGS, sync_directory};

/// Lines that are told one by one; of a file that is no graph's at all, the others are only counted.
const MOST_TOLD: usize = 20;

/// What does not read of a file.
#[derive(Debug, Default)]
pub(super) struct Damage {
    /// Where, in bytes. Lines that follow each other are one place.
    places: Vec<Range<u64>>,
    lines: usize,
}

impl Damage {
    /// Takes line `number`, from 1, in, which lies at these bytes.
    pub(super) fn found(&mut self, file: &Path, number: usize, at: Range<u64>, why: &str) {
        self.lines += 1;
        if self.lines <= MOST_TOLD {
            let file = file.display();
            tracing::error!("{file}:{number}: {why}; the line is left out and stays in the file");
        }
        match self.places.last_mut().filter(|last| last.end == at.start) {
            Some(last) => last.end = at.end,
            None => self.places.push(at),
        }
    }

    /// How many lines.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Copies the lines to the file beside this one, whose last copy might go otherwise. They are no
    /// damage of this file afterwards.
    pub(super) fn keep(&mut self, file: &Path) -> io::Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let from = match open(file) {
            Ok(from) => from,
            // Somebody removed it, and the lines with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *self = Self::default();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let aside = path(file);
        let mut options = OpenOptions::new();
        let to = options.append(true).create(true).mode(0o600).custom_flags(FLAGS).open(&aside)?;
        let before = to.metadata()?.len();
        let copied = self.copy(&from, &to).and_then(|()| to.sync_all());
        copied.inspect_err(|_| drop(to.set_len(before)))?;
        sync_directory(&aside)?;
        tracing::warn!(file = %file.display(), lines = self.lines, kept = %aside.display(), "lines that do not read were set aside");
        *self = Self::default();
        Ok(())
    }

    fn copy(&self, mut from: &File, mut to: &File) -> io::Result<()> {
        for place in &self.places {
            from.seek(SeekFrom::Start(place.start))?;
            let length = place.end - place.start;
            if io::copy(&mut from.take(length), &mut to)? < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

/// How many lines were set aside of this file, by this daemon or an earlier one.
pub(super) fn lines(file: &Path) -> io::Result<usize> {
    let mut aside = match open(&path(file)) {
        Ok(aside) => BufReader::new(aside),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut lines = 0;
    loop {
        let piece = aside.fill_buf()?;
        if piece.is_empty() {
            return Ok(lines);
        }
        lines += piece.iter().filter(|byte| **byte == b'\n').count();
        let length = piece.len();
        aside.consume(length);
    }
}

/// A file to read, which is neither a link nor anything else than a file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(FLAGS).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "is no file")),
    }
}

/// Where lines of a file are set aside.
fn path(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".damaged");
    name.into()
}
