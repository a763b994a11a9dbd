//! Tasks, events and push configurations of v0.3.

use carport_core::Time;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::message::{Message, Part};
use crate::{event, push, task};

/// What a task is doing since when.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TaskStatus {
    /// `submitted`, `working`, `input-required`, `completed`, `canceled`, `failed`, `rejected`,
    /// `auth-required` or `unknown`.
    pub state: &'static str,
    /// What the agent says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
}

impl From<task::TaskStatus> for TaskStatus {
    fn from(status: task::TaskStatus) -> Self {
        Self {
            state: status.state.v03(),
            message: status.message.map(Message::from),
            timestamp: status.timestamp,
        }
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
    pub parts: Vec<Part>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// URIs of the extensions that it uses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
}

impl From<task::Artifact> for Artifact {
    fn from(artifact: task::Artifact) -> Self {
        Self {
            artifact_id: artifact.artifact_id,
            name: artifact.name,
            description: artifact.description,
            parts: artifact.parts.into_iter().map(Part::from).collect(),
            metadata: artifact.metadata,
            extensions: artifact.extensions,
        }
    }
}

/// A unit of work.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "task", rename_all = "camelCase")]
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

impl From<task::Task> for Task {
    fn from(task: task::Task) -> Self {
        Self {
            id: task.id,
            context_id: task.context_id,
            status: task.status.into(),
            artifacts: task.artifacts.into_iter().map(Artifact::from).collect(),
            history: task.history.into_iter().map(Message::from).collect(),
            metadata: task.metadata,
        }
    }
}

/// A task has another status.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "status-update", rename_all = "camelCase")]
pub struct StatusUpdate {
    /// The task.
    pub task_id: String,
    /// Its conversation.
    pub context_id: String,
    /// Its status.
    pub status: TaskStatus,
    /// Whether it is the last event of its stream.
    pub r#final: bool,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl StatusUpdate {
    /// `last` says whether the stream ends with it.
    pub fn of(update: event::StatusUpdate, last: bool) -> Self {
        Self {
            task_id: update.task_id,
            context_id: update.context_id,
            status: update.status.into(),
            r#final: last,
            metadata: update.metadata,
        }
    }
}

/// A task made something, or more of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "artifact-update", rename_all = "camelCase")]
pub struct ArtifactUpdate {
    /// The task.
    pub task_id: String,
    /// Its conversation.
    pub context_id: String,
    /// What it made.
    pub artifact: Artifact,
    /// Whether the parts go on with an earlier artifact of this id rather than replace it.
    pub append: bool,
    /// Whether nothing more of the artifact comes.
    pub last_chunk: bool,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl From<event::ArtifactUpdate> for ArtifactUpdate {
    fn from(update: event::ArtifactUpdate) -> Self {
        Self {
            task_id: update.task_id,
            context_id: update.context_id,
            artifact: update.artifact.into(),
            append: update.append,
            last_chunk: update.last_chunk,
            metadata: update.metadata,
        }
    }
}

/// What a call or a stream answers with; `kind` says which.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
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

impl StreamResponse {
    /// `last` says whether the stream ends with it.
    pub fn of(response: event::StreamResponse, last: bool) -> Self {
        match response {
            event::StreamResponse::Task(task) => Self::Task(task.into()),
            event::StreamResponse::Message(message) => Self::Message(message.into()),
            event::StreamResponse::StatusUpdate(update) => {
                Self::StatusUpdate(StatusUpdate::of(update, last))
            }
            event::StreamResponse::ArtifactUpdate(update) => Self::ArtifactUpdate(update.into()),
        }
    }
}

/// How a receiver knows who posts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Authentication {
    /// Schemes of the header `Authorization`; here one.
    pub schemes: Vec<String>,
    /// What follows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<String>,
}

/// A receiver of a task's changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PushConfig {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What is posted to.
    pub url: String,
    /// Sent with every post.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The header `Authorization` of every post.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
}

/// A receiver and its task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskPushConfig {
    /// The task.
    pub task_id: String,
    /// The receiver.
    pub push_notification_config: PushConfig,
}

impl From<push::PushConfig> for PushConfig {
    fn from(config: push::PushConfig) -> Self {
        let authentication = config.authentication.map(|auth| Authentication {
            schemes: vec![auth.scheme],
            credentials: auth.credentials,
        });
        Self { id: config.id, url: config.url, token: config.token, authentication }
    }
}

impl From<push::PushConfig> for TaskPushConfig {
    fn from(mut config: push::PushConfig) -> Self {
        let task_id = config.task_id.take().unwrap_or_default();
        Self { task_id, push_notification_config: config.into() }
    }
}
