//! Why an external agent cannot be run as it was asked.

use carport_core::RpcError;

/// Why an external agent cannot be run as it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExternalError {
    /// There is no such adapter.
    #[error("external agent `{0}`")]
    Unknown(String),
    /// No program of it runs here.
    #[error("external agent `{id}` does not run: {reason}")]
    Unusable {
        /// The adapter.
        id: String,
        /// Why, for each program that was tried.
        reason: String,
    },
    /// So many run already.
    #[error("{0} external agents are running (`agents.external_max`)")]
    Busy(usize),
    /// The agent cannot be told this.
    #[error("`{id}` has no way to be told this: leave it out, or give its table a placeholder")]
    CannotBeTold {
        /// The adapter.
        id: String,
        /// The parameter.
        field: &'static str,
    },
    /// The agent would take it for an option.
    #[error("must not start with `-`: `{id}` would take it for an option")]
    LooksLikeOption {
        /// The adapter.
        id: String,
        /// The parameter.
        field: &'static str,
    },
    /// The task is larger than an argument may be.
    #[error("`{id}` takes its task as an argument, which may have at most {limit} bytes")]
    TaskTooLong {
        /// The adapter.
        id: String,
        /// In bytes.
        limit: usize,
    },
}

impl From<ExternalError> for RpcError {
    fn from(error: ExternalError) -> Self {
        match &error {
            ExternalError::Unknown(_) => Self::not_found(error),
            ExternalError::Unusable { id, .. } => Self::unavailable(id.clone(), &error),
            ExternalError::Busy(limit) => Self::overloaded(&error).with("limit", *limit),
            ExternalError::CannotBeTold { field, .. }
            | ExternalError::LooksLikeOption { field, .. } => Self::invalid_params(field, &error),
            ExternalError::TaskTooLong { limit, .. } => {
                Self::invalid_params("task", &error).with("limit", *limit)
            }
        }
    }
}
