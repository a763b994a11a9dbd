//! What verification rests on, and what it leaves open.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Derivation,
    checks::Check,
    scene::{Findings, MAX_FINDINGS, Scene},
};
use crate::proposal::ActionType;

/// Ids that one line names.
const NAMED: usize = 20;

/// What was looked at, and what was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Every check, also those that did not run.
    pub checks: Vec<CheckEvidence>,
    /// What the findings take for granted.
    pub assumptions: Vec<String>,
    /// What nothing was said about.
    pub untested_regions: Vec<String>,
    /// What can still go wrong.
    pub residual_risks: Vec<String>,
    /// Coverage, not probability: the share of the checks that ran, times the share of the actions whose
    /// parameters are known before anything runs. 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub confidence: f64,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckEvidence {
    /// Its name.
    pub name: String,
    /// Whether it ran.
    pub ran: bool,
    /// What it shows.
    pub verifies: String,
    /// What it cannot show.
    pub cannot_verify: String,
    /// How many issues it raised.
    pub findings: u64,
    /// How it derives them.
    pub tier: Derivation,
}

impl Check {
    pub(crate) fn evidence(&self, ran: bool, found: &Findings) -> CheckEvidence {
        CheckEvidence {
            name: self.name.into(),
            ran,
            verifies: self.verifies.into(),
            cannot_verify: self.cannot_verify.into(),
            findings: found.issues.len() as u64,
            tier: self.tier,
        }
    }
}

impl Evidence {
    pub(crate) fn of(scene: &Scene<'_>, checks: Vec<CheckEvidence>) -> Self {
        let ran = checks.iter().filter(|check| check.ran).count();
        let actions = scene.proposal.actions.len();
        let known = match actions {
            0 => 1.0,
            _ => 1.0 - scene.referring.len() as f64 / actions as f64,
        };
        let assumptions = [
            "the state is as given when the proposal starts, and nobody else writes meanwhile",
            "each tool call succeeds and has exactly its expected effects",
        ];
        Self {
            assumptions: assumptions.map(str::to_owned).into(),
            untested_regions: untested(scene, &checks),
            residual_risks: risks(scene, &checks),
            confidence: known * ran as f64 / checks.len() as f64,
            checks,
        }
    }
}

fn untested(scene: &Scene<'_>, checks: &[CheckEvidence]) -> Vec<String> {
    let mut untested = Vec::new();
    if !scene.referring.is_empty() {
        let actions = named(scene, &scene.referring);
        untested.push(format!("parameters that depend on outputs: {actions}"));
    }
    let skipped = checks.iter().filter(|check| !check.ran);
    untested.extend(skipped.map(|check| format!("{}: did not run", check.name)));
    let full = checks.iter().filter(|check| check.findings >= MAX_FINDINGS as u64);
    untested.extend(full.map(|it| format!("{}: stopped after {MAX_FINDINGS} findings", it.name)));
    untested
}

fn risks(scene: &Scene<'_>, checks: &[CheckEvidence]) -> Vec<String> {
    let mut risks = Vec::new();
    let calls: Vec<_> = scene
        .actions()
        .filter(|(_, it)| it.kind == ActionType::ToolCall)
        .map(|(at, _)| at)
        .collect();
    if !calls.is_empty() {
        let actions = named(scene, &calls);
        risks.push(format!(
            "what tools do outside the state is not undone by a rollback: {actions}"
        ));
    }
    if checks.iter().any(|check| check.name == "write_conflicts" && check.findings > 0) {
        risks.push("the last of unordered writers decides the value of a key".into());
    }
    risks
}

fn named(scene: &Scene<'_>, actions: &[usize]) -> String {
    let ids: Vec<_> =
        actions.iter().take(NAMED).map(|at| scene.proposal.actions[*at].id.as_str()).collect();
    match actions.len().saturating_sub(NAMED) {
        0 => ids.join(", "),
        more => format!("{} and {more} more", ids.join(", ")),
    }
}
