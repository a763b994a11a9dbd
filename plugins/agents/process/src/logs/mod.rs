//! What children print: one file per stream, rotated; its end, read backwards; its new lines, as they come.

mod capture;
mod file;
mod tail;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use capture::Capture;
pub use file::path;
pub use tail::tail;

/// How long a log file grows before it is rotated, in bytes.
pub const ROTATE_AT: u64 = 16 * 1024 * 1024;

/// How many rotated files are kept beside the current one: `.1` is the youngest.
pub const KEPT: u32 = 4;

/// How long a line is before it is cut, in bytes.
pub const MAX_LINE: usize = 64 * 1024;

/// One stream of a child.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Which streams a tail shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// Both.
    #[default]
    Combined,
    /// Standard output alone.
    Stdout,
    /// Standard error alone.
    Stderr,
}

impl Streams {
    /// Whether `stream` is among them.
    pub fn includes(self, stream: Stream) -> bool {
        match self {
            Self::Combined => true,
            Self::Stdout => stream == Stream::Stdout,
            Self::Stderr => stream == Stream::Stderr,
        }
    }
}

/// What part of the logs a tail shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// How many lines of each stream; 0 is all.
    pub lines: usize,
    /// How many lines at the end of each stream are skipped.
    pub offset: usize,
    /// Which streams.
    pub streams: Streams,
}

/// The end of an agent's logs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TailLog {
    /// The window of standard output, then that of standard error.
    pub lines: Vec<String>,
    /// The window of standard output.
    pub stdout: Vec<String>,
    /// The window of standard error.
    pub stderr: Vec<String>,
    /// Lines in the part of standard output that was read.
    pub stdout_total: usize,
    /// Lines in the part of standard error that was read.
    pub stderr_total: usize,
    /// The file.
    pub stdout_path: String,
    /// The file.
    pub stderr_path: String,
    /// Whether there are older lines.
    pub more: bool,
}

/// How many lines each stream has had, since the daemon knows the agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counted {
    /// Lines of standard output.
    pub stdout: u64,
    /// Lines of standard error.
    pub stderr: u64,
}

/// A line that a child has just finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it printed it.
    pub stream: Stream,
    /// Counts the lines of the stream from 1, since the daemon knows the agent.
    pub number: u64,
    /// UTF-8 with replacement characters, without its end, cut at 64 KiB.
    pub text: String,
}
