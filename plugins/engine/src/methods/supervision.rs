//! `supervision.*`: watching proposals before they run.

use carport_core::{Access, Caller, Identity, Method, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Engine, SupervisionFilter, SupervisionIntent, supervision::desk::IntentDecision};

/// An agent does not supervise agents.
fn no_agent(caller: &Caller) -> Result<()> {
    match caller.identity() {
        Identity::Agent(_) => Err(RpcError::forbidden("an agent does not supervise")),
        _ => Ok(()),
    }
}

/// Watches proposals of other connections: each waits until a supervisor decides. The same connection
/// again replaces its filter.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SubscribeSupervision {
    /// Which proposals; all if absent.
    pub filter: Option<SupervisionFilter>,
}

/// It watches.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Supervising {
    /// Always `true`.
    pub subscribed: bool,
    /// Milliseconds until an undecided intent is a denial.
    pub decision_timeout_ms: u64,
    /// How many connections supervise, this one included.
    pub supervisors: usize,
}

impl Method for SubscribeSupervision {
    const NAME: &'static str = "supervision.subscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Supervising;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Supervising> {
        no_agent(caller)?;
        let supervision = &engine.hub.supervision;
        let supervisors = supervision.subscribe(caller, self.filter.unwrap_or_default())?;
        let decision_timeout_ms = supervision.patience().as_millis() as u64;
        Ok(Supervising { subscribed: true, decision_timeout_ms, supervisors })
    }
}

/// Watches no more. What waited for this connection alone is denied.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnsubscribeSupervision {}

/// It does not watch.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unsubscribed {
    /// Always `false`.
    pub subscribed: bool,
    /// Whether it did before.
    pub was_subscribed: bool,
}

impl Method for UnsubscribeSupervision {
    const NAME: &'static str = "supervision.unsubscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Unsubscribed;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Unsubscribed> {
        let was_subscribed = engine.hub.supervision.leave(caller.session());
        Ok(Unsubscribed { subscribed: false, was_subscribed })
    }
}

/// Lists the proposals of other connections that wait for a decision.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PendingIntents {}

/// What waits.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingList {
    /// Oldest first.
    pub intents: Vec<SupervisionIntent>,
}

impl Method for PendingIntents {
    const NAME: &'static str = "supervision.pending";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = PendingList;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<PendingList> {
        no_agent(caller)?;
        Ok(PendingList { intents: engine.hub.supervision.pending(caller.session()) })
    }
}

/// What a supervisor decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntentVerdict {
    /// It may pass this gate.
    Allow,
    /// It may not.
    Deny,
    /// A host has to approve its operations first.
    Escalate,
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ruling {
    /// What is decided.
    pub kind: IntentVerdict,
    /// Why; needed unless it is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub reason: Option<String>,
}

/// Decides about a waiting proposal of another connection. The first decision counts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DecideIntent {
    /// Which one.
    pub intent_id: String,
    /// What is decided.
    pub decision: Ruling,
}

/// The decision counts.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IntentDecided {
    /// Always `true`.
    pub decided: bool,
}

impl Method for DecideIntent {
    const NAME: &'static str = "supervision.decide";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = IntentDecided;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("decision.reason", self.decision.reason.as_deref(), 1..=4096)?;
        match (self.decision.kind, &self.decision.reason) {
            (IntentVerdict::Allow, _) | (_, Some(_)) => Ok(()),
            (_, None) => {
                let why = "is needed unless the decision is `allow`";
                Err(RpcError::invalid_params("decision.reason", why))
            }
        }
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<IntentDecided> {
        no_agent(caller)?;
        let reason = self.decision.reason.unwrap_or_default();
        let decision = match self.decision.kind {
            IntentVerdict::Allow => IntentDecision::Allow,
            IntentVerdict::Deny => IntentDecision::Deny { reason },
            IntentVerdict::Escalate => IntentDecision::Escalate { reason },
        };
        engine.hub.supervision.decide(caller.session(), &self.intent_id, decision)?;
        Ok(IntentDecided { decided: true })
    }
}
