//! Approvals as rows that leave `pending` once. Pure: no clock, no socket.

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    contract::{access::Identity, clock::Time},
    dispatch::config::Resolvers,
    wire::error::RpcError,
};

/// Resolved rows that are kept for `status: "all"`.
const KEPT: usize = 500;
/// Pending rows over all connections.
const MAX_PENDING: usize = 256;
/// Pending rows of one connection.
const MAX_PENDING_OF_SESSION: usize = 16;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStatus {
    /// Nobody has decided.
    Pending,
    /// Enough said yes.
    Approved,
    /// Somebody said no.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Whoever asked is gone, or the daemon stopped.
    Cancelled,
}

/// Who raised an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalSource {
    /// The gate, for a call that waits.
    Gate,
    /// A client, through `host.request_approval`.
    Request,
    /// The plugin of this id.
    #[serde(untagged)]
    Plugin(String),
}

/// One yes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Yes {
    /// The connection that said it.
    pub client_id: String,
    /// When.
    pub at: Time,
    /// What it said with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// A row of `host.approvals`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostApproval {
    /// `ap-` and a UUID.
    pub id: String,
    /// Who raised it.
    pub source: ApprovalSource,
    /// `ws.method:<method>` for a call, `request` for a request, a plugin's own word else.
    pub action: String,
    /// For people.
    pub title: String,
    /// For people, longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The agent that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The asker; `null` for a call.
    pub client_id: Option<String>,
    /// The connection that raised it.
    pub requested_by: String,
    /// What is asked for, secrets masked.
    pub context: Value,
    /// Where it stands.
    pub status: ApprovalStatus,
    /// How many must say yes.
    pub required_approvals: u32,
    /// Who has.
    pub approvals: Vec<Yes>,
    /// When it was raised.
    pub created_at: Time,
    /// When it expires undecided.
    pub expires_at: Time,
    /// When it left `pending`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Time>,
    /// The connection that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<String>,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// Who decides, as the rules see it.
#[derive(Debug, Clone)]
pub(crate) struct Voter<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) identity: &'a Identity,
}

/// Why a decision does not count. The row stays as it was.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Undecided {
    #[error("no such approval")]
    Unknown,
    #[error("the approval is no longer pending")]
    NotPending(ApprovalStatus),
    #[error("a decision about the approval is being recorded")]
    UnderWay,
    #[error("whoever asked cannot approve")]
    Asker,
    #[error("only a connection with the host role may decide")]
    Role,
}

/// Why a row cannot be raised.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Crowded {
    #[error("this connection has 16 approvals pending")]
    Session,
    #[error("256 approvals are pending")]
    Host,
}

/// All rows of a host.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pending: BTreeMap<String, HostApproval>,
    resolved: VecDeque<HostApproval>,
}

impl Rows {
    pub(crate) fn raise(&mut self, row: HostApproval) -> Result<(), Crowded> {
        let of_session = |it: &&HostApproval| it.requested_by == row.requested_by;
        if self.pending.len() >= MAX_PENDING {
            return Err(Crowded::Host);
        }
        if self.pending.values().filter(of_session).count() >= MAX_PENDING_OF_SESSION {
            return Err(Crowded::Session);
        }
        self.pending.insert(row.id.clone(), row);
        Ok(())
    }

    /// What a vote would make of a row, which stays as it is: pending if more votes are needed.
    pub(crate) fn vote(
        &self,
        id: &str,
        voter: &Voter<'_>,
        approve: bool,
        notes: Option<String>,
        resolvers: Resolvers,
        now: Time,
    ) -> Result<HostApproval, Undecided> {
        let Some(row) = self.pending.get(id) else {
            let resolved = self.resolved.iter().find(|row| row.id == id);
            let status = resolved.map(|row| row.status);
            return Err(status.map_or(Undecided::Unknown, Undecided::NotPending));
        };
        row.admits(voter, resolvers)?;
        let mut row = row.clone();
        if approve {
            if !row.approvals.iter().any(|yes| yes.client_id == voter.client_id) {
                let client_id = voter.client_id.to_owned();
                row.approvals.push(Yes { client_id, at: now, notes: notes.clone() });
            }
            if row.approvals.len() < row.required_approvals as usize {
                return Ok(row);
            }
        }
        row.resolved_by = Some(voter.client_id.to_owned());
        row.notes = notes;
        row.status = if approve { ApprovalStatus::Approved } else { ApprovalStatus::Denied };
        Ok(row)
    }

    /// Makes of a pending row what a vote made of it; `None` if it is no longer pending.
    pub(crate) fn settle(&mut self, row: HostApproval, now: Time) -> Option<HostApproval> {
        let (id, status) = (row.id.clone(), row.status);
        *self.pending.get_mut(&id)? = row.clone();
        match status {
            ApprovalStatus::Pending => Some(row),
            _ => self.end(&id, status, now),
        }
    }

    /// Takes a row out of `pending`; `None` if it was not there.
    pub(crate) fn end(
        &mut self,
        id: &str,
        status: ApprovalStatus,
        now: Time,
    ) -> Option<HostApproval> {
        let mut row = self.pending.remove(id)?;
        row.status = status;
        row.resolved_at = Some(now);
        if self.resolved.len() == KEPT {
            self.resolved.pop_front();
        }
        self.resolved.push_back(row.clone());
        Some(row)
    }

    /// The ids of the pending rows that `wanted` picks.
    pub(crate) fn pending_ids(&self, wanted: impl Fn(&HostApproval) -> bool) -> Vec<String> {
        self.pending.values().filter(|row| wanted(row)).map(|row| row.id.clone()).collect()
    }

    /// The last `limit` rows, oldest first.
    pub(crate) fn list(&self, all: bool, limit: usize) -> Vec<HostApproval> {
        let resolved = self.resolved.iter().filter(|_| all);
        let mut rows: Vec<_> = resolved.chain(self.pending.values()).cloned().collect();
        rows.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        rows.split_off(rows.len().saturating_sub(limit))
    }

    pub(crate) fn pending_count(&self) -> usize {
        self.pending.len()
    }
}

impl HostApproval {
    /// Whoever asks cannot approve; an agent that the row is about counts as the asker.
    fn admits(&self, voter: &Voter<'_>, resolvers: Resolvers) -> Result<(), Undecided> {
        let about = self.agent_id.as_deref();
        let is_subject = about.is_some() && voter.identity.agent_id() == about;
        if voter.client_id == self.requested_by || is_subject {
            return Err(Undecided::Asker);
        }
        match (resolvers, voter.identity) {
            (_, Identity::Host) => Ok(()),
            // What hangs on a plugin's row may reach beyond the asker's connection.
            (Resolvers::Authenticated, Identity::Client)
                if !matches!(self.source, ApprovalSource::Plugin(_)) =>
            {
                Ok(())
            }
            _ => Err(Undecided::Role),
        }
    }
}

impl From<Undecided> for RpcError {
    fn from(why: Undecided) -> Self {
        match &why {
            Undecided::Unknown => Self::not_found("approval"),
            Undecided::NotPending(status) => {
                Self::conflict(&why).with("status", serde_json::json!(status))
            }
            Undecided::UnderWay => {
                let status = serde_json::json!(ApprovalStatus::Pending);
                Self::conflict(&why).with("status", status).with("retryable", true)
            }
            Undecided::Asker | Undecided::Role => Self::forbidden(&why),
        }
    }
}

impl From<Crowded> for RpcError {
    fn from(why: Crowded) -> Self {
        let limit = match why {
            Crowded::Session => MAX_PENDING_OF_SESSION,
            Crowded::Host => MAX_PENDING,
        };
        Self::overloaded(why).with("limit", limit)
    }
}
