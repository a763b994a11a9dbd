//! What an acknowledged write survives.

use std::{fs::File, io, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::guarded::Guarded;

/// When a write may be acknowledged. A reply to a write leaves after the write reached the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Once the kernel has it: survives a kill of the daemon, not a loss of power.
    #[default]
    Process,
    /// As `process`, with an `fdatasync` at least every 100 ms.
    Interval,
    /// After an `fdatasync` of its own.
    Record,
}

/// Brings what is written to the disk as a [`Durability`] says. Clones share what waits for a sync.
#[derive(Debug, Clone, Default)]
pub struct DiskSync {
    durability: Durability,
    /// Only under [`Durability::Interval`].
    waiting: Arc<Guarded<Vec<Arc<File>>>>,
}

impl DiskSync {
    /// With nothing that waits.
    pub fn new(durability: Durability) -> Self {
        Self { durability, waiting: Arc::default() }
    }

    /// When a write may be acknowledged.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// To be called after a write, which may be acknowledged when this returns.
    ///
    /// # Errors
    /// The sync of the file, under [`Durability::Record`].
    pub async fn settle(&self, file: &Arc<File>) -> io::Result<()> {
        match self.durability {
            Durability::Process => {}
            Durability::Interval => {
                let mut waiting = self.waiting.lock();
                if !waiting.iter().any(|it| Arc::ptr_eq(it, file)) {
                    waiting.push(file.clone());
                }
            }
            Durability::Record => {
                let file = file.clone();
                blocking_io(move || file.sync_data()).await?;
            }
        }
        Ok(())
    }

    /// Has the next [`Self::sync`] cover a file or a directory.
    pub fn later(&self, file: File) {
        self.waiting.lock().push(file.into());
    }

    /// Syncs what was written since the last time; what could not be, which the log tells with `what` it
    /// is, is tried again the next time. Does not block.
    pub async fn sync(&self, what: &'static str) {
        let mut files = std::mem::take(&mut *self.waiting.lock());
        if files.is_empty() {
            return;
        }
        let synced = blocking_io(move || {
            files.retain(|file| match file.sync_all() {
                Ok(()) => false,
                Err(error) => {
                    tracing::error!(%error, "{what} could not be synced to disk");
                    true
                }
            });
            Ok(files)
        });
        let failed = synced.await.unwrap_or_default();
        self.waiting.lock().extend(failed);
    }
}

/// Runs what blocks on a disk on a thread that may. A panic is an error.
///
/// # Errors
/// Those of `work`.
pub async fn blocking_io<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_waits_once_for_the_next_sync_and_only_between_them() {
        let directory = tempfile::tempdir().unwrap();
        let file = Arc::new(File::create(directory.path().join("f")).unwrap());
        for (durability, waits) in
            [(Durability::Process, 0), (Durability::Interval, 1), (Durability::Record, 0)]
        {
            let disk = DiskSync::new(durability);
            disk.settle(&file).await.unwrap();
            disk.clone().settle(&file).await.unwrap();
            assert_eq!(disk.waiting.lock().len(), waits, "{durability:?}");
            disk.later(File::open(directory.path()).unwrap());
            disk.sync("a file").await;
            assert!(disk.waiting.lock().is_empty(), "{durability:?}");
        }
    }
}
