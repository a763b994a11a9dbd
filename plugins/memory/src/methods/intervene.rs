//! `memory.intervene`: at most one reminder.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_memory_graph::{Intervention, Moment, Trigger, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Memory, look};

/// Picks at most one reminder that fits the moment, or stays silent and says why.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Intervene {
    /// What is asked for.
    #[schemars(length(max = 8192))]
    pub query: Option<String>,
    /// What was said before: at most 64 texts of at most 8 KiB.
    #[schemars(length(max = 64))]
    pub recent: Option<Vec<String>>,
    /// What speaks for a reminder.
    pub trigger: Option<Trigger>,
    /// Whether the best candidate is brought up however weak it is.
    pub force: Option<bool>,
    /// How many candidates are shown at most; 8 if absent.
    #[schemars(range(min = 1, max = 32))]
    pub max_candidates: Option<u32>,
    /// Whose facts, beside everybody's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for Intervene {
    const NAME: &'static str = "memory.intervene";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Intervention;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("query", self.query.as_deref(), 0..=8192)?;
        bounds::texts("recent", self.recent.as_deref().unwrap_or_default(), 0..=64, 0..=8192)?;
        bounds::within("max_candidates", self.max_candidates.unwrap_or(8), 1..=32)?;
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Intervention> {
        let own = memory.own()?;
        let kept = own.used_by(caller).await?.1;
        let threshold = own.config.intervene_threshold;
        let texts = self.query.iter().chain(self.recent.iter().flatten());
        let length = texts.map(String::len).sum();
        let decision = look(&kept, length, move |now| {
            now.intervene(&Moment {
                query: self.query.as_deref().unwrap_or_default(),
                recent: self.recent.as_deref().unwrap_or_default(),
                trigger: self.trigger.unwrap_or_default(),
                tenant: self.tenant_id.as_deref(),
                max_candidates: self.max_candidates.unwrap_or(8) as usize,
                threshold,
                force: self.force.unwrap_or_default(),
            })
        })
        .await?;
        if let Intervention::Inject { selected, .. } = &decision {
            // Gone meanwhile, it is not counted.
            let plan = |graph: &carport_memory_graph::Graph| {
                let line = graph.plan_use(&selected.id, selected.tenant.as_deref());
                Ok((line.into_iter().collect(), ()))
            };
            kept.change(plan).await?;
        }
        Ok(decision)
    }
}
