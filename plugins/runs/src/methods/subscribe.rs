//! `runs.subscribe`, `runs.unsubscribe`: follows a run.

use carport_core::{Access, Caller, Method, Owner, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_run_id, owner_of};
use crate::{
    Runs,
    record::{Line, RunStatus},
};

/// Follows a run: what it did so far, then `runs.trace.event` for each record as it comes.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Subscribe {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
}

/// What a run did so far.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Followed {
    /// The run.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// Its turns below `cursor`, in order.
    pub turns_so_far: Vec<Line>,
    /// Turns recorded; the next event has one more.
    pub cursor: u64,
    /// Where the run stands.
    pub status: RunStatus,
    /// Present if the snapshot is too large: the index of its first turn; the rest is in the trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_index: Option<u64>,
}

impl Method for Subscribe {
    const NAME: &'static str = "runs.subscribe";
    const ACCESS: Access = Access::AgentOwner;
    type Plugin = Runs;
    type Reply = Followed;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)
    }

    fn owner(&self, runs: &Runs) -> Owner {
        owner_of(runs, &self.run_id)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Followed> {
        let snapshot = runs.book.follow(&self.run_id, caller).await?;
        Ok(Followed {
            run_id: self.run_id,
            agent_id: snapshot.agent_id,
            turns_so_far: snapshot.turns,
            cursor: snapshot.cursor,
            status: snapshot.status,
            first_index: (snapshot.first_index > 0).then_some(snapshot.first_index),
        })
    }
}

/// Stops following a run.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Unsubscribe {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
}

/// Whether there was anything to stop.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Unsubscribed {
    /// The run.
    pub run_id: String,
    /// Whether this connection followed it.
    pub removed: bool,
}

impl Method for Unsubscribe {
    const NAME: &'static str = "runs.unsubscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Runs;
    type Reply = Unsubscribed;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Unsubscribed> {
        let removed = runs.book.unfollow(&self.run_id, caller.session());
        Ok(Unsubscribed { run_id: self.run_id, removed })
    }
}
