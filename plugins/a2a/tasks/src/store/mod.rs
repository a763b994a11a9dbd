//! Where tasks are kept: one trait, in memory and on disk.

mod backing;
mod disk;
mod kept;
mod lines;
mod memory;
mod push;
#[cfg(test)]
mod tests;

use std::{io, sync::Arc};

use async_trait::async_trait;
use carport_a2a_types::{A2aError, Kind, ListTasks, Message, PageOfTasks, PushConfig, Version};
use carport_core::Time;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    caller::Caller,
    log::{Change, Fold, Stored},
    progress::{Limits, Refused},
};

pub use disk::FileStore;
pub use memory::MemoryStore;

/// Push configurations of one task.
pub const MAX_PUSH_CONFIGS: usize = 16;

/// Changes that [`TaskStore::events_since`] answers with at most.
pub const EVENTS_AT_ONCE: usize = 256;

/// Bytes of their lines from which on it reads no further one.
const EVENTS_BYTES: usize = 4 * 1024 * 1024;

/// How much is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StoreSettings {
    /// Tasks.
    pub max_tasks: usize,
    /// How long a task is kept after it ended.
    pub task_ttl: TimeDelta,
    /// How long a task may wait for a message.
    pub interrupted_ttl: TimeDelta,
    /// How much one task may hold.
    pub limits: Limits,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            max_tasks: 10_000,
            task_ttl: TimeDelta::days(7),
            interrupted_ttl: TimeDelta::days(30),
            limits: Limits::default(),
        }
    }
}

/// Why the store did not do it.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is none, or it is somebody else's.
    #[error("there is no task `{0}`")]
    NoTask(String),
    /// The task has no push configuration of that id.
    #[error("the task has no push configuration `{0}`")]
    NoPushConfig(String),
    /// The change may not follow.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Every task that is kept lives.
    #[error(
        "{0} tasks are kept and none of them has ended: try again when one has, or raise `a2a.max_tasks`"
    )]
    Full(usize),
    /// The task has as many push configurations as it may.
    #[error("the task has {MAX_PUSH_CONFIGS} push configurations: delete one first")]
    ManyPushConfigs,
    /// The token of a page is not one that was given out.
    #[error("is not a token that a list gave")]
    BadToken,
    /// The disk failed.
    #[error("the task could not be kept: {0}")]
    Disk(#[from] io::Error),
}

impl From<StoreError> for A2aError {
    fn from(error: StoreError) -> Self {
        let why = error.to_string();
        match error {
            StoreError::NoTask(id) => Self::no_task(&id),
            StoreError::NoPushConfig(id) => {
                Self::new(Kind::TaskNotFound, why).with("pushNotificationConfigId", id)
            }
            StoreError::Refused(Refused::Ended(_)) => Self::new(Kind::UnsupportedOperation, why),
            StoreError::Refused(Refused::Full { what, limit }) => {
                let what = Self::new(Kind::ResourceExhausted, why).with("field", what);
                what.with("limit", limit.to_string()).with("remedy", "begin another task")
            }
            StoreError::Refused(_) => Self::internal(why),
            StoreError::Full(_) => Self::new(Kind::ResourceExhausted, why),
            StoreError::ManyPushConfigs => Self::field("url", why),
            StoreError::BadToken => Self::field("pageToken", why),
            StoreError::Disk(error) => {
                tracing::error!(%error, "a task could not be kept");
                Self::internal(why)
            }
        }
    }
}

/// A task that is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTask {
    /// Its id; nobody has it yet.
    pub id: String,
    /// Its conversation.
    pub context_id: String,
    /// What is asked.
    pub message: Message,
    /// Anything else.
    pub metadata: Option<Map<String, Value>>,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Whose it is.
    pub owner: String,
    /// Its last change.
    pub seq: u64,
    /// Whether there is a message whose turn has not begun.
    pub awaits_turn: bool,
}

/// A receiver of a task's changes, as it is kept. It holds secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushEntry {
    /// The receiver; its id is there.
    pub config: PushConfig,
    /// In which shape it is posted to.
    pub version: Version,
    /// Whether it was told how the task ended.
    #[serde(default)]
    pub told_end: bool,
}

/// What is due.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Tasks that were let go.
    pub gone: Vec<String>,
    /// Tasks that waited too long for a message, and the last change of each; whoever asked fails them, if
    /// nothing was kept since.
    pub overdue: Vec<(String, u64)>,
}

/// Keeps tasks. Each call is by somebody, and for them others' tasks do not exist.
///
/// What is acknowledged was written; dropping a call does not stop a write that began.
#[async_trait]
pub trait TaskStore: Send + Sync {
    /// Makes a task. If there is no room, one that has ended is let go of: rather one that ended more than
    /// a minute ago and has nobody left to tell of it, rather the caller's own, rather one of whoever has
    /// the most tasks, and of these the one that ended first.
    async fn create(&self, caller: &Caller, new: NewTask, now: Time) -> Result<Fold, StoreError>;

    /// The task after its change `at`, or now. An `at` that is still to come is now.
    async fn get(&self, caller: &Caller, id: &str, at: Option<u64>) -> Result<Fold, StoreError>;

    /// The caller's tasks that fit, the one whose status is newest first, with as much of their history, and
    /// those of their artifacts, that are asked for. A page has at most 8 MiB of JSON or a single task: it
    /// ends there, and the next one goes on.
    async fn list(&self, caller: &Caller, query: &ListTasks) -> Result<PageOfTasks, StoreError>;

    /// Makes a change of a task, if it may follow. A task whose file somebody removed is none any more.
    async fn append(
        &self,
        caller: &Caller,
        id: &str,
        change: Change,
        now: Time,
    ) -> Result<Arc<Stored>, StoreError> {
        self.append_after(caller, id, None, change, now).await
    }

    /// The same, and only if the last change is `after`, where that is given.
    ///
    /// # Errors
    /// [`Refused::WentOn`]: it is another one.
    async fn append_after(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<u64>,
        change: Change,
        now: Time,
    ) -> Result<Arc<Stored>, StoreError>;

    /// How far a task is; `None` if it does not exist for the caller.
    fn last(&self, caller: &Caller, id: &str) -> Option<Last>;

    /// The first changes after `seq`: 256 at most, and no more after 4 MiB of their lines.
    async fn events_since(
        &self,
        caller: &Caller,
        id: &str,
        seq: u64,
    ) -> Result<Vec<Arc<Stored>>, StoreError>;

    /// Adds a receiver, in the place of one of its id.
    async fn put_push(&self, caller: &Caller, id: &str, entry: PushEntry)
    -> Result<(), StoreError>;

    /// A receiver; the first one if none is named.
    async fn get_push(
        &self,
        caller: &Caller,
        id: &str,
        config: Option<&str>,
    ) -> Result<PushEntry, StoreError>;

    /// The receivers of a task, in the order in which they were added.
    async fn list_push(&self, caller: &Caller, id: &str) -> Result<Vec<PushEntry>, StoreError>;

    /// Forgets a receiver; one that is not there is forgotten already.
    async fn delete_push(&self, caller: &Caller, id: &str, config: &str) -> Result<(), StoreError>;

    /// Forgets a receiver that is still as it is here; one that took its place stays.
    async fn drop_push(&self, caller: &Caller, id: &str, gone: PushEntry)
    -> Result<(), StoreError>;

    /// Takes down that a receiver was told how its task ended. One that was forgotten or replaced meanwhile
    /// stays so.
    async fn settle_push(
        &self,
        caller: &Caller,
        id: &str,
        told: PushEntry,
    ) -> Result<(), StoreError>;

    /// The caller's tasks that have receivers, in no order.
    async fn with_push(&self, caller: &Caller) -> Result<Vec<String>, StoreError>;

    /// Lets go of the caller's tasks that ended long ago, and names those that waited too long.
    async fn sweep(&self, caller: &Caller, now: Time) -> Result<Swept, StoreError>;

    /// The caller's tasks that are accepted or worked on, and those with a message whose turn has not begun,
    /// in no order. After a boot these are orphans.
    async fn live(&self, caller: &Caller) -> Vec<String>;

    /// How many tasks there are for the caller.
    fn count(&self, caller: &Caller) -> usize;

    /// Brings to the disk what may wait for it.
    async fn sync(&self) {}
}
