//! How far a task is, which changes may follow, and how much it may hold.

use std::collections::BTreeMap;

use carport_a2a_types::{TaskState, read::MAX_NESTING};
use carport_core::Time;
use thiserror::Error;

use crate::log::{Change, Stored};

/// How much one task may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Changes.
    pub events: u64,
    /// Bytes of the JSON of its artifacts.
    pub artifact_bytes: usize,
    /// Messages of its history.
    pub messages: usize,
    /// Bytes of its log: of all that was said, and of all that was made, replaced or not.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events: 10_000,
            artifact_bytes: 8 * 1024 * 1024,
            messages: 1000,
            log_bytes: 32 * 1024 * 1024,
        }
    }
}

/// Why a change may not follow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// Something else was kept after the change that this one was to follow.
    #[error("the task went on meanwhile")]
    WentOn,
    /// The task has ended, and that is final.
    #[error("the task has ended: it is {}", .0.v1())]
    Ended(TaskState),
    /// No task goes from the one to the other.
    #[error("a task that is {} does not become {}", .from.v1(), .to.v1())]
    NoWay {
        /// What it is.
        from: TaskState,
        /// What it would be.
        to: TaskState,
    },
    /// It would not be read again. The task is to fail, saying this.
    #[error("the task would hold data that nests deeper than {MAX_NESTING} levels")]
    Deep,
    /// It would not be read again, for another reason. The task is to fail, saying this.
    #[error("the task would hold what is not read again: {0}")]
    Unreadable(String),
    /// The task holds as much as it may. It is to fail, saying this.
    #[error("the task would have more than {limit} {what}")]
    Full {
        /// What it has too much of.
        what: &'static str,
        /// How much it may have.
        limit: u64,
    },
}

/// How far a task is: what is needed to judge its next change.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// What it is doing.
    pub state: TaskState,
    /// Since when.
    pub status_at: Time,
    /// Its last change.
    pub seq: u64,
    messages: usize,
    /// Messages of the task's owner whose turn has not begun.
    unheard: usize,
    artifacts: BTreeMap<String, usize>,
    artifact_bytes: usize,
    log_bytes: usize,
}

impl Progress {
    /// A task that was created at `at` with one message, and whose log has so many bytes.
    pub fn begun(at: Time, log_bytes: usize) -> Self {
        Self {
            state: TaskState::Submitted,
            status_at: at,
            seq: 0,
            messages: 1,
            unheard: 1,
            artifacts: BTreeMap::new(),
            artifact_bytes: 0,
            log_bytes,
        }
    }

    /// Whether somebody works on the task, or is to.
    pub fn is_live(&self) -> bool {
        !self.state.ends_turn() || (self.state.is_interrupted() && self.awaits_turn())
    }

    /// Whether there is a message whose turn has not begun.
    pub fn awaits_turn(&self) -> bool {
        self.unheard > 0
    }

    /// Whether a change may follow: of so many bytes of JSON if it is an artifact, and with a line of so many
    /// in the log.
    ///
    /// # Errors
    /// Why not. What ends a task is never too much.
    pub fn admit(
        &self,
        change: &Change,
        bytes: usize,
        line: usize,
        limits: &Limits,
    ) -> Result<(), Refused> {
        if self.state.is_terminal() {
            return Err(Refused::Ended(self.state));
        }
        if !change.is_shallow() {
            return Err(Refused::Deep);
        }
        if let Change::Status(status) = change {
            self.may_become(status.state)?;
            if status.state.is_terminal() {
                return Ok(());
            }
        }
        let full = |what, limit| Err(Refused::Full { what, limit });
        if self.seq >= limits.events {
            return full("events", limits.events);
        }
        let says = match change {
            Change::Status(status) => status.message.is_some(),
            Change::Message(_) => true,
            Change::Artifact(_) => false,
        };
        if says && self.messages >= limits.messages {
            return full("messages", limits.messages as u64);
        }
        if self.artifact_bytes_after(change, bytes) > limits.artifact_bytes {
            return full("bytes of artifacts", limits.artifact_bytes as u64);
        }
        if self.log_bytes.saturating_add(line) > limits.log_bytes {
            return full("bytes of changes", limits.log_bytes as u64);
        }
        Ok(())
    }

    fn may_become(&self, to: TaskState) -> Result<(), Refused> {
        let from = self.state;
        let may = match to {
            TaskState::Unspecified | TaskState::Submitted => false,
            TaskState::Working | TaskState::Canceled | TaskState::Failed => true,
            _ => !from.is_interrupted(),
        };
        may.then_some(()).ok_or(Refused::NoWay { from, to })
    }

    fn artifact_bytes_after(&self, change: &Change, bytes: usize) -> usize {
        let Change::Artifact(artifact) = change else { return self.artifact_bytes };
        let replaced = match artifact.append {
            true => 0,
            false => self.artifacts.get(&artifact.artifact.artifact_id).copied().unwrap_or(0),
        };
        self.artifact_bytes - replaced + bytes
    }

    /// Takes note of a change that was admitted.
    pub fn note(&mut self, stored: &Stored, bytes: usize, line: usize) {
        self.seq = stored.seq;
        self.log_bytes += line;
        self.artifact_bytes = self.artifact_bytes_after(&stored.change, bytes);
        match &stored.change {
            Change::Status(status) => {
                (self.state, self.status_at) = (status.state, stored.at);
                self.messages += usize::from(status.message.is_some());
                // A turn begins without a word.
                if status.state == TaskState::Working && status.message.is_none() {
                    self.unheard = self.unheard.saturating_sub(1);
                }
            }
            Change::Message(_) => {
                self.messages += 1;
                self.unheard += 1;
            }
            Change::Artifact(change) => {
                let held = self.artifacts.entry(change.artifact.artifact_id.clone()).or_default();
                *held = if change.append { *held + bytes } else { bytes };
            }
        }
        if self.state.is_terminal() {
            self.artifacts.clear();
        }
    }
}
