//! `memory.build_context` and `memory.build_context_fast`: what a model should know.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_memory_graph::{ContextAsk, Meaning, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Memory, look, meaning, store::Kept};

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

/// A context for an agent, if one asks.
pub(crate) async fn context_of(
    kept: &Kept,
    text: String,
    meaning: Option<Meaning>,
    window: Option<u64>,
    tenant: Option<String>,
    agent: Option<String>,
    fast: bool,
) -> Result<String> {
    let utility = kept.utility();
    look(kept, move |now| {
        let (agent, tenant) = (agent.as_deref(), tenant.as_deref());
        let meaning = meaning.as_ref();
        let ask = ContextAsk { text: &text, window, agent, tenant, utility, meaning };
        if fast { now.context_fast(&ask) } else { now.context(&ask) }
    })
    .await
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
        let kept = memory.graph(caller).await?;
        let Self { query, model_context_window, tenant_id } = self;
        let agent = caller.agent().map(str::to_owned);
        let meaning = meaning::of(memory.encoder.as_ref(), &query).await;
        context_of(&kept, query, meaning, model_context_window, tenant_id, agent, false).await
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
        let kept = memory.graph(caller).await?;
        let Self { query, model_context_window, tenant_id } = self;
        let agent = caller.agent().map(str::to_owned);
        context_of(&kept, query, None, model_context_window, tenant_id, agent, true).await
    }
}
