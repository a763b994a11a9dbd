//! Tasks of A2A: the changes that make them, which of them may follow which, whose they are, and where
//! they are kept.

mod caller;
mod index;
mod log;
mod page;
mod progress;
mod store;

pub use caller::{Caller, View};
pub use log::{ArtifactChange, Change, Created, Fold, Stored};
pub use progress::{Limits, Progress, Refused};
pub use store::{
    EVENTS_AT_ONCE, FileStore, Last, MAX_PUSH_CONFIGS, MemoryStore, NewTask, PushEntry, StoreError,
    StoreSettings, Swept, TaskStore,
};
