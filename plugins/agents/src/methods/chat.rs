//! `agents.chat`, `agents.chat.cancel`, `agents.chat.approve` and `agent.chat.event`.

use std::sync::Arc;

use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::check_session_id;
use crate::{
    Agents,
    chat::{AskApprove, AskChat, ChatContext, EVENT_BYTES, Goal, PROMPT_BYTES, fresh_id},
};

/// How large all attachments of a turn may be together, in bytes of JSON.
const ATTACHMENT_BYTES: usize = 12 << 20;

/// Asks an attached agent for one turn. What it says comes as `agents.chat.event`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct BeginChat {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub agent_id: String,
    /// What it is told.
    #[schemars(length(min = 1, max = 262144))]
    pub prompt: String,
    /// The chat's id, `[A-Za-z0-9._:-]`; made up if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub session_id: Option<String>,
    /// Whether `token` events are wanted.
    #[serde(default = "yes")]
    pub stream: bool,
    /// Whether the prompt was spoken.
    #[serde(default)]
    pub voice_input: bool,
    /// The model to use, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// Images: `{type: "image_base64", data, media_type}` or `{type: "image_url", url, detail?}`, at
    /// most 8 and 12 MiB together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub attachments: Option<Vec<Value>>,
    /// When the work is done; it is kept for later turns of the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

fn yes() -> bool {
    true
}

/// The agent takes the turn.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatBegun {
    /// Always true.
    pub accepted: bool,
    /// The chat.
    pub session_id: String,
}

impl Method for BeginChat {
    const NAME: &'static str = "agents.chat";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ChatBegun;

    fn validate(&self) -> Result<()> {
        bounds::agent_id("agent_id", &self.agent_id)?;
        bounds::bytes("prompt", &self.prompt, PROMPT_BYTES)?;
        self.session_id.as_deref().map_or(Ok(()), check_session_id)?;
        bounds::maybe_bytes("model", self.model.as_deref(), 1..=256)?;
        if let Some(goal) = &self.goal {
            goal.checked("goal.")?;
        }
        let Some(attachments) = &self.attachments else { return Ok(()) };
        if self.goal.is_some() && !attachments.is_empty() {
            return Err(RpcError::invalid_params("attachments", "do not go with a goal"));
        }
        bounds::items("attachments", attachments, 0..=8)?;
        for (at, attachment) in attachments.iter().enumerate() {
            check_attachment(&format!("attachments[{at}]"), attachment)?;
        }
        bounds::encoded("attachments", attachments, ATTACHMENT_BYTES)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<ChatBegun> {
        agents.keeping.refuse_observer()?;
        check_peer(agents, caller, &self.agent_id)?;
        agents.keeping.refuse_absent(&self.agent_id).await?;
        let session_id = self.session_id.unwrap_or_else(fresh_id);
        let session = caller.session();
        let has_images = self.attachments.as_ref().is_some_and(|it| !it.is_empty());
        let goal = match &self.goal {
            Some(goal) => Some(goal.checked("goal.")?),
            None => agents.goals.standing(&session_id).filter(|_| !has_images),
        };
        // Another agent's goal is for this turn only: a standing one is a command that people set.
        let keep = self.goal.is_some() && caller.agent().is_none();
        let ask = AskChat {
            session_id: session_id.clone(),
            prompt: self.prompt,
            stream: self.stream,
            context: ChatContext {
                host_client_id: session.id().to_owned(),
                voice_input: self.voice_input,
            },
            model: self.model,
            attachments: self.attachments,
            goal,
        };
        let serial = agents.chats.begin(session, &self.agent_id, &ask, keep).await?;
        let (chats, id) = (Arc::clone(&agents.chats), session_id.clone());
        caller.after_reply(move || chats.go_live(&id, serial));
        Ok(ChatBegun { accepted: true, session_id })
    }
}

/// An agent chats with another only where the operator lets it, and never with itself.
fn check_peer(agents: &Agents, caller: &Caller, other: &str) -> Result<()> {
    match caller.agent() {
        Some(_) if !agents.config.peer_chat => {
            Err(RpcError::forbidden("an agent may not begin chats (`agents.peer_chat`)"))
        }
        Some(own) if own == other => Err(RpcError::forbidden("an agent does not chat with itself")),
        _ => Ok(()),
    }
}

/// What an attachment has to be, by its type.
fn check_attachment(field: &str, attachment: &Value) -> Result<()> {
    let text = |name: &str| attachment[name].as_str().unwrap_or_default();
    let wrong =
        |name: &str, why: &str| Err(RpcError::invalid_params(&format!("{field}.{name}"), why));
    match text("type") {
        "image_base64" => {
            let known = ["image/png", "image/jpeg", "image/gif", "image/webp"];
            match (known.contains(&text("media_type")), text("data").is_empty()) {
                (false, _) => {
                    wrong("media_type", "must be image/png, image/jpeg, image/gif or image/webp")
                }
                (_, true) => wrong("data", "is required"),
                (true, false) => Ok(()),
            }
        }
        "image_url" => {
            match ["http://", "https://"].iter().any(|scheme| text("url").starts_with(scheme)) {
                true => Ok(()),
                false => wrong("url", "must be http or https"),
            }
        }
        _ => wrong("type", "must be `image_base64` or `image_url`"),
    }
}

/// Ends a chat that this connection began; the agent is told, and `done` says how far it came.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CancelChat {
    /// The chat.
    #[schemars(length(min = 1, max = 128))]
    pub session_id: String,
}

/// Whether there was a chat to end.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatIsCancelled {
    /// `false` if no such chat ran.
    pub cancelled: bool,
    /// The chat.
    pub session_id: String,
}

impl Method for CancelChat {
    const NAME: &'static str = "agents.chat.cancel";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ChatIsCancelled;

    fn validate(&self) -> Result<()> {
        check_session_id(&self.session_id)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<ChatIsCancelled> {
        let Self { session_id } = self;
        // External agents run on an observer too.
        if !agents.chats.is_run(&session_id) {
            agents.keeping.refuse_observer()?;
        }
        let cancelled = agents.chats.cancel(caller.session(), caller.is_host(), &session_id)?;
        Ok(ChatIsCancelled { cancelled, session_id })
    }
}

/// Decides about an approval that the agent announced in a chat that this connection began.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApproveInChat {
    /// The chat.
    #[schemars(length(min = 1, max = 128))]
    pub session_id: String,
    /// The approval.
    #[schemars(length(min = 1, max = 256))]
    pub approval_id: String,
    /// A boolean, or a string of which `approve`, `approved` and `yes` mean yes; no if absent.
    #[serde(default = "no", deserialize_with = "no_if_null")]
    pub decision: Value,
}

fn no() -> Value {
    Value::Bool(false)
}

fn no_if_null<'de, D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_else(no))
}

/// Whether the agent took the decision.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatApproved {
    /// What the agent says.
    pub resolved: bool,
    /// The chat.
    pub session_id: String,
}

impl Method for ApproveInChat {
    const NAME: &'static str = "agents.chat.approve";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ChatApproved;

    fn validate(&self) -> Result<()> {
        check_session_id(&self.session_id)?;
        bounds::bytes("approval_id", &self.approval_id, 1..=256)?;
        match &self.decision {
            Value::Bool(_) => Ok(()),
            Value::String(word) => bounds::bytes("decision", word, 0..=256),
            _ => Err(RpcError::invalid_params("decision", "must be a boolean or a string")),
        }
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<ChatApproved> {
        agents.keeping.refuse_observer()?;
        if caller.agent().is_some() {
            return Err(RpcError::forbidden("an agent may not decide about approvals"));
        }
        let Self { session_id, approval_id, decision } = self;
        let ask = AskApprove { session_id: session_id.clone(), approval_id, decision };
        let resolved = agents.chats.decide(caller.session(), caller.is_host(), &ask).await?;
        Ok(ChatApproved { resolved, session_id })
    }
}

/// Says what happened in a chat; it counts from the connection that was asked for the turn.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct HearChatEvent {
    /// The chat.
    #[schemars(length(min = 1, max = 128))]
    pub session_id: String,
    /// `token`, `tool_call`, `approval_pending`, `goal_evaluated`, `receipt_report`, `done`, `error`,
    /// or a word of the agent's own.
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// The members of the kind, passed on as they are.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

/// Whether an event counted.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventHeard {
    /// `false` from anybody but the agent of a running chat.
    pub ok: bool,
}

impl Method for HearChatEvent {
    const NAME: &'static str = "agent.chat.event";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Agents;
    type Reply = EventHeard;

    fn validate(&self) -> Result<()> {
        check_session_id(&self.session_id)?;
        bounds::bytes("kind", &self.kind, 1..=64)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<EventHeard> {
        let Self { session_id, kind, members } = self;
        if let Err(error) = bounds::encoded("params", &members, EVENT_BYTES) {
            agents.chats.fail(caller.session(), &session_id, "the agent's event was too large");
            return Err(RpcError::limit("bytes of an event", EVENT_BYTES as u64)
                .with("got", error.data.map(|mut it| it["got"].take())));
        }
        let ok = agents.chats.hear(caller.session(), &session_id, &kind, members);
        Ok(EventHeard { ok })
    }
}
