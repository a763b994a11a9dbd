//! The log of a task: how it was created, each change since, and the task that they fold into.

use carport_a2a_types::{Artifact, Message, Part, Task, TaskState, TaskStatus, read::are_shallow};
use carport_core::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How a task began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// Its id.
    pub id: String,
    /// Its conversation.
    pub context_id: String,
    /// The caller whose it is.
    pub owner: String,
    /// When.
    pub at: Time,
    /// What was asked.
    pub message: Message,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

/// A change of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It has another status. Its message, if it has one, is history at once.
    Status(TaskStatus),
    /// It made something, or more of it.
    Artifact(ArtifactChange),
    /// Its owner said something.
    Message(Message),
}

impl Change {
    /// Another state, and what the agent says of it.
    pub fn state(state: TaskState, message: Option<Message>) -> Self {
        Self::Status(TaskStatus { state, message, timestamp: None })
    }

    /// Whether nothing may follow it.
    pub(crate) fn ends_task(&self) -> bool {
        matches!(self, Self::Status(status) if status.state.is_terminal())
    }

    /// Whether it nests no deeper than what is read again.
    pub(crate) fn is_shallow(&self) -> bool {
        let (parts, metadata) = match self {
            Self::Status(TaskStatus { message: None, .. }) => return true,
            Self::Status(TaskStatus { message: Some(it), .. }) | Self::Message(it) => {
                (&it.parts, &it.metadata)
            }
            Self::Artifact(it) => (&it.artifact.parts, &it.artifact.metadata),
        };
        parts.iter().all(Part::is_shallow) && are_shallow(metadata.iter().flat_map(Map::values))
    }
}

/// An artifact or more of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArtifactChange {
    /// What was made.
    pub artifact: Artifact,
    /// Whether the parts go on with an earlier artifact of this id rather than replace it.
    #[serde(default)]
    pub append: bool,
    /// Whether nothing more of the artifact comes.
    #[serde(default)]
    pub last_chunk: bool,
}

/// A change that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// Counts the changes of a task from 1.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What.
    pub change: Change,
}

/// One line of a task's file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// The first.
    Created(Created),
    /// Every other.
    Event(Stored),
}

/// A task as its log made it so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Fold {
    /// The task.
    pub task: Task,
    /// Whose it is.
    pub owner: String,
    /// The last change that it holds; 0 for none.
    pub seq: u64,
}

impl Fold {
    /// A task that nothing happened to yet.
    pub fn new(created: Created) -> Self {
        let status =
            TaskStatus { state: TaskState::Submitted, message: None, timestamp: Some(created.at) };
        let task = Task {
            id: created.id,
            context_id: created.context_id,
            status,
            artifacts: Vec::new(),
            history: vec![created.message],
            metadata: created.metadata,
        };
        Self { task, owner: created.owner, seq: 0 }
    }

    /// One more change.
    pub fn apply(&mut self, stored: Stored) {
        self.seq = stored.seq;
        match stored.change {
            Change::Status(status) => {
                self.task.history.extend(status.message.clone());
                self.task.status = TaskStatus { timestamp: Some(stored.at), ..status };
            }
            Change::Artifact(change) => put(&mut self.task.artifacts, change),
            Change::Message(message) => self.task.history.push(message),
        }
    }
}

/// Puts an artifact in its place, or its parts behind those that are there.
fn put(artifacts: &mut Vec<Artifact>, change: ArtifactChange) {
    let ArtifactChange { artifact, append, .. } = change;
    let known = artifacts.iter_mut().find(|it| it.artifact_id == artifact.artifact_id);
    match known {
        Some(known) if append => known.parts.extend(artifact.parts),
        Some(known) => *known = artifact,
        None => artifacts.push(artifact),
    }
}
