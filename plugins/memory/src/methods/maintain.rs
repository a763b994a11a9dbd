//! `memory.maintain`: learns from what the engine saw of a connection.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_memory_api::Mint;
use carport_memory_graph::{Trigger, check_tenant, learn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Memory, exports::mint, slot::Slot};

/// Saves what the newest events teach, and tells what they speak for. The same events again save nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Maintain {
    /// How many events are read at most; 32 if absent.
    #[schemars(range(min = 1, max = 512))]
    pub max_recent: Option<u32>,
    /// Whose events.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

/// What was learned.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Maintained {
    /// What the events speak for.
    pub trigger: Trigger,
    /// Facts that are new.
    pub saved: usize,
    /// Facts that were there already.
    pub skipped_existing: usize,
    /// Those that are new.
    pub ids: Vec<String>,
    /// What the connection is at, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl Method for Maintain {
    const NAME: &'static str = "memory.maintain";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Maintained;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        bounds::within("max_recent", self.max_recent.unwrap_or(32), 1..=512)?;
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Maintained> {
        let own = memory.own()?;
        let kept = own.used_by(caller).await?.1;
        let slot = caller.session().slot::<Slot>();
        let tenant = self.tenant_id.as_deref();
        let events = slot.recent(self.max_recent.unwrap_or(32) as usize, tenant);
        let learned = learn(&events, tenant);
        let (all, now) = (learned.facts.len(), own.clock.now());
        let plan = |graph: &carport_memory_graph::Graph| {
            let is_new = |id: &Option<String>| {
                id.as_deref().is_some_and(|id| graph.get(id, tenant).is_none())
            };
            let new = learned.facts.into_iter().filter(|fact| is_new(&fact.fact_id));
            let planned = graph.plan_add_all(new, now, || mint(Mint::Ws))?;
            Ok(planned.into_iter().map(|it| (it.line, it.fact_id.to_string())).unzip())
        };
        let ids: Vec<String> = kept.change(plan).await?;
        Ok(Maintained {
            trigger: learned.trigger,
            saved: ids.len(),
            skipped_existing: all - ids.len(),
            ids,
            status: slot.status(tenant),
        })
    }
}
