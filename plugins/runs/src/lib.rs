//! Runs: what an agent did, turn by turn, recorded before it is acknowledged, followed live, replayed.

mod authority;
mod book;
mod catalog;
mod config;
mod export;
mod free;
mod index;
mod ledger;
mod methods;
mod record;
mod retention;
mod store;
mod turn;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_core::{
    AGENT_AUTHORITY, AgentAuthority, Durability, Gauge, Plugin, Result, Session, StartContext,
};
use carport_runs_api::{ObservedTurn, RUNS};

pub use book::{Dropped, TraceEvent};
pub use config::Config;
pub use free::Free;
pub use methods::*;
pub use record::*;
pub use turn::NewTurn;

use crate::{book::Book, catalog::Catalog, export::live::Feed, index::Index, store::Store};

carport_core::plugin!(Runs {
    methods: [
        Start,
        Complete,
        RecordTurns,
        RecordModelTurn,
        Subscribe,
        Unsubscribe,
        List,
        GetTrace,
        Cancel,
        Resume,
        Delete,
        Export,
    ],
    notifications: [TraceEvent, RunCancelled],
});

/// How often writes reach the disk under `durability = "interval"`.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// The plugin.
pub struct Runs {
    pub(crate) book: Arc<Book>,
    pub(crate) authority: Option<Arc<dyn AgentAuthority>>,
    /// The agent that the daemon's own environment names.
    pub(crate) daemon_agent: Option<String>,
}

impl Plugin for Runs {
    const ID: &'static str = "runs";
    const OPTIONAL: &'static [&'static str] = &[AGENT_AUTHORITY.name()];
    const PROVIDES: &'static [&'static str] = &[RUNS.name()];
    type Config = Config;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let config: Config = cx.config()?;
        let directory = cx.state_dir("runs")?;
        // No agent's directory begins with a dot.
        let index = Index::open(directory.join(".index.sqlite"));
        let help = "Runs on disk that the index has not taken in yet";
        let unindexed = cx.metrics().register("runs_unindexed", help, Gauge::default());
        let catalog = Catalog::new(Store::new(directory, cx.durability()), index, unindexed);
        let book = Arc::new(Book::new(catalog, cx.clock(), Feed::start(cx, &config)?));
        book.adopt().await?;
        if cx.durability() == Durability::Interval {
            cx.tasks().spawn("sync", book.clone().keep_synced(SYNC_EVERY));
        }
        cx.tasks().spawn("keep", book.clone().keep(config.policy(), config.gc_interval()));
        cx.provide(&RUNS, Arc::new(Service(book.clone())) as Arc<dyn carport_runs_api::Runs>);
        let daemon_agent = cx.agent_id().map(str::to_owned);
        Ok(Self { book, authority: cx.find(&AGENT_AUTHORITY), daemon_agent })
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        self.book.session_gone(session).await;
    }

    async fn shutdown(&self) {
        self.book.close().await;
    }
}

/// What other plugins use.
struct Service(Arc<Book>);

#[async_trait]
impl carport_runs_api::Runs for Service {
    fn current(&self, session: &Session) -> Option<String> {
        self.0.current(session)
    }

    async fn observe(&self, session: &Session, run_id: &str, turns: Vec<ObservedTurn>) {
        if !self.0.has_open(session, run_id) {
            return;
        }
        let turn = |turn: ObservedTurn| NewTurn {
            tool: turn.tool,
            parameters: turn.parameters.map(Free::from),
            output: turn.output.map(Free::from),
            policy_rejected: turn.policy_rejected,
            ..NewTurn::default()
        };
        let mut turns = turns.into_iter().map(turn).peekable();
        while turns.peek().is_some() {
            let batch = turns.by_ref().take(MAX_BATCH).collect();
            match self.0.record(run_id, batch, |_| true).await {
                Ok(Ok(_)) => continue,
                Ok(Err(dropped)) => tracing::warn!(run_id, ?dropped, "observed turns were dropped"),
                Err(error) => tracing::error!(run_id, %error, "observed turns were not recorded"),
            }
            return;
        }
    }
}
