//! `goal.suggest`: a check that fits a working directory.

use std::path::{Path, PathBuf};

use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_session_id, goal::refuse_agents};
use crate::{
    Agents,
    chat::Goal,
    goals::{
        GoalState,
        suggest::{Suggestion, suggest},
    },
    keeping::blocking,
};

/// Suggests when the work of a prompt is done, by marker files of its working directory.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SuggestGoal {
    /// What an agent will be told; `objective` is another name for it.
    #[serde(alias = "objective")]
    #[schemars(length(min = 1, max = 262144))]
    pub prompt: String,
    /// Where it will work: an absolute path under `agents.external_roots`; also `cwd`.
    #[serde(alias = "cwd")]
    #[schemars(length(min = 1, max = 4096))]
    pub working_dir: String,
    /// The chat whose goal it may become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub session_id: Option<String>,
    /// Whether it becomes that chat's goal at once.
    #[serde(default)]
    pub set: bool,
}

/// How sure a suggestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// A marker file names the check.
    High,
    /// Only that a file is there can be checked.
    Medium,
    /// There is none.
    None,
}

/// A suggestion, or none.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoalSuggested {
    /// Whether there is one.
    pub suggested: bool,
    /// The goal.
    pub goal: Option<Goal>,
    /// How sure it is.
    pub confidence: Confidence,
    /// Why, in words.
    pub rationale: String,
    /// What speaks for it.
    pub signals: Vec<String>,
    /// What speaks against it.
    pub warnings: Vec<String>,
    /// Whether it was set, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<bool>,
    /// The chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The goal as it is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_goal: Option<GoalState>,
}

impl Method for SuggestGoal {
    const NAME: &'static str = "goal.suggest";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = GoalSuggested;

    fn validate(&self) -> Result<()> {
        bounds::bytes("prompt", &self.prompt, 1..=256 * 1024)?;
        bounds::bytes("working_dir", &self.working_dir, 1..=4096)?;
        match (&self.session_id, self.set) {
            (Some(id), _) => check_session_id(id),
            (None, true) => {
                Err(RpcError::invalid_params("session_id", "is required to set a goal"))
            }
            (None, false) => Ok(()),
        }
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<GoalSuggested> {
        if self.set {
            refuse_agents(caller)?;
        }
        let (prompt, place) = (self.prompt, self.working_dir);
        let roots = agents.config.external_roots.clone();
        let found = blocking(move || {
            let place = inside("working_dir", &place, &roots)?;
            Ok::<_, RpcError>(suggest(&place, &prompt))
        });
        let found = found.await??;
        let mut answer = described(found);
        if let (true, Some(id), Some(goal)) = (self.set, &self.session_id, answer.goal.clone()) {
            let may = || agents.chats.check_goal_of(id, caller.session(), caller.is_host());
            let runs = |id: &str| agents.chats.runs(id);
            answer.stored_goal = Some(agents.goals.set(id, goal, may, runs).await?.0);
        }
        answer.set = self.set.then_some(answer.stored_goal.is_some());
        answer.session_id = self.session_id;
        Ok(answer)
    }
}

fn described(found: Option<Suggestion>) -> GoalSuggested {
    let goal_of = |it: &Suggestion| Goal { check: it.check.clone(), max_iterations: 8 };
    let found = found.filter(|it| goal_of(it).checked("").is_ok());
    let (confidence, rationale) = match &found {
        None => (Confidence::None, "no marker file says how this directory is tested"),
        Some(it) if it.has_marker => (Confidence::High, "a marker file says how it is tested"),
        Some(_) => (Confidence::Medium, "no marker file; only that the file is there"),
    };
    let goal = found.as_ref().map(goal_of);
    let signals = found.map(|it| it.signals);
    GoalSuggested {
        suggested: goal.is_some(),
        goal,
        confidence,
        rationale: rationale.to_owned(),
        signals: signals.unwrap_or_default(),
        warnings: Vec::new(),
        set: None,
        session_id: None,
        stored_goal: None,
    }
}

/// The directory without links, if it lies under one of the roots.
pub(super) fn inside(field: &str, place: &str, roots: &[String]) -> Result<PathBuf> {
    let refused =
        || RpcError::invalid_params(field, "must be a directory under `agents.external_roots`");
    let real = Path::new(place).canonicalize().map_err(|_| refused())?;
    match Path::new(place).is_absolute() && real.is_dir() && is_under(&real, roots) {
        true => Ok(real),
        false => Err(refused()),
    }
}

/// Whether a path without links lies under one of the roots.
pub(super) fn is_under(real: &Path, roots: &[String]) -> bool {
    roots.iter().any(|root| Path::new(root).canonicalize().is_ok_and(|it| real.starts_with(it)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_too_long_is_no_suggestion_at_all() {
        let too_long = Suggestion {
            check: "x".repeat(4097),
            signals: vec!["Cargo.toml".into()],
            has_marker: true,
        };
        let answer = described(Some(too_long));
        assert_eq!((answer.suggested, answer.confidence), (false, Confidence::None));
        assert!(answer.signals.is_empty() && answer.rationale.starts_with("no marker file"));
    }
}
