//! The one writer of a graph's file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use carport_core::{DiskSync, Durability, blocking_io, make_private_dir};
use carport_memory_graph::Line;

use super::aside::Damage;
use crate::whole;

/// What stands in the place of a file is refused if it is a link, and never waited for if it is a pipe.
pub(super) const FLAGS: i32 =
    rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK).bits() as i32;
/// Lines that a log may have whatever it holds.
const FEW_LINES: usize = 1000;

/// What is found at the path of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Own,
    /// Another file, which was put there by somebody else.
    Foreign,
    Nothing,
}

/// Appends whole lines to a file that it makes when there is something to write.
#[derive(Debug)]
pub(crate) struct Pen {
    path: PathBuf,
    file: Option<Arc<File>>,
    /// Whether there is a file; one that comes from elsewhere is not written over.
    exists: bool,
    /// Bytes that were appended whole.
    length: u64,
    lines: usize,
    /// What must not be lost when the file is replaced.
    damage: Damage,
    /// Whether a failed write may have left something behind these.
    torn: bool,
    disk: DiskSync,
}

impl Pen {
    /// For a file that is not there yet.
    pub(super) fn new(path: PathBuf, disk: DiskSync) -> Self {
        let (exists, length, lines, damage) = (false, 0, 0, Damage::default());
        Self { path, file: None, exists, length, lines, damage, torn: false, disk }
    }

    /// For a file that is there, of which so much was read.
    #[must_use]
    pub(super) fn after(self, length: u64, lines: usize, damage: Damage) -> Self {
        // What lies behind the last whole line, if anything, is cut before the first write.
        Self { exists: true, length, lines, damage, torn: true, ..self }
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
            Ok(()) => self.disk.settle(&file).await,
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
    /// Must be done to the end: two at a time would be in each other's way.
    pub(crate) async fn rewrite(&mut self, lines: Vec<Line>) -> io::Result<()> {
        if self.standing()? == Standing::Foreign {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (path, count) = (self.path.clone(), lines.len());
        let mut damage = std::mem::take(&mut self.damage);
        let (length, damage) = blocking_io(move || {
            let length = damage.keep(&path).and_then(|()| replace(&path, &lines));
            Ok((length, damage))
        })
        .await?;
        self.damage = damage;
        self.length = length?;
        (self.file, self.exists, self.lines, self.torn) = (None, true, count, false);
        Ok(())
    }

    /// Whether somebody removed the file, and put none in its place.
    pub(crate) fn is_lost(&self) -> bool {
        self.exists && matches!(self.standing(), Ok(Standing::Nothing))
    }

    /// What stands where the file is to be.
    fn standing(&self) -> io::Result<Standing> {
        let found = match self.path.symlink_metadata() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Nothing),
            Err(error) => return Err(error),
        };
        let is_own = match &self.file {
            Some(file) => {
                let own = file.metadata()?;
                (own.dev(), own.ino()) == (found.dev(), found.ino())
            }
            None => self.exists,
        };
        Ok(if is_own { Standing::Own } else { Standing::Foreign })
    }

    /// The file, unless somebody else changed it: who comes after us would not find what is written.
    fn open(&mut self) -> io::Result<Arc<File>> {
        if self.standing()? == Standing::Foreign {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = match &self.file {
            Some(file) => file.clone(),
            None => self.open_anew()?,
        };
        match file.metadata()?.len() < self.length {
            true => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it was cut by somebody else"))
            }
            false => Ok(file),
        }
    }

    fn open_anew(&mut self) -> io::Result<Arc<File>> {
        if let Some(directory) = self.path.parent() {
            make_private_dir(directory)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(!self.exists).mode(0o600).custom_flags(FLAGS);
        let file = options.open(&self.path)?;
        if !self.exists && self.disk.durability() != Durability::Process {
            // The directory may be as new as the file.
            let synced = self.path.parent().map_or(Ok(()), sync_directory);
            synced
                .and_then(|()| sync_directory(&self.path))
                .inspect_err(|_| drop(std::fs::remove_file(&self.path)))?;
        }
        self.exists = true;
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
}

/// Has the entry of a file or directory reach the disk.
pub(super) fn sync_directory(of: &Path) -> io::Result<()> {
    of.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn replace(path: &Path, lines: &[Line]) -> io::Result<u64> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    make_private_dir(directory)?;
    let mut half = name.to_owned();
    half.push(".half");
    whole::put(&File::open(directory)?, name, &half, |file| {
        lines.iter().try_for_each(|line| writeln!(file, "{}", line.encode()))
    })
}
