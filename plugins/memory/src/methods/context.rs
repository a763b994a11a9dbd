//! `memory.build_context` and `memory.build_context_fast`: what a model should know.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_memory_api::ContextRequest;
use carport_memory_graph::{ContextAsk, Meaning, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Memory, look, store::Kept};

/// Builds a context of what matters for a query, in layers, within a quarter of the model's window.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BuildContext {
    /// What it is about.
    #[schemars(length(max = 8192))]
    pub query: String,
    /// In tokens; 32 768 if absent.
    pub model_context_window: Option<u64>,
    /// Whose facts, beside everybody's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

/// Builds a context without ranking: the newest facts, in the order in which they came.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BuildContextFast {
    /// Not looked at.
    #[schemars(length(max = 8192))]
    pub query: String,
    /// In tokens; 32 768 if absent.
    pub model_context_window: Option<u64>,
    /// Whose facts, beside everybody's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

fn check(query: &str, tenant: Option<&str>) -> Result<()> {
    bounds::bytes("query", query, 0..=8192)?;
    check_tenant("tenant_id", tenant)
}

/// The bounds of a request for a context.
pub(crate) fn check_context(request: &ContextRequest) -> Result<()> {
    check(&request.text, request.tenant_id.as_deref())
}

/// What a model should know.
pub(crate) async fn context_of(
    kept: &Kept,
    meaning: Option<Meaning>,
    request: ContextRequest,
) -> Result<String> {
    let utility = kept.utility();
    look(kept, request.text.len(), move |now| {
        let (agent, tenant) = (request.agent_id.as_deref(), request.tenant_id.as_deref());
        let (text, window, meaning) = (&request.text, request.window, meaning.as_ref());
        let ask = ContextAsk { text, window, agent, tenant, utility, meaning };
        if request.fast { now.context_fast(&ask) } else { now.context(&ask) }
    })
    .await
}

async fn build(
    memory: &Memory,
    caller: &Caller,
    (text, window, tenant_id): (String, Option<u64>, Option<String>),
    fast: bool,
) -> Result<String> {
    let (service, graph) = memory.serving(caller).await?;
    let agent_id = caller.agent().map(str::to_owned);
    let request = ContextRequest { text, window, tenant_id, agent_id, fast };
    service.build_context(&graph, request).await
}

impl Method for BuildContext {
    const NAME: &'static str = "memory.build_context";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = String;

    fn validate(&self) -> Result<()> {
        check(&self.query, self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<String> {
        build(memory, caller, (self.query, self.model_context_window, self.tenant_id), false).await
    }
}

impl Method for BuildContextFast {
    const NAME: &'static str = "memory.build_context_fast";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = String;

    fn validate(&self) -> Result<()> {
        check(&self.query, self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<String> {
        build(memory, caller, (self.query, self.model_context_window, self.tenant_id), true).await
    }
}
