//! `runs.cancel`: ends a run without an outcome.

use carport_core::{Access, Caller, Method, Notification, Owner, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_run_id, owner_of};
use crate::{
    Runs, authority,
    book::Ended,
    record::{IncompleteReason, RunStatus, Termination},
};

/// Ends an open run as incomplete and tells the connection that it is attached to. It stops no process.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Cancel {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
    /// Why, in words.
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// The run has ended.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// The run.
    pub run_id: String,
    /// Always true.
    pub ok: bool,
    /// Always `incomplete`.
    pub status: RunStatus,
}

/// Somebody cancelled a run of this connection.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunCancelled {
    /// The run.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Notification for RunCancelled {
    const NAME: &'static str = "runs.cancelled";
}

impl Method for Cancel {
    const NAME: &'static str = "runs.cancel";
    const ACCESS: Access = Access::AgentOwner;
    type Plugin = Runs;
    type Reply = Cancelled;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)?;
        bounds::maybe_bytes("reason", self.reason.as_deref(), 0..=1024)
    }

    fn owner(&self, runs: &Runs) -> Owner {
        owner_of(runs, &self.run_id)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Cancelled> {
        let Self { run_id, reason } = self;
        let identity = caller.identity().clone();
        let termination = Termination::Incomplete {
            reason: IncompleteReason::Cancelled,
            message: reason.clone(),
        };
        let may = move |agent_id: &str, _| authority::read(&identity, agent_id);
        let Ended { agent_id, attached } = runs.book.end(&run_id, termination, may).await?;
        if let Some(session) = attached {
            session.notify(&RunCancelled { run_id: run_id.clone(), agent_id, reason });
        }
        Ok(Cancelled { run_id, ok: true, status: RunStatus::Incomplete })
    }
}
