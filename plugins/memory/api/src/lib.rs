//! What other plugins may ask of the memory plugin: to keep facts and turns, and to find what matters.

mod event;

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{Result, RpcError, ServiceKey, Session, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use event::{Event, Observed};

/// The key of the service.
pub const MEMORY: ServiceKey<dyn Memory> = ServiceKey::named("memory");

/// Which graph is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GraphRef {
    /// An agent's own, by the agent's id.
    Agent(String),
    /// A namespace's, by its name.
    Namespace(String),
    /// The one that unbound sessions share where the daemon is set so.
    Shared,
    /// A connection's own, by its `client_id`: gone with the connection, and only there while that is open.
    Session(String),
}

/// A fact to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFact {
    /// `[A-Za-z0-9._:-]`, 1 to 128 bytes. A fact of this tenant with this id is replaced. If absent,
    /// an id is minted, unless the same fact is there already.
    pub fact_id: Option<String>,
    /// What an id that is minted begins with.
    pub mint: Mint,
    /// What it is about, 1 to 512 bytes.
    pub subject: String,
    /// What is known, 1 byte to 32 KiB.
    pub body: String,
    /// `[a-z][a-z0-9_-]{0,31}` after lower-casing.
    pub kind: String,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// At most 32 of 1 to 64 bytes.
    pub tags: Vec<String>,
    /// Where it comes from, at most 256 bytes.
    pub source: String,
    /// Whose it is, 1 to 128 bytes; absent: everybody's.
    pub tenant_id: Option<String>,
    /// Whether it is a memory that may be brought up unasked.
    pub entry: Option<Entry>,
    /// Whether it is a rule to keep to; those of kind `constraint` are.
    pub is_constraint: bool,
}

/// What an id that is minted begins with; a UUID of version 7 follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mint {
    /// `ws-`.
    #[default]
    Ws,
    /// `mcp-`: the fact came over MCP.
    Mcp,
}

/// What a memory that may be brought up unasked is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// Something that is so.
    Knowledge,
    /// How something is done, or went wrong.
    Procedural,
}

impl NewFact {
    /// A fact of kind `pattern` that is certain and everybody's.
    pub fn new(subject: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            fact_id: None,
            mint: Mint::default(),
            subject: subject.into(),
            body: body.into(),
            kind: "pattern".into(),
            confidence: 1.0,
            tags: Vec::new(),
            source: "ws".into(),
            tenant_id: None,
            entry: None,
            is_constraint: false,
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// One turn per key: the same key again replaces the text. 1 to 256 bytes.
    pub key: String,
    /// At most 64 bytes.
    pub speaker: String,
    /// At most 4 KiB.
    pub text: String,
    /// When it was said.
    pub at: Time,
    /// Which conversation it is of, at most 256 bytes.
    pub origin: String,
}

/// A question to a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// At most 8 KiB.
    pub text: String,
    /// The most facts that are wanted, 1 to 100.
    pub k: usize,
    /// Only these kinds. Turns are found only if `conversation` is one of them.
    pub kinds: Option<Vec<String>>,
    /// Whose facts, beside everybody's.
    pub tenant_id: Option<String>,
}

/// What a context is wanted for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextRequest {
    /// What it is about, at most 8 KiB.
    pub text: String,
    /// The model's window, in tokens.
    pub window: Option<u64>,
    /// Whose facts, beside everybody's.
    pub tenant_id: Option<String>,
    /// Which agent asks, if the graph is not its own.
    pub agent_id: Option<String>,
    /// Whether the ranking is left out.
    pub fast: bool,
}

/// A fact that was found.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Recalled {
    /// Its id.
    #[schemars(with = "String")]
    pub fact_id: Arc<str>,
    /// What it is about.
    pub subject: String,
    /// What is known.
    pub body: String,
    /// Its kind.
    pub kind: String,
    /// How sure it is, 0 to 1.
    pub confidence: f64,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it comes from.
    pub source: String,
    /// How well it answers, 0 to 1.
    pub score: f64,
}

/// The memory, as other plugins see it. No call reads another graph than the one that it names, and each
/// holds what it is given against the bounds that the fields state.
///
/// An embedder may provide one of its own (`Config::provide`). The methods `memory.add_fact`,
/// `save_knowledge`, `save_procedural`, `query`, `fact_count`, `build_context` and `build_context_fast`
/// run on it then; the others need the plugin's own graphs and answer -32013.
#[async_trait]
pub trait Memory: Send + Sync {
    /// The graph that the calls of a connection work on.
    ///
    /// # Errors
    /// The namespace that the connection is bound to is not for it, or no file can have its name.
    fn graph(&self, session: &Session) -> Result<GraphRef>;

    /// Keeps a fact. Returns how many facts its tenant sees afterwards.
    ///
    /// # Errors
    /// Invalid parameters, a limit of the graph, or a file that cannot be written.
    async fn add(&self, graph: &GraphRef, fact: NewFact) -> Result<usize>;

    /// Finds facts, the best first. Changes nothing.
    ///
    /// # Errors
    /// Invalid parameters, or a file that cannot be read.
    async fn query(&self, graph: &GraphRef, question: Question) -> Result<Vec<Recalled>>;

    /// How many facts a tenant sees; turns of conversations are none.
    ///
    /// # Errors
    /// Invalid parameters, a file that cannot be read, or a memory that does not count.
    async fn fact_count(&self, _graph: &GraphRef, _tenant: Option<&str>) -> Result<usize> {
        let why = "the memory that this daemon was given does not count its facts; \
                   `memory.add_fact` answers with a count";
        Err(RpcError::unavailable("memory.fact_count", why))
    }

    /// What a model should know, in layers.
    ///
    /// # Errors
    /// Invalid parameters, or a file that cannot be read.
    async fn build_context(&self, graph: &GraphRef, request: ContextRequest) -> Result<String>;

    /// Keeps a turn. It can be found when this returns.
    ///
    /// # Errors
    /// Invalid parameters, or a file that cannot be read or written; overloaded, if thousands of turns
    /// wait for the disk.
    async fn ingest(&self, graph: &GraphRef, turn: Turn) -> Result<()>;

    /// Removes one of everybody's facts if `origin` is its source. Returns whether there was one.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    async fn forget(&self, graph: &GraphRef, origin: &str, fact_id: &str) -> Result<bool>;

    /// Removes every turn of a conversation. Returns how many there were. A turn of it that is ingested later
    /// is kept.
    ///
    /// # Errors
    /// A graph that is not there, a file that cannot be read or written, or a memory that removes no turns.
    async fn forget_turns(&self, _graph: &GraphRef, _origin: &str) -> Result<usize> {
        let why = "the memory that this daemon was given removes no turns of conversations";
        Err(RpcError::unavailable("memory.forget_turns", why))
    }

    /// Tells the memory of a connection what was seen. The last 512 events are held until
    /// `memory.maintain` reads them. Plain code that returns at once: whoever tells does not wait for
    /// what comes of it. What is told of a connection that ended is ignored.
    fn observe(&self, session: &Session, event: Event);

    /// Counts a success or a failure to the facts that led to it: for each id once, to the tenant's fact or
    /// else to everybody's. Ids that are not there are ignored. Told twice, it counts twice.
    ///
    /// # Errors
    /// More than 1000 ids, an invalid tenant, or a file that cannot be read or written.
    async fn credit(
        &self,
        graph: &GraphRef,
        tenant: Option<&str>,
        fact_ids: &[String],
        success: bool,
    ) -> Result<()>;
}
