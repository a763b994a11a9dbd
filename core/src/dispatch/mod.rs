//! What a request passes through on its way to a plugin.

pub(crate) mod added;
pub(crate) mod approval;
pub(crate) mod auth;
pub(crate) mod call;
pub(crate) mod closing;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod host;
pub(crate) mod panic_guard;
pub(crate) mod registry;
pub(crate) mod route;
pub(crate) mod shared;
pub(crate) mod timers;
pub(crate) mod tokens;
