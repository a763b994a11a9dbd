//! What other plugins use.

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{Clock, Result, Session};
use carport_memory_api::{Event, GraphRef, Memory, NewFact, Question, Recalled, Turn};
use carport_memory_graph::{check, check_turn};

use crate::{
    config::Config,
    exports::mint,
    meaning::{self, Encoder},
    methods::{check_query, context_of, recall},
    scopes,
    slot::Slot,
    store::Store,
};

/// The service.
pub(crate) struct Service {
    pub(crate) store: Arc<Store>,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) encoder: Option<Arc<dyn Encoder>>,
}

#[async_trait]
impl Memory for Service {
    fn graph(&self, session: &Session) -> Result<GraphRef> {
        scopes::graph_of(session, &session.identity(), &self.config)
    }

    async fn add(&self, graph: &GraphRef, fact: NewFact) -> Result<usize> {
        check("", &fact)?;
        let kept = self.store.get(graph).await?;
        let (now, tenant) = (self.clock.now(), fact.tenant_id.clone());
        let plan = |graph: &carport_memory_graph::Graph| {
            Ok((vec![graph.plan_add(fact, now, mint)?.line], ()))
        };
        kept.change(plan).await?;
        Ok(kept.snapshot().fact_count(tenant.as_deref()))
    }

    async fn query(&self, graph: &GraphRef, question: Question) -> Result<Vec<Recalled>> {
        check_query(&question.text, question.k, question.kinds.as_deref())?;
        let kept = self.store.get(graph).await?;
        recall(&kept, self.encoder.as_ref(), question).await
    }

    async fn build_context(
        &self,
        graph: &GraphRef,
        text: &str,
        window: Option<u64>,
        fast: bool,
    ) -> Result<String> {
        check_query(text, 1, None)?;
        let kept = self.store.get(graph).await?;
        let agent = match graph {
            GraphRef::Agent(id) => Some(id.clone()),
            _ => None,
        };
        let meaning = match fast {
            true => None,
            false => meaning::of(self.encoder.as_ref(), text).await,
        };
        context_of(&kept, text.to_owned(), meaning, window, None, agent, fast).await
    }

    async fn ingest(&self, graph: &GraphRef, turn: Turn) -> Result<()> {
        check_turn(&turn)?;
        self.store.get(graph).await?.ingest(turn).await
    }

    async fn forget(&self, graph: &GraphRef, origin: &str, fact_id: &str) -> Result<bool> {
        let kept = self.store.get(graph).await?;
        let plan = |graph: &carport_memory_graph::Graph| {
            let is_its = graph.get(fact_id, None).is_some_and(|fact| fact.source == origin);
            let line = graph.plan_delete(fact_id, None).filter(|_| is_its);
            Ok((line.into_iter().collect(), is_its))
        };
        kept.change(plan).await
    }

    fn observe(&self, session: &Session, event: Event) {
        session.slot::<Slot>().saw(event);
    }

    async fn credit(
        &self,
        graph: &GraphRef,
        tenant: Option<&str>,
        fact_ids: &[String],
        success: bool,
    ) -> Result<()> {
        let kept = self.store.get(graph).await?;
        let plan = |graph: &carport_memory_graph::Graph| {
            let line = |id: &String| graph.plan_credit(id, tenant, success);
            Ok((fact_ids.iter().filter_map(line).collect(), ()))
        };
        kept.change(plan).await
    }
}
