//! `agents.list`, `agents.subscribe`, `agents.unsubscribe` and `agents.health`: what there is.

use carport_agents_process::ManagedAgent;
use carport_core::{Access, Caller, ManifestRole, Method, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Agents;

/// Lists the agents of the manifest, by id.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListAgents {}

impl Method for ListAgents {
    const NAME: &'static str = "agents.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = Vec<ManagedAgent>;

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<Vec<ManagedAgent>> {
        agents.keeping.list(caller.identity()).await
    }
}

/// Lists the agents and tells this connection of every later change of one.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct FollowAgents {}

/// The agents as they were when the subscription began.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentsFollowed {
    /// By id.
    pub agents: Vec<ManagedAgent>,
    /// The number of the last change that they show.
    pub cursor: u64,
}

impl Method for FollowAgents {
    const NAME: &'static str = "agents.subscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = AgentsFollowed;

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<AgentsFollowed> {
        agents.keeping.refuse_observer()?;
        let (known, cursor) = agents.roster.subscribe(caller)?;
        let agents = match agents.keeping.role() {
            ManifestRole::Owner => known,
            // What is supervised later is told of as a change.
            _ => agents.keeping.list(caller.identity()).await?,
        };
        Ok(AgentsFollowed { agents, cursor })
    }
}

/// Ends the subscription to changes of agents.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnfollowAgents {}

/// The subscription is no more.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentsUnfollowed {
    /// Whether there was one.
    pub unsubscribed: bool,
}

impl Method for UnfollowAgents {
    const NAME: &'static str = "agents.unsubscribe";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = AgentsUnfollowed;

    async fn run(self, agents: &Agents, caller: &Caller) -> Result<AgentsUnfollowed> {
        agents.keeping.refuse_observer()?;
        Ok(AgentsUnfollowed { unsubscribed: agents.roster.unsubscribe(caller.session()) })
    }
}

/// Holds every agent's command against the rules, as before each start.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct CheckAgents {}

/// Whether an agent could be started.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentHealth {
    /// The agent.
    pub id: String,
    /// Its program.
    pub command: Option<String>,
    /// Whether no rule is broken.
    pub ok: bool,
    /// Which rule is, and by what path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Method for CheckAgents {
    const NAME: &'static str = "agents.health";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Agents;
    type Reply = Vec<AgentHealth>;

    async fn run(self, agents: &Agents, _: &Caller) -> Result<Vec<AgentHealth>> {
        agents.keeping.health().await
    }
}
