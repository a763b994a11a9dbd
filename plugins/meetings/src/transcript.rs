//! The one writer of a transcript's file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use carport_core::DiskSync;

use crate::shelf::FLAGS;

/// A file that is appended to, whole lines at a time.
#[derive(Debug)]
pub(crate) struct Transcript {
    file: Arc<File>,
    /// Bytes that were appended whole.
    length: u64,
    /// Whether a failed write may have left something behind these.
    torn: bool,
    disk: DiskSync,
}

impl Transcript {
    /// A file that must not exist yet, for this user only.
    pub(crate) fn create(path: &Path, disk: DiskSync) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(FLAGS);
        Ok(Self { file: options.open(path)?.into(), length: 0, torn: false, disk })
    }

    /// Appends whole lines in one write, all or none: if that fails, the file is as it was. A write goes to
    /// the page cache in a few microseconds, so it is done in place; only a sync leaves the thread.
    pub(crate) async fn append(&mut self, lines: &str) -> io::Result<()> {
        self.mend()?;
        self.torn = true;
        let written = match (&*self.file).write_all(lines.as_bytes()) {
            Ok(()) => self.disk.settle(&self.file).await,
            failed => failed,
        };
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                self.torn = false;
                Ok(())
            }
            Err(error) => {
                // If this fails too, the next write begins with it.
                let _ = self.mend();
                Err(error)
            }
        }
    }

    /// Cuts what a failed write left.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            (&*self.file).seek(SeekFrom::Start(self.length))?;
            self.torn = false;
        }
        Ok(())
    }
}
