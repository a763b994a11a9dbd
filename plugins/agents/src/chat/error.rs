//! Why a chat cannot be begun or touched.

use carport_core::RpcError;

/// Why a chat cannot be begun or touched.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChatError {
    /// A chat of this id runs.
    #[error("chat `{0}` is running")]
    Running(String),
    /// So many there are already.
    #[error("{what}")]
    Limit { what: &'static str, limit: usize, got: usize },
    /// No chat of this id runs.
    #[error("chat `{0}`")]
    Unknown(String),
    /// Somebody else began it.
    #[error("only the connection that began the chat, or the host, may")]
    NotOriginator,
    /// The chat announced no such approval.
    #[error("approval `{0}` in this chat")]
    UnknownApproval(String),
    /// The approval was decided before.
    #[error("approval `{0}` is decided")]
    Decided(String),
}

impl From<ChatError> for RpcError {
    fn from(error: ChatError) -> Self {
        match &error {
            ChatError::Running(_) | ChatError::Decided(_) => Self::conflict(error),
            ChatError::Limit { what, limit, got } => {
                Self::limit(what, *limit as u64).with("got", *got)
            }
            ChatError::Unknown(_) | ChatError::UnknownApproval(_) => Self::not_found(error),
            ChatError::NotOriginator => Self::forbidden(error),
        }
    }
}
