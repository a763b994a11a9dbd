//! The engine as other plugins see it: runtimes that belong to no connection.

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{Identity, Result, RpcError, Session, mask_text};
use carport_engine_api::{Engine, EngineRuntime, HostTool, Observed, Scope};
use carport_engine_journal::{Kind, NewEvent};
use serde_json::{Value, json};

use crate::{
    hub::{Hub, Who},
    learning::{open_goal, tell},
    proposal::{Submission, report::without_nulls, submit},
    runtime::Runtime,
    tools::{basics, registry::Tool},
};

/// The service.
pub(crate) struct Service(Arc<Hub>);

impl Service {
    pub(crate) fn of(hub: Arc<Hub>) -> Arc<dyn Engine> {
        Arc::new(Self(hub))
    }
}

#[async_trait]
impl Engine for Service {
    async fn open(&self, name: &str, identity: Identity) -> Result<Arc<dyn EngineRuntime>> {
        let runtime = self.0.make(name).await?;
        Ok(Arc::new(Opened { hub: self.0.clone(), runtime, identity }))
    }

    async fn observe(&self, session: &Arc<Session>, observed: Observed) -> Result<()> {
        let mut open = None;
        let event = match observed {
            Observed::Inference { agent, tokens_in, tokens_out, cost_usd } => {
                let data = json!({
                    "agent": agent.as_deref().unwrap_or("unknown"),
                    "tokens_in": tokens_in,
                    "tokens_out": tokens_out,
                    "cost_usd": cost_usd,
                });
                NewEvent::new(Kind::InferenceMetered, data)
            }
            Observed::Goal { goal, iteration, met, grounded, reason } => {
                open = open_goal(&goal, met, grounded, reason.as_deref());
                let data = json!({
                    "goal": goal,
                    "iteration": iteration,
                    "met": met,
                    "grounded": grounded,
                    "reason": reason.map(|reason| mask_text(&reason, 512)),
                });
                NewEvent::new(Kind::GoalEvaluated, without_nulls(data))
            }
        };
        if session.is_closed() {
            return Err(RpcError::not_found("an open connection"));
        }
        self.0.runtime(session).await?.journal.append(event).await;
        if let Some(open) = open {
            tell(self.0.memory.as_ref(), Some(session), "", open);
        }
        Ok(())
    }
}

/// A runtime in the hands of a plugin.
struct Opened {
    hub: Arc<Hub>,
    runtime: Arc<Runtime>,
    identity: Identity,
}

#[async_trait]
impl EngineRuntime for Opened {
    fn register(&self, tool: Arc<dyn HostTool>) -> Result<()> {
        let tool = Tool::of_host(tool)?;
        self.runtime.change_tools(|tools| tools.add(vec![tool]))
    }

    async fn register_basics(&self, names: &[String]) -> Result<()> {
        let basics = basics::tools(self.hub.workspace.clone(), &self.hub.basics).await?;
        let tools = basics.into_iter().map(|tool| Tool::of_host(Arc::new(tool)));
        let mut tools: Vec<_> = tools.collect::<Result<_>>()?;
        tools.retain(|tool| names.contains(&tool.name()));
        self.runtime.change_tools(|registry| registry.add(tools))
    }

    fn unregister(&self, name: &str) -> bool {
        self.runtime.remove_tool(name)
    }

    fn tools(&self) -> Vec<Value> {
        let tools = self.runtime.tools.lock();
        tools.all().filter_map(|tool| serde_json::to_value(&tool.schema).ok()).collect()
    }

    async fn execute(&self, proposal: Value, scope: Option<Scope>) -> Result<Value> {
        let proposal = serde_json::from_value(proposal)
            .map_err(|error| RpcError::invalid_params("proposal", error))?;
        let who = Who { identity: self.identity.clone(), session: None };
        let scope = scope.map(Into::into);
        let submission = Submission { proposal, scope, policy_session: None, who };
        let result = submit(&self.hub, &self.runtime, submission).await?;
        serde_json::to_value(result).map_err(RpcError::internal)
    }

    fn cancel(&self, proposal_id: &str) -> bool {
        self.runtime.halt("cancelled", |id| id == proposal_id)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let runtime = self.runtime.clone();
        // Where no executor is left, the daemon is over, and every runtime was ended.
        if tokio::runtime::Handle::try_current().is_ok() {
            let ending = async move { runtime.end("the runtime ended").await };
            self.hub.tasks.spawn("runtime-end", ending);
        }
    }
}
