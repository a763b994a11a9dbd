//! What an operator may set.

use carport_a2a_tasks::{Limits, StoreSettings};
use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
