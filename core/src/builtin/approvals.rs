//! `host.approvals`, `host.request_approval`, `host.resolve_approval`.

use std::{sync::Arc, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::HostMethods;
use crate::{
    contract::{
        BoxFuture, access::Access, approvals::NewApproval, bounds, caller::Caller, method::Method,
    },
    dispatch::approval::rows::{ApprovalSource, HostApproval},
    wire::error::{Result, RpcError},
};

/// Which approvals to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Those that wait.
    #[default]
    Pending,
    /// Those, and the newest resolved ones.
    All,
}

/// Lists approvals, oldest first.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Approvals {
    /// `pending` if absent.
    pub status: Option<Which>,
    /// How many at most, the newest; 100 if absent.
    #[schemars(range(min = 1, max = 500))]
    pub limit: Option<u32>,
}

/// Approvals.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ApprovalList {
    /// Oldest first.
    pub approvals: Vec<HostApproval>,
}

impl Method for Approvals {
    const NAME: &'static str = "host.approvals";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = ApprovalList;

    fn validate(&self) -> Result<()> {
        bounds::within("limit", self.limit.unwrap_or(100), 1..=500)
    }

    async fn run(self, host: &HostMethods, _: &Caller) -> Result<ApprovalList> {
        let all = self.status.unwrap_or_default() == Which::All;
        let limit = self.limit.unwrap_or(100) as usize;
        Ok(ApprovalList { approvals: host.shared.gate.list(all, limit) })
    }
}

/// Asks people for approval of something that the caller describes.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RequestApproval {
    /// What is asked, in a line.
    #[schemars(length(min = 1, max = 256))]
    pub title: String,
    /// And at length.
    #[schemars(length(max = 4096))]
    pub description: Option<String>,
    /// An agent of the caller's that waits meanwhile.
    pub agent_id: Option<String>,
    /// Facts for the decision, at most 16 KiB of JSON; secrets are masked.
    pub context: Option<Map<String, Value>>,
    /// How many connections must say yes; 1 if absent.
    #[schemars(range(min = 1, max = 5))]
    pub required_approvals: Option<u32>,
    /// Seconds until it expires undecided; a day if absent.
    #[schemars(range(min = 1, max = 604_800))]
    pub expires_in_secs: Option<u64>,
}

impl Method for RequestApproval {
    const NAME: &'static str = "host.request_approval";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = HostApproval;

    fn validate(&self) -> Result<()> {
        bounds::bytes("title", &self.title, 1..=256)?;
        bounds::maybe_bytes("description", self.description.as_deref(), 0..=4096)?;
        bounds::maybe_bytes("agent_id", self.agent_id.as_deref(), 1..=128)?;
        bounds::encoded("context", &self.context, bounds::OBJECT_BYTES)?;
        bounds::within("required_approvals", self.required_approvals.unwrap_or(1), 1..=5)?;
        bounds::within("expires_in_secs", self.expires_in_secs.unwrap_or(1), 1..=604_800)
    }

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<HostApproval> {
        let agent = self.agent_id.clone();
        if let (Some(agent), Some(rows)) = (&agent, &host.agent_rows) {
            rows.wait_for_approval(agent, caller.session())?;
        } else if let Some(agent) = &agent {
            return Err(RpcError::not_found(format!("agent `{agent}`")));
        }
        let rows = host.agent_rows.clone();
        let over = move |_| {
            if let (Some(agent), Some(rows)) = (&agent, &rows) {
                rows.approval_over(agent);
            }
            Box::pin(std::future::ready(Ok(()))) as BoxFuture<'static, Result<()>>
        };
        let request = NewApproval {
            action: "request".into(),
            title: self.title,
            description: self.description,
            agent_id: self.agent_id.clone(),
            context: Value::Object(self.context.unwrap_or_default()),
            expires_in: Duration::from_secs(self.expires_in_secs.unwrap_or(86_400)),
            when_over: Arc::new(over),
        };
        let required = self.required_approvals.unwrap_or(1);
        let raised =
            host.shared.gate.request(caller.session(), ApprovalSource::Request, required, request);
        if let (Err(_), Some(agent), Some(rows)) = (&raised, &self.agent_id, &host.agent_rows) {
            rows.approval_over(agent);
        }
        raised
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

/// Decides about a waiting call or request. Whoever asked cannot.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ResolveApproval {
    /// Which one.
    pub approval_id: String,
    /// Yes or no; or use `resolution`.
    pub approved: Option<bool>,
    /// `approve` or `deny`; or use `approved`.
    pub resolution: Option<Resolution>,
    /// Kept with the decision.
    #[schemars(length(max = 4096))]
    pub notes: Option<String>,
}

impl ResolveApproval {
    fn decision(&self) -> Result<bool> {
        let resolution = self.resolution.map(|it| it == Resolution::Approve);
        match (self.approved, resolution) {
            (Some(one), Some(other)) if one != other => {
                Err(RpcError::invalid_params("resolution", "contradicts `approved`"))
            }
            (one, other) => one.or(other).ok_or_else(|| {
                RpcError::invalid_params("approved", "`approved` or `resolution` is needed")
            }),
        }
    }
}

impl Method for ResolveApproval {
    const NAME: &'static str = "host.resolve_approval";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = HostApproval;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("notes", self.notes.as_deref(), 0..=4096)?;
        self.decision().map(drop)
    }

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<HostApproval> {
        let approve = self.decision()?;
        host.shared.gate.decide(&self.approval_id, caller, approve, self.notes).await
    }
}
