//! The one writer of a run's file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use carport_core::{DiskSync, Durability};

use super::NO_FOLLOW;

/// A file that is appended to, whole lines at a time.
#[derive(Debug)]
pub(crate) struct RunFile {
    file: Arc<File>,
    /// Bytes that were appended whole.
    length: u64,
    /// Whether a failed write may have left something behind these.
    torn: bool,
    done: bool,
    disk: DiskSync,
}

impl RunFile {
    /// A file that must not exist yet, for this user only.
    pub(super) fn create(path: &Path, disk: DiskSync) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW);
        let file = options.open(path)?.into();
        Ok(Self { file, length: 0, torn: false, done: false, disk })
    }

    /// Whether the run has ended: nothing is written any more.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// The run has ended.
    pub(crate) fn done(&mut self) {
        self.done = true;
    }

    /// Whether [`Self::append`] waits for the disk, and so may be dropped half way.
    pub(crate) fn waits_for_disk(&self) -> bool {
        self.disk.durability() == Durability::Record
    }

    /// Appends whole lines in one write. If that fails, the file is as it was: it never holds half a
    /// record with another behind it, nor one that nobody was told of.
    ///
    /// A write goes to the page cache in a few microseconds, less than a hop to another thread and
    /// back, so it is done in place; only a sync leaves the thread.
    pub(crate) async fn append(&mut self, lines: Vec<u8>) -> io::Result<()> {
        self.mend()?;
        self.torn = true;
        let written = match (&*self.file).write_all(&lines) {
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    async fn torn(durability: Durability) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.jsonl");
        let mut file = RunFile::create(&path, DiskSync::new(durability)).unwrap();
        file.append(b"one\n".to_vec()).await.unwrap();
        // What a write that failed half way leaves, when cutting it failed as well.
        (&*file.file).write_all(b"tw").unwrap();
        file.torn = true;
        file.append(b"three\n".to_vec()).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\nthree\n");
    }

    #[tokio::test]
    async fn what_a_failed_write_left_is_cut_before_the_next() {
        for durability in [Durability::Process, Durability::Interval, Durability::Record] {
            torn(durability).await;
        }
    }
}
