//! The directory of journals: one open journal a connection, and what becomes of those that ended.

use std::{path::PathBuf, sync::Arc, time::Duration};

use carport_core::{Clock, Durability, Result, RpcError, encode_name};
use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};

use crate::{
    file::{Depth, Pen},
    journal::{Journal, Shared},
    keep::{Claim, Claims, Keep, retire},
    writer::{QUEUE, Writer},
};

/// How often journals are looked at for removal.
const ROUND: Duration = Duration::from_secs(3600);

/// Every journal of the daemon.
pub struct Journals {
    directory: PathBuf,
    depth: Depth,
    clock: Arc<dyn Clock>,
    queue: mpsc::Sender<Arc<Shared>>,
    claims: Claims,
}

impl Journals {
    /// The journals in `directory`, which should be for this user only, and the writer that they need
    /// running.
    pub fn new(
        directory: PathBuf,
        durability: Durability,
        clock: Arc<dyn Clock>,
    ) -> (Arc<Self>, Writer) {
        let depth = Depth::new(durability);
        let (queue, entries) = mpsc::channel(QUEUE);
        let writer = Writer { queue: entries, depth: depth.clone() };
        (Arc::new(Self { directory, depth, clock, queue, claims: Claims::default() }), writer)
    }

    /// Opens the journal of a connection. The file is made with the first event; one that is there
    /// already goes on. If a write fails later, that is logged and counted; the journal goes on in memory
    /// and takes the file's place once it can.
    ///
    /// # Errors
    /// Invalid parameters (`client_id`): no file can have that name. Conflict: it is open already.
    /// Internal, and may be retried: what the file holds cannot be read. It is left as it is.
    pub async fn open(&self, client_id: &str) -> Result<Journal> {
        let name = encode_name("client_id", client_id)?;
        let claim = Claim::take(&self.claims, &name)
            .ok_or_else(|| RpcError::conflict(format!("the journal of `{client_id}` is in use")))?;
        let pen = Pen::new(self.directory.join(format!("{name}.jsonl")), self.depth.clone());
        let (owner, clock) = (client_id.to_owned(), self.clock.clone());
        let shared = spawn_blocking(move || Shared::open(owner, clock, pen)).await;
        let shared = shared.map_err(RpcError::internal)?.map_err(|error| {
            tracing::error!(%error, client_id, "a journal could not be read");
            let why = format!("the journal's file could not be read: {}", error.kind());
            RpcError::internal(why).with("retryable", true)
        })?;
        Ok(Journal::new(shared, self.queue.clone(), claim))
    }

    /// Removes journals of ended connections that are beyond `keep`, again and again. To be run in a
    /// task of its own.
    pub async fn keep(self: Arc<Self>, keep: Keep) {
        loop {
            match self.retire(keep).await {
                Ok(0) => {}
                Ok(files) => tracing::info!(files, "journals beyond retention were removed"),
                Err(error) => tracing::error!(%error, "no journal was looked at for removal"),
            }
            sleep(ROUND).await;
        }
    }

    /// Removes journals of ended connections that are beyond `keep`, oldest first. Returns how many
    /// files went.
    ///
    /// # Errors
    /// Internal: the directory cannot be read.
    pub async fn retire(&self, keep: Keep) -> Result<usize> {
        let (directory, claims) = (self.directory.clone(), self.claims.clone());
        let now = self.clock.now();
        let retired = spawn_blocking(move || retire(&directory, &claims, keep, now)).await;
        retired.map_err(RpcError::internal)?.map_err(RpcError::internal)
    }
}
