//! `agents.start`, `agents.stop`, `agents.restart` and `agents.wait`: what an agent's process does.

use std::time::Duration;

use carport_agents_process::{Ending, ManagedAgent, Status, agent_id};
use carport_core::{Access, Caller, Method, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_self;
use crate::Agents;

/// Starts an agent; answers once the first attempt ended. Nothing happens while it runs.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StartAgent {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
}

impl Method for StartAgent {
    const NAME: &'static str = "agents.start";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ManagedAgent;

    fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<ManagedAgent> {
        check_self(&self.id, caller)?;
        agents.keeping.own().await?;
        agents.keeping.answer(agents.keeping.supervisor.start(&self.id).await, caller)
    }
}

/// How an agent's processes are ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopSignal {
    /// TERM, the agent's grace, KILL.
    #[default]
    Term,
    /// KILL at once.
    Kill,
}

/// Ends an agent; answers once everything that it started is gone too.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StopAgent {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// `term` leaves it its grace, `kill` does not.
    #[serde(default)]
    pub signal: StopSignal,
}

impl Method for StopAgent {
    const NAME: &'static str = "agents.stop";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ManagedAgent;

    fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<ManagedAgent> {
        check_self(&self.id, caller)?;
        agents.keeping.own().await?;
        let how = match self.signal {
            StopSignal::Term => Ending::Term,
            StopSignal::Kill => Ending::Kill,
        };
        agents.keeping.answer(agents.keeping.supervisor.stop(&self.id, how).await, caller)
    }
}

/// Ends an agent and starts it again.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RestartAgent {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
}

impl Method for RestartAgent {
    const NAME: &'static str = "agents.restart";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ManagedAgent;

    fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<ManagedAgent> {
        check_self(&self.id, caller)?;
        agents.keeping.own().await?;
        agents.keeping.answer(agents.keeping.supervisor.restart(&self.id).await, caller)
    }
}

/// Waits until the status of an agent is one of these; at once if it is.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct WaitAgent {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// The statuses, 1 to 5.
    #[serde(default = "running")]
    #[schemars(length(min = 1, max = 5))]
    pub targets: Vec<Status>,
    /// How long, at most 1800 s.
    #[serde(default = "half_a_minute")]
    #[schemars(range(min = 0, max = 1800))]
    pub timeout_secs: f64,
    /// Ignored: the wait is woken by the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_ms: Option<f64>,
}

fn running() -> Vec<Status> {
    vec![Status::Running]
}

fn half_a_minute() -> f64 {
    30.0
}

impl Method for WaitAgent {
    const NAME: &'static str = "agents.wait";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ManagedAgent;

    fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)?;
        bounds::items("targets", &self.targets, 1..=5)?;
        bounds::within("timeout_secs", self.timeout_secs, 0.0..=1800.0)
    }

    /// The wait's own limit comes first, so that its error can tell the status.
    fn deadline(&self, _: &Agents, _: &Caller, set: Duration) -> Duration {
        set.max(Duration::from_secs_f64(self.timeout_secs) + Duration::from_secs(5))
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<ManagedAgent> {
        let limit = Duration::from_secs_f64(self.timeout_secs);
        agents.keeping.wait(&self.id, &self.targets, limit, caller).await
    }
}
