//! What other plugins may ask of the runs plugin: to record into the current run of a connection.

use async_trait::async_trait;
use carport_core::{ServiceKey, Session};
use serde::Serialize;
use serde_json::Value;

/// The key of the service.
pub const RUNS: ServiceKey<dyn Runs> = ServiceKey::named("runs");

/// One thing that an agent did, as another plugin saw it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ObservedTurn {
    /// The tool that ran or was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// What came back, or `{ "error": text }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Whether a policy or permission refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_rejected: Option<bool>,
}

/// Records on behalf of a connection.
#[async_trait]
pub trait Runs: Send + Sync {
    /// The current run of a connection: the one it started or resumed last, while it is open.
    fn current(&self, session: &Session) -> Option<String>;

    /// Appends to a run of the connection under the limits of `runs.record_turns`. If the run has ended
    /// or gone to another connection, nothing is kept; a batch that is dropped is logged.
    async fn observe(&self, session: &Session, run_id: &str, turns: Vec<ObservedTurn>);
}
