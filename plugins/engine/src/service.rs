//! The engine as other plugins see it: runtimes that belong to no connection, and those of connections.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use carport_core::{Identity, Method, Result, RpcError, Session, codes, mask_text};
use carport_engine_api::{CONNECTION_ENDED, Engine, EngineRuntime, HostTool, Observed, Scope};
use carport_engine_journal::{Kind, NewEvent};
use serde_json::{Value, json};

use crate::{
    hub::{Hub, Who},
    learning::{open_goal, tell},
    methods::Submit,
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
        Ok(Arc::new(Handle { hub: self.0.clone(), runtime, whose: Whose::Plugin(identity) }))
    }

    async fn of_session(&self, session: &Arc<Session>) -> Result<Arc<dyn EngineRuntime>> {
        if session.is_closed() {
            return Err(ended());
        }
        if self.0.session(session.id()).is_err() {
            return Err(RpcError::forbidden(
                "a call from inside the process has no runtime that lasts: connect to lend one",
            ));
        }
        may_submit(session)?;
        if self.0.submit_waits {
            let remedy = "have `proposal.submit` wait for nobody, or open a runtime of your own";
            let why = format!(
                "a person has to agree to each `proposal.submit`, and nobody would be asked: {remedy}"
            );
            let error = RpcError::new(codes::POLICY, why).with("reason", "needs_approval");
            return Err(error.with("remedy", remedy));
        }
        let runtime = self.0.runtime(session).await?;
        let whose = Whose::Session(Arc::downgrade(session));
        Ok(Arc::new(Handle { hub: self.0.clone(), runtime, whose }))
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

fn ended() -> RpcError {
    RpcError::new(codes::GONE, CONNECTION_ENDED)
}

/// What a connection may not do, others do not do with its runtime either.
fn may_submit(session: &Session) -> Result<()> {
    match session.allows(Submit::NAME) {
        true => Ok(()),
        false => {
            let why =
                "the connection may not call `proposal.submit`, so others cannot by its runtime";
            Err(RpcError::forbidden(why))
        }
    }
}

/// Whose runtime a plugin has in its hands.
enum Whose {
    /// The plugin's own, which ends with its handle.
    Plugin(Identity),
    /// That of a connection.
    Session(Weak<Session>),
}

/// A runtime in the hands of a plugin.
struct Handle {
    hub: Arc<Hub>,
    runtime: Arc<Runtime>,
    whose: Whose,
}

impl Handle {
    fn who(&self) -> Result<Who> {
        match &self.whose {
            Whose::Plugin(identity) => {
                Ok(Who { identity: identity.clone(), session: None, lent: false })
            }
            Whose::Session(session) => {
                let session = session.upgrade().filter(|session| !session.is_closed());
                let session = session.ok_or_else(ended)?;
                may_submit(&session)?;
                Ok(Who { identity: session.identity(), session: Some(session), lent: true })
            }
        }
    }
}

#[async_trait]
impl EngineRuntime for Handle {
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
        let (who, scope) = (self.who()?, scope.map(Into::into));
        let submission =
            Submission { proposal, scope, policy_session: None, who, given_up: "given up" };
        let result = submit(&self.hub, &self.runtime, submission).await?;
        serde_json::to_value(result).map_err(RpcError::internal)
    }

    fn cancel(&self, proposal_id: &str) -> bool {
        self.runtime.halt("cancelled", |id| id == proposal_id)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let Whose::Plugin(_) = self.whose else { return };
        let runtime = self.runtime.clone();
        // Where no executor is left, the daemon is over, and every runtime was ended.
        if tokio::runtime::Handle::try_current().is_ok() {
            let ending = async move { runtime.end("the runtime ended").await };
            self.hub.tasks.spawn("runtime-end", ending);
        }
    }
}
