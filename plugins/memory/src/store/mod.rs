//! The graphs of a daemon: loaded when they are used, written before a change is acknowledged, let go
//! when nobody has used them for a while.

mod aside;
mod kept;
mod pen;
mod reading;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use carport_core::{
    Clock, DiskSync, Durability, Guarded, Result, RpcError, blocking_io, bounds, encode_name,
};
use carport_memory_api::GraphRef;
use carport_memory_graph::{Graph, Limits, Utility};
use tokio::{sync::OnceCell, time::Instant};

pub(crate) use kept::Kept;
use pen::Pen;

/// A graph that nobody has used for so long is let go.
const IDLE: Duration = Duration::from_secs(600);
/// Graphs that stay loaded beside those in use.
const MOST_IDLE: usize = 64;

type Cell = OnceCell<Arc<Kept>>;

/// Every graph that is loaded.
pub(crate) struct Store {
    /// `memory/` of the state root.
    root: PathBuf,
    disk: DiskSync,
    utility: Utility,
    clock: Arc<dyn Clock>,
    graphs: Guarded<HashMap<GraphRef, Arc<Cell>>>,
}

impl Store {
    pub(crate) fn new(
        root: PathBuf,
        durability: Durability,
        utility: Utility,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { root, disk: DiskSync::new(durability), utility, clock, graphs: Guarded::default() }
    }

    /// A graph, loaded if it is not. It is in use until what is returned is dropped.
    ///
    /// # Errors
    /// Its file cannot be read, or no file can have its name.
    pub(crate) async fn get(self: &Arc<Self>, graph: &GraphRef) -> Result<Arc<Kept>> {
        let cell = self.cell(graph)?;
        if let Some(kept) = cell.get() {
            kept.touch();
            return Ok(kept.clone());
        }
        // Done to the end, though the caller may go: an import that was given up half way would write
        // its file while the next one does, or after.
        let (store, graph) = (self.clone(), graph.clone());
        let loading = tokio::spawn(async move {
            let kept = cell.get_or_try_init(|| store.load(&graph)).await?.clone();
            kept.touch();
            store.unload();
            Ok(kept)
        });
        loading.await.map_err(RpcError::internal)?
    }

    fn cell(&self, graph: &GraphRef) -> Result<Arc<Cell>> {
        let mut graphs = self.graphs.lock();
        if let Some(cell) = graphs.get(graph) {
            return Ok(cell.clone());
        }
        // A name that no file can have leaves nothing behind.
        self.path(graph)?;
        Ok(graphs.entry(graph.clone()).or_default().clone())
    }

    /// Forgets the graph of a connection that ended.
    pub(crate) fn forget(&self, client_id: &str) {
        self.graphs.lock().remove(&GraphRef::Session(client_id.to_owned()));
    }

    async fn load(&self, graph: &GraphRef) -> Result<Arc<Kept>> {
        let Some(path) = self.path(graph)? else {
            return Ok(Arc::new(Kept::new(Graph::new(Limits::SESSION), None, self.utility)));
        };
        let (now, file) = (self.clock.now(), path.clone());
        let mut pen = Pen::new(path, self.disk.clone());
        let found = blocking_io(move || {
            let aside = aside::lines(&file)?;
            Ok(reading::read(&file, Limits::DISK).and_then(|read| match read {
                Some(read) => Ok((aside, Some(read), None)),
                None => Ok((aside, None, reading::import(&file, Limits::DISK, now)?)),
            }))
        });
        let (aside, read, imported) = found.await.map_err(failed)??;
        let mut damaged = aside;
        let graph = match (read, imported) {
            (Some(read), _) => {
                damaged += read.damage.lines();
                pen = pen.after(read.length, read.lines, read.damage);
                read.graph
            }
            (None, Some(graph)) => {
                pen.rewrite(graph.snapshot().lines().collect()).await.map_err(failed)?;
                graph
            }
            (None, None) => Graph::new(Limits::DISK),
        };
        Ok(Arc::new(Kept::new(graph, Some(pen), self.utility).with_damaged(damaged)))
    }

    /// Where the file of a graph is; a connection's own has none.
    fn path(&self, graph: &GraphRef) -> Result<Option<PathBuf>> {
        let file = |directory: &str, field: &str, name: &str| {
            // As when a connection binds one; whoever is inside the process may name any.
            bounds::letters(field, name, "no control characters", |it| !it.is_control())?;
            let name = format!("{}.jsonl", encode_name(field, name)?);
            Ok(Some(self.root.join(directory).join(name)))
        };
        match graph {
            GraphRef::Agent(id) => file("agents", "agent_id", id),
            GraphRef::Namespace(name) => file("memory-namespaces", "memory_namespace", name),
            GraphRef::Shared => Ok(Some(self.root.join("shared.jsonl"))),
            GraphRef::Session(_) => Ok(None),
        }
    }

    /// Lets go of graphs that are not in use and were not for ten minutes, and of more than 64.
    pub(crate) fn unload(&self) {
        let mut graphs = self.graphs.lock();
        // Under the lock nobody takes another handle. A connection's own has no file to come back from:
        // it goes with the connection, though other plugins alone may use it meanwhile.
        let is_idle = |graph: &GraphRef, cell: &Arc<Cell>| {
            !matches!(graph, GraphRef::Session(_))
                && Arc::strong_count(cell) == 1
                && cell.get().is_none_or(|kept| Arc::strong_count(kept) == 1)
        };
        let used = |cell: &Arc<Cell>| cell.get().map(|kept| kept.used());
        graphs.retain(|graph, cell| {
            !is_idle(graph, cell) || used(cell).is_some_and(|used| used.elapsed() < IDLE)
        });
        let mut idle: Vec<(Instant, GraphRef)> = graphs
            .iter()
            .filter(|(graph, cell)| is_idle(graph, cell))
            .filter_map(|(graph, cell)| Some((used(cell)?, graph.clone())))
            .collect();
        idle.sort();
        for (_, graph) in idle.iter().take(idle.len().saturating_sub(MOST_IDLE)) {
            graphs.remove(graph);
        }
    }

    /// Whether a graph is loaded.
    pub(crate) fn is_loaded(&self, graph: &GraphRef) -> bool {
        self.graphs.lock().contains_key(graph)
    }

    /// The graphs that are loaded.
    pub(crate) fn all(&self) -> Vec<Arc<Kept>> {
        self.graphs.lock().values().filter_map(|cell| cell.get().cloned()).collect()
    }

    /// How many graphs are loaded.
    pub(crate) fn loaded(&self) -> usize {
        self.graphs.lock().len()
    }

    /// Syncs what was written since the last time.
    pub(crate) async fn sync(&self) {
        self.disk.sync("a graph").await;
    }
}

/// Does something for as long as the store is there, at every such interval.
pub(crate) async fn every(
    store: Weak<Store>,
    interval: Duration,
    mut work: impl AsyncFnMut(&Store) + Send,
) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(store) = store.upgrade() else { return };
        work(&store).await;
    }
}

/// What a caller hears of a failing disk: retrying may help once it works again.
#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
pub(crate) fn failed(error: io::Error) -> RpcError {
    tracing::error!(%error, "a graph's file failed");
    RpcError::internal(format!("the graph's file could not be used: {}", error.kind()))
        .with("retryable", true)
}
