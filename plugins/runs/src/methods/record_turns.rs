//! `runs.record_turns`, `runs.record_model_turn`: what the agent did since the last call.

use carport_core::{Access, Caller, Method, Result, RpcError, codes, object};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check_run_id;
use crate::{
    Runs,
    book::{Book, Dropped},
    free::Free,
    turn::NewTurn,
};

/// Turns in one batch.
pub(crate) const MAX_BATCH: usize = 256;

/// Records turns, all of them or none. Only the run's own agent may.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RecordTurns {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
    /// In order.
    #[serde(deserialize_with = "object::list")]
    #[schemars(length(min = 1, max = 256))]
    pub turns: Vec<NewTurn>,
}

/// Where the turns are, or why they were not kept.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// The run.
    pub run_id: String,
    /// The index of the first turn.
    pub base_index: u64,
    /// How many were recorded.
    pub count: u64,
    /// Whether they were.
    pub ok: bool,
    /// Why not. The sender stops sending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
}

impl Method for RecordTurns {
    const NAME: &'static str = "runs.record_turns";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Runs;
    type Reply = Recorded;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)?;
        if !(1..=MAX_BATCH).contains(&self.turns.len()) {
            let limit = if self.turns.is_empty() { 1 } else { MAX_BATCH };
            let error = RpcError::invalid_params("turns", "must have 1..=256 items");
            return Err(error.with("limit", limit).with("got", self.turns.len()));
        }
        let mut turns = self.turns.iter().enumerate();
        turns.try_for_each(|(at, turn)| turn.validate(&format!("turns[{at}]")))
    }

    fn reword(error: RpcError) -> RpcError {
        requires(error)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Recorded> {
        record(runs, caller, self.run_id, self.turns).await
    }
}

/// Records one turn, given field by field. Only the run's own agent may.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RecordModelTurn {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
    /// Ignored: the daemon numbers turns.
    pub turn_index: Option<Value>,
    /// What the model saw.
    pub prompt: Option<Free>,
    /// The tool that was called.
    #[schemars(length(max = 256))]
    pub tool: Option<String>,
    /// What it was called with.
    pub parameters: Option<Free>,
    /// What came back.
    pub output: Option<Free>,
    /// How a driven command ended; usually `{ status, exit_code?, duration_ms? }`.
    pub cli_outcome: Option<Free>,
    /// Usually `not_run`, `passed`, `failed` or `inconclusive`.
    pub verifier_verdict: Option<Free>,
    /// Whether a policy refused the action.
    pub policy_rejected: Option<bool>,
}

impl Method for RecordModelTurn {
    const NAME: &'static str = "runs.record_model_turn";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Runs;
    type Reply = Recorded;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)?;
        carport_core::bounds::maybe_bytes("tool", self.tool.as_deref(), 0..=256)
    }

    fn reword(error: RpcError) -> RpcError {
        requires(error)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Recorded> {
        let turn = NewTurn {
            prompt: self.prompt,
            tool: self.tool,
            parameters: self.parameters,
            output: self.output,
            cli_outcome: self.cli_outcome,
            verifier_verdict: self.verifier_verdict,
            policy_rejected: self.policy_rejected,
        };
        record(runs, caller, self.run_id, vec![turn]).await
    }
}

async fn record(
    runs: &Runs,
    caller: &Caller,
    run_id: String,
    turns: Vec<NewTurn>,
) -> Result<Recorded> {
    let count = turns.len() as u64;
    let may_write = Book::writes(caller.identity());
    Ok(match runs.book.record(&run_id, turns, may_write).await? {
        Ok(base_index) => Recorded { run_id, base_index, count, ok: true, dropped: None },
        Err(why) => Recorded { run_id, base_index: 0, count: 0, ok: false, dropped: Some(why) },
    })
}

/// Deployed clients look for this beginning.
fn requires(error: RpcError) -> RpcError {
    let message =
        format!("runs.record_turns requires {{ run_id, turns: [RunTurn] }}: {}", error.message);
    RpcError { code: codes::INVALID_PARAMS, message, data: error.data.or(Some(json!({}))) }
}
