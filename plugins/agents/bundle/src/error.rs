//! Why a manifest or a key cannot be used.

use std::{io, path::PathBuf};

use carport_core::RpcError;

/// Why a manifest or a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The text is not TOML.
    #[error("line {line}: {why}")]
    Toml {
        /// Counted from 1.
        line: usize,
        /// In words.
        why: String,
    },
    /// A value that TOML and JSON do not share.
    #[error("`{path}` {why}")]
    Value {
        /// Where it stands: `agent.tags[1]`.
        path: String,
        /// In words.
        why: &'static str,
    },
    /// The manifest breaks a bound or lacks a member.
    #[error("{}", .0.message)]
    Invalid(#[from] RpcError),
    /// The text is no key: base64 of 32 bytes.
    #[error("is no signing key: it has to be the base64 of 32 bytes")]
    NotAKey,
    /// The key may be read by others.
    #[error("{} is open to others ({mode:03o}): take it away from them with chmod 600", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The disk or the source of random bytes failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

impl From<BundleError> for RpcError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Invalid(error) => error,
            BundleError::Value { ref path, why } => Self::invalid_params(path, why),
            BundleError::Toml { .. } | BundleError::NotAKey => {
                Self::invalid_params("params", error)
            }
            BundleError::Open { .. } | BundleError::Io { .. } => Self::internal(error),
        }
    }
}
