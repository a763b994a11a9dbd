//! What daemon and shim tell each other: one JSON value a line.

use serde::{Deserialize, Serialize};

use crate::machine::Exit;

/// From the daemon. The first is `Run`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Start this.
    Run(Box<Run>),
    /// More for the child's standard input, if it was given one; nothing ends it.
    Input(Option<String>),
    /// End the tree: TERM, so long a grace, KILL. Without a grace, KILL at once.
    End {
        /// Milliseconds.
        grace_ms: u64,
    },
}

/// What is to be started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// An absolute path without links: what was checked is what is executed.
    pub(crate) program: String,
    /// What it is told that it was called by.
    pub(crate) name: String,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Its whole environment.
    pub(crate) env: Vec<(String, String)>,
    /// Its working directory.
    pub(crate) cwd: String,
    /// Milliseconds for what it leaves behind when it ends by itself.
    pub(crate) grace_ms: u64,
    /// Whether it has anything to read.
    pub(crate) input: bool,
}

/// From the shim.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// The child's `exec` succeeded.
    Started {
        /// The child.
        pid: u32,
    },
    /// It did not.
    Failed(String),
    /// These still live five seconds after KILL.
    Outlived(Vec<u32>),
    /// Nothing is left; so the child ended.
    Gone(Exit),
}
