//! What other plugins use, on this plugin's own graphs.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Weak},
};

use async_trait::async_trait;
use carport_core::{Caller, Clock, Guarded, Result, RpcError, Session, bounds};
use carport_memory_api::{
    ContextRequest, Event, GraphRef, Memory, NewFact, Question, Recalled, Turn,
};
use carport_memory_graph::{Graph, bounded, check, check_tenant, check_turn};

use crate::{
    config::Config,
    exports::mint,
    meaning::{self, Encoder},
    methods::{check_context, check_query, context_of, recall},
    scopes,
    slot::Slot,
    store::{Kept, Store},
};

/// Facts that one call may credit.
const MOST_CREDITED: usize = 1000;
/// Bytes of the origin of turns.
const MOST_ORIGIN: usize = 256;

/// The service, and what the methods use that it cannot express.
pub(crate) struct Service {
    pub(crate) store: Arc<Store>,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    /// Says what texts mean, if there is one.
    pub(crate) encoder: Option<Arc<dyn Encoder>>,
    /// The base of paths of `memory.persist` and `memory.load`.
    pub(crate) exports: PathBuf,
    /// Open connections by their `client_id`.
    pub(crate) sessions: Guarded<HashMap<String, Weak<Session>>>,
}

impl Service {
    pub(crate) fn opened(&self, session: &Arc<Session>) {
        self.sessions.lock().insert(session.id().to_owned(), Arc::downgrade(session));
    }

    pub(crate) fn closed(&self, session: &Session) {
        self.sessions.lock().remove(session.id());
        self.store.forget(session.id());
    }

    /// The graph of a call, which stays loaded while the connection uses it.
    pub(crate) async fn used_by(&self, caller: &Caller) -> Result<(GraphRef, Arc<Kept>)> {
        let graph = scopes::graph_of(caller.session(), caller.identity(), &self.config)?;
        let kept = self.store.get(&graph).await?;
        caller.session().slot::<Slot>().uses(&kept);
        Ok((graph, kept))
    }

    /// A graph that somebody names. A connection's own stays loaded while that is open, and is not
    /// made once it has ended.
    async fn kept(&self, graph: &GraphRef) -> Result<Arc<Kept>> {
        let GraphRef::Session(id) = graph else { return self.store.get(graph).await };
        let session = self.sessions.lock().get(id).and_then(Weak::upgrade);
        match session.filter(|session| !session.is_closed()) {
            Some(session) => {
                let kept = self.store.get(graph).await?;
                session.slot::<Slot>().uses(&kept);
                Ok(kept)
            }
            // Of a call from inside the process, which is a connection that nobody opened.
            None if self.store.is_loaded(graph) => self.store.get(graph).await,
            None => Err(RpcError::not_found(format!("connection `{id}`"))),
        }
    }
}

#[async_trait]
impl Memory for Service {
    fn graph(&self, session: &Session) -> Result<GraphRef> {
        scopes::graph_of(session, &session.identity(), &self.config)
    }

    async fn add(&self, graph: &GraphRef, fact: NewFact) -> Result<usize> {
        check("", &fact)?;
        let kept = self.kept(graph).await?;
        let (now, tenant, by) = (self.clock.now(), fact.tenant_id.clone(), fact.mint);
        let plan = |graph: &Graph| Ok((vec![graph.plan_add(fact, now, || mint(by))?.line], ()));
        kept.change(plan).await?;
        Ok(kept.snapshot().fact_count(tenant.as_deref()))
    }

    async fn query(&self, graph: &GraphRef, question: Question) -> Result<Vec<Recalled>> {
        check_query(&question)?;
        recall(&*self.kept(graph).await?, self.encoder.as_ref(), question).await
    }

    async fn fact_count(&self, graph: &GraphRef, tenant: Option<&str>) -> Result<usize> {
        check_tenant("tenant_id", tenant)?;
        Ok(self.kept(graph).await?.snapshot().fact_count(tenant))
    }

    async fn build_context(&self, graph: &GraphRef, mut request: ContextRequest) -> Result<String> {
        check_context(&request)?;
        if let GraphRef::Agent(id) = graph {
            request.agent_id.get_or_insert_with(|| id.clone());
        }
        let kept = self.kept(graph).await?;
        let meaning = match request.fast {
            true => None,
            false => meaning::of(self.encoder.as_ref(), &request.text).await,
        };
        context_of(&kept, meaning, request).await
    }

    async fn ingest(&self, graph: &GraphRef, turn: Turn) -> Result<()> {
        check_turn(&turn)?;
        self.kept(graph).await?.ingest(turn).await
    }

    async fn forget(&self, graph: &GraphRef, origin: &str, fact_id: &str) -> Result<bool> {
        let plan = |graph: &Graph| {
            let is_its = graph.get(fact_id, None).is_some_and(|fact| fact.source == origin);
            let line = graph.plan_delete(fact_id, None).filter(|_| is_its);
            Ok((line.into_iter().collect(), is_its))
        };
        self.kept(graph).await?.change(plan).await
    }

    async fn forget_turns(&self, graph: &GraphRef, origin: &str) -> Result<usize> {
        bounds::bytes("origin", origin, 0..=MOST_ORIGIN)?;
        self.kept(graph).await?.forget_turns(origin).await
    }

    fn observe(&self, session: &Session, event: Event) {
        if let Some(event) = bounded(event).filter(|_| !session.is_closed()) {
            session.slot::<Slot>().saw(event);
        }
    }

    async fn credit(
        &self,
        graph: &GraphRef,
        tenant: Option<&str>,
        fact_ids: &[String],
        success: bool,
    ) -> Result<()> {
        bounds::items("fact_ids", fact_ids, 0..=MOST_CREDITED)?;
        check_tenant("tenant_id", tenant)?;
        let each: HashSet<&str> = fact_ids.iter().map(String::as_str).collect();
        let plan = |graph: &Graph| {
            let line = |id| {
                let own = graph.plan_credit(id, tenant, success);
                own.or_else(|| graph.plan_credit(id, None, success))
            };
            Ok((each.into_iter().filter_map(line).collect(), ()))
        };
        self.kept(graph).await?.change(plan).await
    }
}
