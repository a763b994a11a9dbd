//! Verification: what can be said of a proposal before anything runs. No tool is called.

mod checks;
mod evidence;
mod scene;
mod state_checks;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::evidence::{CheckEvidence, Evidence};
use self::{
    checks::CHECKS,
    scene::{Findings, Scene},
};
use crate::{proposal::ActionProposal, simulate::apply_all};

/// What verification knows of the tools.
pub trait ToolBook {
    /// Whether a tool of that name is registered.
    fn has(&self, tool: &str) -> bool;

    /// Where these parameters break the schema of the tool, in words; `None` if it has no schema.
    fn schema_errors(&self, tool: &str, parameters: &Map<String, Value>) -> Option<Vec<String>>;
}

/// What verification says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verification {
    /// False exactly if an issue is an error.
    pub valid: bool,
    /// What was found: at most 1 000 for each check.
    pub issues: Vec<Issue>,
    /// The state after every effect, also of actions that cannot run. A value that depends on an output is
    /// `null`.
    pub simulated_state: Map<String, Value>,
    /// The ids of each level; none if actions wait for each other.
    pub execution_levels: Vec<Vec<String>>,
    /// Action, action and the key that both write in no order.
    pub conflicts: Vec<(String, String, String)>,
    /// What was looked at, and what was not.
    pub evidence: Evidence,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Issue {
    /// The action; empty if it is about the whole proposal.
    pub action_id: String,
    /// How bad it is.
    pub severity: Severity,
    /// In words.
    pub message: String,
    /// How it was derived.
    pub tier: Derivation,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The proposal cannot do what it says.
    Error,
    /// It may not be what was meant.
    Warning,
    /// Good to know.
    Info,
}

/// How a finding was derived, not how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Derivation {
    /// By a procedure that decides it.
    DecisionProcedure,
    /// By a rule of thumb.
    Heuristic,
    /// By trials; no check does so.
    Sampled,
}

/// What is asked of a verification beside the proposal.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// More actions than these are an error; absent, there is no bound beyond the proposal's own.
    pub max_actions: Option<u64>,
    /// Whether the proposal is a tenant's.
    pub scoped: bool,
    /// Asked now and then whether nobody waits for the answer any more.
    pub stop: &'a dyn Fn() -> bool,
}

impl Default for Terms<'_> {
    fn default() -> Self {
        Self { max_actions: None, scoped: false, stop: &|| false }
    }
}

/// Looks at a proposal that starts in `state`. Nothing if it was stopped.
pub fn verify(
    proposal: &ActionProposal,
    state: &Map<String, Value>,
    tools: &dyn ToolBook,
    terms: Terms<'_>,
) -> Option<Verification> {
    let scene = Scene::new(proposal, state, tools, terms);
    let (mut issues, mut conflicts, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for check in CHECKS {
        let mut found = Findings::default();
        let ran = scene.allows(check) && (check.run)(&scene, &mut found);
        if (terms.stop)() {
            return None;
        }
        rows.push(check.evidence(ran, &found));
        issues.extend(found.issues.into_iter().map(|(action_id, message)| Issue {
            action_id,
            severity: check.severity,
            message,
            tier: check.tier,
        }));
        conflicts.extend(found.conflicts);
    }
    let name = |at: &usize| proposal.actions[*at].id.clone();
    let levels = scene.order.iter().flat_map(|order| order.levels());
    Some(Verification {
        valid: issues.iter().all(|issue| issue.severity != Severity::Error),
        simulated_state: apply_all(proposal, &scene.ids, scene.order.as_ref(), state.clone()),
        execution_levels: levels.map(|level| level.iter().map(name).collect()).collect(),
        conflicts,
        evidence: Evidence::of(&scene, rows),
        issues,
    })
}
