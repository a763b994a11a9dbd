//! One file a command: its arguments, and what it does.

#[cfg(feature = "a2a")]
pub(crate) mod a2a;
pub(crate) mod agents;
pub(crate) mod approvals;
pub(crate) mod call;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod meetings;
pub(crate) mod memory;
pub(crate) mod methods;
pub(crate) mod plugins;
pub(crate) mod runs;
pub(crate) mod serve;
pub(crate) mod surfaces;
pub(crate) mod token;
mod typed;
pub(crate) mod voice;
mod waiting;
pub(crate) mod watch;
