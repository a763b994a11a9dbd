//! What all runtimes of a daemon share, and the way from a connection to its runtime.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

use carport_core::{
    Clock, Guarded, Identity, Method, Result, RpcError, Session, StartContext, Tasks, Time,
};
use carport_engine_api::CONNECTION_ENDED;
use carport_engine_journal::Journals;
use carport_engine_model::{Approval, ApprovalRecord, RuleBook, Tier};
use carport_memory_api::{MEMORY, Memory};
use carport_runs_api::{RUNS, Runs};
use tokio::sync::{OnceCell, Semaphore};

use crate::{
    Config, Runtime,
    methods::Submit,
    permission::{
        inbox::{Inbox, note, own},
        ledger::Ledger,
    },
    supervision::Supervision,
    tools::basics::MAX_WORKING,
};

/// How often handles are looked after.
const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// What all runtimes share.
pub(crate) struct Hub {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    pub(crate) tool_timeout: Duration,
    pub(crate) default_tier: Tier,
    /// Whether a person has to agree to each `proposal.submit`.
    pub(crate) submit_waits: bool,
    /// Where the basic tools work; `None` on a host without a state root and without a setting.
    pub(crate) workspace: Option<PathBuf>,
    /// Basic tools that work now.
    pub(crate) basics: Arc<Semaphore>,
    pub(crate) rules: RuleBook,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) inbox: Inbox,
    pub(crate) supervision: Supervision,
    pub(crate) runs: Option<Arc<dyn Runs>>,
    pub(crate) memory: Option<Arc<dyn Memory>>,
    journals: Arc<Journals>,
    /// Open connections by their `client_id`.
    sessions: Guarded<HashMap<String, Weak<Session>>>,
    /// Every runtime, for the sweeper.
    runtimes: Guarded<Vec<Weak<Runtime>>>,
}

/// What a connection keeps: its runtime, made on first use.
#[derive(Default)]
pub(crate) struct Slot(OnceCell<Arc<Runtime>>);

impl Hub {
    pub(crate) async fn start(cx: &mut StartContext<'_>) -> Result<Arc<Self>> {
        let config: Config = cx.config()?;
        let rules = RuleBook::compile(config.rules.clone()).map_err(RpcError::internal)?;
        let path = cx.state_dir("engine")?.join("approvals.jsonl");
        let durability = cx.durability();
        let ledger = tokio::task::spawn_blocking(move || Ledger::open(path, durability)).await;
        let ledger = ledger
            .map_err(RpcError::internal)?
            .map_err(|error| RpcError::internal(format!("engine/approvals.jsonl: {error}")))?;
        let ledger = Arc::new(ledger);
        let (journals, writer) = Journals::new(cx.state_dir("journals")?, durability, cx.clock());
        cx.tasks().spawn("journal-writer", writer.run());
        cx.tasks().spawn("journal-retention", journals.clone().keep(config.keep()));
        let patience = Duration::from_millis(config.supervision_timeout_ms);
        let workspace = config.workspace.clone();
        let hub = Arc::new(Self {
            clock: cx.clock(),
            tasks: cx.tasks(),
            tool_timeout: config.tool_timeout(),
            default_tier: config.default_tier,
            submit_waits: cx.needs_approval(Submit::NAME),
            workspace: workspace.or_else(|| Some(cx.state_root()?.join("workspace"))),
            basics: Arc::new(Semaphore::new(MAX_WORKING)),
            rules,
            inbox: Inbox::new(cx.approvals(), ledger.clone(), cx.clock()),
            ledger,
            supervision: Supervision::new(patience, config.require_supervisor),
            runs: cx.find(&RUNS),
            memory: cx.find(&MEMORY),
            journals,
            sessions: Guarded::default(),
            runtimes: Guarded::default(),
        });
        cx.tasks().spawn("handles", Self::sweep(Arc::downgrade(&hub)));
        Ok(hub)
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// The runtime of a connection, made on first use.
    pub(crate) async fn runtime(&self, session: &Arc<Session>) -> Result<Arc<Runtime>> {
        let slot = session.slot::<Slot>();
        let runtime = slot.0.get_or_try_init(|| self.make(session.id()));
        runtime.await.cloned()
    }

    /// The runtime of a connection, if it was ever used.
    pub(crate) fn runtime_so_far(session: &Session) -> Option<Arc<Runtime>> {
        session.slot::<Slot>().0.get().cloned()
    }

    /// The connection of this `client_id`.
    pub(crate) fn session(&self, client_id: &str) -> Result<Arc<Session>> {
        let session = self.sessions.lock().get(client_id).and_then(Weak::upgrade);
        session.ok_or_else(|| RpcError::not_found(format!("connection `{client_id}`")))
    }

    /// Makes a runtime of this name.
    pub(crate) async fn make(&self, name: &str) -> Result<Arc<Runtime>> {
        let journal = self.journals.open(name).await?;
        let runtime = Arc::new(Runtime::new(self, name, journal));
        let mut runtimes = self.runtimes.lock();
        runtimes.retain(|it| it.strong_count() > 0);
        runtimes.push(Arc::downgrade(&runtime));
        Ok(runtime)
    }

    pub(crate) fn session_opened(&self, session: &Arc<Session>) {
        self.sessions.lock().insert(session.id().to_owned(), Arc::downgrade(session));
    }

    /// The connection ended: so do its intents' watching, its proposals, its handles and its journal.
    pub(crate) async fn session_closed(&self, session: &Arc<Session>) {
        self.sessions.lock().remove(session.id());
        self.supervision.leave(session);
        if let Some(runtime) = Self::runtime_so_far(session) {
            runtime.end(CONNECTION_ENDED).await;
        }
    }

    /// The daemon stops: runtimes that no connection ended are ended now.
    pub(crate) async fn shutdown(&self) {
        let runtimes = std::mem::take(&mut *self.runtimes.lock());
        for runtime in runtimes.iter().filter_map(Weak::upgrade) {
            runtime.end("the daemon stops").await;
        }
    }

    /// Records what the person of a runtime decided about an operation; it counts once it is in the
    /// file. Begun, it is done whole, also if nobody waits for it any more.
    pub(crate) async fn record(
        self: &Arc<Self>,
        runtime: &Runtime,
        record: ApprovalRecord,
    ) -> Result<()> {
        let approves = record.decision == Approval::Approved;
        if approves && self.inbox.is_asker(&record.fingerprint, &runtime.id) {
            return Err(own());
        }
        let (hub, journal) = (self.clone(), runtime.journal.clone());
        let recorded = tokio::spawn(async move {
            hub.ledger.record(record.clone()).await?;
            hub.inbox.withdraw(&record);
            note(&journal, &record).await;
            Ok(())
        });
        recorded.await.unwrap_or_else(|error| Err(RpcError::internal(error)))
    }

    async fn sweep(hub: Weak<Self>) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            let Some(hub) = hub.upgrade() else { return };
            let runtimes: Vec<_> = hub.runtimes.lock().iter().filter_map(Weak::upgrade).collect();
            for runtime in runtimes {
                runtime.sweep_handles().await;
            }
        }
    }
}

/// On whose behalf something is done.
#[derive(Clone)]
pub(crate) struct Who {
    pub(crate) identity: Identity,
    /// The connection whose tools are called, if there is one.
    pub(crate) session: Option<Arc<Session>>,
    /// Whether that connection only lends its runtime: others propose.
    pub(crate) lent: bool,
}

impl Who {
    /// The connection that proposes, if one does.
    pub(crate) fn proposer(&self) -> Option<&Arc<Session>> {
        self.session.as_ref().filter(|_| !self.lent)
    }
}
