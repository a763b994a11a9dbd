//! How a command fails: one clear line, and a code that scripts can tell apart.

use std::{fmt::Display, process::ExitCode};

use carport_core::{RpcError, codes};

/// A failed command.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Exit {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The daemon's own error object, for `--json`.
    pub(crate) rpc: Option<RpcError>,
}

/// Exit codes; `carport help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Something failed on this side.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// No daemon answers.
    NoDaemon = 3,
    /// The daemon does not accept the token, or the role does not reach.
    Denied = 4,
    /// The daemon answered with another error.
    Answered = 5,
    /// Another daemon holds the state root.
    Held = 6,
    /// Ctrl-C; says nothing.
    Interrupted = 130,
    /// Whoever read the output has gone; says nothing.
    Unread = 141,
}

impl Exit {
    pub(crate) fn new(code: Code, message: impl Display) -> Self {
        Self { code, message: message.to_string(), rpc: None }
    }

    pub(crate) fn failed(message: impl Display) -> Self {
        Self::new(Code::Failed, message)
    }

    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Code::Usage, message)
    }
}

impl From<RpcError> for Exit {
    fn from(error: RpcError) -> Self {
        let code = match error.code {
            codes::NOT_AUTHENTICATED | codes::FORBIDDEN => Code::Denied,
            codes::GONE => Code::NoDaemon,
            _ => Code::Answered,
        };
        Self { code, message: error.to_string(), rpc: Some(error) }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}
