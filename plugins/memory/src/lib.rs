//! Memory: facts that are kept per agent or namespace, found, shown and tidied up.

mod config;
mod exports;
mod meaning;
mod methods;
mod scopes;
mod service;
mod slot;
mod store;
mod whole;

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use carport_core::{
    Caller, Durability, Gauge, Guarded, Plugin, Result, RpcError, Session, StartContext,
};
use carport_memory_api::{GraphRef, MEMORY, Memory as Serving};
use carport_memory_graph::Snapshot;

pub use config::{AgentNamespaces, Config, Unbound};
pub use methods::*;

use crate::{
    meaning::Encoder,
    service::Service,
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
/// Bytes of a text that takes a while whatever the graph.
const SHORT_TEXT: usize = 2048;

/// The plugin.
pub struct Memory {
    /// What every method runs on that can be expressed by it.
    service: Arc<dyn Serving>,
    /// The same, if it is this plugin's own and not an embedder's.
    own: Option<Arc<Service>>,
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
        if let Some(service) = cx.find(&MEMORY) {
            return Ok(Self { service, own: None });
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
        let sessions = Guarded::default();
        let own = Arc::new(Service { store, config, clock, encoder, exports, sessions });
        cx.provide(&MEMORY, own.clone() as Arc<dyn Serving>);
        Ok(Self { service: own.clone(), own: Some(own) })
    }

    async fn session_opened(&self, session: &Arc<Session>) {
        if let Some(own) = &self.own {
            own.opened(session);
        }
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        if let Some(own) = &self.own {
            own.closed(session);
        }
    }

    async fn shutdown(&self) {
        if let Some(own) = &self.own {
            own.store.sync().await;
        }
    }
}

impl Memory {
    /// The service, and which of its graphs a call works on.
    pub(crate) async fn serving(&self, caller: &Caller) -> Result<(&dyn Serving, GraphRef)> {
        let graph = match &self.own {
            Some(own) => own.used_by(caller).await?.0,
            None => self.service.graph(caller.session())?,
        };
        Ok((&*self.service, graph))
    }

    /// This plugin's own graphs.
    ///
    /// # Errors
    /// Not available: the embedder provided another memory.
    pub(crate) fn own(&self) -> Result<&Service> {
        self.own.as_deref().ok_or_else(|| {
            let why = "this daemon was given a memory of its embedder's, which this method cannot \
                       reach; start it without one to use the plugin's own graphs";
            RpcError::unavailable("graphs of the memory plugin", why)
        })
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

/// Looks at a graph as it is now, for a text of so many bytes: in place if both are small, else on a
/// thread that may take its time. No lock is held.
pub(crate) async fn look<T: Send + 'static>(
    kept: &Kept,
    text: usize,
    look: impl FnOnce(&Snapshot) -> T + Send + 'static,
) -> Result<T> {
    let now = kept.snapshot();
    if now.facts_in_all() + now.turn_count() < FEW_FACTS && text < SHORT_TEXT {
        return Ok(look(&now));
    }
    tokio::task::spawn_blocking(move || look(&now)).await.map_err(RpcError::internal)
}
