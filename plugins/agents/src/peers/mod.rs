//! Messages of agents to agents: text that runs nothing, with limits, and a person in between if wished.

mod book;

use std::{sync::Arc, time::Duration};

use carport_core::{
    Caller, ClientRequest, Clock, Guarded, Identity, Result, RpcError, Session, codes, mask_text,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use book::MAX_HELD;

use self::book::{Book, Held, Message};
use crate::{
    config::PeerMessages,
    external::{ExternalRuns, Run},
    journal::Journal,
    roster::Roster,
};

/// How long a peer may take to acknowledge a message.
const ACKNOWLEDGE: Duration = Duration::from_secs(5);
/// The host as a sender. No agent's id starts so.
const HOST: &str = "@host";
/// Why a message waits for a person.
const HELD: &str = "`agents.peer_messages` is `hold`";

/// Somebody who works on this daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Peer {
    /// What it is called: an agent's id.
    pub name: String,
    /// What a message is addressed to.
    pub address: String,
    /// Kind and address together, unique among peers.
    pub reference: String,
    /// `car_agent` or `external_cli`.
    pub kind: String,
    /// `attached` or `invocation`.
    pub source: String,
    /// Whether messages to it are taken at all.
    pub can_receive: bool,
    /// Whether it is there.
    pub reachable: bool,
    /// For people.
    pub display_name: String,
    /// What it says it can do.
    pub capability: Option<String>,
    /// When it was last known to be there, in Unix milliseconds.
    pub last_seen_ms: i64,
}

/// Hands an agent a message of another one, or of the host (`@host`). A result acknowledges it,
/// whatever it says; an error does not, and neither does silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerMessage {
    /// The message.
    pub id: String,
    /// Who sent it; the daemon says so.
    pub from: String,
    /// What it says.
    pub body: String,
    /// When it was sent, in Unix milliseconds.
    pub sent_at_ms: i64,
    /// Always true: nobody waits for more than the acknowledgement.
    pub no_reply: bool,
}

impl ClientRequest for PeerMessage {
    const NAME: &'static str = "agent.peer_message";
    type Reply = Value;
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The peer has acknowledged it.
    Delivered,
    /// The peer was told and has not acknowledged it.
    Unacknowledged,
    /// A person decides.
    Held,
    /// A person decided against it.
    Denied,
}

/// What became of a message, and why.
pub(crate) struct Fate {
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<String>,
}

pub(crate) struct Peers {
    pub(crate) book: Guarded<Book>,
    pub(crate) roster: Arc<Roster>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: Journal,
    pub(crate) policy: PeerMessages,
    pub(crate) external: Arc<ExternalRuns>,
}

/// A peer whose word is awaited.
struct Waiting<'a>(&'a Peers, &'a str);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.book.lock().heard(self.1);
    }
}

impl Peers {
    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }

    /// Everybody but `own`, by reference.
    pub(crate) fn list(&self, own: Option<&str>) -> Vec<Peer> {
        let now = self.now();
        let agents = self.roster.list(&Identity::Client).into_iter();
        let attached = agents.filter(|it| it.attached && own != Some(&it.spec.id));
        let row = |agent: carport_agents_process::ManagedAgent| Peer {
            name: agent.spec.id.clone(),
            address: agent.spec.id.clone(),
            reference: format!("car_agent:{}", agent.spec.id),
            kind: "car_agent".into(),
            source: "attached".into(),
            can_receive: self.policy != PeerMessages::Deny,
            reachable: true,
            display_name: agent.spec.display_name().to_owned(),
            capability: Some(agent.spec.capabilities.join(", ")).filter(|it| !it.is_empty()),
            last_seen_ms: now,
        };
        let mut peers: Vec<_> = attached.map(row).collect();
        let running = |run: Run| Peer {
            address: run.address(),
            reference: format!("external_cli:{}", run.address()),
            name: run.adapter_id.clone(),
            kind: "external_cli".into(),
            source: "invocation".into(),
            can_receive: false,
            reachable: true,
            display_name: run.adapter_id,
            capability: None,
            last_seen_ms: now,
        };
        peers.extend(self.external.runs().into_iter().map(running));
        peers.sort_by(|a, b| a.reference.cmp(&b.reference));
        peers
    }

    /// The connection of an agent that can be told something.
    fn receiver(&self, to: &str) -> Result<Arc<Session>> {
        if let Some(session) = self.roster.attached(to) {
            return Ok(session);
        }
        match self.external.runs().iter().any(|run| run.address() == to) {
            true => Err(RpcError::conflict(format!("peer `{to}` cannot receive messages"))),
            false => Err(RpcError::not_found(format!("peer `{to}` that is attached"))),
        }
    }

    /// Sends a message, or keeps it for a person. The host's own message waits for nobody.
    pub(crate) async fn send(
        &self,
        caller: &Caller,
        to: String,
        body: String,
    ) -> Result<(String, Fate)> {
        let from = match caller.identity() {
            Identity::Agent(id) => id.to_string(),
            Identity::Host => HOST.to_owned(),
            _ => return Err(RpcError::forbidden("only agents and the host send messages")),
        };
        if from == to {
            return Err(RpcError::invalid_params("to", "must be somebody else"));
        }
        let message = Message { id: format!("msg-{}", Uuid::now_v7()), from, to, body };
        let sent = self.dispatch(&message, caller.is_host()).await;
        if let Err(error) = &sent {
            self.audit("refused", &message, Some(&error.message));
        }
        Ok((message.id, sent?))
    }

    async fn dispatch(&self, message: &Message, by_host: bool) -> Result<Fate> {
        if self.policy == PeerMessages::Deny {
            let why = "messages between agents are not let through (`agents.peer_messages`)";
            return Err(RpcError::new(codes::POLICY, why));
        }
        let session = self.receiver(&message.to)?;
        if self.policy == PeerMessages::Allow || by_host {
            self.book.lock().send(self.now(), message)?;
            return Ok(self.deliver(&session, message).await);
        }
        let dropped = self.book.lock().hold(self.now(), message.clone())?;
        dropped.iter().for_each(|it| self.audit("dropped", it, None));
        self.audit("held", message, None);
        Ok(Fate { outcome: Outcome::Held, reason: Some(HELD.into()) })
    }

    /// Hands a message over that the book let pass.
    async fn deliver(&self, session: &Session, message: &Message) -> Fate {
        let waiting = Waiting(self, &message.to);
        let ask = PeerMessage {
            id: message.id.clone(),
            from: message.from.clone(),
            body: message.body.clone(),
            sent_at_ms: self.now(),
            no_reply: true,
        };
        let answer = session.request(&ask, ACKNOWLEDGE).await;
        drop(waiting);
        let reason = answer.err().map(|error| mask_text(&error.message, 200));
        let (outcome, word) = match reason {
            None => (Outcome::Delivered, "delivered"),
            Some(_) => (Outcome::Unacknowledged, "unacknowledged"),
        };
        self.audit(word, message, reason.as_deref());
        Fate { outcome, reason }
    }

    /// What waits for a person, the oldest first.
    pub(crate) fn held<T>(&self, row: impl Fn(&Held) -> T) -> Vec<T> {
        self.book.lock().held().map(row).collect()
    }

    /// Decides about a message that is held. One that cannot be delivered now stays.
    pub(crate) async fn decide(&self, id: &str, yes: bool) -> Result<Fate> {
        let unknown = || RpcError::not_found(format!("held message `{id}`"));
        if !yes {
            let message = self.book.lock().take(id).ok_or_else(unknown)?;
            self.audit("denied", &message, None);
            return Ok(Fate { outcome: Outcome::Denied, reason: None });
        }
        let to = self.book.lock().find(id).ok_or_else(unknown)?.to.clone();
        let session = self.receiver(&to)?;
        let message = self.book.lock().release(self.now(), id)?.ok_or_else(unknown)?;
        Ok(self.deliver(&session, &message).await)
    }

    /// A line of ids, sizes and outcome; never of text that was said.
    fn audit(&self, what: &str, message: &Message, error: Option<&str>) {
        self.journal.append(&json!({
            "ts": self.clock.now(), "event": format!("peer.{what}"), "id": message.id,
            "from": message.from, "to": message.to, "bytes": message.body.len(),
            "error": error.map(|it| mask_text(it, 200)),
        }));
    }
}

impl Held {
    /// The row of a list.
    pub(crate) fn row(&self) -> HeldMessage {
        HeldMessage {
            id: self.message.id.clone(),
            from: self.message.from.clone(),
            to: self.message.to.clone(),
            body: self.message.body.clone(),
            held_at_ms: self.at,
            reason: HELD.into(),
        }
    }
}

/// A message that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldMessage {
    /// The message.
    pub id: String,
    /// Who sent it.
    pub from: String,
    /// To whom.
    pub to: String,
    /// What it says.
    pub body: String,
    /// Since when it waits, in Unix milliseconds.
    pub held_at_ms: i64,
    /// Why it waits.
    pub reason: String,
}
