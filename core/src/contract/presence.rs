//! Agents and devices as hosts see them, and what a plugin adds to that view.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{clock::Time, service::ServiceKey, session::Session};
use crate::wire::{error::Result, guarded::Guarded};

/// What an agent is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Nothing.
    #[default]
    Idle,
    /// Its task.
    Running,
    /// Waiting for a person.
    WaitingForApproval,
    /// Stopped for now.
    Paused,
    /// Done.
    Completed,
    /// Failed.
    Errored,
    /// Stopped for good.
    Stopped,
}

/// A row of `host.agents`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostAgent {
    /// Unique among rows.
    pub id: String,
    /// For people.
    pub name: String,
    /// What sort of agent it is, in its maker's words.
    pub kind: String,
    /// What it says it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Its process, if it has one on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How a host may show it.
    #[serde(default)]
    pub display: Map<String, Value>,
    /// Passed through.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// What it is doing.
    pub status: AgentStatus,
    /// What it is at, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_task: Option<String>,
    /// What it last said about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The `client_id` of the connection that owns the row.
    pub session_id: String,
    /// When the row came.
    pub registered_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// A row of `host.devices`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostDevice {
    /// Unique among rows.
    pub id: String,
    /// For people.
    pub name: String,
    /// `macos`, `ios`, `linux` or another word.
    pub platform: String,
    /// What it says it can do.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// `online` or another word.
    pub status: String,
    /// The `client_id` of the connection that owns the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Passed through.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// When it last changed.
    pub updated_at: Time,
}

/// Who holds the manifest of supervised agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ManifestRole {
    /// This daemon holds its lock.
    Owner,
    /// Another daemon does.
    Observer,
    /// There is none.
    None,
}

/// What a plugin adds to the view of hosts. Asked whenever a host asks; takes no lock for long.
pub trait HostPart: Send + Sync {
    /// Rows for `agents`.
    fn agents(&self) -> Vec<HostAgent> {
        Vec::new()
    }
    /// Rows for `devices`.
    fn devices(&self) -> Vec<HostDevice> {
        Vec::new()
    }
    /// A value of its own, under the plugin's id in `parts`.
    fn part(&self) -> Option<Value> {
        None
    }
    /// The manifest's path and who holds it.
    fn manifest(&self) -> Option<(String, ManifestRole)> {
        None
    }
}

/// The status of agents' rows; the presence plugin provides it.
pub const AGENT_ROWS: ServiceKey<dyn AgentRows> = ServiceKey::named("agent-rows");

/// Lets an approval that concerns an agent show in the agent's row.
pub trait AgentRows: Send + Sync {
    /// Sets the agent to [`AgentStatus::WaitingForApproval`]. `asker` must own the row: otherwise
    /// forbidden, and not found without a row.
    fn wait_for_approval(&self, agent_id: &str, asker: &Session) -> Result<()>;
    /// The former status returns, unless it was changed meanwhile.
    fn approval_over(&self, agent_id: &str);
}

/// What all plugins add, by plugin id. The presence plugin's rows come first.
#[derive(Default)]
pub struct HostParts(Guarded<BTreeMap<&'static str, Arc<dyn HostPart>>>);

impl HostParts {
    pub(crate) fn add(&self, plugin: &'static str, part: Arc<dyn HostPart>) {
        self.0.lock().insert(plugin, part);
    }

    fn all(&self) -> Vec<(&'static str, Arc<dyn HostPart>)> {
        let mut parts: Vec<_> =
            self.0.lock().iter().map(|(plugin, part)| (*plugin, part.clone())).collect();
        parts.sort_by_key(|(plugin, _)| (*plugin != "presence", *plugin));
        parts
    }

    /// Rows by id; of two with one id the first plugin's stays.
    pub fn agents(&self) -> Vec<HostAgent> {
        let rows = self.all().into_iter().flat_map(|(_, part)| part.agents());
        first_by_id(rows, |row| row.id.clone())
    }

    /// Rows by id; of two with one id the first plugin's stays.
    pub fn devices(&self) -> Vec<HostDevice> {
        let rows = self.all().into_iter().flat_map(|(_, part)| part.devices());
        first_by_id(rows, |row| row.id.clone())
    }

    pub(crate) fn values(&self) -> Map<String, Value> {
        let value = |(plugin, part): (&'static str, Arc<dyn HostPart>)| {
            part.part().map(|value| (plugin.to_owned(), value))
        };
        self.all().into_iter().filter_map(value).collect()
    }

    pub(crate) fn manifest(&self) -> (Option<String>, ManifestRole) {
        let found = self.all().into_iter().find_map(|(_, part)| part.manifest());
        found.map_or((None, ManifestRole::None), |(path, role)| (Some(path), role))
    }
}

fn first_by_id<T>(rows: impl Iterator<Item = T>, id: impl Fn(&T) -> String) -> Vec<T> {
    let mut by_id = BTreeMap::new();
    for row in rows {
        by_id.entry(id(&row)).or_insert(row);
    }
    by_id.into_values().collect()
}
