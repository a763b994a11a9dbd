//! `runs.list`: the runs of an agent, newest first.

use carport_core::{Access, Caller, Method, Owner, Result, RpcError, Time, bounds};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Runs,
    catalog::Listing,
    ledger::Place,
    record::{RunStatus, RunSummary},
};

/// Lists the runs of an agent, newest first.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// Whose runs.
    #[schemars(length(min = 1, max = 128))]
    pub agent_id: String,
    /// How many at most; 500 if absent.
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u32>,
    /// `next_before` of an earlier page, or a time: runs that started earlier.
    pub before: Option<String>,
    /// Only runs that stand so.
    pub status: Option<RunStatus>,
}

/// A page of runs.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// Whose runs.
    pub agent_id: String,
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// Continues after the last row, if more follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_before: Option<String>,
}

impl List {
    fn place(&self) -> Result<Option<Place>> {
        let Some(before) = &self.before else { return Ok(None) };
        let (time, run_id) = before.split_once('/').unwrap_or((before, ""));
        match time.parse::<DateTime<Utc>>() {
            Ok(at) => Ok(Some((Time::from(at), run_id.to_owned()))),
            Err(_) => {
                let why = "must be `next_before` of an earlier page, or a time";
                Err(RpcError::invalid_params("before", why))
            }
        }
    }
}

impl Method for List {
    const NAME: &'static str = "runs.list";
    const ACCESS: Access = Access::AgentOwner;
    type Plugin = Runs;
    type Reply = RunList;

    fn validate(&self) -> Result<()> {
        bounds::bytes("agent_id", &self.agent_id, 1..=128)?;
        bounds::within("limit", self.limit.unwrap_or(500), 1..=1000)?;
        self.place().map(drop)
    }

    /// Runs of a `name:` have no bound owner, so that only the host passes.
    fn owner(&self, _: &Runs) -> Owner {
        Owner::Agent(self.agent_id.clone())
    }

    async fn run(self, runs: &Runs, _: &Caller) -> Result<RunList> {
        let (before, limit) = (self.place()?, self.limit.unwrap_or(500) as usize);
        let Self { agent_id, status, .. } = self;
        // One more than is shown says whether others follow.
        let listing = Listing { agent_id: agent_id.clone(), before, status, limit: limit + 1 };
        let mut rows = runs.book.list(listing).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let last = rows.last().filter(|_| more);
        let next_before = last.map(|row| format!("{}/{}", row.started_at, row.run_id));
        Ok(RunList { agent_id, runs: rows, next_before })
    }
}
