//! `memory.delete`: removes a fact or a status.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_memory_graph::check_tenant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Memory, slot::Slot};

/// Removes a fact of the tenant, or one of everybody's, or this connection's status.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DeleteFact {
    /// The id of the fact or the status.
    #[schemars(length(min = 1, max = 256))]
    pub id: String,
    /// Whose it is; everybody's if absent.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// As asked.
    pub id: String,
    /// Whether it was there.
    pub deleted: bool,
    /// Its kind, `status` for a status; `null` if it was not there.
    pub kind: Option<String>,
    /// Facts that the caller sees now.
    pub fact_count: usize,
}

impl Method for DeleteFact {
    const NAME: &'static str = "memory.delete";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Deleted;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        bounds::bytes("id", &self.id, 1..=256)?;
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Deleted> {
        let kept = memory.own()?.used_by(caller).await?.1;
        let Self { id, tenant_id } = self;
        let tenant = tenant_id.as_deref();
        let kind = match caller.session().slot::<Slot>().remove_status(&id, tenant) {
            true => Some("status".to_owned()),
            false => {
                let plan = |graph: &carport_memory_graph::Graph| {
                    let kind = graph.get(&id, tenant).map(|fact| fact.kind.clone());
                    Ok((graph.plan_delete(&id, tenant).into_iter().collect(), kind))
                };
                kept.change(plan).await?
            }
        };
        let fact_count = kept.snapshot().fact_count(tenant);
        Ok(Deleted { id, deleted: kind.is_some(), kind, fact_count })
    }
}
