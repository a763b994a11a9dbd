//! `memory.get`: one fact, whole.

use std::sync::Arc;

use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use carport_memory_graph::{Fact, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Memory;

/// Shows a fact with its times and how useful it was: the tenant's, else everybody's with this id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct GetFact {
    /// The id of the fact.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// Whose facts, before everybody's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for GetFact {
    const NAME: &'static str = "memory.get";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Arc<Fact>;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        bounds::bytes("id", &self.id, 1..=128)?;
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Arc<Fact>> {
        let kept = memory.own()?.used_by(caller).await?.1;
        let fact = kept.fact(&self.id, self.tenant_id.as_deref());
        fact.ok_or_else(|| RpcError::not_found(format!("fact `{}`", self.id)))
    }
}
