//! Why an agent could not be started, ended or found.

use std::io;

use carport_core::RpcError;

use crate::{rules::Broken, view::Status};

/// Why a call of the supervisor failed.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// There is no agent of this id.
    #[error("no such agent `{0}`")]
    Unknown(String),
    /// The first attempt to start it failed; what happens next is its restart policy's affair.
    #[error("agent `{id}` did not start: {why}")]
    NotStarted {
        /// The agent.
        id: String,
        /// In words.
        why: SpawnError,
        /// What the agent is now: `backoff` or `errored`.
        status: Status,
    },
    /// These processes outlived KILL by five seconds.
    #[error("agent `{id}` could not be ended: processes {survivors:?} outlived KILL")]
    Survivors {
        /// The agent.
        id: String,
        /// Process ids.
        survivors: Vec<u32>,
    },
    /// The supervisor is shutting down.
    #[error("the daemon is shutting down")]
    Closed,
}

/// Why a process was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The command breaks a rule.
    #[error(transparent)]
    Rule(#[from] Broken),
    /// The child was not to be executed.
    #[error("{0}")]
    Exec(String),
    /// The shim, its socket or a file failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<SuperviseError> for RpcError {
    fn from(error: SuperviseError) -> Self {
        match &error {
            SuperviseError::Unknown(id) => Self::not_found(format!("agent `{id}`")),
            SuperviseError::NotStarted { why, status, .. } => {
                Self::unavailable(why.to_string(), &error).with("status", status.as_str())
            }
            SuperviseError::Survivors { survivors, .. } => {
                Self::internal(&error).with("survivors", survivors.clone())
            }
            SuperviseError::Closed => Self::conflict(&error),
        }
    }
}
