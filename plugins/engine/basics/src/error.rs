//! Why a tool did not do what it was asked.

use carport_core::RpcError;
use rustix::io::Errno;
use thiserror::Error;

/// A refusal or a failure, worded for the model that called the tool. It names paths and limits, never
/// what is in a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ToolError {
    /// A parameter is missing, of the wrong type or out of bounds.
    #[error("{0}")]
    Parameters(String),
    /// `..`, an absolute path, or a link that leaves the directory.
    #[error("`{0}`: leads out of the workspace")]
    Outside(String),
    /// There is nothing.
    #[error("`{0}`: not found")]
    NotFound(String),
    /// A directory, a link or something stranger.
    #[error("`{0}`: is not a regular file")]
    NotAFile(String),
    /// A file, a link or something stranger.
    #[error("`{0}`: is not a directory")]
    NotADirectory(String),
    /// Bytes that are no UTF-8.
    #[error("`{0}`: is not UTF-8 text")]
    NotText(String),
    /// More bytes than the tool takes.
    #[error("`{path}`: has more than {limit} bytes")]
    TooLarge {
        /// The path as it was given.
        path: String,
        /// Bytes.
        limit: usize,
    },
    /// The text to replace is not there.
    #[error("`{0}`: `old_text` does not occur")]
    NoSuchText(String),
    /// The text to replace is there more than once.
    #[error(
        "`{path}`: `old_text` occurs {count} times; give more of its surroundings, or set `replace_all`"
    )]
    NotUnique {
        /// The path as it was given.
        path: String,
        /// Occurrences, 2 at the least.
        count: usize,
    },
    /// The expression has no value.
    #[error("`expression`: {0}")]
    Expression(String),
    /// What the operating system says.
    #[error("`{path}`: {why}")]
    Failed {
        /// The path as it was given.
        path: String,
        /// The system's own words.
        why: String,
    },
}

impl ToolError {
    /// What the system's answer about `path` means.
    pub(crate) fn of(path: &str, errno: Errno) -> Self {
        let path = path.to_owned();
        match errno {
            // A link that leaves is the first, one that is not followed at all the second.
            Errno::XDEV | Errno::LOOP => Self::Outside(path),
            Errno::NOENT => Self::NotFound(path),
            Errno::NOTDIR => Self::NotADirectory(path),
            // A directory; a socket or a pipe.
            Errno::ISDIR | Errno::NXIO => Self::NotAFile(path),
            errno => Self::Failed { path, why: std::io::Error::from(errno).kind().to_string() },
        }
    }

    /// As [`ToolError::of`], for what the standard library says.
    pub(crate) fn io(path: &str, error: &std::io::Error) -> Self {
        match Errno::from_io_error(error) {
            Some(errno) => Self::of(path, errno),
            None => Self::Failed { path: path.to_owned(), why: error.kind().to_string() },
        }
    }
}

impl From<RpcError> for ToolError {
    /// Bounds are the core's, and so are their words.
    fn from(error: RpcError) -> Self {
        Self::Parameters(error.message)
    }
}
