//! `host.agents`, `host.register_agent`, `host.unregister_agent`, `host.set_status`.

use carport_core::{Access, AgentStatus, Caller, HostAgent, Method, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Presence;

/// Lists agents, sorted by id.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Agents {}

impl Method for Agents {
    const NAME: &'static str = "host.agents";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Presence;
    type Reply = Vec<HostAgent>;

    async fn run(self, presence: &Presence, _: &Caller) -> Result<Vec<HostAgent>> {
        Ok(presence.parts.agents())
    }
}

/// Registers an agent, or replaces the caller's own row of that id.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RegisterAgent {
    /// A fresh one if absent.
    #[schemars(length(min = 1, max = 128))]
    pub id: Option<String>,
    /// For people.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// What sort of agent it is.
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// What it can do.
    #[schemars(length(max = 64))]
    pub capabilities: Option<Vec<String>>,
    /// What it works on.
    #[schemars(length(max = 256))]
    pub project: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// How a host may show it; at most 16 KiB of JSON.
    pub display: Option<Map<String, Value>>,
    /// Passed through; at most 16 KiB of JSON.
    pub metadata: Option<Map<String, Value>>,
}

impl Method for RegisterAgent {
    const NAME: &'static str = "host.register_agent";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Presence;
    type Reply = HostAgent;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("id", self.id.as_deref(), 1..=128)?;
        bounds::bytes("name", &self.name, 1..=256)?;
        bounds::bytes("kind", &self.kind, 1..=64)?;
        let capabilities = self.capabilities.as_deref().unwrap_or_default();
        bounds::texts("capabilities", capabilities, 0..=64, 1..=64)?;
        bounds::maybe_bytes("project", self.project.as_deref(), 0..=256)?;
        bounds::encoded("display", &self.display, bounds::OBJECT_BYTES)?;
        bounds::encoded("metadata", &self.metadata, bounds::OBJECT_BYTES)
    }

    async fn run(self, presence: &Presence, caller: &Caller) -> Result<HostAgent> {
        let board = &presence.board;
        let now = board.clock.now();
        let mut row = HostAgent {
            id: self.id.unwrap_or_else(|| format!("agent-{}", Uuid::now_v7())),
            name: self.name,
            kind: self.kind,
            capabilities: self.capabilities.unwrap_or_default(),
            project: self.project,
            pid: self.pid,
            display: self.display.unwrap_or_default(),
            metadata: self.metadata.unwrap_or_default(),
            status: AgentStatus::Idle,
            current_task: None,
            message: None,
            session_id: caller.session().id().to_owned(),
            registered_at: now,
            updated_at: now,
        };
        let mut state = board.state.lock();
        if let Some(known) = state.agents.get(&row.id) {
            row.registered_at = known.registered_at;
        }
        state.agents.put(row.clone())?;
        state.waits.forget(&row.id);
        board.registered(&row);
        Ok(row)
    }
}

/// Takes one's own agent off the list.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnregisterAgent {
    /// Which one.
    pub agent_id: String,
}

/// It is done.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// Always true.
    pub ok: bool,
}

impl Method for UnregisterAgent {
    const NAME: &'static str = "host.unregister_agent";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Presence;
    type Reply = Done;

    async fn run(self, presence: &Presence, caller: &Caller) -> Result<Done> {
        let board = &presence.board;
        let mut state = board.state.lock();
        let row = state.agents.remove(&self.agent_id, caller.session().id())?;
        state.waits.forget(&row.id);
        board.unregistered(&row, None);
        Ok(Done { ok: true })
    }
}

/// Says what one's own agent is doing.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SetStatus {
    /// Which one.
    pub agent_id: String,
    /// What it is doing.
    pub status: AgentStatus,
    /// What it is at, in words.
    #[schemars(length(max = 1024))]
    pub current_task: Option<String>,
    /// What it has to say.
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// For the event, as `data`; at most 16 KiB of JSON.
    pub payload: Option<Map<String, Value>>,
}

impl Method for SetStatus {
    const NAME: &'static str = "host.set_status";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Presence;
    type Reply = HostAgent;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("current_task", self.current_task.as_deref(), 0..=1024)?;
        bounds::maybe_bytes("message", self.message.as_deref(), 0..=4096)?;
        bounds::encoded("payload", &self.payload, bounds::OBJECT_BYTES)
    }

    async fn run(self, presence: &Presence, caller: &Caller) -> Result<HostAgent> {
        let board = &presence.board;
        let mut state = board.state.lock();
        let row = state.agents.owned(&self.agent_id, caller.session().id())?;
        let previous = row.status;
        row.status = self.status;
        row.current_task = self.current_task;
        row.message = self.message;
        row.updated_at = board.clock.now();
        let row = row.clone();
        state.waits.forget(&row.id);
        let data = self.payload.map(Value::Object);
        board.status_event(&row, previous, data.as_ref());
        Ok(row)
    }
}
