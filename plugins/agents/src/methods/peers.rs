//! `agents.peers`, `agents.message`, `agents.message.pending` and `agents.message.approve`.

use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Agents,
    peers::{HeldMessage, MAX_HELD, Outcome, Peer},
};

/// Lists who else works on this daemon.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListPeers {}

/// Who else works on this daemon.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeerList {
    /// The agent that asks, if it is one.
    #[serde(rename = "self")]
    pub own: Option<String>,
    /// The others, by their reference.
    pub peers: Vec<Peer>,
    /// How many.
    pub count: usize,
}

impl Method for ListPeers {
    const NAME: &'static str = "agents.peers";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = PeerList;

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<PeerList> {
        let peers = agents.peers.list(caller.agent());
        Ok(PeerList { own: caller.agent().map(str::to_owned), count: peers.len(), peers })
    }
}

/// Sends an attached agent a text, which runs nothing. For agents and the host.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SendMessage {
    /// The address of a peer: an agent's id.
    #[schemars(length(min = 1, max = 128))]
    pub to: String,
    /// What it says, at most 1 MiB.
    #[schemars(length(min = 1, max = 1048576))]
    pub body: String,
    /// A word for the sender's own records; it goes nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub summary: Option<String>,
}

/// What became of a message.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageSent {
    /// The message.
    pub id: String,
    /// To whom.
    pub to: String,
    /// `delivered`, `unacknowledged` or `held`.
    pub outcome: Outcome,
    /// Why it is not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the daemon keeps it, said of what is not delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained: Option<bool>,
}

impl Method for SendMessage {
    const NAME: &'static str = "agents.message";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = MessageSent;

    fn validate(&self) -> Result<()> {
        bounds::bytes("to", &self.to, 1..=128)?;
        bounds::bytes("body", &self.body, 1..=1 << 20)?;
        bounds::maybe_bytes("summary", self.summary.as_deref(), 0..=1024)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<MessageSent> {
        let (id, fate) = agents.peers.send(caller, self.to.clone(), self.body).await?;
        let retained = match fate.outcome {
            Outcome::Delivered => None,
            outcome => Some(outcome == Outcome::Held),
        };
        Ok(MessageSent { id, to: self.to, outcome: fate.outcome, reason: fate.reason, retained })
    }
}

/// Lists the messages that wait for a person.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListHeld {}

/// The messages that wait for a person.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldMessages {
    /// The oldest first.
    pub held: Vec<HeldMessage>,
    /// How many.
    pub count: usize,
    /// How many there may be; the oldest goes when another one comes.
    pub cap: usize,
}

impl Method for ListHeld {
    const NAME: &'static str = "agents.message.pending";
    const ACCESS: Access = Access::Host;
    type Plugin = Agents;
    type Reply = HeldMessages;

    async fn run(self, agents: &Agents, _: &Caller) -> Result<HeldMessages> {
        let held = agents.peers.held(|it| it.row());
        Ok(HeldMessages { count: held.len(), cap: MAX_HELD, held })
    }
}

/// Lets a held message through, or not.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DecideMessage {
    /// The message.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// A boolean, or a string of which `approve`, `approved` and `yes` mean yes.
    pub decision: Value,
}

/// What became of a held message.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageDecided {
    /// The message.
    pub id: String,
    /// `denied`, `delivered` or `unacknowledged`.
    pub outcome: Outcome,
}

impl Method for DecideMessage {
    const NAME: &'static str = "agents.message.approve";
    const ACCESS: Access = Access::Host;
    type Plugin = Agents;
    type Reply = MessageDecided;

    fn validate(&self) -> Result<()> {
        bounds::bytes("id", &self.id, 1..=128)?;
        match &self.decision {
            Value::Bool(_) => Ok(()),
            Value::String(word) => bounds::bytes("decision", word, 0..=256),
            _ => Err(RpcError::invalid_params("decision", "must be a boolean or a string")),
        }
    }

    async fn run(self, agents: &Agents, _: &Caller) -> Result<MessageDecided> {
        let yes = match &self.decision {
            Value::Bool(yes) => *yes,
            word => word.as_str().is_some_and(|it| ["approve", "approved", "yes"].contains(&it)),
        };
        let fate = agents.peers.decide(&self.id, yes).await?;
        Ok(MessageDecided { id: self.id, outcome: fate.outcome })
    }
}
