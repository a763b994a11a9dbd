//! The event journal of a connection: one JSONL file, chained by hashes, bounded in memory and on disk.

pub mod chain;
mod event;
mod file;
mod journal;
mod journals;
mod keep;
pub mod log;
pub mod metrics;
mod writer;

pub use event::{Event, Kind, NewEvent};
pub use journal::Journal;
pub use journals::Journals;
pub use keep::Keep;
pub use writer::Writer;
