//! The supervisor: every agent of one daemon, each with a task of its own that keeps it.

mod agent;
mod driver;
mod link;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use carport_core::{Clock, Counter, Guarded, encode_name};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use self::{
    agent::{Agent, Answer, Call},
    driver::Driver,
};
use crate::{
    error::SuperviseError,
    logs::{LogLine, TailLog, Window},
    rules::Rules,
    spec::AgentSpec,
    view::{ManagedAgent, Status},
};

/// How long is waited for a tree after KILL.
pub const KILL_WAIT: Duration = Duration::from_secs(5);

/// How many calls wait for one agent before the next one has to wait outside.
const CALLS: usize = 64;

/// What is done about a process of an earlier daemon that still lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnSurvivor {
    /// Its agent waits until it is gone.
    #[default]
    Wait,
    /// Its tree is killed.
    Kill,
}

/// Which of the daemon's own environment a child gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Inherit {
    /// Paths, locale, proxies and the like.
    #[default]
    Basic,
    /// All of it, less the daemon's own names and its tokens.
    All,
}

/// How a tree is ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ending {
    /// TERM, the agent's grace, KILL.
    #[default]
    Term,
    /// KILL at once.
    Kill,
}

/// Hears of every change of every agent, in the order of one agent's changes.
///
/// Called under that agent's lock: it runs plain code and calls nothing of the supervisor.
pub trait Listener: Send + Sync {
    /// `agent` is so now. `removed` is true once, at last.
    fn changed(&self, agent: &Arc<ManagedAgent>, removed: bool);
}

/// The variables that tell a child who it is, by the agent's id: `CARPORT_URL`, `CARPORT_AGENT_ID`,
/// `CARPORT_AGENT_TOKEN` and the same under the names of CAR. An error keeps the child from starting.
pub type IdentityVariables =
    Arc<dyn Fn(&str) -> std::io::Result<Vec<(String, String)>> + Send + Sync>;

/// What a supervisor needs.
pub struct Settings {
    /// The program and first arguments that run [`shim::run`](crate::shim::run). The agent's id
    /// follows them, for those who read a list of processes.
    pub shim: Vec<OsString>,
    /// Where `agents/`, `run/agents/` and `logs/` are.
    pub state_root: PathBuf,
    /// The manifest, to be shown.
    pub manifest: PathBuf,
    /// What a command must be.
    pub rules: Arc<Rules>,
    /// Which of the daemon's own environment a child gets.
    pub inherit: Inherit,
    /// What is done about a process of an earlier daemon.
    pub on_survivor: OnSurvivor,
    /// What a child is told of itself.
    pub identity: IdentityVariables,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Numbers in `-1.0..=1.0` that spread restarts.
    pub jitter: Arc<dyn Fn() -> f64 + Send + Sync>,
    /// Hears of every change.
    pub listener: Arc<dyn Listener>,
    /// Counts bytes of output that no log took, over all agents.
    pub dropped: Counter,
}

/// What [`Supervisor::follow`] answers.
pub struct Followed {
    /// What was there, less the unfinished last line of each stream.
    pub tail: TailLog,
    /// What comes, of both streams.
    pub lines: broadcast::Receiver<Arc<LogLine>>,
}

/// Every agent of one daemon. Cheap to clone; all clones are one supervisor. Lives on a tokio runtime.
#[derive(Clone)]
pub struct Supervisor(Arc<Inner>);

pub(crate) struct Inner {
    settings: Settings,
    /// What the machines count their time from.
    epoch: Instant,
    agents: Guarded<BTreeMap<String, Arc<Agent>>>,
    closed: AtomicBool,
}

impl Supervisor {
    /// A supervisor without agents.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(Inner {
            settings,
            epoch: Instant::now(),
            agents: Guarded::default(),
            closed: AtomicBool::new(false),
        }))
    }

    /// Adds an agent, or gives one its new spec. Starts nothing; a running child keeps running. The
    /// error is that of an id that is no file name.
    pub fn put(&self, spec: AgentSpec) -> carport_core::Result<Arc<ManagedAgent>> {
        let mut agents = self.0.agents.lock();
        if let Some(agent) = agents.get(&spec.id).cloned() {
            drop(agents);
            agent.renew(&self.0, spec);
            return Ok(agent.seen());
        }
        let id = spec.id.clone();
        let (mailbox, calls) = mpsc::channel(CALLS);
        let agent = Arc::new(Agent::new(&self.0, spec, mailbox)?);
        agents.insert(id, agent.clone());
        drop(agents);
        agent.introduce(&self.0);
        tokio::spawn(Driver::new(self.0.clone(), agent.clone()).keep(calls));
        Ok(agent.seen())
    }

    /// All agents by id.
    pub fn list(&self) -> Vec<Arc<ManagedAgent>> {
        self.0.agents.lock().values().map(|agent| agent.seen()).collect()
    }

    /// One agent.
    pub fn get(&self, id: &str) -> Option<Arc<ManagedAgent>> {
        self.find(id).ok().map(|agent| agent.seen())
    }

    /// Starts an agent, at once also from `backoff`; answers after the first attempt ended. Does
    /// nothing while it runs. A failed attempt is [`SuperviseError::NotStarted`].
    pub async fn start(&self, id: &str) -> Result<Arc<ManagedAgent>, SuperviseError> {
        self.call(id, Call::Start).await
    }

    /// Ends an agent and its whole tree; answers when nothing of it is left.
    pub async fn stop(&self, id: &str, how: Ending) -> Result<Arc<ManagedAgent>, SuperviseError> {
        self.call(id, |asked| Call::Stop(how, asked)).await
    }

    /// Ends an agent as [`stop`](Self::stop) does, then starts it.
    pub async fn restart(&self, id: &str) -> Result<Arc<ManagedAgent>, SuperviseError> {
        self.call(id, Call::Restart).await
    }

    /// Ends an agent and forgets it and, with `purge`, its logs; `false` if there is none.
    pub async fn remove(&self, id: &str, purge: bool) -> Result<bool, SuperviseError> {
        match self.call(id, |asked| Call::Remove(purge, asked)).await {
            Ok(_) => Ok(true),
            Err(SuperviseError::Unknown(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until the status of an agent is one of these; at once if it is now. The caller sets a
    /// time limit around it.
    pub async fn wait(
        &self,
        id: &str,
        targets: &[Status],
    ) -> Result<Arc<ManagedAgent>, SuperviseError> {
        let mut seen = self.find(id)?.watch();
        let found = seen.wait_for(|agent| targets.contains(&agent.view.status)).await;
        found.map(|agent| agent.clone()).map_err(|_| SuperviseError::Unknown(id.into()))
    }

    /// The end of an agent's logs, and every line that it finishes after that: none twice, none
    /// missed. A line that is unfinished now comes whole later. A slow reader loses the oldest.
    pub async fn follow(&self, id: &str, window: Window) -> carport_core::Result<Followed> {
        let agent = self.find(id)?;
        let (tail, lines) = agent.capture.follow(&self.0.settings.state_root, id, window).await?;
        Ok(Followed { tail, lines })
    }

    /// Ends all agents at the same time, each with its grace. Nothing starts afterwards.
    pub async fn shutdown(&self) {
        self.0.closed.store(true, Ordering::Release);
        let ids: Vec<String> = self.0.agents.lock().keys().cloned().collect();
        let mut ends = JoinSet::new();
        for id in ids {
            let supervisor = self.clone();
            ends.spawn(async move {
                if let Err(error) = supervisor.stop(&id, Ending::Term).await {
                    tracing::error!(%error, "an agent was not ended");
                }
            });
        }
        ends.join_all().await;
    }

    fn find(&self, id: &str) -> Result<Arc<Agent>, SuperviseError> {
        let found = self.0.agents.lock().get(id).cloned();
        found.ok_or_else(|| SuperviseError::Unknown(id.into()))
    }

    async fn call(&self, id: &str, call: impl FnOnce(oneshot::Sender<Answer>) -> Call) -> Answer {
        let (asked, answer) = oneshot::channel();
        let gone = || SuperviseError::Unknown(id.into());
        self.find(id)?.mailbox.send(call(asked)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

impl Inner {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn shim_for(&self, id: &str) -> Vec<OsString> {
        self.settings.shim.iter().cloned().chain([id.into()]).collect()
    }

    fn own_directory(&self, id: &str) -> PathBuf {
        self.settings.state_root.join("agents").join(encode_name("id", id).unwrap_or_default())
    }

    fn record_path(&self, id: &str) -> PathBuf {
        let name = encode_name("id", id).unwrap_or_default();
        self.settings.state_root.join("run/agents").join(format!("{name}.json"))
    }
}
