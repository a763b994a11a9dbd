//! What other plugins may ask of the agents plugin: who the agents are, who is attached, a chat with one.

use async_trait::async_trait;
use carport_core::{ManifestRole, Result, ServiceKey};
use serde_json::{Map, Value};
use tokio::sync::{broadcast, mpsc};

/// The key of the service.
pub const AGENTS: ServiceKey<dyn Agents> = ServiceKey::named("agents");

/// An agent, as far as other plugins need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it says it can do.
    pub capabilities: Vec<String>,
    /// `stopped`, `starting`, `running`, `backoff` or `errored`.
    pub status: String,
    /// Whether a connection is bound to it.
    pub attached: bool,
}

/// An agent is otherwise than it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it is now; at last, what it was.
    pub agent: Agent,
    /// Counts changes from 1.
    pub cursor: u64,
    /// Whether it was removed.
    pub removed: bool,
}

/// Who is asked for a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The connection that is bound to the agent of this id.
    Agent(String),
    /// The connection of this `client_id`, whoever it is. Events bear it as their `agent_id`.
    Client(String),
}

/// One turn of a chat that a plugin begins.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Who is asked.
    pub target: Target,
    /// What it is told: 1 byte to 256 KiB.
    pub prompt: String,
    /// The chat's id, made up if absent.
    pub session_id: Option<String>,
}

/// A chat that an agent accepted. Dropping it cancels the chat.
#[derive(Debug)]
pub struct Chat {
    /// The chat's id.
    pub session_id: String,
    /// Its events as in `agents.chat.event`. A slow reader loses events, never the last one, whose
    /// `kind` is `done` or `error`.
    pub events: mpsc::Receiver<Map<String, Value>>,
}

/// Knows agents.
#[async_trait]
pub trait Agents: Send + Sync {
    /// Every agent of the manifest, by id.
    fn list(&self) -> Vec<Agent>;

    /// The `client_id` of the connection that is bound to an agent.
    fn attached(&self, id: &str) -> Option<String>;

    /// The manifest and who holds it.
    fn role(&self) -> (Option<String>, ManifestRole);

    /// Every change after this call. A reader that lags behind is told so, and lists anew.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// Begins a chat under the rules of `agents.chat`.
    async fn chat(&self, turn: Turn) -> Result<Chat>;
}
