//! `memory.stats`: which graph a connection uses, and how full it is.

use carport_core::{Access, Caller, Method, Result};
use carport_memory_api::GraphRef;
use carport_memory_graph::{Bank, check_tenant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Memory;

/// Tells which graph this connection uses, what is in it and what it may hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct GraphStats {
    /// Whose facts are counted, beside everybody's.
    #[schemars(length(min = 1, max = 128))]
    pub tenant_id: Option<String>,
}

/// A graph in numbers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stats {
    /// Whose graph it is.
    pub graph: GraphKind,
    /// The agent or the namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Facts that the caller sees, as `memory.fact_count` says.
    pub fact_count: usize,
    /// Those of them that may be brought up unasked, and constraints.
    #[serde(flatten)]
    pub bank: Bank,
    /// Facts of all tenants.
    pub facts_in_all: usize,
    /// Turns of conversations.
    pub turns: usize,
    /// Different terms that these facts and turns hold.
    pub terms: usize,
    /// Bytes of memory, estimated.
    pub bytes: usize,
    /// Bytes of the file; absent if the graph has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<u64>,
    /// Lines of its file that do not read and are in no fact. The daemon's log names file and line; when
    /// the file is rewritten they are set aside in one beside it, whose name ends in `.damaged`.
    pub damaged_lines: usize,
    /// The most facts of all tenants.
    pub max_facts: usize,
    /// The most bytes of memory.
    pub max_bytes: usize,
    /// Facts of all tenants of which is known what they mean; absent if nothing tells it here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub understood: Option<usize>,
}

/// Whose a graph is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GraphKind {
    /// An agent's.
    Agent,
    /// A namespace's.
    Namespace,
    /// That of all connections that are bound to nothing.
    Shared,
    /// This connection's own; it ends with it.
    Session,
}

fn named(graph: GraphRef) -> (GraphKind, Option<String>) {
    match graph {
        GraphRef::Agent(id) => (GraphKind::Agent, Some(id)),
        GraphRef::Namespace(name) => (GraphKind::Namespace, Some(name)),
        GraphRef::Shared => (GraphKind::Shared, None),
        GraphRef::Session(_) => (GraphKind::Session, None),
    }
}

impl Method for GraphStats {
    const NAME: &'static str = "memory.stats";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Stats;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    fn validate(&self) -> Result<()> {
        check_tenant("tenant_id", self.tenant_id.as_deref())
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Stats> {
        let own = memory.own()?;
        let (used, kept) = own.used_by(caller).await?;
        let (graph, name) = named(used);
        let (now, limits, tenant) = (kept.snapshot(), kept.limits(), self.tenant_id.as_deref());
        Ok(Stats {
            graph,
            name,
            fact_count: now.fact_count(tenant),
            bank: now.bank(tenant),
            facts_in_all: now.facts_in_all(),
            turns: now.turn_count(),
            terms: now.term_count(),
            bytes: kept.bytes(),
            file_bytes: kept.file_bytes().await,
            damaged_lines: kept.damaged_lines(),
            max_facts: limits.facts,
            max_bytes: limits.bytes,
            understood: own.encoder.as_ref().map(|_| now.understood()),
        })
    }
}
