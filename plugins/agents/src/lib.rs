//! Agents: supervised processes, who they are, chats with them, their goals, and services that announce themselves.

mod authority;
mod bundles;
mod chat;
mod config;
mod directory;
mod external;
mod files;
mod following;
mod goals;
mod journal;
mod keeping;
mod methods;
mod peers;
mod roster;
mod tokens;

use std::{ffi::OsString, io, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_agents_api::{AGENTS, Agent, Change, Chat, Target, Turn};
use carport_agents_process::{Inherit, Manifest, OnSurvivor, Rules, Settings, Supervisor};
use carport_core::{
    AGENT_AUTHORITY, AgentAuthority, Clock, Counter, Guarded, HostAgent, HostPart, Identity,
    ManifestRole, Plugin, Result, RpcError, Session, StartContext, Tasks,
};
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore, broadcast, watch};

pub use carport_agents_bundle::Feature;
pub use carport_agents_external::{
    AdapterTable, Argument, EventRule, ExternalAgentHealth, ExternalAgentSpec, OutputFormat,
};
pub use carport_agents_process::shim::run as run_shim;
pub use chat::{
    ApprovalHeard, AskApprove, AskChat, ChatCancelled, ChatContext, ChatEvent, Goal, TurnTaken,
};
pub use config::{
    Config, ForeignPaths, InheritEnv, Manage, PeerMessages, Signatures, Supervise, Survivor,
};
pub use directory::{Entry, ServiceStatus};
pub use external::InvokeResult;
pub use following::AgentLogLine;
pub use goals::{GoalState, GoalStatus};
pub use methods::*;
pub use peers::{HeldMessage, Outcome, Peer, PeerMessage};
pub use roster::AgentChanged;

use crate::{
    authority::Authority, bundles::Bundles, chat::Chats, directory::Places, external::ExternalRuns,
    goals::Goals, journal::Journal, keeping::Keeping, peers::Peers, roster::Roster,
    tokens::AgentTokens,
};

carport_core::plugin!(Agents {
    methods: [
        ListAgents,
        FollowAgents,
        UnfollowAgents,
        UpsertAgent,
        InstallAgent,
        RemoveAgent,
        CheckAgents,
        StartAgent,
        StopAgent,
        RestartAgent,
        WaitAgent,
        TailAgentLog,
        FollowLog,
        UnfollowLog,
        BeginChat,
        CancelChat,
        ApproveInChat,
        HearChatEvent,
        ListExternal,
        DetectExternal,
        HealthOfExternal,
        InvokeExternal,
        ListPeers,
        SendMessage,
        ListHeld,
        DecideMessage,
        SetGoal,
        GoalOf,
        ClearGoal,
        SuggestGoal,
        RegisterService,
        Heartbeat,
        UnregisterService,
        ListServices,
        ReapServices,
    ],
    notifications: [AgentChanged, AgentLogLine, ChatEvent, ChatCancelled],
    client_requests: [AskChat, AskApprove, PeerMessage],
});

/// The hidden subcommand under which a daemon's own program is the shim: it calls [`run_shim`].
pub const SHIM: &str = "agent-shim";

/// The plugin.
pub struct Agents {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keeping: Arc<Keeping>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) chats: Arc<Chats>,
    pub(crate) goals: Arc<Goals>,
    pub(crate) external: Arc<ExternalRuns>,
    pub(crate) peers: Peers,
    journal: Journal,
    pub(crate) tasks: Tasks,
    /// Where services announce themselves.
    pub(crate) registry: Arc<Places>,
}

impl Plugin for Agents {
    const ID: &'static str = "agents";
    const NAMESPACES: &'static [&'static str] = &["agents", "registry", "goal", "agent.chat.event"];
    const PROVIDES: &'static [&'static str] = &[AGENT_AUTHORITY.name(), AGENTS.name()];
    type Config = Config;

    async fn start(cx: &mut StartContext<'_>) -> Result<Self> {
        let config: Config = cx.config()?;
        let clock = cx.clock();
        let agents = cx.state_dir("agents")?;
        let kept = cx.state_dir("bundles")?;
        let bundles = Arc::new(Bundles::new(kept, agents, cx.methods().clone(), &config)?);
        let roster = Arc::new(Roster::new(bundles.clone(), clock.clone()));
        let keeping = Arc::new(keeping(cx, &config, &roster, bundles)?);
        if config.supervise == Supervise::Boot
            && let Err(error) = keeping.own().await
        {
            match keeping.role() {
                ManifestRole::Observer => tracing::warn!("{}", error.message),
                ManifestRole::Owner | ManifestRole::None => return Err(error),
            }
        }
        if keeping.role() == ManifestRole::Owner {
            let place = Place::of(cx, &config)?;
            let starting = keeping.clone().start_all(move || place.here().is_ok());
            cx.tasks().spawn("auto-start", starting);
        }
        let (mut stopping, supervisor) = (cx.stopping(), keeping.supervisor.clone());
        cx.tasks().spawn("stopping", async move {
            // Agents whose connections end now are not started again meanwhile.
            if stopping.wait_for(|stopping| *stopping).await.is_ok() {
                supervisor.close();
            }
        });
        let root = cx.state_dir("")?;
        let goals = Arc::new(Goals::open(root.join("chat-goals.json"), clock.clone())?);
        let journal = Journal::open(cx.state_dir("journals")?.join("peer.jsonl"), &cx.tasks());
        let help = "Events of agents that belonged to no running chat of theirs";
        let stray = cx.metrics().register("stray_chat_events", help, Counter::default());
        let chats = Chats::new(
            goals.clone(),
            roster.clone(),
            clock.clone(),
            cx.tasks(),
            journal.clone(),
            stray,
            config.chat_idle_secs.max(1).into(),
        );
        let external = Arc::new(ExternalRuns::new(cx, &config, &keeping.rules, chats.clone())?);
        let peers = Peers {
            book: Guarded::default(),
            roster: roster.clone(),
            clock: clock.clone(),
            journal: journal.clone(),
            policy: config.peer_messages,
            external: external.clone(),
        };
        let tokens = keeping.tokens.clone();
        let authority = Authority { roster: roster.clone(), tokens, keeping: keeping.clone() };
        cx.provide(&AGENT_AUTHORITY, Arc::new(authority) as Arc<dyn AgentAuthority>);
        let view = Arc::new(View { keeping: keeping.clone(), chats: chats.clone() });
        cx.contribute(view.clone());
        cx.provide(&AGENTS, view as Arc<dyn carport_agents_api::Agents>);
        let registry = Arc::new(Places::new(root.join("registry"), &config)?);
        Ok(Self {
            config,
            clock,
            keeping,
            roster,
            chats,
            goals,
            external,
            peers,
            journal,
            tasks: cx.tasks(),
            registry,
        })
    }

    async fn session_opened(&self, session: &Arc<Session>) {
        self.roster.opened(session);
    }

    async fn session_closed(&self, session: &Arc<Session>) {
        following::end_all(session);
        self.roster.closed(session);
        self.chats.session_gone(session);
    }

    /// The longest grace of an agent, and what is waited for after it.
    fn shutdown_limit(&self) -> Duration {
        self.keeping.longest_end() + Duration::from_secs(10)
    }

    async fn shutdown(&self) {
        tokio::join!(self.external.close(), self.keeping.close());
        self.goals.flush().await;
        self.journal.flush().await;
    }
}

/// Reads the manifest and makes a supervisor that has nothing to do yet.
fn keeping(
    cx: &StartContext<'_>,
    config: &Config,
    roster: &Arc<Roster>,
    bundles: Arc<Bundles>,
) -> Result<Keeping> {
    let state_root = cx.state_dir("")?;
    let tokens = AgentTokens::new(cx.state_dir("run/agents")?);
    cx.state_dir("logs")?;
    let manifest_path = match config.manifest.as_deref().map(PathBuf::from) {
        None => state_root.join("agents.json"),
        Some(path) if path.is_absolute() => path,
        Some(_) => return Err(RpcError::internal("`agents.manifest` must be an absolute path")),
    };
    let manifest = Manifest::open(&manifest_path)?;
    let scratch = config.scratch_dirs.clone();
    let scratch = scratch.map(|all| all.into_iter().map(PathBuf::from).collect());
    let rules = Arc::new(Rules::new(scratch, std::env::var_os("PATH").unwrap_or_default()));
    let (place, names) = (Place::of(cx, config)?, tokens.clone());
    let help = "Bytes of agents' output that no log took";
    let dropped = cx.metrics().register("agents_dropped_log_bytes", help, Counter::default());
    let supervisor = Supervisor::new(Settings {
        shim: shim(config)?,
        state_root: state_root.clone(),
        manifest: manifest_path.clone(),
        rules: rules.clone(),
        inherit: config.inherit_env.into(),
        on_survivor: match config.on_survivor {
            Survivor::Wait => OnSurvivor::Wait,
            Survivor::Kill => OnSurvivor::Kill,
        },
        identity: Arc::new(move |id| Ok(variables(&place.url()?, id, &names.read(id)?))),
        clock: cx.clock(),
        jitter: Arc::new(jitter),
        listener: roster.clone(),
        dropped,
    });
    Ok(Keeping {
        manifest: Arc::new(Mutex::new(manifest)),
        manifest_path,
        role: watch::Sender::new(ManifestRole::None),
        supervise: config.supervise,
        state_root,
        supervisor,
        rules,
        tokens,
        roster: roster.clone(),
        bundles,
        tails: Semaphore::new(keeping::TAILS),
    })
}

impl From<InheritEnv> for Inherit {
    fn from(inherit: InheritEnv) -> Self {
        match inherit {
            InheritEnv::Basic => Self::Basic,
            InheritEnv::All => Self::All,
        }
    }
}

fn shim(config: &Config) -> Result<Vec<OsString>> {
    if let Some(shim) = &config.shim {
        return Ok(shim.iter().map(OsString::from).collect());
    }
    let own = std::env::current_exe().map_err(RpcError::internal)?;
    Ok(vec![own.into_os_string(), SHIM.into()])
}

/// What a child is told of itself, under both names.
fn variables(url: &str, id: &str, token: &str) -> Vec<(String, String)> {
    let pairs = [
        ("CARPORT_URL", url),
        ("CARPORT_AGENT_ID", id),
        ("CARPORT_AGENT_TOKEN", token),
        ("CAR_DAEMON_URL", url),
        ("CAR_AGENT_ID", id),
        ("CAR_AGENT_TOKEN", token),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// A number in `-1.0..=1.0`; without random bytes, none of the spread.
fn jitter() -> f64 {
    let random = getrandom::u32().map(|it| f64::from(it) / f64::from(u32::MAX));
    random.map_or(0.0, |it| it * 2.0 - 1.0)
}

/// Where agents reach this daemon.
struct Place {
    set: Option<String>,
    endpoint: PathBuf,
}

/// What a daemon writes down once it listens.
#[derive(Deserialize)]
struct Endpoint {
    url: String,
    pid: u32,
}

impl Place {
    fn of(cx: &StartContext<'_>, config: &Config) -> Result<Self> {
        let endpoint = cx.state_dir("run")?.join("endpoint.json");
        Ok(Self { set: config.url.clone(), endpoint })
    }

    /// What agents are told; an error while this process does not listen and nothing else is set.
    fn url(&self) -> io::Result<String> {
        match &self.set {
            Some(url) => Ok(url.clone()),
            None => self.here(),
        }
    }

    /// Where this very process listens; an error until it does.
    fn here(&self) -> io::Result<String> {
        let endpoint: Endpoint = serde_json::from_slice(&std::fs::read(&self.endpoint)?)?;
        match endpoint.pid == std::process::id() {
            true => Ok(endpoint.url),
            false => Err(io::Error::other("this daemon does not listen yet")),
        }
    }
}

/// What hosts and other plugins see.
struct View {
    keeping: Arc<Keeping>,
    chats: Arc<Chats>,
}

impl HostPart for View {
    fn agents(&self) -> Vec<HostAgent> {
        self.keeping.roster.rows()
    }

    fn manifest(&self) -> Option<(String, ManifestRole)> {
        Some((self.keeping.manifest_path.display().to_string(), self.keeping.role()))
    }
}

#[async_trait]
impl carport_agents_api::Agents for View {
    fn list(&self) -> Vec<Agent> {
        let agents = self.keeping.roster.list(&Identity::Client);
        agents.iter().map(roster::plain).collect()
    }

    fn attached(&self, id: &str) -> Option<String> {
        self.keeping.roster.attached(id).map(|session| session.id().to_owned())
    }

    fn role(&self) -> (Option<String>, ManifestRole) {
        (Some(self.keeping.manifest_path.display().to_string()), self.keeping.role())
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.keeping.roster.changes()
    }

    async fn chat(&self, turn: Turn) -> Result<Chat> {
        self.keeping.refuse_observer()?;
        if let Target::Agent(id) = &turn.target {
            self.keeping.refuse_absent(id).await?;
        }
        self.chats.begin_inside(turn).await
    }
}
