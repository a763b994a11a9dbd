//! What host, originator and agent say to each other in a chat.

use carport_core::{ClientRequest, Notification};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A completion check that goes with a chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Goal {
    /// A command that succeeds once the goal is met: 1 to 4096 bytes. The host never runs it.
    pub check: String,
    /// How often the agent may try, 1 to 50.
    #[serde(default = "eight")]
    pub max_iterations: u32,
}

fn eight() -> u32 {
    8
}

/// Where a turn comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatContext {
    /// The `client_id` of the originator.
    pub host_client_id: String,
    /// Whether the prompt was spoken.
    pub voice_input: bool,
}

/// Asks an agent to take one turn of a chat.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AskChat {
    /// The chat; every event names it.
    pub session_id: String,
    /// What the agent is told.
    pub prompt: String,
    /// Whether `token` events are wanted.
    pub stream: bool,
    /// Where it comes from.
    pub context: ChatContext,
    /// The model that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Images, as the originator sent them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Vec<Value>>,
    /// When the work is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// An agent's answer to [`AskChat`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TurnTaken {
    /// `false` turns the chat away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<bool>,
}

impl ClientRequest for AskChat {
    const NAME: &'static str = "agent.chat";
    type Reply = TurnTaken;
}

/// Hands an agent the decision about an approval that it announced in a chat.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AskApprove {
    /// The chat.
    pub session_id: String,
    /// The approval.
    pub approval_id: String,
    /// A boolean, or a string of which `approve`, `approved` and `yes` mean yes.
    pub decision: Value,
}

/// An agent's answer to [`AskApprove`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalHeard {
    /// Whether the agent had such an approval.
    #[serde(default)]
    pub resolved: bool,
}

impl ClientRequest for AskApprove {
    const NAME: &'static str = "agent.chat.approve";
    type Reply = ApprovalHeard;
}

/// Nobody waits for this chat any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChatCancelled {
    /// The chat.
    pub session_id: String,
}

impl Notification for ChatCancelled {
    const NAME: &'static str = "agent.chat.cancel";
}

/// Something happened in a chat that this connection began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatEvent {
    /// The chat.
    pub session_id: String,
    /// The agent.
    pub agent_id: String,
    /// Counts from 1 in each chat; a gap shows events that were lost.
    pub seq: u64,
    /// `token`, `tool_call`, `approval_pending`, `goal_evaluated`, `receipt_report`, `done`,
    /// `error` or a word of the agent's. `done` and `error` end the chat.
    pub kind: String,
    /// The members of the kind, as the agent sent them.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

impl Notification for ChatEvent {
    const NAME: &'static str = "agents.chat.event";
}
