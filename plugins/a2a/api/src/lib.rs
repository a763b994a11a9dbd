//! What an embedder may put in the place of the executor of A2A tasks.

use async_trait::async_trait;
use carport_core::ServiceKey;

pub use carport_a2a_types as types;
use types::{Artifact, Message, Part, Task, TaskState};

/// The key of the service. Without one, messages become proposals of the engine.
pub const A2A_EXECUTOR: ServiceKey<dyn Executor> = ServiceKey::named("a2a_executor");

/// One turn of a task: from a message to a state that ends the task or waits for another message.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The task as it is; its history ends with what was said before.
    pub task: Task,
    /// What is asked now.
    pub message: Message,
    /// Whose task it is: `client`, `host`, `agent:ID`, `peer:NAME` or `anonymous`.
    pub owner: String,
}

/// How a turn ends, and what is said of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// How.
    pub end: End,
    /// What the agent says; becomes a message of the task.
    pub says: Vec<Part>,
}

/// How a turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The task is done. With messages that wait for their turn it is not: it goes on with these.
    Completed,
    /// The task failed.
    Failed,
    /// The task is not taken on.
    Rejected,
    /// The task waits for a message.
    InputRequired,
    /// The task waits for credentials.
    AuthRequired,
}

impl From<End> for TaskState {
    fn from(end: End) -> Self {
        match end {
            End::Completed => Self::Completed,
            End::Failed => Self::Failed,
            End::Rejected => Self::Rejected,
            End::InputRequired => Self::InputRequired,
            End::AuthRequired => Self::AuthRequired,
        }
    }
}

impl Ending {
    /// An end with one text, or without a word if that is empty.
    pub fn saying(end: End, text: impl Into<String>) -> Self {
        let text = text.into();
        let says = if text.is_empty() { Vec::new() } else { vec![Part::text(text)] };
        Self { end, says }
    }
}

/// The task has ended meanwhile: it was cancelled, holds as much as it may, or was given what nobody could
/// read again, such as an artifact without parts. Nothing more is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over;

/// Takes what a turn makes on its way, in the order in which it is given.
///
/// A call may be dropped before it answers, as by a timeout. What it was given is then kept as a whole and told
/// to whoever follows the task, or not at all; whatever is given later, and the end of the turn, comes after it.
#[async_trait]
pub trait Updates: Send + Sync {
    /// An artifact, or more of one.
    ///
    /// # Errors
    /// The task is over.
    async fn artifact(
        &self,
        artifact: Artifact,
        append: bool,
        last_chunk: bool,
    ) -> Result<(), Over>;

    /// The task goes on, and the agent says something.
    ///
    /// # Errors
    /// The task is over.
    async fn says(&self, parts: Vec<Part>) -> Result<(), Over>;
}

/// Does the work of tasks.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Answers a message that belongs to no task with a message of 1 to 100 parts, so that no task is made;
    /// `None` has one made.
    async fn answer(&self, _message: &Message, _owner: &str) -> Option<Vec<Part>> {
        None
    }

    /// Does one turn. It is dropped when the task is cancelled or the daemon stops; what is under way
    /// has to end with it. A panic fails the task.
    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending;
}
