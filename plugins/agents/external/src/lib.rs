//! External agents: command-line agents that are found, asked how they are, and run for one task.
//!
//! An [`AdapterTable`] says in data how one of them is run and read. [`Externals`] finds them, keeps
//! what it found, and runs them under the shim of `carport-agents-process`. What an agent prints is
//! turned into [`Saying`]s by a pure [`Reader`].

mod adapter;
mod attachment;
mod builtin;
mod error;
mod externals;
mod find;
mod health;
mod invoke;
mod question;
mod reader;
mod table;
mod view;

pub use adapter::{Adapter, BadAdapter, Values};
pub use builtin::builtin_tables;
pub use error::ExternalError;
pub use externals::{Externals, Ground};
pub use invoke::{End, Ended, Invocation, Stopper};
pub use reader::{Outcome, Reader, Saying};
pub use table::{AdapterTable, Argument, EventRule, OutputFormat};
pub use view::{
    AuthKind, Capabilities, Execution, ExternalAgentHealth, ExternalAgentSpec, HealthStatus,
};
