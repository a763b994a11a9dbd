//! A runtime: what the engine keeps for one connection, or for one plugin that executes proposals.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use carport_core::{Clock, Guarded, Result, Subscribers};
use carport_engine_journal::Journal;
use carport_engine_model::{RuleWindows, Tier};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use crate::{
    SetReplanConfig,
    hub::Hub,
    policy::Policies,
    state::State,
    tools::{cache::Cache, detached::Detached, handles::Handles, registry::Tools},
};

/// Actions of one runtime that run at once.
const MAX_ACTIONS: usize = 32;
/// How long proposals may take over their end.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A runtime. Its locks nest in the order of its fields, and none is held over an await.
pub(crate) struct Runtime {
    /// The `client_id` of its connection, or the name that a plugin gave.
    pub(crate) id: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: Guarded<State>,
    pub(crate) policies: Guarded<Policies>,
    /// What the operator's rate limits have counted.
    pub(crate) windows: Guarded<RuleWindows>,
    pub(crate) tools: Guarded<Tools>,
    /// By tool, parameters and tenant.
    pub(crate) results: Guarded<Cache>,
    /// By proposal and action as well.
    pub(crate) idempotent: Guarded<Cache>,
    pub(crate) tier: Guarded<Tier>,
    pub(crate) replan: Guarded<SetReplanConfig>,
    pub(crate) handles: Guarded<Handles>,
    pub(crate) detached: Guarded<Detached>,
    pub(crate) streams: Subscribers<()>,
    pub(crate) journal: Journal,
    pub(crate) room: Semaphore,
    /// Whether the journal says whose it is.
    pub(crate) introduced: AtomicBool,
    running: Arc<Running>,
}

/// Proposals that run.
#[derive(Default)]
struct Running {
    next: AtomicU64,
    all: Guarded<HashMap<u64, (String, Arc<Halt>)>>,
    /// Changes whenever one ended.
    ended: watch::Sender<()>,
}

/// Ends a proposal from outside. The first reason counts.
#[derive(Default)]
pub(crate) struct Halt(watch::Sender<Option<&'static str>>);

impl Halt {
    pub(crate) fn now(&self, reason: &'static str) {
        self.0.send_if_modified(|it| it.is_none() && it.replace(reason).is_none());
    }

    /// Why the proposal is to end, if it is.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        *self.0.borrow()
    }

    /// Waits until it is to end.
    pub(crate) async fn wait(&self) -> &'static str {
        let mut reasons = self.0.subscribe();
        loop {
            if let Some(reason) = *reasons.borrow_and_update() {
                return reason;
            }
            if reasons.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A proposal among those that run, until it is dropped.
pub(crate) struct Entered {
    number: u64,
    pub(crate) halt: Arc<Halt>,
    running: Arc<Running>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.running.all.lock().remove(&self.number);
        self.running.ended.send_replace(());
    }
}

impl Runtime {
    pub(crate) fn new(hub: &Hub, id: &str, journal: Journal) -> Self {
        Self {
            id: id.to_owned(),
            clock: hub.clock.clone(),
            state: Guarded::default(),
            policies: Guarded::default(),
            windows: Guarded::new(hub.rules.windows()),
            tools: Guarded::default(),
            results: Guarded::default(),
            idempotent: Guarded::default(),
            tier: Guarded::new(hub.default_tier),
            replan: Guarded::default(),
            handles: Guarded::default(),
            detached: Guarded::default(),
            streams: Subscribers::default(),
            journal,
            room: Semaphore::new(MAX_ACTIONS),
            introduced: AtomicBool::new(false),
            running: Arc::default(),
        }
    }

    /// The time of day as rate limits count it.
    pub(crate) fn ticks(&self) -> Duration {
        let since = self.clock.now().timestamp_millis();
        Duration::from_millis(u64::try_from(since).unwrap_or_default())
    }

    /// Enters a proposal among those that run.
    pub(crate) fn enter(&self, proposal_id: &str) -> Entered {
        let number = self.running.next.fetch_add(1, Ordering::Relaxed);
        let halt = Arc::new(Halt::default());
        let entry = (proposal_id.to_owned(), halt.clone());
        self.running.all.lock().insert(number, entry);
        Entered { number, halt, running: self.running.clone() }
    }

    /// Ends the running proposals that `wanted` picks by their ids; `false` if there is none.
    pub(crate) fn halt(&self, reason: &'static str, wanted: impl Fn(&str) -> bool) -> bool {
        let running = self.running.all.lock();
        let mut any = false;
        for (_, halt) in running.values().filter(|(id, _)| wanted(id)) {
            halt.now(reason);
            any = true;
        }
        any
    }

    /// The end of the runtime: proposals end and say so in the journal, handles go, the journal is
    /// written out.
    pub(crate) async fn end(&self, reason: &'static str) {
        let mut ended = self.running.ended.subscribe();
        self.halt(reason, |_| true);
        let all_ended =
            async { while !self.running.all.lock().is_empty() && ended.changed().await.is_ok() {} };
        if timeout(END_LIMIT, all_ended).await.is_err() {
            tracing::warn!(runtime = self.id, "proposals did not end in time");
        }
        self.end_handles().await;
        if let Err(error) = self.journal.clone().close().await {
            tracing::error!(%error, runtime = self.id, "a journal could not be written out");
        }
    }

    /// Changes the tools; the results of those that it names are forgotten before anybody sees the change.
    pub(crate) fn change_tools(
        &self,
        change: impl FnOnce(&mut Tools) -> Result<Vec<String>>,
    ) -> Result<()> {
        let mut tools = self.tools.lock();
        self.forget_results(&change(&mut tools)?);
        Ok(())
    }

    /// Forgets a tool; `false` if there is none of that name.
    pub(crate) fn remove_tool(&self, name: &str) -> bool {
        let mut tools = self.tools.lock();
        self.forget_results(&[name.to_owned()]);
        tools.remove(name)
    }

    fn forget_results(&self, tools: &[String]) {
        for tool in tools {
            self.results.lock().forget(tool);
            self.idempotent.lock().forget(tool);
        }
    }
}
