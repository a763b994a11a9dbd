//! The client's side: find the daemon, prove who asks, call and listen.

#[cfg(feature = "a2a")]
pub(crate) mod a2a;
pub(crate) mod agents;
pub(crate) mod connect;
pub(crate) mod events;
pub(crate) mod interrupt;
pub(crate) mod link;
pub(crate) mod locate;
pub(crate) mod meetings;
pub(crate) mod memory;
pub(crate) mod proof;
pub(crate) mod runs;
pub(crate) mod surfaces;
pub(crate) mod trail;
