//! A2A: agents of others talk to this daemon, and have it work, by the open protocol.
//!
//! A message makes a task; a turn of it is the work that one message asks for. The `desk` owns the
//! turns and knows no connection: whoever asked may be gone. The `executor` does the work, the
//! store keeps what came of it, and `calls` answer in the shapes of v1.0 and v0.3, whoever carries
//! them.

mod asking;
mod calls;
mod card;
mod config;
mod credential;
mod desk;
mod drawing;
mod executor;
mod http;
mod methods;
mod outgoing;
mod peers;
mod routes;

use std::{path::PathBuf, sync::Arc, time::Duration};

use carport_a2a_api::A2A_EXECUTOR;
use carport_a2a_outbound::{AllowList, Screen};
use carport_a2a_tasks::{FileStore, MemoryStore, TaskStore};
use carport_a2ui_api::SURFACES;
use carport_agents_api::{AGENTS, Target};
use carport_core::{Durability, Identity, Plugin, Result, RpcError, Session, StartContext};
use carport_engine_api::ENGINE;
use tokio::time::sleep;

pub use config::{Config, Extended, ExtendedCard, Extension, Listen, Skill, StoreKind, TlsFiles};
pub use http::AuthMode;
pub use methods::*;
pub use peers::Peer;

use crate::{
    calls::Calls,
    card::{CardSource, Sources},
    desk::{Desk, DeskSettings, Post},
    drawing::Drawing,
    executor::{EngineExecutor, Sharing, TestExecutor},
    http::{By, Keys, Listeners},
    outgoing::Outgoing,
    peers::Peers,
    routes::Routes,
};

/// The name of the runtime that works for peers; its journal bears it.
const RUNTIME: &str = "plugin-a2a";
/// How often what is due is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How often files are synced that need not be at once.
const SYNC_EVERY: Duration = Duration::from_millis(100);

carport_core::plugin!(A2a {
    methods: [
        SendMessage,
        GetTask,
        ListTasks,
        CancelTask,
        CreatePushConfig,
        GetPushConfig,
        ListPushConfigs,
        DeletePushConfig,
        GetExtendedCard,
        SendStreamingMessage,
        SubscribeToTask,
        MessageSend,
        TasksGet,
        TasksList,
        TasksCancel,
        PushConfigSet,
        PushConfigGet,
        PushConfigList,
        PushConfigDelete,
        AuthenticatedExtendedCard,
        MessageStream,
        TasksResubscribe,
        Start,
        Stop,
        Status,
        SendToPeer,
        AddPeer,
        ListPeers,
        RemovePeer,
    ],
});

/// The plugin.
pub struct A2a {
    calls: Arc<Calls>,
    store: Arc<dyn TaskStore>,
    listeners: Listeners,
    keys: Keys,
    outgoing: Arc<Outgoing>,
    peers: Arc<Peers>,
    /// Where surfaces are drawn, if they are.
    drawing: Option<Arc<Drawing>>,
    /// Shares the runtime of a connection, if it is the engine that does tasks.
    sharing: Option<Sharing>,
}

/// Where tasks are kept. Files without a state root are no reason not to start.
async fn open_store(cx: &StartContext<'_>, config: &Config) -> Result<Arc<dyn TaskStore>> {
    let settings = config.store_settings();
    let directory: Option<PathBuf> = match config.store {
        StoreKind::File if cx.state_root().is_some() => Some(cx.state_dir("a2a")?),
        _ => None,
    };
    let Some(directory) = directory else { return Ok(Arc::new(MemoryStore::new(settings))) };
    let store = FileStore::open(&directory, cx.durability(), settings).await;
    let store =
        store.map_err(|error| RpcError::internal(format!("{}: {error}", directory.display())))?;
    let (syncing, durability) = (store.clone(), cx.durability());
    if durability == Durability::Interval {
        cx.tasks().spawn("sync", async move {
            loop {
                sleep(SYNC_EVERY).await;
                syncing.sync().await;
            }
        });
    }
    Ok(Arc::new(store))
}

impl Plugin for A2a {
    const ID: &'static str = "a2a";
    const NAMESPACES: &'static [&'static str] = &[
        "a2a",
        "SendMessage",
        "SendStreamingMessage",
        "GetTask",
        "ListTasks",
        "CancelTask",
        "SubscribeToTask",
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
        "GetExtendedAgentCard",
        "message",
        "tasks",
        "agent/getAuthenticatedExtendedCard",
    ];
    const REQUIRES: &'static [&'static str] = &[ENGINE.name()];
    const OPTIONAL: &'static [&'static str] =
        &[AGENTS.name(), SURFACES.name(), A2A_EXECUTOR.name()];
    type Config = Config;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let config: Config = cx.config()?;
        let store = open_store(cx, &config).await?;
        let engine = cx.require(&ENGINE)?;
        let runtime = engine.open(RUNTIME, Identity::Client).await?;
        if !config.tools.is_empty()
            && let Err(error) = runtime.register_basics(&config.tools).await
        {
            tracing::warn!(%error, "no basic tool can be called over A2A");
        }
        let (agents, surfaces) = (cx.find(&AGENTS), cx.find(&SURFACES));
        let drawing = surfaces.map(|it| Arc::new(Drawing::new(it)));
        let mut sharing = None;
        let executor = match cx.find(&A2A_EXECUTOR) {
            _ if config.test_executor => {
                tracing::warn!("A2A messages are answered as conformance tests ask for");
                Arc::new(TestExecutor)
            }
            Some(own) => own,
            None => {
                let chat = config.chat_agent.clone().map(Target::Agent).zip(agents.clone());
                let (agents, drawing) = (agents.clone(), drawing.clone());
                sharing = Some(Sharing { engine, agents, drawing: drawing.clone() });
                Arc::new(EngineExecutor::new(runtime.clone(), chat, drawing))
            }
        };
        let limit = Duration::from_secs(config.blocking_limit_s.max(1).into());
        let settings = DeskSettings { blocking_limit: limit };
        let allow = AllowList::parse(&config.allow)
            .map_err(|error| RpcError::internal(format!("`a2a.allow`: {error}")))?;
        let outgoing = Arc::new(Outgoing::new(Screen::new(allow))?);
        let post = config.push.then(|| Post::new(outgoing.clone()));
        let desk = Desk::new(store.clone(), executor, cx.clock(), cx.tasks(), settings, post);
        desk.fail_orphans().await;
        desk.resume_telling().await;
        let (sweeping, tidying) = (desk.clone(), drawing.clone());
        cx.tasks().spawn("sweep", async move {
            loop {
                sleep(SWEEP_EVERY).await;
                sweeping.sweep().await;
                if let Some(drawing) = &tidying {
                    drawing.tidy();
                }
            }
        });
        let sources = Sources { runtime, agents, drawing: drawing.clone() };
        let card = CardSource::new(config.clone(), cx.state_root(), sources);
        let daemon_token = cx.state_root().map(|root| root.join("run").join("auth-token"));
        let directory = cx.state_root().map(|_| cx.state_dir("a2a")).transpose()?;
        let peers = Arc::new(Peers::open(directory).await?);
        if let Some(drawing) = &drawing {
            let (outgoing, peers, keys) = (outgoing.clone(), peers.clone(), drawing.keys());
            drawing.surfaces().route_by(Arc::new(Routes { outgoing, peers, keys }));
        }
        let keys = Keys::read(&config.tokens, daemon_token)?;
        let calls = Arc::new(Calls::new(desk, card, config.clone()));
        let listeners = Listeners::new(&config, calls.clone(), cx.clock(), cx.tasks());
        if let Some(listen) = config.listen {
            let start = Start::from(listen);
            let (address, place, by) = (start.address()?, start.place()?, By::Configuration);
            listeners.start(address, place, keys.clone(), by).await?;
        }
        Ok(Self { calls, store, listeners, keys, outgoing, peers, drawing, sharing })
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        self.listeners.end_with(session);
    }

    async fn shutdown(&self) {
        // Nothing to stop is as good as stopped.
        let _ = self.listeners.stop(By::Configuration).await;
        self.store.sync().await;
    }
}
