//! External agents: command-line agents that are found, asked how they are, and run for one task.
//!
//! An [`AdapterTable`] says in data how one of them is run and read. [`Externals`] finds them, keeps
//! what it found, and runs them under the shim of `carport-agents-process`. What an agent prints is
//! turned into [`Saying`]s by a pure [`Reader`]. An operator's own agent is a table like this:
//!
//! ```toml
//! [agents.external.tidy]
//! binary = "tidy-agent"                          # along PATH, or an absolute path
//! sign_in_args = ["whoami"]
//! run_args = ["run", "--json", ["--model", "{model}"], ["--resume", "{session_id}"]]
//! stdin = "{task}"
//! pass_env = ["TIDY_API_KEY"]
//! output = "json_lines"                          # or text, lines, json, acp
//!
//! [[agents.external.tidy.events]]
//! when = { "/type" = "text" }
//! token = "/delta"
//!
//! [[agents.external.tidy.events]]
//! when = { "/type" = "end" }
//! answer = "/text"
//! session_id = "/session"
//! error = "/error/message"
//! ```

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
