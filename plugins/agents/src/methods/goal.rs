//! `goal.*`: completion checks of chats.

use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_session_id;
use crate::{Agents, chat::Goal, goals::GoalState};

/// Goals are people's affair.
pub(super) fn refuse_agents(caller: &Caller) -> Result<()> {
    match caller.agent() {
        Some(_) => Err(RpcError::forbidden("an agent may not change goals")),
        None => Ok(()),
    }
}

/// Sets when the work of a chat is done. The check goes to the agent with its next turn.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SetGoal {
    /// The chat: `[A-Za-z0-9._:-]`.
    #[schemars(length(min = 1, max = 128))]
    pub session_id: String,
    /// The goal; its members may also stand beside `session_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// A command that succeeds once the goal is met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub check: Option<String>,
    /// How often the agent may try, 1 to 50; 8 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub max_iterations: Option<u32>,
}

/// The goal is kept.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GoalSet {
    /// Always true.
    pub set: bool,
    /// The goal.
    pub goal: GoalState,
}

impl SetGoal {
    fn goal(&self) -> Result<Goal> {
        if let Some(tries) = self.max_iterations {
            bounds::within("max_iterations", tries, 1..=50)?;
        }
        match (&self.goal, &self.check) {
            (None, Some(check)) => {
                let max_iterations = self.max_iterations.unwrap_or(8);
                Goal { check: check.clone(), max_iterations }.checked("")
            }
            (Some(goal), None) => goal.checked("goal."),
            (None, None) => Err(RpcError::invalid_params("goal", "is required")),
            (Some(_), Some(check)) => {
                bounds::bytes("check", check, 1..=4096)?;
                Err(RpcError::invalid_params("check", "stands in `goal` already"))
            }
        }
    }
}

impl Method for SetGoal {
    const NAME: &'static str = "goal.set";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = GoalSet;

    fn validate(&self) -> Result<()> {
        check_session_id(&self.session_id)?;
        self.goal().map(drop)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<GoalSet> {
        refuse_agents(caller)?;
        let id = &self.session_id;
        let may = || agents.chats.check_goal_of(id, caller.session(), caller.is_host());
        let runs = |id: &str| agents.chats.runs(id);
        let (goal, _) = agents.goals.set(id, self.goal()?, may, runs).await?;
        Ok(GoalSet { set: true, goal })
    }
}

/// The goal of a chat, or every goal.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GoalOf {
    /// The chat; every one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub session_id: Option<String>,
}

/// What is known of goals.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum GoalView {
    /// One was asked for.
    One {
        /// The chat.
        session_id: String,
        /// Its goal, if it has one.
        goal: Option<GoalState>,
    },
    /// All were.
    All {
        /// By chat.
        goals: Vec<GoalState>,
    },
}

impl Method for GoalOf {
    const NAME: &'static str = "goal.status";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = GoalView;

    fn validate(&self) -> Result<()> {
        self.session_id.as_deref().map_or(Ok(()), check_session_id)
    }

    async fn run(self, agents: &Agents, _: &Caller) -> Result<GoalView> {
        Ok(match self.session_id {
            Some(session_id) => {
                let goal = agents.goals.get(&session_id);
                GoalView::One { session_id, goal }
            }
            None => GoalView::All { goals: agents.goals.all() },
        })
    }
}

/// Forgets the goal of a chat, or every goal that is not of somebody else's running chat.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ClearGoal {
    /// The chat; every one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub session_id: Option<String>,
}

/// What was forgotten.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum GoalCleared {
    /// One was to be.
    One {
        /// Whether there was one.
        cleared: bool,
        /// The chat.
        session_id: String,
    },
    /// All were.
    All {
        /// How many.
        cleared: usize,
    },
}

impl Method for ClearGoal {
    const NAME: &'static str = "goal.clear";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = GoalCleared;

    fn validate(&self) -> Result<()> {
        self.session_id.as_deref().map_or(Ok(()), check_session_id)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<GoalCleared> {
        refuse_agents(caller)?;
        let may = |id: &str| agents.chats.check_goal_of(id, caller.session(), caller.is_host());
        match self.session_id {
            Some(session_id) => {
                may(&session_id)?;
                let that =
                    |id: &str| if id == session_id { may(id).map(|()| true) } else { Ok(false) };
                let cleared = agents.goals.clear(that).await? > 0;
                Ok(GoalCleared::One { cleared, session_id })
            }
            None => {
                let cleared = agents.goals.clear(|id| Ok(may(id).is_ok())).await?;
                Ok(GoalCleared::All { cleared })
            }
        }
    }
}
