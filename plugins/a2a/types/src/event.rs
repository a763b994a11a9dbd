//! What a call or a stream answers with: a task, a message, or a change of a task.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    message::Message,
    read::{Object, Path, Read, Reader, deserialize_as_read},
    task::{Artifact, Task, TaskStatus},
};

fn is_false(flag: &bool) -> bool {
    !flag
}

/// A task has another status.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusUpdate {
    /// The task.
    pub task_id: String,
    /// Its conversation.
    pub context_id: String,
    /// Its status.
    pub status: TaskStatus,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl Read for StatusUpdate {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut update = Object::open(value, at, reader)?;
        let task_id = update.must_word("taskId", reader);
        let context_id = update.word("contextId", reader).unwrap_or_default();
        let status = update.must("status", reader);
        let metadata = update.maybe("metadata", reader);
        Some(Self { task_id: task_id?, context_id, status: status?, metadata })
    }
}

/// A task made something, or more of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactUpdate {
    /// The task.
    pub task_id: String,
    /// Its conversation.
    pub context_id: String,
    /// What it made.
    pub artifact: Artifact,
    /// Whether the parts go on with an earlier artifact of this id rather than replace it.
    #[serde(skip_serializing_if = "is_false")]
    pub append: bool,
    /// Whether nothing more of the artifact comes.
    #[serde(skip_serializing_if = "is_false")]
    pub last_chunk: bool,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl Read for ArtifactUpdate {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut update = Object::open(value, at, reader)?;
        let task_id = update.must_word("taskId", reader);
        let context_id = update.word("contextId", reader).unwrap_or_default();
        let artifact = update.must("artifact", reader);
        let append = update.maybe("append", reader).unwrap_or_default();
        let last_chunk = update.maybe("lastChunk", reader).unwrap_or_default();
        let metadata = update.maybe("metadata", reader);
        let (task_id, artifact) = (task_id?, artifact?);
        Some(Self { task_id, context_id, artifact, append, last_chunk, metadata })
    }
}

/// What is answered to a message.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SendResult {
    /// A task was made, or goes on.
    Task(Task),
    /// There is no task, this is all.
    Message(Message),
}

impl Read for SendResult {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        match StreamResponse::read(value, at, reader)? {
            StreamResponse::Task(task) => Some(Self::Task(task)),
            StreamResponse::Message(message) => Some(Self::Message(message)),
            _ => reader.fault(at, "must be a task or a message"),
        }
    }
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StreamResponse {
    /// The task as it is now.
    Task(Task),
    /// There is no task, this is all.
    Message(Message),
    /// Another status.
    StatusUpdate(StatusUpdate),
    /// An artifact or more of it.
    ArtifactUpdate(ArtifactUpdate),
}

impl From<SendResult> for StreamResponse {
    fn from(result: SendResult) -> Self {
        match result {
            SendResult::Task(task) => Self::Task(task),
            SendResult::Message(message) => Self::Message(message),
        }
    }
}

impl Read for StreamResponse {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        if !reader.is_v03() {
            return read_wrapped(value, at, reader);
        }
        match value.get("kind").and_then(Value::as_str) {
            Some("task") => Task::read(value, at, reader).map(Self::Task),
            Some("message") => Message::read(value, at, reader).map(Self::Message),
            Some("status-update") => StatusUpdate::read(value, at, reader).map(Self::StatusUpdate),
            Some("artifact-update") => {
                ArtifactUpdate::read(value, at, reader).map(Self::ArtifactUpdate)
            }
            _ => reader.fault(
                &Path::Member(at, "kind"),
                "must be task, message, status-update or artifact-update",
            ),
        }
    }
}

fn read_wrapped(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<StreamResponse> {
    const MEMBERS: [&str; 4] = ["task", "message", "statusUpdate", "artifactUpdate"];
    let mut wrapper = Object::open(value, at, reader)?;
    if MEMBERS.iter().filter(|name| wrapper.has(name)).count() != 1 {
        let why = "must have exactly one of task, message, statusUpdate and artifactUpdate";
        return wrapper.fault_here(why, reader);
    }
    let task = wrapper.maybe("task", reader).map(StreamResponse::Task);
    let message = wrapper.maybe("message", reader).map(StreamResponse::Message);
    let status = wrapper.maybe("statusUpdate", reader).map(StreamResponse::StatusUpdate);
    let artifact = wrapper.maybe("artifactUpdate", reader).map(StreamResponse::ArtifactUpdate);
    task.or(message).or(status).or(artifact)
}

deserialize_as_read!(StatusUpdate, ArtifactUpdate, SendResult, StreamResponse);
