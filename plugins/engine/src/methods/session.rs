//! `session.init`: tools and policies in one call.

use carport_core::{Access, Caller, Method, Result};
use carport_engine_model::{PolicyDefinition, ToolSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Engine, tools::registry::Tool};

/// Registers tools and policies, all of them or none. Optional and repeatable.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct InitSession {
    /// Tools of this client; none if absent.
    pub tools: Option<Vec<ToolSchema>>,
    /// Policies; none if absent.
    pub policies: Option<Vec<PolicyDefinition>>,
}

/// The connection is ready.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionReady {
    /// The `client_id`.
    pub session_id: String,
    /// How many tools were registered.
    pub tools_registered: usize,
    /// How many policies were registered.
    pub policies_registered: usize,
}

impl Method for InitSession {
    const NAME: &'static str = "session.init";
    const ACCESS: Access = Access::Authenticated;
    const ORDERED: bool = true;
    type Plugin = Engine;
    type Reply = SessionReady;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<SessionReady> {
        let tools = super::tools::read("tools", self.tools.unwrap_or_default())?;
        let policies = self.policies.unwrap_or_default().into_iter().enumerate();
        let policies = policies.map(|(at, definition)| {
            let session = definition.session_id.clone();
            Ok((session, definition.compile(&format!("policies[{at}]."))?))
        });
        let policies: Vec<_> = policies.collect::<Result<_>>()?;
        let ready = SessionReady {
            session_id: caller.session().id().to_owned(),
            tools_registered: tools.len(),
            policies_registered: policies.len(),
        };
        let runtime = engine.hub.runtime(caller.session()).await?;
        let names: Vec<_> = tools.iter().map(Tool::name).collect();
        let mut kept = runtime.policies.lock();
        runtime.change_tools(|registry| {
            registry.has_room(&names)?;
            kept.add(policies)?;
            registry.add(tools)
        })?;
        Ok(ready)
    }
}
