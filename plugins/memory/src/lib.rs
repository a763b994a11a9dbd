//! Memory: facts that are kept per agent or namespace, found, shown and tidied up.

mod config;
mod exports;
mod meaning;
mod methods;
mod scopes;
mod service;
mod slot;
mod store;

use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use carport_core::{
    Caller, Clock, Durability, Gauge, Plugin, Result, RpcError, Session, StartContext,
};
use carport_memory_api::MEMORY;
use carport_memory_graph::Snapshot;

pub use config::{AgentNamespaces, Config, Unbound};
pub use methods::*;

use crate::{
    meaning::Encoder,
    service::Service,
    slot::Slot,
    store::{Kept, Store},
};

carport_core::plugin!(Memory {
    methods: [
        AddFact,
        QueryFacts,
        FactCount,
        GetFact,
        GraphStats,
        BuildContext,
        BuildContextFast,
        Persist,
        Load,
        SaveKnowledge,
        SaveProcedural,
        UpdateStatus,
        Maintain,
        Intervene,
        Evaluate,
        DeleteFact,
        Consolidate,
        UtilityGet,
        UtilitySet,
    ],
    notifications: [],
});

/// How often writes reach the disk under `durability = "interval"`.
const SYNC_EVERY: Duration = Duration::from_millis(100);
/// How often is looked for graphs that nobody uses.
const UNLOAD_EVERY: Duration = Duration::from_secs(60);
/// Graphs with fewer facts are ranked where the call runs.
const FEW_FACTS: usize = 500;

/// The plugin.
pub struct Memory {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Says what texts mean, if there is one.
    pub(crate) encoder: Option<Arc<dyn Encoder>>,
    /// The base of paths of `memory.persist` and `memory.load`.
    pub(crate) exports: PathBuf,
}

impl Plugin for Memory {
    const ID: &'static str = "memory";
    const PROVIDES: &'static [&'static str] = &[MEMORY.name()];
    type Config = Config;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let config: Config = cx.config()?;
        if !(0.0..=1.2).contains(&config.intervene_threshold) {
            return Err(RpcError::internal("`memory.intervene_threshold` must be 0 to 1.2"));
        }
        let root = cx.state_dir("memory")?;
        let (clock, durability) = (cx.clock(), cx.durability());
        let exports = root.join("exports");
        let store = Arc::new(Store::new(root, durability, config.utility(), clock.clone()));
        let help = "Graphs that are loaded";
        let loaded = cx.metrics().register("memory_graphs_loaded", help, Gauge::<i64>::default());
        let unload = store::every(Arc::downgrade(&store), UNLOAD_EVERY, async move |store| {
            store.unload();
            loaded.set(store.loaded() as i64);
        });
        cx.tasks().spawn("unload", unload);
        if durability == Durability::Interval {
            let sync =
                store::every(Arc::downgrade(&store), SYNC_EVERY, async |store| store.sync().await);
            cx.tasks().spawn("sync", sync);
        }
        let encoder = meaning::open(config.embeddings.as_deref()).await;
        if let Some(encoder) = encoder.clone() {
            cx.tasks().spawn("meaning", understand(Arc::downgrade(&store), encoder));
        }
        let service = Service {
            store: store.clone(),
            config: config.clone(),
            clock: clock.clone(),
            encoder: encoder.clone(),
        };
        cx.provide(&MEMORY, Arc::new(service) as Arc<dyn carport_memory_api::Memory>);
        Ok(Self { config, store, clock, encoder, exports })
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        self.store.forget(session.id());
    }

    async fn shutdown(&self) {
        self.store.sync().await;
    }
}

impl Memory {
    /// The graph of a call.
    pub(crate) async fn graph(&self, caller: &Caller) -> Result<Arc<Kept>> {
        let graph = scopes::graph_of(caller.session(), caller.identity(), &self.config)?;
        let kept = self.store.get(&graph).await?;
        caller.session().slot::<Slot>().uses(&kept);
        Ok(kept)
    }
}

/// Works out what facts mean for as long as the store is there and the encoder does not fail.
async fn understand(store: Weak<Store>, encoder: Arc<dyn Encoder>) {
    loop {
        tokio::time::sleep(meaning::CATCH_UP_EVERY).await;
        let Some(store) = store.upgrade() else { return };
        if let Err(reason) = meaning::catch_up(&store, &encoder).await {
            let so = "what facts mean cannot be told; new ones are found by words alone";
            return tracing::error!(reason, "{so}");
        }
    }
}

/// Looks at a graph as it is now: in place if it is small, else on a thread that may take its time.
/// No lock is held.
pub(crate) async fn look<T: Send + 'static>(
    kept: &Kept,
    look: impl FnOnce(&Snapshot) -> T + Send + 'static,
) -> Result<T> {
    let now = kept.snapshot();
    if now.facts_in_all() + now.turn_count() < FEW_FACTS {
        return Ok(look(&now));
    }
    tokio::task::spawn_blocking(move || look(&now)).await.map_err(RpcError::internal)
}
