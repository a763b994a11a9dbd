//! `memory.persist` and `memory.load`: facts handed on in files.

use std::{collections::HashMap, sync::Arc};

use carport_core::{Access, Caller, Method, Result, RpcError, bounds, codes};
use carport_memory_api::GraphRef;
use carport_memory_graph::{Fact, Full, Graph, Limits, Line, Snapshot, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Memory, exports};

/// Writes facts to a file under `memory/exports/`; the reply is how many. Turns are not written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Persist {
    /// Relative; directories are made.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
    /// The facts of this tenant alone; every fact if absent.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

/// Puts the facts of a file under `memory/exports/` in the place of those that are there; the reply is
/// how many. If anything in it is wrong, nothing changes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Load {
    /// Relative.
    #[schemars(length(min = 1, max = 1024))]
    pub path: String,
    /// Replaces the facts of this tenant alone, by facts that all become this tenant's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

fn check(path: &str, tenant: Option<&str>) -> Result<()> {
    bounds::bytes("path", path, 1..=1024)?;
    exports::check_names(path)?;
    check_tenant("tenant_id", tenant)
}

impl Method for Persist {
    const NAME: &'static str = "memory.persist";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = usize;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        check(&self.path, self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<usize> {
        let own = memory.own()?;
        let now = own.used_by(caller).await?.1.snapshot();
        let base = own.exports.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let facts = match self.tenant_id.as_deref() {
                None => now.facts(),
                tenant => now.own_facts(tenant),
            };
            exports::write(&base, &self.path, &facts)?;
            Ok(facts.len())
        });
        writing.await.map_err(RpcError::internal)?
    }
}

impl Method for Load {
    const NAME: &'static str = "memory.load";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = usize;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        check(&self.path, self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<usize> {
        let own = memory.own()?;
        let (graph, kept) = own.used_by(caller).await?;
        if graph == GraphRef::Shared && !caller.is_host() && !own.config.shared_load {
            let why = "loading would replace the facts of every connection that shares this graph; \
                       bind a namespace with `session.auth` and load there";
            return Err(RpcError::new(codes::POLICY, why));
        }
        let limits = kept.limits();
        let (base, now) = (own.exports.clone(), own.clock.now());
        kept.replace(move |before| {
            let facts = exports::load(&base, &self.path, now)?;
            with_facts(before, facts, self.tenant_id.as_deref(), limits)
        })
        .await
    }
}

/// The graph with other facts, all of them or those of a tenant, and how many these are.
fn with_facts(
    before: &Snapshot,
    facts: Vec<Arc<Fact>>,
    tenant: Option<&str>,
    limits: Limits,
) -> Result<(Graph, usize)> {
    // The last one of an id counts; a map would lose the order.
    let mut places: HashMap<_, usize> = HashMap::new();
    let mut loaded: Vec<Arc<Fact>> = Vec::new();
    for mut fact in facts {
        if let Some(tenant) = tenant {
            Arc::make_mut(&mut fact).tenant_id = Some(tenant.to_owned());
        }
        match places.entry((fact.tenant_id.clone(), fact.fact_id.clone())) {
            std::collections::hash_map::Entry::Occupied(place) => loaded[*place.get()] = fact,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(loaded.len());
                loaded.push(fact);
            }
        }
    }
    let is_kept = |line: &Line| match line {
        Line::Add(fact) => tenant.is_some() && fact.tenant_id.as_deref() != tenant,
        _ => true,
    };
    let count = loaded.len();
    let lines = before.lines().filter(is_kept).chain(loaded.into_iter().map(Line::Add));
    let graph = Graph::replay(limits, lines);
    if graph.snapshot().facts_in_all() > limits.facts {
        return Err(Full::Facts(limits.facts).into());
    }
    match graph.bytes() > limits.bytes {
        true => Err(Full::Memory(limits.bytes).into()),
        false => Ok((graph, count)),
    }
}
