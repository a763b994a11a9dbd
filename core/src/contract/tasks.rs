//! Background tasks of plugins: named, watched while they run, ended with the host.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use tokio::task::{AbortHandle, JoinSet};

use super::metrics::Counter;
use crate::wire::guarded::Guarded;

/// Spawns the background tasks of one plugin. Cheap to clone; a plugin may keep it.
#[derive(Clone)]
pub struct Tasks {
    plugin: &'static str,
    all: AllTasks,
}

impl Tasks {
    pub(crate) fn new(plugin: &'static str, all: AllTasks) -> Self {
        Self { plugin, all }
    }

    /// Runs `task` until it ends or the host does. A panic is logged with both names and counted;
    /// the task is not started again.
    pub fn spawn(
        &self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let (plugin, failures) = (self.plugin, self.all.failures.clone());
        let mut running = self.all.running.lock();
        while running.try_join_next().is_some() {}
        running.spawn(async move {
            tracing::debug!(plugin, task = name, "background task started");
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(()) => tracing::debug!(plugin, task = name, "background task ended"),
                Err(_) => {
                    failures.inc();
                    tracing::error!(plugin, task = name, "background task panicked");
                }
            }
        })
    }
}

/// The background tasks of every plugin.
#[derive(Clone, Default)]
pub(crate) struct AllTasks {
    running: Arc<Guarded<JoinSet<()>>>,
    pub(crate) failures: Counter,
}

impl AllTasks {
    /// Ends what still runs and waits for it.
    pub(crate) async fn end(&self) {
        let mut running = std::mem::take(&mut *self.running.lock());
        running.shutdown().await;
    }
}
