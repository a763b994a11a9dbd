//! `memory.consolidate`: tidies a graph up.

use std::time::Instant;

use carport_core::{Access, Caller, Method, Result};
use carport_memory_graph::{Graph, Line, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Memory;

/// Makes one of facts that say nearly the same, lets go of what nobody believes or uses, and compacts
/// the file. Twice in a row, the second time changes nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Consolidate {
    /// The facts of this tenant alone; every fact if absent.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

/// What was done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Consolidation {
    /// Facts that were taken into others.
    pub merged: usize,
    /// Facts that went.
    pub pruned: usize,
    /// Facts before, of the whole graph or the tenant.
    pub facts_before: usize,
    /// Facts after.
    pub facts_after: usize,
    /// Turns that went since the last time, because there were too many.
    pub conversation_dropped: usize,
    /// How long it took.
    pub duration_ms: u64,
}

impl Method for Consolidate {
    const NAME: &'static str = "memory.consolidate";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Consolidation;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Consolidation> {
        let own = memory.own()?;
        let kept = own.used_by(caller).await?.1;
        let (start, now) = (Instant::now(), own.clock.now());
        let (limits, conversation_dropped) = (kept.limits(), kept.take_dropped_turns());
        let tenant = self.tenant_id;
        let made = kept.replace(move |before| {
            let done = before.consolidate(tenant.as_deref(), now);
            let facts_after = done.facts.len();
            let is_kept = |line: &Line| match line {
                Line::Add(fact) => tenant.is_some() && fact.tenant_id != tenant,
                _ => true,
            };
            let lines = before.lines().filter(is_kept).chain(done.facts.into_iter().map(Line::Add));
            let graph = Graph::replay(limits, lines);
            Ok((graph, (done.merged, done.pruned, facts_after)))
        });
        let (merged, pruned, facts_after) = made.await?;
        Ok(Consolidation {
            merged,
            pruned,
            facts_before: facts_after + merged + pruned,
            facts_after,
            conversation_dropped,
            duration_ms: start.elapsed().as_millis() as u64,
        })
    }
}
