//! `agents.upsert` and `agents.remove`: what the manifest says.

use carport_agents_process::{AgentSpec, ManagedAgent, agent_id};
use carport_core::{Access, Caller, Method, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_manager;
use crate::{Agents, keeping::whole};

/// Writes an agent into the manifest. It is not started, and a child that runs keeps running.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct UpsertAgent(pub AgentSpec);

impl Method for UpsertAgent {
    const NAME: &'static str = "agents.upsert";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = ManagedAgent;

    fn validate(&self) -> Result<()> {
        self.0.validate()
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<ManagedAgent> {
        check_manager(agents, caller)?;
        let (keeping, identity) = (agents.keeping.clone(), caller.identity().clone());
        whole(async move { keeping.upsert(self.0, &identity).await }).await
    }
}

/// Ends an agent with everything it started, takes it out of the manifest and closes its connection.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RemoveAgent {
    /// The agent.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// Whether its logs go too.
    #[serde(default)]
    pub purge: bool,
}

/// The agent is no more.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentRemoved {
    /// Whether there was one.
    pub removed: bool,
}

impl Method for RemoveAgent {
    const NAME: &'static str = "agents.remove";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = AgentRemoved;

    fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)
    }

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<AgentRemoved> {
        check_manager(agents, caller)?;
        let keeping = agents.keeping.clone();
        let removed = whole(async move { keeping.remove(&self.id, self.purge).await }).await?;
        Ok(AgentRemoved { removed })
    }
}
