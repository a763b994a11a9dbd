//! `runs.complete`: says how the run went.

use carport_core::{Access, Caller, Method, Result, RpcError, Time, bounds, object};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_run_id;
use crate::{
    Runs, authority,
    book::not_found,
    record::{AgentOutcome, Termination},
    turn::{MAX_LINE, cut},
};

/// Bytes of an encoded outcome: what a line has room for beside it.
const MAX_OUTCOME: usize = MAX_LINE - 1024;

/// Ends a run with its outcome. The run's agent may, and the connection that it is attached to.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Complete {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
    /// How it went.
    #[serde(deserialize_with = "object::one")]
    pub outcome: AgentOutcome,
}

/// The run has ended.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Completed {
    /// The run.
    pub run_id: String,
    /// Always true.
    pub ok: bool,
}

impl Method for Complete {
    const NAME: &'static str = "runs.complete";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Runs;
    type Reply = Completed;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)?;
        bounds::bytes("outcome.status", &self.outcome.status, 1..=64)?;
        bounds::items("outcome.evidence", &self.outcome.evidence, 0..=256)?;
        let mut shortened = self.outcome.clone();
        cut(&mut shortened.summary);
        bounds::encoded("outcome", &shortened, MAX_OUTCOME)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Completed> {
        let outcome = settle(self.outcome, runs.book.now())?;
        let (identity, session) = (caller.identity().clone(), caller.session().serial());
        let run_id = self.run_id.clone();
        // To others it is as if there were no such run.
        let may = move |agent_id: &str, attached| match authority::may_complete(
            &identity, agent_id, attached, session,
        ) {
            true => Ok(()),
            false => Err(not_found(&run_id)),
        };
        runs.book.end(&self.run_id, Termination::Outcome { outcome }, may).await?;
        Ok(Completed { run_id: self.run_id, ok: true })
    }
}

/// The summary is cut, and a time that does not read becomes the daemon's own.
fn settle(mut outcome: AgentOutcome, now: Time) -> Result<AgentOutcome> {
    cut(&mut outcome.summary);
    if serde_json::from_value::<DateTime<Utc>>(outcome.timestamp.clone()).is_err() {
        outcome.timestamp = serde_json::to_value(now).map_err(RpcError::internal)?;
    }
    Ok(outcome)
}
