//! Who the agents are and who is attached: one view, told to those who follow it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Weak},
};

use carport_agents_api::{Agent, Change};
use carport_agents_process::{Listener, ManagedAgent};
use carport_core::{
    Caller, Clock, Guarded, HostAgent, Identity, Notification, Result, RpcError, Session,
    Subscribers, Time, codes,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::{authority::narrow, bundles::Bundles};

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
    bundles: Arc<Bundles>,
    clock: Arc<dyn Clock>,
    /// For other plugins.
    changes: broadcast::Sender<Change>,
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
    /// When an agent was first heard of and when it last changed.
    times: BTreeMap<String, (Time, Time)>,
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
        let before = match removed {
            true => state.agents.remove(&id),
            false => state.agents.insert(id.clone(), agent.clone()),
        };
        match state.attached.get(&id) {
            Some(session) if removed => {
                session.end(REMOVED);
                state.attached.remove(&id);
            }
            Some(session) => narrow(session, &agent.spec, self.bundles.denied(&id)),
            None => {}
        }
        if removed || before.as_ref() != Some(agent) {
            let shown = state.shown(agent);
            self.tell(&mut state, shown, removed);
        }
    }
}

impl Roster {
    pub(crate) fn new(bundles: Arc<Bundles>, clock: Arc<dyn Clock>) -> Self {
        let (state, followers) = Default::default();
        let changes = broadcast::Sender::new(LAG);
        Self { state, followers, bundles, clock, changes }
    }

    fn tell(&self, state: &mut State, agent: ManagedAgent, removed: bool) {
        state.cursor += 1;
        let now = self.clock.now();
        match removed {
            true => drop(state.times.remove(&agent.spec.id)),
            false => state.times.entry(agent.spec.id.clone()).or_insert((now, now)).1 = now,
        }
        if self.changes.receiver_count() > 0 {
            let change = Change { agent: plain(&agent), cursor: state.cursor, removed };
            // Nobody may be left to hear it.
            let _ = self.changes.send(change);
        }
        let mut changed = AgentChanged { agent, cursor: state.cursor, removed };
        self.followers.notify(&Sees::All, &changed);
        if self.followers.is_heard(&Sees::NoValues) {
            redact(&mut changed.agent);
            self.followers.notify(&Sees::NoValues, &changed);
        }
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

    /// A connection is bound to an agent now, and narrowed to what that may call; `false` if there is
    /// no such agent, which narrows nothing.
    pub(crate) fn attach(&self, id: &str, session: &Arc<Session>) -> bool {
        let mut state = self.state.lock();
        let known = state.agents.get(id);
        if let Some(agent) = known {
            narrow(session, &agent.spec, self.bundles.denied(id));
        }
        let known = known.is_some();
        state.attached.insert(id.to_owned(), session.clone());
        self.tell_of(&mut state, id);
        known
    }

    /// A connection is that agent no more; whoever came in its place stays.
    pub(crate) fn detach(&self, id: &str, session: &Session) {
        self.detach_from(&mut self.state.lock(), id, session);
    }

    fn detach_from(&self, state: &mut State, id: &str, session: &Session) {
        if state.attached.get(id).is_some_and(|it| it.serial() == session.serial()) {
            state.attached.remove(id);
            self.tell_of(state, id);
        }
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

    /// A connection ended.
    pub(crate) fn closed(&self, session: &Session) {
        let mut state = self.state.lock();
        state.open.remove(session.id());
        if let Some(id) = session.identity().agent_id() {
            self.detach_from(&mut state, id, session);
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
    pub(crate) fn rows(&self) -> Vec<HostAgent> {
        use carport_agents_process::Status;
        use carport_core::AgentStatus;
        let state = self.state.lock();
        let row = |agent: ManagedAgent, (registered_at, updated_at): (Time, Time)| HostAgent {
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
            registered_at,
            updated_at,
        };
        let agents = state.agents.iter().filter_map(|(id, agent)| {
            Some(row(show(state.shown(agent), &Identity::Client), *state.times.get(id)?))
        });
        agents.collect()
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

/// Why a removed agent's connection closes.
pub(crate) const REMOVED: &str = "the agent was removed";

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
