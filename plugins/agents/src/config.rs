//! What an operator may set.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When the lock on the manifest is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Supervise {
    /// When the daemon starts.
    #[default]
    Boot,
    /// With the first call that changes something.
    OnDemand,
    /// Never: this daemon only looks on.
    Never,
}

/// Who may change the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Manage {
    /// Connections with the host role.
    #[default]
    Host,
    /// Any client or host, never an agent.
    Authenticated,
}

/// What a child gets of the daemon's environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InheritEnv {
    /// Paths, locale, proxies and the like.
    #[default]
    Basic,
    /// All of it, less the daemon's own names and tokens.
    All,
}

/// What is done about a process of an earlier daemon that still lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Survivor {
    /// Its agent waits until it is gone.
    #[default]
    Wait,
    /// Its tree is killed.
    Kill,
}

/// What is done about a manifest whose signature is missing or does not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Signatures {
    /// The report says so.
    #[default]
    Warn,
    /// It is not installed.
    Require,
}

/// What becomes of messages between agents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerMessages {
    /// They are delivered.
    #[default]
    Allow,
    /// They wait for a person with the host role.
    Hold,
    /// They are refused.
    Deny,
}

/// Which directories outside the state root services may announce themselves in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForeignPaths {
    /// Those of `registry_paths` alone.
    #[default]
    Listed,
    /// Also any other that holds nothing but entries.
    EntriesOnly,
}

/// The section `[agents]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Another manifest than `agents.json` of the state root: an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// When the lock on the manifest is taken: `boot`, `on_demand` or `never`.
    pub supervise: Supervise,
    /// Who may change the manifest: `host`, or `authenticated` for any client.
    pub manage: Manage,
    /// What a child gets of the daemon's environment: `basic` or `all`.
    pub inherit_env: InheritEnv,
    /// What is done about a process of an earlier daemon: `wait` until it is gone, or `kill` its tree.
    pub on_survivor: Survivor,
    /// Directories that commands may not lie under, in the place of the usual scratch directories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch_dirs: Option<Vec<String>>,
    /// Where agents reach this daemon, if not where it says that it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The program and first arguments that run the shim between the daemon and a child, if not this
    /// daemon's own program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shim: Option<Vec<String>>,
    /// Whether an agent may begin chats with other agents.
    pub peer_chat: bool,
    /// Seconds without an event after which a chat ends, 1 at the least.
    #[schemars(range(min = 1))]
    pub chat_idle_secs: u32,
    /// Directories that goals may be suggested for.
    pub external_roots: Vec<String>,
    /// Features that this daemon offers to agents beside those of its plugins: `namespace.feature`, or
    /// `namespace.*` for all of one.
    pub capabilities: Vec<String>,
    /// What is done about a manifest that is not signed, or not rightly: `warn`, or `require` one.
    pub signatures: Signatures,
    /// The CAR release that this daemon claims to speak; manifests may ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub car_version: Option<String>,
    /// What becomes of messages between agents: `allow`, `hold` until the host decides, or `deny`.
    pub peer_messages: PeerMessages,
    /// Directories, by absolute paths, that `registry.*` may work in beside its own.
    pub registry_paths: Vec<String>,
    /// Which other directories `registry.*` may work in: `listed` (none), or `entries_only`: any that is
    /// no link and whose `*.json` files are all entries.
    pub registry_foreign_paths: ForeignPaths,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            manifest: None,
            supervise: Supervise::default(),
            manage: Manage::default(),
            inherit_env: InheritEnv::default(),
            on_survivor: Survivor::default(),
            scratch_dirs: None,
            url: None,
            shim: None,
            peer_chat: false,
            chat_idle_secs: 900,
            external_roots: Vec::new(),
            capabilities: Vec::new(),
            signatures: Signatures::default(),
            car_version: None,
            peer_messages: PeerMessages::default(),
            registry_paths: Vec::new(),
            registry_foreign_paths: ForeignPaths::default(),
        }
    }
}
