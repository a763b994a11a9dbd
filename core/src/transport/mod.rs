//! Sockets: who may upgrade to WebSocket, and the bytes below it.

pub(crate) mod listener;
pub(crate) mod upgrade;
