//! The shapes of v0.3, made of the types of v1.0. Reading them back gives what they were made of, but
//! for what v0.3 has no place for: a file name or media type of a text or data part.

mod card;
mod message;
mod task;

pub use card::{AgentCard, AgentInterface, AgentSkill, Capabilities, union};
pub use message::{File, FileContent, Message, Part};
pub use task::{
    Artifact, ArtifactUpdate, Authentication, PushConfig, StatusUpdate, StreamResponse, Task,
    TaskPushConfig, TaskStatus,
};
