//! What an embedder or an operator decides about a host.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tokens::Tokens;
use crate::{
    contract::{
        clock::{Clock, SystemClock},
        durability::Durability,
        service::{ServiceKey, Services},
    },
    wire::error::codes,
};

/// Everything a host is started with.
#[derive(Clone)]
pub struct Config {
    /// What `config.toml` says about the host itself.
    pub settings: Settings,
    /// The secrets that connections are checked against.
    pub tokens: Tokens,
    /// The directory that everything on disk lives under; `None` for a host without a disk.
    pub state_root: Option<PathBuf>,
    /// One section per plugin, by id.
    pub plugins: BTreeMap<String, Value>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The agent that the daemon's own environment names.
    pub agent_id: Option<String>,
    /// Services of the embedder's own; [`Config::provide`] adds to them.
    pub services: Services,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            tokens: Tokens::default(),
            state_root: None,
            plugins: BTreeMap::new(),
            clock: Arc::new(SystemClock),
            agent_id: None,
            services: Services::default(),
        }
    }
}

impl Config {
    /// Brings a service of the embedder's own. It wins over a plugin's.
    pub fn provide<T: ?Sized + Send + Sync + 'static>(
        &mut self,
        key: &ServiceKey<T>,
        service: Arc<T>,
    ) {
        self.services.provide(key, service);
    }

    /// The names of the services that the embedder brings.
    pub fn provided(&self) -> Vec<&'static str> {
        self.services.names().collect()
    }
}

/// The host's own part of `config.toml`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Who may connect.
    pub auth: AuthSettings,
    /// Which calls wait for a person.
    pub approvals: ApprovalSettings,
    /// Sockets and their limits.
    pub transport: TransportSettings,
    /// How long calls may run.
    pub deadlines: DeadlineSettings,
    /// Protocol and events.
    pub host: HostSettings,
    /// What an acknowledged write survives: `process`, `interval` or `record`.
    pub durability: Durability,
}

/// Section `[auth]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// `token`, or `off` on loopback and Unix sockets: then every connection is a client already.
    pub mode: AuthMode,
    /// Seconds a connection has to prove who it is.
    pub grace_secs: u64,
    /// Failed proofs after which a connection is closed.
    pub max_failures: u32,
    /// The error code of a failed `session.auth`; CAR clients expect -32603.
    pub failure_code: i32,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self {
            mode: AuthMode::Token,
            grace_secs: 30,
            max_failures: 5,
            failure_code: codes::NOT_AUTHENTICATED,
        }
    }
}

/// Whether connections have to prove anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// A connection is nobody until it presents a token.
    #[default]
    Token,
    /// A connection is a client from the start.
    Off,
}

/// Section `[approvals]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalSettings {
    /// Whether any call waits at all.
    pub enabled: bool,
    /// Methods that wait although they do not ask for it themselves.
    pub also: BTreeSet<String>,
    /// Methods that do not wait although they ask for it.
    pub except: BTreeSet<String>,
    /// Seconds until an undecided call is told that nobody approved it (1..=86400).
    pub wait_secs: u64,
    /// Who may decide: `host` connections, or any `authenticated` one that is no agent. Never
    /// whoever asked.
    pub resolvers: Resolvers,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        let risky = [
            "automation.run_applescript",
            "automation.run_powershell",
            "automation.shortcuts.run",
            "messages.send",
            "mail.send",
            "vision.ocr",
        ];
        Self {
            enabled: true,
            also: risky.map(str::to_owned).into(),
            except: BTreeSet::new(),
            wait_secs: 60,
            resolvers: Resolvers::Host,
        }
    }
}

/// Who may decide about approvals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Resolvers {
    /// Connections with the host role.
    #[default]
    Host,
    /// Any client or host.
    Authenticated,
}

/// Section `[transport]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TransportSettings {
    /// Largest inbound and outbound message in bytes (65536..=268435456).
    pub max_message_bytes: usize,
    /// Open connections; of them 64 may be unauthenticated.
    pub max_connections: usize,
    /// Calls of one connection that run at once.
    pub max_in_flight: usize,
    /// Seconds after which a socket that takes nothing is closed.
    pub stuck_secs: u64,
    /// Seconds without traffic after which the daemon pings; a peer that is silent as long again is
    /// gone.
    pub ping_secs: u64,
    /// `Origin` header values that a browser page may connect with.
    pub allowed_origins: BTreeSet<String>,
    /// `Host` header names beside loopback.
    pub allowed_hosts: BTreeSet<String>,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self {
            max_message_bytes: 16 << 20,
            max_connections: 1024,
            max_in_flight: 256,
            stuck_secs: 30,
            ping_secs: 30,
            allowed_origins: BTreeSet::new(),
            allowed_hosts: BTreeSet::new(),
        }
    }
}

/// Section `[deadlines]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DeadlineSettings {
    /// Seconds any call may run (1..=86400).
    pub default_secs: u64,
    /// Seconds that calls of single methods may run; comes before everything else.
    pub methods: BTreeMap<String, u64>,
}

impl Default for DeadlineSettings {
    fn default() -> Self {
        Self { default_secs: 1800, methods: BTreeMap::new() }
    }
}

impl DeadlineSettings {
    pub(crate) fn of(&self, method: &str, own: Option<Duration>) -> Duration {
        let operator = self.methods.get(method).copied().map(Duration::from_secs);
        operator.or(own).unwrap_or(Duration::from_secs(self.default_secs))
    }
}

/// Section `[host]`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostSettings {
    /// Protocol versions that the handshake accepts.
    pub protocol_versions: Vec<u64>,
    /// Whether `host.subscribe` waits for a handshake.
    pub require_handshake: bool,
    /// How many host events are kept (100..=100000).
    pub event_ring: usize,
    /// What `server.schema` says as `car_version`, if not Carport's own version.
    pub car_version: Option<String>,
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            protocol_versions: vec![1, 2, 3],
            require_handshake: false,
            event_ring: 1000,
            car_version: None,
        }
    }
}

impl Settings {
    /// What is out of bounds, in one line that names the key.
    pub fn check(&self) -> Result<(), String> {
        let within =
            |key: &str, got: u64, least: u64, most: u64| match (least..=most).contains(&got) {
                true => Ok(()),
                false => Err(format!("`{key}` must be {least}..={most}, got {got}")),
            };
        let day = 86_400;
        within("approvals.wait_secs", self.approvals.wait_secs, 1, day)?;
        within("deadlines.default_secs", self.deadlines.default_secs, 1, day)?;
        for (method, secs) in &self.deadlines.methods {
            within(&format!("deadlines.methods.\"{method}\""), *secs, 1, day)?;
        }
        let transport = &self.transport;
        let bytes = transport.max_message_bytes as u64;
        within("transport.max_message_bytes", bytes, 64 << 10, 256 << 20)?;
        within("transport.max_connections", transport.max_connections as u64, 1, 1 << 20)?;
        within("transport.max_in_flight", transport.max_in_flight as u64, 1, 65_536)?;
        within("transport.stuck_secs", transport.stuck_secs, 1, day)?;
        within("transport.ping_secs", transport.ping_secs, 1, day)?;
        within("auth.grace_secs", self.auth.grace_secs, 1, day)?;
        within("auth.max_failures", u64::from(self.auth.max_failures), 1, 1000)?;
        within("host.event_ring", self.host.event_ring as u64, 100, 100_000)
    }
}
