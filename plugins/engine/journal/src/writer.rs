//! The one background writer of all journals.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::spawn_blocking, time::sleep};

use crate::{file::Depth, journal::Shared};

/// Lines of all journals that may wait for the writer; whoever appends one more waits for room.
pub(crate) const QUEUE: usize = 4096;
/// Lines that the writer takes at once. Those of one journal are one write.
const BATCH: usize = 1024;
/// How often writes reach the disk under `durability = "interval"`.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// Writes what journals have queued until [`Writer::run`] is ended or the last journal is gone. The
/// queue holds one entry a line: a journal to look after, not the line, which waits with its journal.
pub struct Writer {
    pub(crate) queue: mpsc::Receiver<Arc<Shared>>,
    pub(crate) depth: Depth,
}

impl Writer {
    /// Writes. To be run in a task of its own.
    pub async fn run(self) {
        let Self { queue, depth } = self;
        tokio::select! {
            () = write(queue) => {}
            () = sync(&depth), if depth.is_interval() => {}
        }
        // A failure is logged.
        let _ = spawn_blocking(move || depth.sync()).await;
    }
}

async fn write(mut queue: mpsc::Receiver<Arc<Shared>>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        let journals = std::mem::take(&mut batch);
        // The first entry of a journal brings all its lines, the others find nothing to do. A failure
        // is logged and counted where it happens.
        let written = spawn_blocking(move || journals.iter().for_each(|it| drop(it.write_out())));
        if let Err(error) = written.await {
            tracing::error!(%error, "journals were not written");
        }
    }
}

async fn sync(depth: &Depth) {
    loop {
        sleep(SYNC_EVERY).await;
        let depth = depth.clone();
        let _ = spawn_blocking(move || depth.sync()).await;
    }
}
