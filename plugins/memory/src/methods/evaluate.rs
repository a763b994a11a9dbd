//! `memory.evaluate`: measures reminders on cases whose answer is known.

use std::sync::Arc;

use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use carport_memory_graph::{Case, Evaluation, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Memory;

/// Candidates of a case.
const CANDIDATES: usize = 8;

/// Runs cases against the graph as it is and compares four ways of reminding. Changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Evaluate {
    /// Requests, each with the facts that help.
    #[schemars(length(max = 1000))]
    pub cases: Vec<Case>,
    /// Whose facts, beside everybody's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for Evaluate {
    const NAME: &'static str = "memory.evaluate";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Evaluation;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        bounds::items("cases", &self.cases, 0..=1000)?;
        for (at, case) in self.cases.iter().enumerate() {
            bounds::bytes(&format!("cases[{at}].id"), &case.id, 1..=128)?;
            bounds::bytes(&format!("cases[{at}].request"), &case.request, 0..=8192)?;
            let field = format!("cases[{at}].relevant_fact_ids");
            bounds::texts(&field, &case.relevant_fact_ids, 0..=100, 1..=128)?;
        }
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Evaluation> {
        let own = memory.own()?;
        let now = own.used_by(caller).await?.1.snapshot();
        let threshold = own.config.intervene_threshold;
        // Dropped with this call, at its deadline or with its connection: nobody waits then.
        let waiting = Arc::new(());
        let asker = Arc::downgrade(&waiting);
        let evaluating = tokio::task::spawn_blocking(move || {
            let is_wanted = || asker.strong_count() > 0;
            now.evaluate(&self.cases, self.tenant_id.as_deref(), CANDIDATES, threshold, is_wanted)
        });
        let evaluation = evaluating.await.map_err(RpcError::internal)?;
        drop(waiting);
        evaluation.ok_or_else(|| RpcError::internal("nobody waited for it"))
    }
}
