//! What became of a proposal.

use carport_core::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::proposal::{Action, ActionType};

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProposalResult {
    /// The proposal.
    pub proposal_id: String,
    /// One per action, in the order of the proposal.
    pub results: Vec<ActionResult>,
    /// What it took.
    pub cost: CostSummary,
    /// How often a corrected proposal was asked for.
    pub replans: u32,
    /// The proposal that was submitted, if another one took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_proposal_id: Option<String>,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionResult {
    /// The action.
    pub action_id: String,
    /// How it ended.
    pub status: Status,
    /// What came back.
    pub output: Option<Value>,
    /// Why it did not succeed, or what happened to it afterwards.
    pub error: Option<String>,
    /// Each key that it wrote, with its new value.
    pub state_changes: Map<String, Value>,
    /// From its first attempt to its end, in milliseconds.
    pub duration_ms: f64,
    /// When it ended.
    pub timestamp: Time,
    /// How often it was tried: 0 if it was rejected or skipped before it ran, or if a cache answered.
    pub attempts: u32,
    /// Present and true if it succeeded and its state changes were taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back: Option<bool>,
    /// Present and true if a cache answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<bool>,
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not looked at yet.
    Proposed,
    /// Every check before it passed.
    Validated,
    /// Under way.
    Executing,
    /// It never ran.
    Rejected,
    /// Done.
    Succeeded,
    /// Tried, and not done.
    Failed,
    /// Given up, or not started because the proposal ended.
    Skipped,
}

impl Status {
    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Rejected | Self::Succeeded | Self::Failed | Self::Skipped)
    }
}

/// What a proposal took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CostSummary {
    /// Succeeded or failed.
    pub actions_executed: u64,
    /// Never ran.
    pub actions_rejected: u64,
    /// Given up or not started.
    pub actions_skipped: u64,
    /// Tool calls that were dispatched at least once; answers from a cache are none.
    pub tool_calls: u64,
    /// Attempts beyond the first, over all actions.
    pub retries: u64,
    /// Wall time in milliseconds.
    pub total_duration_ms: f64,
}

impl CostSummary {
    /// Counts `results`, one per action in the order of `actions`.
    pub fn of(actions: &[Action], results: &[ActionResult], total_duration_ms: f64) -> Self {
        let mut cost = Self { total_duration_ms, ..Self::default() };
        for (action, result) in actions.iter().zip(results) {
            match result.status {
                Status::Succeeded | Status::Failed => cost.actions_executed += 1,
                Status::Rejected => cost.actions_rejected += 1,
                Status::Skipped => cost.actions_skipped += 1,
                Status::Proposed | Status::Validated | Status::Executing => {}
            }
            let called = action.kind == ActionType::ToolCall && result.attempts > 0;
            cost.tool_calls += u64::from(called);
            cost.retries += u64::from(result.attempts.saturating_sub(1));
        }
        cost
    }
}
