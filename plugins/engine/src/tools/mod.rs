//! Tools: who registered them, how they are called, and what stands for a call.

pub(crate) mod basics;
pub(crate) mod cache;
pub(crate) mod call;
mod cost;
pub(crate) mod detached;
pub(crate) mod handles;
pub(crate) mod registry;
mod schema;
