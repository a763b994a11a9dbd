//! JSON-RPC frames and the bytes below them: no session, no plugin.

pub(crate) mod error;
pub(crate) mod frame;
pub(crate) mod guarded;
pub(crate) mod metered;
pub(crate) mod outbox;
pub(crate) mod pending;
