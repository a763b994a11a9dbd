//! Who the agents are and who is attached: one view, told to those who follow it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};

use carport_agents_api::{Agent, Change};
use carport_agents_process::{Listener, ManagedAgent};
use carport_core::{
    Caller, Guarded, HostAgent, Identity, Notification, Result, RpcError, Session, Subscribers,
    codes,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

/// An agent is otherwise than it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentChanged {
    /// What it is now; at last, what it was.
    pub agent: ManagedAgent,
    /// Counts changes from 1; a gap shows some that were lost.
    pub cursor: u64,
    /// Whether it was removed.
    pub removed: bool,
}

impl Notification for AgentChanged {
    const NAME: &'static str = "agents.changed";
}

/// How many changes a plugin may lag behind.
const LAG: usize = 256;

/// Every agent as it was last heard of, and the connections that are bound to agents.
pub(crate) struct Roster {
    state: Guarded<State>,
    followers: Subscribers<Sees>,
    /// For other plugins.
    changes: broadcast::Sender<Change>,
}

impl Default for Roster {
    fn default() -> Self {
        let (state, followers) = Default::default();
        Self { state, followers, changes: broadcast::Sender::new(LAG) }
    }
}

/// What a follower may see of an agent's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sees {
    All,
    NoValues,
}

#[derive(Default)]
struct State {
    agents: BTreeMap<String, Arc<ManagedAgent>>,
    attached: BTreeMap<String, Arc<Session>>,
    /// Every connection, by its `client_id`.
    open: HashMap<String, Weak<Session>>,
    cursor: u64,
}

impl State {
    /// An agent with what its connection adds.
    fn shown(&self, agent: &ManagedAgent) -> ManagedAgent {
        let session = self.attached(&agent.spec.id);
        let session_id = session.map(|it| it.id().to_owned());
        ManagedAgent { attached: session_id.is_some(), session_id, ..agent.clone() }
    }

    fn attached(&self, id: &str) -> Option<&Arc<Session>> {
        self.attached.get(id).filter(|session| !session.is_closed())
    }
}

impl Listener for Roster {
    fn changed(&self, agent: &Arc<ManagedAgent>, removed: bool) {
        let mut state = self.state.lock();
        let id = agent.spec.id.clone();
        match removed {
            true => drop(state.agents.remove(&id)),
            false => drop(state.agents.insert(id, agent.clone())),
        }
        let shown = state.shown(agent);
        self.tell(&mut state, shown, removed);
    }
}

impl Roster {
    fn tell(&self, state: &mut State, agent: ManagedAgent, removed: bool) {
        state.cursor += 1;
        if self.changes.receiver_count() > 0 {
            let change = Change { agent: plain(&agent), cursor: state.cursor, removed };
            // Nobody may be left to hear it.
            let _ = self.changes.send(change);
        }
        let mut changed = AgentChanged { agent, cursor: state.cursor, removed };
        self.followers.notify(&Sees::All, &changed);
        redact(&mut changed.agent);
        self.followers.notify(&Sees::NoValues, &changed);
    }

    /// Every agent by id, as `identity` may see them.
    pub(crate) fn list(&self, identity: &Identity) -> Vec<ManagedAgent> {
        let state = self.state.lock();
        state.agents.values().map(|agent| show(state.shown(agent), identity)).collect()
    }

    /// One agent as `identity` may see it, with what its connection adds.
    pub(crate) fn shown(&self, agent: &ManagedAgent, identity: &Identity) -> ManagedAgent {
        show(self.state.lock().shown(agent), identity)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<ManagedAgent>> {
        self.state.lock().agents.get(id).cloned()
    }

    /// A snapshot and its cursor; every later change follows the reply.
    pub(crate) fn subscribe(&self, caller: &Caller) -> Result<(Vec<ManagedAgent>, u64)> {
        let state = self.state.lock();
        let (sees, other) = match caller.is_host() {
            true => (Sees::All, Sees::NoValues),
            false => (Sees::NoValues, Sees::All),
        };
        self.followers.unsubscribe(&other, caller.session());
        self.followers.subscribe(sees, caller)?;
        let identity = caller.identity();
        let agents = state.agents.values().map(|agent| show(state.shown(agent), identity));
        Ok((agents.collect(), state.cursor))
    }

    pub(crate) fn unsubscribe(&self, session: &Session) -> bool {
        let all = self.followers.unsubscribe(&Sees::All, session);
        self.followers.unsubscribe(&Sees::NoValues, session) || all
    }

    /// A connection is bound to an agent now.
    pub(crate) fn attach(&self, id: &str, session: &Arc<Session>) {
        let mut state = self.state.lock();
        state.attached.insert(id.to_owned(), session.clone());
        self.tell_of(&mut state, id);
    }

    /// Every later change, for other plugins.
    pub(crate) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// A connection opened.
    pub(crate) fn opened(&self, session: &Arc<Session>) {
        let mut state = self.state.lock();
        state.open.insert(session.id().to_owned(), Arc::downgrade(session));
    }

    /// A connection ended; whoever came in the place of its agent stays.
    pub(crate) fn closed(&self, session: &Session) {
        let mut state = self.state.lock();
        state.open.remove(session.id());
        let Some(id) = session.identity().agent_id().map(str::to_owned) else { return };
        if state.attached.get(&id).is_some_and(|it| it.serial() == session.serial()) {
            state.attached.remove(&id);
            self.tell_of(&mut state, &id);
        }
    }

    fn tell_of(&self, state: &mut State, id: &str) {
        if let Some(agent) = state.agents.get(id).cloned() {
            let shown = state.shown(&agent);
            self.tell(state, shown, false);
        }
    }

    /// The connection that is bound to an agent, if one is.
    pub(crate) fn attached(&self, id: &str) -> Option<Arc<Session>> {
        self.state.lock().attached(id).cloned()
    }

    /// The connection that is bound to an agent; else why there is none.
    pub(crate) fn session_of(&self, id: &str) -> Result<Arc<Session>> {
        let state = self.state.lock();
        match (state.attached(id), state.agents.contains_key(id)) {
            (Some(session), _) => Ok(session.clone()),
            (None, true) => {
                Err(RpcError::new(codes::GONE, format!("agent `{id}` is not attached")))
            }
            (None, false) => Err(RpcError::not_found(format!("agent `{id}`"))),
        }
    }

    /// The connection of this `client_id`, if it has proved who it is.
    pub(crate) fn client(&self, client_id: &str) -> Result<Arc<Session>> {
        let found = self.state.lock().open.get(client_id).and_then(Weak::upgrade);
        let known = found.filter(|it| !it.is_closed() && it.identity() != Identity::Nobody);
        known.ok_or_else(|| RpcError::not_found(format!("client `{client_id}`")))
    }

    /// Rows for the view of hosts.
    pub(crate) fn rows(&self, since: carport_core::Time) -> Vec<HostAgent> {
        use carport_agents_process::Status;
        use carport_core::AgentStatus;
        let agents = self.list(&Identity::Client);
        let row = |agent: ManagedAgent| HostAgent {
            id: agent.spec.id.clone(),
            name: agent.spec.display_name().to_owned(),
            kind: agent.spec.kind.clone(),
            capabilities: agent.spec.capabilities.clone(),
            project: None,
            pid: agent.view.pid,
            display: serde_json::Map::new(),
            metadata: serde_json::Map::new(),
            status: match agent.view.status {
                Status::Starting | Status::Running | Status::Backoff => AgentStatus::Running,
                Status::Stopped => AgentStatus::Stopped,
                Status::Errored => AgentStatus::Errored,
            },
            current_task: None,
            message: agent.view.reason,
            session_id: agent.session_id.unwrap_or_default(),
            registered_at: since,
            updated_at: since,
        };
        agents.into_iter().map(row).collect()
    }
}

/// An agent as other plugins see it.
pub(crate) fn plain(agent: &ManagedAgent) -> Agent {
    Agent {
        id: agent.spec.id.clone(),
        name: agent.spec.display_name().to_owned(),
        capabilities: agent.spec.capabilities.clone(),
        status: agent.view.status.as_str().to_owned(),
        attached: agent.attached,
    }
}

/// What stands for a value that a reader may not see.
pub(crate) const REDACTED: &str = "[redacted]";

/// An agent without its environment's values, unless the host asks.
pub(crate) fn show(mut agent: ManagedAgent, to: &Identity) -> ManagedAgent {
    if *to != Identity::Host {
        redact(&mut agent);
    }
    agent
}

fn redact(agent: &mut ManagedAgent) {
    if !agent.spec.env.is_empty() {
        let spec = Arc::make_mut(&mut agent.spec);
        spec.env.values_mut().for_each(|value| REDACTED.clone_into(value));
    }
}
