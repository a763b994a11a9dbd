//! What the agent of the demo tells on its standard output, one JSON object a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub(super) enum Said {
    /// What there is to read.
    Found { directory: PathBuf, files: usize, skipped: usize },
    /// The daemon opened a run.
    Started { run_id: String, intent: String },
    /// A turn is about to be sent.
    Recording { run_id: String, turn: Value },
    /// The daemon acknowledged the turn that was sent last.
    Acknowledged { run_id: String, base_index: u64 },
    /// Half of the files are read; the agent waits to see whether the daemon lives.
    HalfWay { left: usize },
    /// The connection ended under an open run.
    Lost { run_id: String, why: String },
    /// A call that needs a person's approval is about to be sent.
    Asking { method: String },
    /// The daemon closed the run with the agent's outcome.
    Completed { run_id: String },
}
