//! Parameters of the methods, and the pages that lists answer with.

use carport_core::Time;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    message::Message,
    push::PushConfig,
    read::{Object, Path, Read, Reader},
    task::{Task, TaskState},
};

/// Parameters of `SendMessage` and `SendStreamingMessage`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// What is said.
    pub message: Message,
    /// How it is answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Configuration>,
    /// Anything else; becomes the metadata of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl Read for SendMessage {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut params = Object::open(value, at, reader)?;
        let message = params.must("message", reader);
        let configuration = params.maybe("configuration", reader);
        let metadata = params.maybe("metadata", reader);
        Some(Self { message: message?, configuration, metadata })
    }
}

/// How a message is answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// Media types that the client takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accepted_output_modes: Vec<String>,
    /// A receiver of the task's changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_push_notification_config: Option<PushConfig>,
    /// How many messages of the history the answer has; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_length: Option<u32>,
    /// Whether the answer comes before the work is done.
    pub return_immediately: bool,
}

impl Read for Configuration {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut config = Object::open(value, at, reader)?;
        let accepted_output_modes = config.list("acceptedOutputModes", reader);
        let history_length = config.maybe("historyLength", reader);
        let (push, immediately) = match reader.is_v03() {
            true => {
                let blocking: Option<bool> = config.maybe("blocking", reader);
                ("pushNotificationConfig", blocking == Some(false))
            }
            false => {
                let immediately = config.maybe("returnImmediately", reader).unwrap_or_default();
                ("taskPushNotificationConfig", immediately)
            }
        };
        Some(Self {
            accepted_output_modes,
            task_push_notification_config: config.maybe(push, reader),
            history_length,
            return_immediately: immediately,
        })
    }
}

/// Parameters of `GetTask`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GetTask {
    /// The task.
    #[schemars(length(min = 1))]
    pub id: String,
    /// How many messages of the history the answer has; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_length: Option<u32>,
}

impl Read for GetTask {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut params = Object::open(value, at, reader)?;
        let id = params.must_word("id", reader);
        let history_length = params.maybe("historyLength", reader);
        Some(Self { id: id?, history_length })
    }
}

/// Parameters of `CancelTask`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelTask {
    /// The task.
    #[schemars(length(min = 1))]
    pub id: String,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl Read for CancelTask {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut params = Object::open(value, at, reader)?;
        let id = params.must_word("id", reader);
        let metadata = params.maybe("metadata", reader);
        Some(Self { id: id?, metadata })
    }
}

/// Parameters of `SubscribeToTask`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SubscribeToTask {
    /// The task.
    #[schemars(length(min = 1))]
    pub id: String,
}

impl Read for SubscribeToTask {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let id = Object::open(value, at, reader)?.must_word("id", reader)?;
        Some(Self { id })
    }
}

/// Parameters of `ListTasks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListTasks {
    /// Only tasks of this conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// Only tasks in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskState>,
    /// Tasks on one page.
    #[schemars(range(min = 1, max = 100))]
    pub page_size: u32,
    /// Where the page begins; from the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
    /// How many messages of each history the answer has; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history_length: Option<u32>,
    /// Only tasks whose status is of this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_timestamp_after: Option<Time>,
    /// Whether the answer has the artifacts.
    pub include_artifacts: bool,
}

impl ListTasks {
    /// Tasks on a page where the call does not say.
    pub const PAGE_SIZE: u32 = 50;
    /// Tasks on a page at most.
    pub const MAX_PAGE_SIZE: u32 = 100;
}

impl Default for ListTasks {
    fn default() -> Self {
        Self {
            context_id: None,
            status: None,
            page_size: Self::PAGE_SIZE,
            page_token: None,
            history_length: None,
            status_timestamp_after: None,
            include_artifacts: false,
        }
    }
}

impl Read for ListTasks {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut params = Object::open(value, at, reader)?;
        let page_size = params.maybe("pageSize", reader).unwrap_or(Self::PAGE_SIZE);
        if !(1..=Self::MAX_PAGE_SIZE).contains(&page_size) {
            let why = format!("must be 1..={}, got {page_size}", Self::MAX_PAGE_SIZE);
            params.fault::<()>("pageSize", why, reader);
        }
        let status = params.maybe("status", reader);
        Some(Self {
            context_id: params.word("contextId", reader),
            status: status.filter(|state| *state != TaskState::Unspecified),
            page_size,
            page_token: params.word("pageToken", reader),
            history_length: params.maybe("historyLength", reader),
            status_timestamp_after: params.maybe("statusTimestampAfter", reader),
            include_artifacts: params.maybe("includeArtifacts", reader).unwrap_or_default(),
        })
    }
}

/// A page of tasks.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageOfTasks<T = Task> {
    /// The tasks, the one whose status is newest first.
    pub tasks: Vec<T>,
    /// What the next page begins at; empty on the last one.
    pub next_page_token: String,
    /// The size that was asked for.
    pub page_size: u32,
    /// Tasks on all pages.
    pub total_size: usize,
}

impl Read for PageOfTasks {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut page = Object::open(value, at, reader)?;
        let tasks = page.list("tasks", reader);
        let next_page_token = page.word("nextPageToken", reader).unwrap_or_default();
        let page_size = page.maybe("pageSize", reader).unwrap_or_default();
        let total_size: Option<u32> = page.maybe("totalSize", reader);
        let total_size = total_size.map_or(0, |it| it as usize);
        Some(Self { tasks, next_page_token, page_size, total_size })
    }
}

/// Parameters of `GetTaskPushNotificationConfig` and `DeleteTaskPushNotificationConfig`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushConfigOf {
    /// The task.
    #[schemars(length(min = 1))]
    pub task_id: String,
    /// The configuration. Only v0.3 may leave it out, to get the first one.
    #[schemars(required)]
    pub id: Option<String>,
}

impl Read for PushConfigOf {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut params = Object::open(value, at, reader)?;
        if reader.is_v03() {
            let task_id = params.must_word("id", reader)?;
            return Some(Self { task_id, id: params.word("pushNotificationConfigId", reader) });
        }
        let (task_id, id) = (params.must_word("taskId", reader), params.must_word("id", reader));
        Some(Self { task_id: task_id?, id: Some(id?) })
    }
}

/// Parameters of `ListTaskPushNotificationConfigs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PushConfigsOf {
    /// The task.
    #[schemars(length(min = 1))]
    pub task_id: String,
    /// Configurations on one page; all if absent, which are 16 at the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_size: Option<u32>,
    /// Where the page begins; from the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_token: Option<String>,
}

impl Read for PushConfigsOf {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut params = Object::open(value, at, reader)?;
        let task_id = params.must_word(if reader.is_v03() { "id" } else { "taskId" }, reader);
        let page_size = params.maybe("pageSize", reader).filter(|size| *size > 0);
        let page_token = params.word("pageToken", reader);
        Some(Self { task_id: task_id?, page_size, page_token })
    }
}

/// A page of configurations.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PageOfPushConfigs {
    /// The configurations, in the order in which they were registered.
    pub configs: Vec<PushConfig>,
    /// What the next page begins at; empty on the last one.
    pub next_page_token: String,
}
