//! What is seen of an agent that runs, or does not.

use std::{path::Path, sync::Arc};

use carport_core::encode_name;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::AgentSpec;

/// What a supervised agent is doing. `running` does not say that it is attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not running, and will not start by itself.
    #[default]
    Stopped,
    /// A spawn is under way.
    Starting,
    /// The process exists.
    Running,
    /// Waiting for the next attempt.
    Backoff,
    /// Given up; only a start or a stop leaves it.
    Errored,
}

impl Status {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Errored => "errored",
        }
    }
}

/// What supervision knows of an agent. Times are Unix seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct View {
    /// What it is doing.
    pub status: Status,
    /// The process that was started, never the shim around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How the last incarnation ended, if it exited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit_code: Option<i32>,
    /// How the last incarnation ended, if a signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit_signal: Option<i32>,
    /// Automatic restarts since somebody started it.
    pub restart_count: u32,
    /// When the process that runs now was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// A process of an earlier daemon that still lives in this agent's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_by_pid: Option<u32>,
    /// Why it is in `backoff` or `errored`, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the next attempt is due; only in `backoff`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_start_at: Option<i64>,
    /// Whether the running process was started from an older spec.
    pub pending_restart: bool,
}

/// An agent as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ManagedAgent {
    /// What was written down.
    pub spec: Arc<AgentSpec>,
    /// What supervision knows.
    #[serde(flatten)]
    pub view: View,
    /// Whether a session is bound to the id. Supervision does not know; it says `false`.
    pub attached: bool,
    /// The `client_id` of that session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The manifest.
    pub manifest_path: String,
    /// The log of its standard output.
    pub log_path: String,
    /// The log of its standard error.
    pub stderr_log_path: String,
}

impl ManagedAgent {
    /// An agent whose files lie under `state_root`. What an observer shows has the default view.
    pub fn new(spec: Arc<AgentSpec>, view: View, manifest: &Path, state_root: &Path) -> Self {
        let name = encode_name("id", &spec.id).unwrap_or_default();
        let log = |stream| state_root.join("logs").join(format!("{name}.{stream}.log"));
        Self {
            view,
            attached: false,
            session_id: None,
            manifest_path: manifest.display().to_string(),
            log_path: log("stdout").display().to_string(),
            stderr_log_path: log("stderr").display().to_string(),
            spec,
        }
    }
}
