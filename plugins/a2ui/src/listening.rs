//! Who hears of what: clients and hosts everything, an agent what it created; whole or lean.

use carport_core::{Caller, Guarded, Identity, Result, Session, Subscribers};

use crate::event::A2uiEvent;

/// Whether a connection listens now, and then whether without surfaces.
#[derive(Default)]
struct Slot(Guarded<Option<bool>>);

/// Everybody who listens, by whether without surfaces.
#[derive(Default)]
pub(crate) struct Listeners(Subscribers<bool>);

impl Listeners {
    /// Listens in the place of what the connection listened to before. Call it under the store's lock.
    pub(crate) fn subscribe(&self, caller: &Caller, lean: bool) -> Result<()> {
        self.unsubscribe(caller.session());
        self.0.subscribe(lean, caller)?;
        *caller.session().slot::<Slot>().0.lock() = Some(lean);
        Ok(())
    }

    pub(crate) fn unsubscribe(&self, session: &Session) {
        if let Some(lean) = session.slot::<Slot>().0.lock().take() {
            self.0.unsubscribe(&lean, session);
        }
    }

    /// Tells of a surface that `agent` created, or nobody's. Each form is written only if somebody hears
    /// it, and once.
    pub(crate) fn tell(
        &self,
        agent: Option<&str>,
        full: impl FnOnce() -> A2uiEvent,
        lean: impl FnOnce() -> A2uiEvent,
    ) {
        // As what it is now: a client that has become an agent since it subscribed hears no more than one.
        let hears = |session: &Session| match session.identity() {
            Identity::Client | Identity::Host => true,
            Identity::Agent(id) => agent == Some(&*id),
            Identity::Nobody => false,
        };
        self.0.notify_those(&false, hears, full);
        self.0.notify_those(&true, hears, lean);
    }
}
