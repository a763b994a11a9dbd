//! `memory.query` and `memory.fact_count`: what is known.

use std::sync::Arc;

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_memory_api::{Question, Recalled};
use carport_memory_graph::{Ask, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Memory, look,
    meaning::{self, Encoder},
    store::Kept,
};

/// Finds the facts that answer a query best, the best first. Changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QueryFacts {
    /// In any language; what no fact is about finds nothing.
    #[schemars(length(max = 8192))]
    pub query: String,
    /// How many at most; 5 if absent.
    #[schemars(range(min = 1, max = 100))]
    pub k: Option<u32>,
    /// Only these kinds. Turns of conversations are found only if `conversation` is one of them.
    #[schemars(length(max = 32))]
    pub kinds: Option<Vec<String>>,
    /// Whose facts, beside everybody's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

/// The bounds of a question.
pub(crate) fn check_query(question: &Question) -> Result<()> {
    let kinds = question.kinds.as_deref().unwrap_or_default();
    bounds::bytes("query", &question.text, 0..=8192)?;
    bounds::within("k", question.k, 1..=100)?;
    bounds::texts("kinds", kinds, 0..=32, 1..=32)?;
    check_tenant("tenant_id", question.tenant_id.as_deref())
}

/// The facts that answer a question best.
pub(crate) async fn recall(
    kept: &Kept,
    encoder: Option<&Arc<dyn Encoder>>,
    question: Question,
) -> Result<Vec<Recalled>> {
    let utility = kept.utility();
    let meaning = meaning::of(encoder, &question.text).await;
    let hits = look(kept, question.text.len(), move |now| {
        let is_asked = |kind: &str| {
            let kinds = question.kinds.as_deref().unwrap_or_default();
            kinds.iter().any(|it| it.eq_ignore_ascii_case(kind))
        };
        let ask = Ask {
            text: &question.text,
            tenant: question.tenant_id.as_deref(),
            turns: is_asked("conversation"),
            utility,
            meaning: meaning.as_ref(),
        };
        now.rank(&ask, question.k, |fact| question.kinds.is_none() || is_asked(&fact.kind))
    });
    let recalled = hits.await?.into_iter().map(|hit| {
        let fact = Arc::unwrap_or_clone(hit.fact);
        Recalled {
            fact_id: fact.fact_id,
            subject: fact.subject,
            body: fact.body,
            kind: fact.kind,
            confidence: fact.confidence,
            tags: fact.tags,
            source: fact.source,
            score: hit.score,
        }
    });
    Ok(recalled.collect())
}

impl QueryFacts {
    fn question(&self) -> Question {
        Question {
            text: self.query.clone(),
            k: self.k.unwrap_or(5) as usize,
            kinds: self.kinds.clone(),
            tenant_id: self.tenant_id.clone(),
        }
    }
}

impl Method for QueryFacts {
    const NAME: &'static str = "memory.query";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Vec<Recalled>;

    fn validate(&self) -> Result<()> {
        check_query(&self.question())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Vec<Recalled>> {
        let (service, graph) = memory.serving(caller).await?;
        service.query(&graph, self.question()).await
    }
}

/// Counts the facts that the caller sees; turns of conversations are none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct FactCount {
    /// Whose facts, beside everybody's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for FactCount {
    const NAME: &'static str = "memory.fact_count";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = usize;

    fn validate(&self) -> Result<()> {
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<usize> {
        let (service, graph) = memory.serving(caller).await?;
        service.fact_count(&graph, self.tenant_id.as_deref()).await
    }
}
