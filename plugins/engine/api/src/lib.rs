//! What other plugins may ask of the engine: a runtime of their own, with tools written in Rust, or a connection's.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_core::{Identity, Result, RpcError, ServiceKey, Session};
use serde_json::{Map, Value};

/// The key of the service.
pub const ENGINE: ServiceKey<dyn Engine> = ServiceKey::named("engine");

/// Why a proposal ends whose connection did; the errors of what it ended hold these words.
pub const CONNECTION_ENDED: &str = "the connection ended";

/// The engine, as other plugins see it.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Makes a runtime that belongs to no connection. It starts empty, as a connection's does, and
    /// its journal is `journals/{name}.jsonl`. It ends when the last handle is dropped.
    ///
    /// # Errors
    /// Invalid parameters: no file can have that name. Conflict: a runtime of that name is there.
    async fn open(&self, name: &str, identity: Identity) -> Result<Arc<dyn EngineRuntime>>;

    /// The runtime of a connection, for plugins that have others work with it: its tools, its policies without
    /// those of its policy sessions, its state, tier, limits, caches and journal, and it is the connection's
    /// client that is asked to run its tools. What was approved anywhere counts here as well. It ends with the
    /// connection and not with this handle.
    ///
    /// The others are not the connection: it hears and decides their proposals if it supervises, is not asked to
    /// correct them, and they are not recorded in its run. What of theirs needs an approval is refused with its
    /// fingerprint, and nobody is asked in the connection's name.
    ///
    /// # Errors
    /// Gone: the connection has ended. Forbidden: it may not call `proposal.submit`, or is no connection but a
    /// call from inside the process. Policy: `proposal.submit` waits for a person here. Unavailable: this engine
    /// lends none. What keeps the runtime from being made.
    async fn of_session(&self, _session: &Arc<Session>) -> Result<Arc<dyn EngineRuntime>> {
        let remedy = "open a runtime of your own: this engine lends none of a connection";
        Err(RpcError::unavailable("the runtime of a connection", remedy))
    }

    /// Journals what another plugin saw of a connection; the connection's metrics count it.
    ///
    /// # Errors
    /// What keeps the connection's runtime from being made.
    async fn observe(&self, session: &Arc<Session>, observed: Observed) -> Result<()>;
}

/// What another plugin saw.
#[derive(Debug, Clone, PartialEq)]
pub enum Observed {
    /// An inference was metered.
    Inference {
        /// The agent that asked for it.
        agent: Option<String>,
        /// Tokens read.
        tokens_in: u64,
        /// Tokens written.
        tokens_out: u64,
        /// US dollars.
        cost_usd: f64,
    },
    /// A goal was evaluated.
    Goal {
        /// Its name, not its text.
        goal: String,
        /// Counts from 1.
        iteration: u64,
        /// Whether it is met.
        met: bool,
        /// Whether the verdict rests on evidence.
        grounded: bool,
        /// Why, in words that may be kept.
        reason: Option<String>,
    },
}

/// A runtime: tools, state, policies of the operator, caches, a tier and a journal.
#[async_trait]
pub trait EngineRuntime: Send + Sync {
    /// Registers a tool, in the place of an earlier one of its name.
    ///
    /// # Errors
    /// Invalid parameters: its schema is out of bounds or does not compile. Limit: 512 tools.
    fn register(&self, tool: Arc<dyn HostTool>) -> Result<()>;

    /// Registers those of the daemon's basic tools that are named; names that none has are passed over.
    ///
    /// # Errors
    /// Unavailable: there is no workspace for them.
    async fn register_basics(&self, _names: &[String]) -> Result<()> {
        Err(RpcError::unavailable("basic tools", "this engine has no basic tools"))
    }

    /// Forgets a tool; `false` if there is none of that name.
    fn unregister(&self, name: &str) -> bool;

    /// The tools that are registered, sorted by name, as `tools.list` shows them.
    fn tools(&self) -> Vec<Value>;

    /// Executes an `ActionProposal` and answers with its `ProposalResult`, both as on the wire, by
    /// the rules of `proposal.submit`. Dropped, it ends the proposal.
    ///
    /// # Errors
    /// Invalid parameters: the proposal has a structural fault. Gone: the connection whose runtime it is has
    /// ended. Forbidden: it may no longer call `proposal.submit`. Nothing ran.
    async fn execute(&self, proposal: Value, scope: Option<Scope>) -> Result<Value>;

    /// Ends the running proposals of this id as an abort does; `false` if there is none.
    fn cancel(&self, proposal_id: &str) -> bool;
}

/// On whose behalf a proposal is executed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// Journaled.
    pub caller_id: Option<String>,
    /// Whose state keys it works on; 1 to 128 bytes.
    pub tenant_id: Option<String>,
    /// Journaled as a digest; at most 16 KiB of JSON.
    pub claims: Option<Map<String, Value>>,
}

/// A tool that runs in the daemon.
#[async_trait]
pub trait HostTool: Send + Sync {
    /// A `ToolSchema` as on the wire; `{ "name": "t" }` is enough.
    fn schema(&self) -> Value;

    /// Does it, with parameters that fit the schema. Dropped when the attempt's time is over.
    ///
    /// # Errors
    /// What went wrong, in words that may be shown: it becomes the action's error.
    async fn call(&self, parameters: Map<String, Value>, call: ToolCall) -> Result<Value, String>;
}

/// What a tool may know of the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// The proposal.
    pub proposal_id: String,
    /// The action.
    pub action_id: String,
    /// Counts from 1.
    pub attempt: u32,
    /// How long the engine waits.
    pub timeout: Duration,
}
