//! `runs.resume`: goes on with an open run on another connection.

use carport_core::{Access, Caller, Method, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_run_id;
use crate::{Runs, authority, book::not_found, record::RunStatus};

/// Attaches an open run of the caller's own to this connection, as its current run.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Resume {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
}

/// The run goes on.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// The run.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// Always `in_progress`.
    pub status: RunStatus,
    /// Turns recorded.
    pub cursor: u64,
}

impl Method for Resume {
    const NAME: &'static str = "runs.resume";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Runs;
    type Reply = Resumed;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Resumed> {
        let may = |agent_id: &str| match authority::may_write(caller.identity(), agent_id) {
            true => Ok(()),
            false => Err(not_found(&self.run_id)),
        };
        let (agent_id, cursor) = runs.book.resume(&self.run_id, caller.session(), may).await?;
        Ok(Resumed { run_id: self.run_id, agent_id, status: RunStatus::InProgress, cursor })
    }
}
