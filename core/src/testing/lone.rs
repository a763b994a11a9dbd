//! A connection without a host or a socket, for models of what subscribers hear.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    contract::{
        access::Identity,
        caller::Caller,
        metrics::Counter,
        session::{Origin, Session},
    },
    wire::outbox::OutboxLimits,
};

/// A session whose outbox is read by hand.
pub struct LoneSession(Arc<Session>);

impl LoneSession {
    /// The session with this serial number.
    pub fn new(serial: u64) -> Self {
        let (limits, drops) = (OutboxLimits::default(), Counter::default());
        Self(Session::new(serial, Origin::InProcess, limits, drops).into())
    }

    /// What a method does when this session calls it; then the reply is queued and what the call
    /// subscribed to goes live.
    pub fn call<T>(&self, method: impl FnOnce(&Caller) -> T) -> T {
        let caller = Caller::new(self.0.clone(), Identity::Host);
        let reply = method(&caller);
        caller.replied();
        reply
    }

    /// The oldest frame that was queued, as JSON.
    pub fn take(&self) -> Option<Value> {
        let frame = self.0.outbox.take()?.into_text().expect("a text frame");
        Some(serde_json::from_str(&frame).expect("a JSON frame"))
    }

    /// The socket ends.
    pub fn hang_up(&self) {
        self.0.hang_up();
    }
}
