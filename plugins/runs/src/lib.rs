//! Runs: what an agent did, turn by turn, recorded before it is acknowledged, followed live, replayed.

mod authority;
mod book;
mod ledger;
mod methods;
mod record;
mod store;
mod turn;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_core::{
    AGENT_AUTHORITY, AgentAuthority, Durability, Plugin, Result, Session, StartContext,
};
use carport_runs_api::{ObservedTurn, RUNS};

pub use book::{Dropped, TraceEvent};
pub use methods::*;
pub use record::*;
pub use turn::NewTurn;

use crate::{book::Book, store::Store};

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
    type Config = ();

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let store = Store::new(cx.state_dir("runs")?, cx.durability());
        let book = Arc::new(Book::new(store, cx.clock()));
        book.adopt().await?;
        if cx.durability() == Durability::Interval {
            let book = book.clone();
            cx.tasks().spawn("sync", async move {
                loop {
                    tokio::time::sleep(SYNC_EVERY).await;
                    book.store().sync().await;
                }
            });
        }
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

    async fn observe(&self, session: &Session, turns: Vec<ObservedTurn>) {
        let Some(run_id) = self.0.current(session) else { return };
        let turns = turns.into_iter().map(|turn| NewTurn {
            tool: turn.tool,
            parameters: turn.parameters,
            output: turn.output,
            policy_rejected: turn.policy_rejected,
            ..NewTurn::default()
        });
        match self.0.record(&run_id, turns.collect(), |_| true).await {
            Ok(Ok(_)) => {}
            Ok(Err(dropped)) => tracing::warn!(run_id, ?dropped, "observed turns were dropped"),
            Err(error) => tracing::error!(run_id, %error, "observed turns were not recorded"),
        }
    }
}
