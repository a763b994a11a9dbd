//! `verify`, `verify.monte_carlo`: what can be said of a proposal before anything runs.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use carport_core::{Access, Caller, Method, Result, RpcError, bounds};
use carport_engine_model::{
    ActionProposal, MonteCarlo as Trials, MonteCarloConfig, Severity, Terms, ToolBook,
    Verification, monte_carlo, verify,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;

use crate::{Engine, runtime::Runtime, tools::registry::Tool};

/// How long a verification may take.
const DEADLINE: Option<Duration> = Some(Duration::from_secs(30));

/// The tools of a runtime at one moment.
struct Book(HashMap<String, Arc<Tool>>);

impl Book {
    fn of(runtime: &Runtime) -> Self {
        let tools = runtime.tools.lock();
        Self(tools.all().map(|tool| (tool.name(), tool.clone())).collect())
    }
}

impl ToolBook for Book {
    fn has(&self, tool: &str) -> bool {
        self.0.contains_key(tool)
    }

    fn schema_errors(&self, tool: &str, parameters: &Map<String, Value>) -> Option<Vec<String>> {
        self.0.get(tool)?.errors(parameters)
    }
}

impl Runtime {
    /// Verifies a correction against the state and the tools as they are; the first error ends it.
    pub(crate) fn verify_now(
        &self,
        proposal: &ActionProposal,
        tenant: &str,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), String> {
        let state = self.state.lock().snapshot(tenant);
        let terms = Terms { max_actions: None, scoped: !tenant.is_empty(), stop };
        let found = verify(proposal, &state, &Book::of(self), terms).ok_or("it was stopped")?;
        match found.issues.into_iter().find(|issue| issue.severity == Severity::Error) {
            None => Ok(()),
            Some(issue) => Err(format!("verification: {}", issue.message)),
        }
    }
}

/// Looks for what is wrong with a proposal. No tool is called.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Verify {
    /// The proposal.
    pub proposal: ActionProposal,
    /// The state that it starts in; this connection's if absent.
    pub initial_state: Option<Map<String, Value>>,
    /// More actions than these are an error; no bound if absent.
    pub max_actions: Option<u64>,
}

impl Method for Verify {
    const NAME: &'static str = "verify";
    const ACCESS: Access = Access::Authenticated;
    const DEADLINE: Option<Duration> = DEADLINE;
    type Plugin = Engine;
    type Reply = Verification;

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Verification> {
        let Self { mut proposal, initial_state, max_actions } = self;
        let runtime = engine.hub.runtime(caller.session()).await?;
        proposal.fill(engine.hub.now(), ActionProposal::counted());
        bounds::items("proposal.actions", &proposal.actions, 0..=1000)?;
        let state = initial_state.unwrap_or_else(|| runtime.state.lock().snapshot(""));
        let book = Book::of(&runtime);
        let given_up = GivenUp(Arc::default());
        let stopped = given_up.0.clone();
        let verified = spawn_blocking(move || {
            let stop = || stopped.load(Ordering::Relaxed);
            verify(&proposal, &state, &book, Terms { max_actions, scoped: false, stop: &stop })
        });
        let verified = verified.await.map_err(RpcError::internal)?;
        verified.ok_or_else(|| RpcError::internal("the verification was stopped"))
    }
}

/// Plays a proposal many times with tools that succeed at given rates. No tool is called, and equal
/// input with an equal seed gives equal bytes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct MonteCarlo {
    /// The proposal.
    pub proposal: ActionProposal,
    /// The state that it starts in; this connection's if absent.
    pub initial_state: Option<Map<String, Value>>,
    /// How often attempts at a tool succeed, 0 to 1, by its name.
    pub tool_success_rates: Option<BTreeMap<String, f64>>,
    /// How the trials are made; 1 000 of them, from seed 0, if absent.
    pub config: Option<MonteCarloConfig>,
}

/// Nobody waits for the answer any more.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Method for MonteCarlo {
    const NAME: &'static str = "verify.monte_carlo";
    const ACCESS: Access = Access::Authenticated;
    const DEADLINE: Option<Duration> = DEADLINE;
    type Plugin = Engine;
    type Reply = Trials;

    fn validate(&self) -> Result<()> {
        let rates = self.tool_success_rates.as_ref();
        self.config.unwrap_or_default().check(rates.unwrap_or(&BTreeMap::new()))
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Trials> {
        let Self { mut proposal, initial_state, tool_success_rates, config } = self;
        let runtime = engine.hub.runtime(caller.session()).await?;
        proposal.fill(engine.hub.now(), ActionProposal::counted());
        let state = initial_state.unwrap_or_else(|| runtime.state.lock().snapshot(""));
        let rates = tool_success_rates.unwrap_or_default();
        let config = config.unwrap_or_default();
        let given_up = GivenUp(Arc::default());
        let stop = given_up.0.clone();
        let played = spawn_blocking(move || {
            monte_carlo(&proposal, &state, &rates, config, &|| stop.load(Ordering::Relaxed))
        });
        let played = played.await.map_err(RpcError::internal)??;
        played.ok_or_else(|| RpcError::internal("the trials were stopped"))
    }
}
