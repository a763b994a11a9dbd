//! The objects of A2A v1.0 and v0.3: how they are read, in either spelling, and written, and its errors.
//!
//! The types are those of v1.0 and write themselves in its shape. What comes in either shape is
//! [read](read::read) into them; [`v03`] writes them in the shape of v0.3.

mod bytes;
pub mod card;
mod error;
mod event;
mod message;
mod push;
pub mod read;
mod request;
pub mod rest;
pub mod security;
mod task;
pub mod v03;
mod version;

pub use bytes::decode_base64;
pub use error::{A2aError, A2aResult, Kind};
pub use event::{ArtifactUpdate, SendResult, StatusUpdate, StreamResponse};
pub use message::{Content, MAX_PARTS, Message, Part, Role};
pub use push::{Authentication, NewPushConfig, PushConfig};
pub use request::{
    CancelTask, Configuration, GetTask, ListTasks, PageOfPushConfigs, PageOfTasks, PushConfigOf,
    PushConfigsOf, SendMessage, SubscribeToTask,
};
pub use task::{Artifact, Task, TaskState, TaskStatus};
pub use version::{Spelling, Version, VersionRules};
