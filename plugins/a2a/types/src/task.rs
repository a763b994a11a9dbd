//! A task: its status, its artifacts, its history.

use carport_core::Time;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    message::{Message, Part},
    read::{Object, Path, Read, Reader, deserialize_as_read, read_named},
};

/// What a task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
pub enum TaskState {
    /// Not told. A filter of that state filters nothing; no task of ours has it.
    #[serde(rename = "TASK_STATE_UNSPECIFIED")]
    Unspecified,
    /// Accepted.
    #[serde(rename = "TASK_STATE_SUBMITTED")]
    Submitted,
    /// Worked on.
    #[serde(rename = "TASK_STATE_WORKING")]
    Working,
    /// Done.
    #[serde(rename = "TASK_STATE_COMPLETED")]
    Completed,
    /// Ended by an error.
    #[serde(rename = "TASK_STATE_FAILED")]
    Failed,
    /// Ended by whoever wanted it.
    #[serde(rename = "TASK_STATE_CANCELED")]
    Canceled,
    /// Not taken on.
    #[serde(rename = "TASK_STATE_REJECTED")]
    Rejected,
    /// Waits for a message.
    #[serde(rename = "TASK_STATE_INPUT_REQUIRED")]
    InputRequired,
    /// Waits for credentials.
    #[serde(rename = "TASK_STATE_AUTH_REQUIRED")]
    AuthRequired,
}

impl TaskState {
    /// Every state, in the order of their numbers in the proto of v1.0.
    pub const ALL: [Self; 9] = [
        Self::Unspecified,
        Self::Submitted,
        Self::Working,
        Self::Completed,
        Self::Failed,
        Self::Canceled,
        Self::InputRequired,
        Self::Rejected,
        Self::AuthRequired,
    ];

    /// Whether it never changes again.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled | Self::Rejected)
    }

    /// Whether it waits for a message.
    pub const fn is_interrupted(self) -> bool {
        matches!(self, Self::InputRequired | Self::AuthRequired)
    }

    /// Whether a turn of it is over.
    pub const fn ends_turn(self) -> bool {
        self.is_terminal() || self.is_interrupted()
    }

    /// The word of v1.0.
    pub const fn v1(self) -> &'static str {
        match self {
            Self::Unspecified => "TASK_STATE_UNSPECIFIED",
            Self::Submitted => "TASK_STATE_SUBMITTED",
            Self::Working => "TASK_STATE_WORKING",
            Self::Completed => "TASK_STATE_COMPLETED",
            Self::Failed => "TASK_STATE_FAILED",
            Self::Canceled => "TASK_STATE_CANCELED",
            Self::Rejected => "TASK_STATE_REJECTED",
            Self::InputRequired => "TASK_STATE_INPUT_REQUIRED",
            Self::AuthRequired => "TASK_STATE_AUTH_REQUIRED",
        }
    }

    /// The word of v0.3.
    pub const fn v03(self) -> &'static str {
        match self {
            Self::Unspecified => "unknown",
            Self::Submitted => "submitted",
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Rejected => "rejected",
            Self::InputRequired => "input-required",
            Self::AuthRequired => "auth-required",
        }
    }

    /// The state of a word of either version.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.v1() == word || state.v03() == word)
    }
}

impl Read for TaskState {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        match read_named(&value, Self::of, |number| Self::ALL.get(number).copied()) {
            Some(state) => Some(state),
            None => reader.fault(at, "must be a state, such as TASK_STATE_WORKING"),
        }
    }
}

/// What a task is doing since when.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// What it is doing.
    pub state: TaskState,
    /// What the agent says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Since when; always there for tasks of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
}

impl Read for TaskStatus {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut status = Object::open(value, at, reader)?;
        let state = status.must("state", reader);
        let message = status.maybe("message", reader);
        let timestamp = status.maybe("timestamp", reader);
        Some(Self { state: state?, message, timestamp })
    }
}

/// Something that a task made.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// Unique within its task.
    pub artifact_id: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it holds.
    #[schemars(length(min = 1))]
    pub parts: Vec<Part>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// URIs of the extensions that it uses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
}

impl Artifact {
    /// An artifact with one part and nothing else.
    pub fn of(artifact_id: impl Into<String>, part: Part) -> Self {
        Self {
            artifact_id: artifact_id.into(),
            name: None,
            description: None,
            parts: vec![part],
            metadata: None,
            extensions: Vec::new(),
        }
    }
}

impl Read for Artifact {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut artifact = Object::open(value, at, reader)?;
        let artifact_id = artifact.must_word("artifactId", reader);
        let parts: Option<Vec<Part>> = artifact.must("parts", reader);
        if parts.as_ref().is_some_and(Vec::is_empty) {
            return artifact.fault("parts", "must have an item", reader);
        }
        let (name, description) =
            (artifact.word("name", reader), artifact.word("description", reader));
        let metadata = artifact.maybe("metadata", reader);
        let extensions = artifact.list("extensions", reader);
        let (artifact_id, parts) = (artifact_id?, parts?);
        Some(Self { artifact_id, name, description, parts, metadata, extensions })
    }
}

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Made by whoever works on it.
    pub id: String,
    /// The conversation.
    pub context_id: String,
    /// What it is doing.
    pub status: TaskStatus,
    /// What it made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// What was said, the oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Message>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl Task {
    /// Leaves the last `length` messages of its history; `None` leaves all.
    #[must_use]
    pub fn with_history_of(mut self, length: Option<u32>) -> Self {
        if let Some(length) = length.and_then(|it| usize::try_from(it).ok()) {
            let gone = self.history.len().saturating_sub(length);
            self.history.drain(..gone);
        }
        self
    }
}

impl Read for Task {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut task = Object::open(value, at, reader)?;
        let id = task.must_word("id", reader);
        // The official v1.0 schema lets an agent leave it out.
        let context_id = task.word("contextId", reader).unwrap_or_default();
        let status = task.must("status", reader);
        let artifacts = task.list("artifacts", reader);
        let history = task.list("history", reader);
        let metadata = task.maybe("metadata", reader);
        Some(Self { id: id?, context_id, status: status?, artifacts, history, metadata })
    }
}

deserialize_as_read!(TaskState, TaskStatus, Artifact, Task);
