//! The one writer of a graph's file.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use carport_core::{Durability, Guarded, make_private_dir};
use carport_memory_graph::Line;

use super::blocking;

/// What stands in the place of a file is refused if it is a link, and never waited for if it is a pipe.
const FLAGS: i32 = rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
/// Lines that a log may have whatever it holds.
const FEW_LINES: usize = 1000;

/// Files with changes that no sync has covered yet.
pub(crate) type Unsynced = Arc<Guarded<Vec<Arc<File>>>>;

/// Appends whole lines to a file that it makes when there is something to write.
#[derive(Debug)]
pub(crate) struct Pen {
    path: PathBuf,
    file: Option<Arc<File>>,
    /// Bytes that were appended whole.
    length: u64,
    lines: usize,
    /// Whether a failed write may have left something behind these.
    torn: bool,
    durability: Durability,
    unsynced: Unsynced,
}

impl Pen {
    /// For a file that holds so much, or that is not there if `length` is 0.
    pub(crate) fn new(
        path: PathBuf,
        (length, lines): (u64, usize),
        durability: Durability,
        unsynced: Unsynced,
    ) -> Self {
        // What lies behind the last whole line, if anything, is cut before the first write.
        Self { path, file: None, length, lines, torn: true, durability, unsynced }
    }

    /// Bytes of the file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether so many lines too many are in the file that it is worth rewriting.
    pub(crate) fn is_outgrown(&self, live: usize) -> bool {
        self.lines > FEW_LINES && self.lines > 4 * live
    }

    /// Appends lines in one write. If that fails, the file is as it was.
    ///
    /// A write goes to the page cache in a few microseconds, so it is done in place; only a sync
    /// leaves the thread. A caller that is dropped meanwhile has written nothing.
    pub(crate) async fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = String::new();
        let first = (self.length == 0).then(Line::first);
        for line in first.iter().chain(lines) {
            text.push_str(&line.encode());
            text.push('\n');
        }
        let file = self.open()?;
        self.mend(&file)?;
        self.torn = true;
        let written = match (&*file).write_all(text.as_bytes()) {
            Ok(()) => self.settle(&file).await,
            failed => failed,
        };
        match written {
            Ok(()) => {
                self.length += text.len() as u64;
                self.lines += lines.len() + usize::from(first.is_some());
                self.torn = false;
                Ok(())
            }
            Err(error) => {
                // If this fails too, the next write begins with it.
                let _ = self.mend(&file);
                Err(error)
            }
        }
    }

    /// Puts a file with exactly these lines in the place of the old one, or leaves the old one alone.
    pub(crate) async fn rewrite(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let (path, count) = (self.path.clone(), lines.len());
        let length = blocking(move || replace(&path, &lines)).await?;
        (self.file, self.length, self.lines, self.torn) = (None, length, count, false);
        Ok(())
    }

    fn open(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        if let Some(directory) = self.path.parent() {
            make_private_dir(directory)?;
        }
        let file = options().write(true).create(true).truncate(false).open(&self.path)?;
        if self.length == 0 && self.durability != Durability::Process {
            sync_directory(&self.path)?;
        }
        (&file).seek(SeekFrom::Start(self.length))?;
        Ok(self.file.insert(file.into()).clone())
    }

    /// Cuts what a failed write left.
    fn mend(&mut self, file: &File) -> io::Result<()> {
        if self.torn {
            file.set_len(self.length)?;
            (&*file).seek(SeekFrom::Start(self.length))?;
            self.torn = false;
        }
        Ok(())
    }

    async fn settle(&self, file: &Arc<File>) -> io::Result<()> {
        match self.durability {
            Durability::Process => {}
            Durability::Interval => {
                let mut unsynced = self.unsynced.lock();
                if !unsynced.iter().any(|it| Arc::ptr_eq(it, file)) {
                    unsynced.push(file.clone());
                }
            }
            Durability::Record => {
                let file = file.clone();
                blocking(move || file.sync_data()).await?;
            }
        }
        Ok(())
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(FLAGS);
    options
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// Writes beside the file, syncs, renames and syncs the directory: a crash leaves the old or the new.
fn replace(path: &Path, lines: &[Line]) -> io::Result<u64> {
    if let Some(directory) = path.parent() {
        make_private_dir(directory)?;
    }
    let half = path.with_extension("jsonl.half");
    match std::fs::remove_file(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = BufWriter::new(options().write(true).create_new(true).open(&half)?);
    for line in lines {
        writeln!(file, "{}", line.encode())?;
    }
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let length = file.metadata()?.len();
    std::fs::rename(half, path)?;
    sync_directory(path)?;
    Ok(length)
}
