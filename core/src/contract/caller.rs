//! Who is behind one call.

use std::sync::Arc;

use super::{access::Identity, session::Session};
use crate::wire::guarded::Guarded;

/// The session of a call, and its identity when the call came in.
pub struct Caller {
    session: Arc<Session>,
    identity: Identity,
    after_reply: Guarded<Vec<Box<dyn FnOnce() + Send>>>,
}

impl Caller {
    pub(crate) fn new(session: Arc<Session>, identity: Identity) -> Self {
        Self { session, identity, after_reply: Guarded::default() }
    }

    /// The connection that calls.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// What it had proved when the call was read; a later rise does not change it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The agent that calls, if it is one.
    pub fn agent(&self) -> Option<&str> {
        self.identity.agent_id()
    }

    /// Whether the host calls.
    pub fn is_host(&self) -> bool {
        self.identity == Identity::Host
    }

    /// Does `then` once the reply is queued: what the call subscribed to goes live so. It runs on the
    /// connection's own task and may not block.
    pub fn after_reply(&self, then: impl FnOnce() + Send + 'static) {
        self.after_reply.lock().push(Box::new(then));
    }

    /// The reply is queued.
    pub(crate) fn replied(&self) {
        let queue = std::mem::take(&mut *self.after_reply.lock());
        for then in queue {
            then();
        }
    }
}
