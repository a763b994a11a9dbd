//! The file of a journal: appended to, rewritten, read back, verified. Everything here blocks on the disk.

use std::{
    collections::HashMap,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use carport_core::{Durability, Guarded, make_private_dir};
use rustix::fs::OFlags;

use crate::{
    chain::{Verdict, Verifier},
    event::Event,
    log::Log,
};

/// What stands in the place of a file is refused if it is a link, and never waited for if it is a pipe.
const FLAGS: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits() as i32;

/// How deep writes go, and those that have to go deeper.
#[derive(Debug, Clone)]
pub(crate) struct Depth {
    durability: Durability,
    unsynced: Arc<Guarded<HashMap<PathBuf, File>>>,
}

impl Depth {
    pub(crate) fn new(durability: Durability) -> Self {
        Self { durability, unsynced: Arc::default() }
    }

    pub(crate) fn is_interval(&self) -> bool {
        self.durability == Durability::Interval
    }

    /// Syncs what was written since the last time.
    pub(crate) fn sync(&self) {
        let files = std::mem::take(&mut *self.unsynced.lock());
        for (path, file) in files {
            if let Err(error) = file.sync_data() {
                tracing::error!(%error, file = %path.display(), "a journal could not be synced to disk");
            }
        }
    }

    fn reach(&self, path: &Path, file: File) -> io::Result<()> {
        match self.durability {
            Durability::Process => Ok(()),
            Durability::Interval => {
                self.unsynced.lock().insert(path.to_owned(), file);
                Ok(())
            }
            Durability::Record => file.sync_data(),
        }
    }
}

/// The one writer of a file. The file is opened for each write: a thousand idle connections hold none,
/// and what was put in its place meanwhile is noticed.
#[derive(Debug)]
pub(crate) struct Pen {
    path: PathBuf,
    depth: Depth,
    /// Lines in the file.
    lines: usize,
    /// A write failed: the file lacks lines that the log has, until it is rewritten.
    behind: bool,
}

impl Pen {
    pub(crate) fn new(path: PathBuf, depth: Depth) -> Self {
        Self { path, depth, lines: 0, behind: false }
    }

    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Reads what the file holds into `log` and cuts off a torn last line.
    pub(crate) fn load(&mut self, log: &mut Log) -> io::Result<()> {
        let Some(mut reader) = self.read()? else { return Ok(()) };
        let (mut line, mut whole) = (Vec::new(), 0);
        while reader.read_until(b'\n', &mut line)? > 0 {
            if line.last() != Some(&b'\n') {
                tracing::warn!(file = %self.path.display(), bytes = line.len(), "a torn last line was cut off");
                return self.options().write(true).open(&self.path)?.set_len(whole);
            }
            whole += line.len() as u64;
            self.lines += 1;
            match serde_json::from_slice::<Event>(&line) {
                Ok(event) => log.restore(event),
                Err(error) => {
                    tracing::warn!(%error, file = %self.path.display(), line = self.lines, "a line does not read");
                }
            }
            line.clear();
        }
        Ok(())
    }

    /// Appends whole lines in one write. If that fails, the file holds no half of one.
    pub(crate) fn append(&mut self, text: &[u8], lines: usize) -> io::Result<()> {
        let mut file = self.options().append(true).create(true).open(&self.path)?;
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(text) {
            file.set_len(before)?;
            return Err(error);
        }
        self.lines += lines;
        self.depth.reach(&self.path, file)
    }

    /// Puts a file with exactly these events in the place of the old one, or leaves the old one alone.
    pub(crate) fn rewrite(&mut self, events: &[Arc<Event>]) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            make_private_dir(directory)?;
        }
        let half = half(&self.path);
        if let Err(error) = fs::remove_file(&half)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut file = BufWriter::new(self.options().write(true).create_new(true).open(&half)?);
        for event in events {
            writeln!(file, "{}", event.canonical())?;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
        fs::rename(half, &self.path)?;
        self.lines = events.len();
        Ok(())
    }

    /// Takes note of how a write went. A spell of failures is logged once, at its beginning.
    pub(crate) fn note(&mut self, written: io::Result<()>) -> io::Result<()> {
        match &written {
            Err(error) if !self.behind => {
                tracing::error!(%error, file = %self.path.display(), "a journal could not be written: it goes on in memory");
            }
            Ok(()) if self.behind => {
                tracing::info!(file = %self.path.display(), "a journal is whole on disk again");
            }
            _ => {}
        }
        self.behind = written.is_err();
        written
    }

    /// Syncs what is in the file, if anything ever has to be.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match (self.depth.durability, self.read()?) {
            (Durability::Interval | Durability::Record, Some(file)) => {
                file.into_inner().sync_data()
            }
            _ => Ok(()),
        }
    }

    /// Verifies the lines of the file.
    pub(crate) fn verify(&self) -> io::Result<Verdict> {
        let mut verifier = Verifier::default();
        let Some(mut reader) = self.read()? else { return Ok(verifier.verdict()) };
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            // Lines are written whole: one without its end was cut, and does not read as an event.
            let whole = line.strip_suffix(b"\n").unwrap_or_default();
            if !verifier.check(whole) {
                break;
            }
            line.clear();
        }
        Ok(verifier.verdict())
    }

    fn read(&self) -> io::Result<Option<BufReader<File>>> {
        match self.options().read(true).open(&self.path) {
            Ok(file) => Ok(Some(BufReader::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.mode(0o600).custom_flags(FLAGS);
        options
    }
}

/// Where a file is written before it takes the place of the one in `path`.
fn half(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".half");
    name.into()
}
