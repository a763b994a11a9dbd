//! Runs on disk: one JSONL file a run, one writer a file, a line a record.

mod file;
mod reading;
mod recovery;

use std::{io, path::PathBuf, sync::Arc};

use carport_core::{Durability, Guarded, RpcError, encode_name, make_private_dir};

pub(crate) use file::RunFile;
pub(crate) use reading::Page;
pub(crate) use recovery::Recovered;

/// The directory of every run.
pub(crate) struct Store {
    root: PathBuf,
    durability: Durability,
    /// Files with writes that no sync has covered yet; only under [`Durability::Interval`].
    unsynced: Arc<Guarded<Vec<Arc<std::fs::File>>>>,
}

impl Store {
    pub(crate) fn new(root: PathBuf, durability: Durability) -> Self {
        Self { root, durability, unsynced: Arc::default() }
    }

    /// Where the file of a run is. The names are encoded, so that they stay under the root.
    pub(crate) fn path(&self, agent_id: &str, run_id: &str) -> Result<PathBuf, RpcError> {
        let agent = encode_name("agent_id", agent_id)?;
        let run = encode_name("run_id", run_id)?;
        Ok(self.root.join(agent).join(format!("{run}.jsonl")))
    }

    /// Makes the file of a new run with its first line.
    pub(crate) async fn create(
        &self,
        agent_id: &str,
        run_id: &str,
        line: &str,
    ) -> Result<RunFile, RpcError> {
        let path = self.path(agent_id, run_id)?;
        let (directory, durability) = (path.parent().map(PathBuf::from), self.durability);
        let unsynced = self.unsynced.clone();
        let made = blocking(move || {
            if let Some(directory) = &directory {
                make_private_dir(directory)?;
            }
            let file = RunFile::create(&path, durability, unsynced)?;
            if let (Some(directory), Durability::Record) = (&directory, durability) {
                std::fs::File::open(directory)?.sync_all()?;
            }
            Ok(file)
        });
        let mut file = made.await.map_err(failed)?;
        file.append(format!("{line}\n").into_bytes()).await.map_err(failed)?;
        Ok(file)
    }

    /// Opens the file of an earlier run to write its last line.
    pub(crate) fn reopen(&self, path: &std::path::Path) -> io::Result<RunFile> {
        RunFile::open(path, self.durability, self.unsynced.clone())
    }

    /// Syncs what was written since the last time.
    pub(crate) async fn sync(&self) {
        let files = std::mem::take(&mut *self.unsynced.lock());
        if files.is_empty() {
            return;
        }
        let synced = blocking(move || files.iter().try_for_each(|file| file.sync_data())).await;
        if let Err(error) = synced {
            tracing::error!(%error, "runs could not be synced to disk");
        }
    }

    /// A page of a run's records.
    pub(crate) async fn page(
        &self,
        agent_id: &str,
        run_id: &str,
        cursor: u64,
        limit: usize,
    ) -> Result<Page, RpcError> {
        let path = self.path(agent_id, run_id)?;
        blocking(move || reading::page(&path, cursor, limit)).await.map_err(failed)
    }

    /// The newest turns before `end` that fit into `bytes`, oldest first, with the first's index.
    pub(crate) async fn newest_turns(
        &self,
        agent_id: &str,
        run_id: &str,
        end: u64,
        bytes: usize,
    ) -> Result<(u64, Vec<crate::record::Line>), RpcError> {
        let path = self.path(agent_id, run_id)?;
        blocking(move || reading::newest_turns(&path, end, bytes)).await.map_err(failed)
    }

    /// Every run of an earlier process. What a crash left open is for the caller to end.
    pub(crate) async fn recover(&self) -> io::Result<Vec<Recovered>> {
        let root = self.root.clone();
        blocking(move || recovery::recover(&root)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// What a caller hears of a failing disk: retrying may help once it works again.
#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
pub(crate) fn failed(error: io::Error) -> RpcError {
    tracing::error!(%error, "a run's file failed");
    RpcError::internal(format!("the run's file could not be used: {}", error.kind()))
        .with("retryable", true)
}
