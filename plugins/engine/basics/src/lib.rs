//! Tools for agents that the daemon runs itself: files within one directory, and a calculator.
//!
//! A tool is a type that is its parameters. What it does blocks on the disk, within bounds: the caller
//! moves it to a thread that may.

mod calculate;
mod edit;
mod error;
mod find;
mod grep;
mod list;
mod read;
mod root;
mod tool;
mod walk;
mod write;

pub use calculate::{Calculate, Calculated};
pub use edit::{EditFile, Edited};
pub use error::ToolError;
pub use find::{FindFiles, FoundFiles};
pub use grep::{GrepFiles, Grepped, Line};
pub use list::{Entry, EntryType, ListDir, Listed};
pub use read::{ReadFile, ReadText};
pub use root::Root;
pub use tool::{Basic, Tool, tools};
pub use write::{WriteFile, Written};
