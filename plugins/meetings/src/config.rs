//! What an operator may set.

use std::path::PathBuf;

use carport_core::{Result, RpcError};
use carport_meetings_summary::Cues;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[meetings]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How summaries are made.
    pub summary: SummaryMode,
    /// The id of the model that makes them, `NAME/model`; whoever runs models chooses if absent.
    pub summary_model: Option<String>,
    /// Words that tell decisions, action items and open questions.
    pub cues: Cues,
    /// Other directories of meetings that `meeting.list` and `meeting.get` may read, absolute.
    pub roots: Vec<PathBuf>,
    /// What is said of a `root` that is not one of these.
    pub foreign_root: ForeignRoot,
    /// Whether a meeting whose connection went gets a summary.
    pub summarize_on_disconnect: bool,
    /// Whether a meeting that hears only files and microphones goes on without its connection.
    pub keep_on_disconnect: bool,
    /// Meetings that are recorded at once in all, 1 to 64. Each needs streams of `voice.streams` too.
    #[schemars(range(min = 1, max = 64))]
    pub live: usize,
    /// Meetings that one connection records at once, 1 to 64.
    #[schemars(range(min = 1, max = 64))]
    pub live_per_connection: usize,
    /// How many meetings that are over stay on disk, the newest; all if absent.
    pub keep: Option<usize>,
}

/// How summaries are made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SummaryMode {
    /// By a model if one is ready, else of sentences of the transcript.
    #[default]
    Auto,
    /// Of sentences of the transcript.
    Extractive,
    /// None is made.
    Off,
}

/// What is said of a directory that nobody listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ForeignRoot {
    /// That it is not listed.
    #[default]
    Refuse,
    /// That there are no meetings in it. It is not looked at.
    Empty,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            summary: SummaryMode::default(),
            summary_model: None,
            cues: Cues::default(),
            roots: Vec::new(),
            foreign_root: ForeignRoot::default(),
            summarize_on_disconnect: true,
            keep_on_disconnect: false,
            live: 8,
            live_per_connection: 2,
            keep: None,
        }
    }
}

impl Config {
    /// Bounds that the types do not hold.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(root) = self.roots.iter().find(|it| !it.is_absolute()) {
            let why = format!("`meetings.roots`: {} is not absolute", root.display());
            return Err(RpcError::internal(why));
        }
        let most = [("live", self.live), ("live_per_connection", self.live_per_connection)];
        match most.iter().find(|(_, most)| !(1..=64).contains(most)) {
            None => Ok(()),
            Some((name, _)) => {
                Err(RpcError::internal(format!("`meetings.{name}` must be 1 to 64")))
            }
        }
    }
}
