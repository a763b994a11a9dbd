//! `permission.*`: tiers, and what people approve and reject.

use std::time::Duration;

use carport_core::{Access, Caller, Method, Result, RpcError, Time, bounds};
use carport_engine_model::{
    Action, ActionProposal, Approval, ApprovalRecord, Classification, Decision, Reversibility,
    Tier, Verdict, fingerprint,
};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Engine, proposal::prepare};

/// Says which tier this connection has.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GetTier {}

/// The tier of a connection.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Granted {
    /// What it may do without an approval.
    pub granted_tier: Tier,
}

impl Method for GetTier {
    const NAME: &'static str = "permission.get_tier";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Granted;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Granted> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        Ok(Granted { granted_tier: *runtime.tier.lock() })
    }
}

/// Lowers the tier of this connection. Only a host raises one, or sets another connection's.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SetTier {
    /// The new tier.
    pub tier: Tier,
    /// Another connection; this one if absent.
    pub client_id: Option<String>,
}

impl Method for SetTier {
    const NAME: &'static str = "permission.set_tier";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Granted;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Granted> {
        let own = caller.session();
        let others = self.client_id.as_deref().filter(|id| *id != own.id());
        if others.is_some() && !caller.is_host() {
            return Err(RpcError::forbidden("only a host sets the tier of another connection"));
        }
        let session = match others {
            Some(id) => engine.hub.session(id)?,
            None => own.clone(),
        };
        let runtime = engine.hub.runtime(&session).await?;
        let mut tier = runtime.tier.lock();
        if self.tier > *tier && !caller.is_host() {
            return Err(RpcError::forbidden("only a host raises a tier"));
        }
        *tier = self.tier;
        Ok(Granted { granted_tier: *tier })
    }
}

/// Says which tier each action needs, without looking at what is granted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Classify {
    /// The proposal; nothing of it runs.
    pub proposal: ActionProposal,
}

/// How the actions are classified.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Classified {
    /// In the order of the proposal.
    pub classifications: Vec<Classification>,
    /// The worst that an action declares.
    pub declared_rollback_contract: Reversibility,
}

/// A proposal that is looked at and not run, checked as one that is.
async fn checked(
    engine: &Engine,
    caller: &Caller,
    mut proposal: ActionProposal,
) -> Result<ActionProposal> {
    let runtime = engine.hub.runtime(caller.session()).await?;
    prepare(&engine.hub, &runtime, "", &mut proposal)?;
    Ok(proposal)
}

impl Method for Classify {
    const NAME: &'static str = "permission.classify";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Classified;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Classified> {
        let proposal = checked(engine, caller, self.proposal).await?;
        Ok(Classified {
            classifications: proposal.actions.iter().map(Action::classify).collect(),
            declared_rollback_contract: proposal.declared_rollback_contract(),
        })
    }
}

/// Says what `proposal.submit` would decide about each action.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Evaluate {
    /// The proposal; nothing of it runs.
    pub proposal: ActionProposal,
    /// A skill whose ceiling lowers the tier.
    pub skill: Option<String>,
}

/// The decisions.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluated {
    /// In the order of the proposal.
    pub decisions: Vec<Decision>,
    /// The ceiling of the skill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_ceiling: Option<Tier>,
}

async fn decisions(
    engine: &Engine,
    caller: &Caller,
    proposal: ActionProposal,
    skill: Option<&str>,
) -> Result<Vec<Decision>> {
    if skill.is_some() {
        let remedy = "no plugin of this build knows skills: leave `skill` out";
        return Err(RpcError::unavailable("skills", remedy));
    }
    let proposal = checked(engine, caller, proposal).await?;
    let (hub, runtime) = (&engine.hub, engine.hub.runtime(caller.session()).await?);
    let (granted, now) = (*runtime.tier.lock(), hub.now());
    let evaluate = |action: &Action| hub.ledger.evaluate(action, &action.parameters, granted, now);
    Ok(proposal.actions.iter().map(evaluate).collect())
}

impl Method for Evaluate {
    const NAME: &'static str = "permission.evaluate";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Evaluated;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Evaluated> {
        let decisions = decisions(engine, caller, self.proposal, self.skill.as_deref()).await?;
        Ok(Evaluated { decisions, skill_ceiling: None })
    }
}

/// Says which actions would need an approval.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PendingPermissions {
    /// The proposal; nothing of it runs.
    pub proposal: ActionProposal,
    /// A skill whose ceiling lowers the tier.
    pub skill: Option<String>,
}

/// What needs an approval.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PendingRows {
    /// In the order of the proposal.
    pub pending: Vec<Decision>,
}

impl Method for PendingPermissions {
    const NAME: &'static str = "permission.pending";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = PendingRows;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<PendingRows> {
        let rows = decisions(engine, caller, self.proposal, self.skill.as_deref()).await?;
        let waits = |row: &Decision| row.decision == Verdict::NeedsApproval;
        Ok(PendingRows { pending: rows.into_iter().filter(waits).collect() })
    }
}

/// What a person says about an operation: which one, and with what.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// The operation, with `required_tier`; or use `action`.
    pub fingerprint: Option<String>,
    /// Up to which tier an approval counts.
    pub required_tier: Option<Tier>,
    /// An action that does the operation; or use `fingerprint` and `required_tier`.
    pub action: Option<Action>,
    /// In words.
    #[schemars(length(max = 4096))]
    pub reason: Option<String>,
    /// What it rests on, at most 16 KiB of JSON.
    pub evidence: Option<Value>,
    /// Seconds that it counts; for good if absent.
    #[schemars(range(min = 1))]
    pub expires_in_secs: Option<u64>,
}

impl Judgement {
    fn check(&self) -> Result<()> {
        bounds::maybe_bytes("reason", self.reason.as_deref(), 0..=4096)?;
        bounds::encoded("evidence", &self.evidence, bounds::OBJECT_BYTES)?;
        bounds::within("expires_in_secs", self.expires_in_secs.unwrap_or(1), 1..=u64::MAX)?;
        self.operation().map(drop)
    }

    /// The fingerprint and the tier.
    fn operation(&self) -> Result<(String, Tier)> {
        match (&self.fingerprint, self.required_tier, &self.action) {
            (Some(fingerprint), Some(tier), None) => {
                let hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
                match fingerprint.len() == 64 && fingerprint.bytes().all(hex) {
                    true => Ok((fingerprint.clone(), tier)),
                    false => {
                        let why = "must be 64 lowercase hex digits";
                        Err(RpcError::invalid_params("fingerprint", why).with("limit", 64))
                    }
                }
            }
            (None, None, Some(action)) => {
                let mut action = action.clone();
                if action.id.is_empty() {
                    action.id = "action".into();
                }
                action.check("action")?;
                Ok((fingerprint(&action), action.operation().required_tier()))
            }
            (Some(_), None, None) => {
                Err(RpcError::invalid_params("required_tier", "goes with `fingerprint`"))
            }
            (None, _, None) => {
                let why = "`fingerprint` with `required_tier`, or `action`, is needed";
                Err(RpcError::invalid_params("fingerprint", why))
            }
            (_, _, Some(_)) => {
                let why = "excludes `fingerprint` and `required_tier`";
                Err(RpcError::invalid_params("action", why))
            }
        }
    }

    async fn record(
        self,
        engine: &Engine,
        caller: &Caller,
        decision: Approval,
    ) -> Result<ApprovalRecord> {
        let (fingerprint, required_tier) = self.operation()?;
        let at = engine.hub.now();
        let end = |secs: u64| {
            let life = TimeDelta::from_std(Duration::from_secs(secs)).unwrap_or(TimeDelta::MAX);
            at.checked_add_signed(life).map(Time::from)
        };
        let record = ApprovalRecord {
            fingerprint,
            decision,
            required_tier,
            reviewer: format!("host:{}", caller.session().id()),
            reason: self.reason,
            evidence: self.evidence,
            at,
            expires_at: self.expires_in_secs.and_then(end),
        };
        let runtime = engine.hub.runtime(caller.session()).await?;
        engine.hub.record(&runtime, record.clone()).await?;
        Ok(record)
    }
}

/// Approves an operation, for every connection and over restarts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approve(pub Judgement);

described!(Approve: Judgement = "Approves an operation, for every connection and over restarts.");

impl Method for Approve {
    const NAME: &'static str = "permission.approve";
    const ACCESS: Access = Access::Host;
    type Plugin = Engine;
    type Reply = ApprovalRecord;

    fn validate(&self) -> Result<()> {
        self.0.check()
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<ApprovalRecord> {
        self.0.record(engine, caller, Approval::Approved).await
    }
}

/// Rejects an operation, for every connection and over restarts.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reject(pub Judgement);

described!(Reject: Judgement = "Rejects an operation, for every connection and over restarts.");

impl Method for Reject {
    const NAME: &'static str = "permission.reject";
    const ACCESS: Access = Access::Host;
    type Plugin = Engine;
    type Reply = ApprovalRecord;

    fn validate(&self) -> Result<()> {
        self.0.check()
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<ApprovalRecord> {
        self.0.record(engine, caller, Approval::Rejected).await
    }
}
