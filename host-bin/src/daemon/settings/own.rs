//! The sections of the configuration that the daemon has beside the host's and the plugins' own.

use std::net::{Ipv4Addr, SocketAddr};

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a daemon listens if nobody says otherwise.
pub(crate) const DEFAULT_PORT: u16 = 9170;

/// What the operator decides about the daemon around the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OwnSettings {
    /// Where clients find the daemon.
    pub(crate) listen: ListenSettings,
    /// What the daemon tells its operator on standard error.
    pub(crate) log: LogSettings,
    /// What CAR clients need to find this daemon; `serve --compat car` switches all of it on.
    pub(crate) compat: CompatSettings,
}

/// Section `[listen]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenSettings {
    /// A loopback address and port; port 0 asks the kernel for a free one.
    pub(crate) bind: SocketAddr,
    /// Whether to listen on the Unix socket `run/carport.sock` too.
    pub(crate) socket: bool,
}

impl Default for ListenSettings {
    fn default() -> Self {
        Self { bind: loopback(DEFAULT_PORT), socket: true }
    }
}

/// This port of 127.0.0.1.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Section `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogSettings {
    /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
    pub(crate) level: LogLevel,
}

/// How much is logged.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    /// Nothing.
    Off,
    /// What needs the operator at once.
    Error,
    /// What went wrong and was dealt with.
    Warn,
    /// Starts, ends and decisions.
    #[default]
    Info,
    /// What developers ask for.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word for it in a filter.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Section `[compat]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CompatSettings {
    /// Whether the daemon token and the host token are also written where CAR clients look for them.
    pub(crate) token_files: bool,
    /// Whether to listen on the Unix socket of CAR clients too.
    pub(crate) socket: bool,
}
