//! What can be wrong with a proposal before anything runs.

use carport_core::{RpcError, codes::INVALID_PARAMS};

/// A structural fault. `field` is its path from the parameters of the method: `proposal.actions[2].id`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// Out of its stated bounds.
    #[error("{}", .0.message)]
    Bound(RpcError),
    /// What its type requires is not there, or of another type.
    #[error("`{field}`: {why}")]
    Missing {
        /// Its path.
        field: String,
        /// What is required.
        why: &'static str,
    },
    /// Two actions have one id.
    #[error("`{field}`: another action of this proposal has the id `{id}`")]
    DoubleId {
        /// The path of the second.
        field: String,
        /// The id.
        id: String,
    },
    /// A dependency that is no action of this proposal.
    #[error("`{field}`: no action of this proposal has the id `{id}`")]
    UnknownDependency {
        /// Its path.
        field: String,
        /// What it names.
        id: String,
    },
    /// Each of these actions comes after the next, and the last after the first.
    #[error("`{field}`: these actions wait for each other: {}", .actions.join(", "))]
    Circle {
        /// The path of the list.
        field: String,
        /// Their ids.
        actions: Vec<String>,
    },
}

impl From<Fault> for RpcError {
    fn from(fault: Fault) -> Self {
        let message = fault.to_string();
        match fault {
            Fault::Bound(error) => error,
            Fault::Missing { field, .. }
            | Fault::DoubleId { field, .. }
            | Fault::UnknownDependency { field, .. } => {
                Self::new(INVALID_PARAMS, message).with("field", field)
            }
            Fault::Circle { field, actions } => {
                Self::new(INVALID_PARAMS, message).with("field", field).with("actions", actions)
            }
        }
    }
}

impl From<RpcError> for Fault {
    fn from(error: RpcError) -> Self {
        Self::Bound(error)
    }
}
