//! A file that is appended to, whole lines at a time.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    sync::Arc,
};

use super::durability::{DiskSync, Durability};

/// A file with one writer. It never holds half a record with another behind it, nor one that nobody was
/// told of.
#[derive(Debug)]
pub struct LineFile {
    file: Arc<File>,
    /// Bytes that were appended whole.
    length: u64,
    /// Whether a failed write may have left something behind these.
    torn: bool,
    disk: DiskSync,
}

impl LineFile {
    /// A file that is new, empty and open for writing.
    pub fn new(file: File, disk: DiskSync) -> Self {
        Self { file: file.into(), length: 0, torn: false, disk }
    }

    /// Whether [`Self::append`] waits for the disk, and so may be dropped half way.
    pub fn waits_for_disk(&self) -> bool {
        self.disk.durability() == Durability::Record
    }

    /// Appends whole lines in one write. If that fails, the file is as it was.
    ///
    /// A write goes to the page cache in a few microseconds, less than a hop to another thread and
    /// back, so it is done in place; only a sync leaves the thread.
    ///
    /// # Errors
    /// The write's, or the sync's.
    pub async fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.mend()?;
        self.torn = true;
        let written = match (&*self.file).write_all(lines) {
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
        let mut file = LineFile::new(File::create(&path).unwrap(), DiskSync::new(durability));
        file.append(b"one\n").await.unwrap();
        // What a write that failed half way leaves, when cutting it failed as well.
        (&*file.file).write_all(b"tw").unwrap();
        file.torn = true;
        file.append(b"three\n").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\nthree\n");
    }

    #[tokio::test]
    async fn what_a_failed_write_left_is_cut_before_the_next() {
        for durability in [Durability::Process, Durability::Interval, Durability::Record] {
            torn(durability).await;
        }
    }
}
