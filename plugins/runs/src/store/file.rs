//! The one writer of a run's file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use carport_core::{Durability, Guarded};

use super::{NO_FOLLOW, blocking};

/// A file that is appended to, whole lines at a time.
#[derive(Debug)]
pub(crate) struct RunFile {
    file: Arc<File>,
    length: u64,
    durability: Durability,
    unsynced: Arc<Guarded<Vec<Arc<File>>>>,
}

impl RunFile {
    /// A file that must not exist yet, for this user only.
    pub(super) fn create(
        path: &Path,
        durability: Durability,
        unsynced: Arc<Guarded<Vec<Arc<File>>>>,
    ) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW);
        Ok(Self { file: options.open(path)?.into(), length: 0, durability, unsynced })
    }

    /// Appends whole lines in one write. If that fails, the file is as it was: it never holds half a
    /// record with another behind it.
    ///
    /// A write goes to the page cache in a few microseconds, less than a hop to another thread and
    /// back, so it is done in place; only a sync leaves the thread.
    pub(crate) async fn append(&mut self, lines: Vec<u8>) -> io::Result<()> {
        match self.durability {
            Durability::Process => self.write(&lines)?,
            Durability::Interval => {
                self.write(&lines)?;
                let mut unsynced = self.unsynced.lock();
                if !unsynced.iter().any(|it| Arc::ptr_eq(it, &self.file)) {
                    unsynced.push(self.file.clone());
                }
            }
            Durability::Record => {
                self.write(&lines)?;
                let file = self.file.clone();
                blocking(move || file.sync_data()).await?;
            }
        }
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut file = &*self.file;
        if let Err(error) = file.write_all(lines) {
            file.set_len(self.length)?;
            file.seek(SeekFrom::Start(self.length))?;
            return Err(error);
        }
        self.length += lines.len() as u64;
        Ok(())
    }
}
