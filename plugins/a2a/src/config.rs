//! What an operator may set.

use std::{collections::BTreeMap, path::PathBuf};

use carport_a2a_tasks::{Limits, StoreSettings};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::AuthMode;

/// Where tasks are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreKind {
    /// On disk, under `a2a/` of the state root; in memory where the daemon has none.
    #[default]
    File,
    /// In memory: tasks end with the daemon.
    Memory,
}

/// When a listener that asks for no token shows its extended card.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExtendedCard {
    /// Never: only callers that are known see it.
    #[default]
    Known,
    /// To whoever reaches it, as it listens on a loopback address only.
    Loopback,
}

/// An extension that the card declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Its URI.
    pub uri: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether calls over HTTP that do not name it in `A2A-Extensions` are refused.
    #[serde(default)]
    pub required: bool,
}

/// Something that an agent can do, as a card tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Skill {
    /// Unique on the card.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What it may be asked.
    #[serde(default)]
    pub examples: Vec<String>,
}

/// What the extended card says beside the public one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Extended {
    /// A description that replaces the public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where documentation is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documentation_url: Option<String>,
    /// More that can be asked for. One with the id of a public skill replaces it.
    pub skills: Vec<Skill>,
}

/// A listener that the daemon starts with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// `host:port`; port 0 is any. An address that others can reach needs `a2a.tls` and `auth` "bearer", and a
    /// wildcard such as `0.0.0.0` a `public_url`, too.
    pub bind: String,
    /// Where clients reach it; by itself the address that it listens on.
    #[serde(default)]
    pub public_url: Option<String>,
    /// What a request has to show.
    #[serde(default)]
    pub auth: AuthMode,
}

/// The files by which a listener speaks TLS, both in PEM. They are read when it starts, and again within a
/// minute of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The absolute path of the certificate, those of its authorities after it.
    pub cert: PathBuf,
    /// The absolute path of its private key, without a passphrase. Its mode may let the group read it, and
    /// nobody else but the owner: 0600 or 0640.
    pub key: PathBuf,
}

/// The section `a2a`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The name on the agent card.
    pub agent_name: String,
    /// The description on the agent card.
    pub agent_description: String,
    /// The organization on the agent card; with `organization_url` it is the card's provider.
    pub organization: Option<String>,
    /// The site of the organization.
    pub organization_url: Option<String>,
    /// Where clients reach the daemon's own WebSocket, for the card; by itself the address that it
    /// listens on.
    pub url: Option<String>,
    /// Where tasks are kept.
    pub store: StoreKind,
    /// Tasks that are kept. The one that ended first goes first; tasks that live never go.
    #[schemars(range(min = 1))]
    pub max_tasks: usize,
    /// Seconds that a task is kept after it ended.
    #[schemars(range(min = 1))]
    pub task_ttl_s: u32,
    /// Seconds that a task may wait for a message; then it fails.
    #[schemars(range(min = 1))]
    pub interrupted_ttl_s: u32,
    /// Seconds that a call waits for its task; then it answers with the task as it is, and the work
    /// goes on.
    #[schemars(range(min = 1))]
    pub blocking_limit_s: u32,
    /// Whether a part whose media type is not on the card is refused.
    pub check_input_modes: bool,
    /// The daemon's basic tools that others may call.
    pub tools: Vec<String>,
    /// The agent that messages without a tool call are handed to; without one they are acknowledged.
    pub chat_agent: Option<String>,
    /// The HTTP listener that the daemon starts with; without it one is started by `a2a.start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
    /// The certificate of the HTTP listener, which then speaks TLS and nothing else, on every address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
    /// Who may call a listener that asks for a token: names, and where their tokens are, as `env:NAME`
    /// or `file:/PATH`. The daemon token passes by itself.
    pub tokens: BTreeMap<String, String>,
    /// Origins of pages that may call the listener.
    pub allowed_origins: Vec<String>,
    /// Whether a call over HTTP by a name of v1.0 needs the header `A2A-Version`.
    pub require_version: bool,
    /// Whether the listener answers with streams.
    pub streaming: bool,
    /// Whether the listener also answers by the REST binding of v1.0.
    pub rest: bool,
    /// When a listener that asks for no token shows its extended card.
    pub extended_card: ExtendedCard,
    /// What the extended card says beside the public one.
    pub extended: Extended,
    /// Whether the public card also has the members of v0.3, for whoever asks.
    pub v03_card: bool,
    /// Extensions that the card declares.
    pub extensions: Vec<Extension>,
    /// Hosts that may be called although they are of this machine or its network, and over `http`: `host`,
    /// `host:port`, `*.suffix` or a block of addresses such as `10.0.0.0/8`.
    pub allow: Vec<String>,
    /// Whether changes of tasks are posted to receivers that clients name.
    pub push: bool,
    /// Whether messages are answered as conformance tests of A2A ask for, by their `messageId`. For
    /// nothing else.
    pub test_executor: bool,
}

impl Default for Config {
    fn default() -> Self {
        let tools = ["list_dir", "read_file", "find_files", "grep_files", "calculate"];
        Self {
            agent_name: "Carport".into(),
            agent_description: "A daemon for AI agents: its tools, and the agents that it runs."
                .into(),
            organization: None,
            organization_url: None,
            url: None,
            store: StoreKind::File,
            max_tasks: 10_000,
            task_ttl_s: 604_800,
            interrupted_ttl_s: 2_592_000,
            blocking_limit_s: 300,
            check_input_modes: true,
            tools: tools.map(str::to_owned).into(),
            chat_agent: None,
            listen: None,
            tls: None,
            tokens: BTreeMap::new(),
            allowed_origins: Vec::new(),
            require_version: true,
            streaming: true,
            rest: false,
            extended_card: ExtendedCard::Known,
            extended: Extended::default(),
            v03_card: false,
            extensions: Vec::new(),
            allow: Vec::new(),
            push: true,
            test_executor: false,
        }
    }
}

impl Config {
    pub(crate) fn store_settings(&self) -> StoreSettings {
        StoreSettings {
            max_tasks: self.max_tasks.max(1),
            task_ttl: TimeDelta::seconds(self.task_ttl_s.max(1).into()),
            interrupted_ttl: TimeDelta::seconds(self.interrupted_ttl_s.max(1).into()),
            limits: Limits::default(),
        }
    }
}
