//! Who hears of what: clients and hosts everything, an agent what it created; whole or lean.

use std::sync::Arc;

use carport_core::{Caller, Guarded, Identity, Result, Session, Subscribers};

use crate::event::A2uiEvent;

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Heard {
    /// Of one agent's surfaces only.
    agent: Option<Arc<str>>,
    /// Without surfaces.
    lean: bool,
}

/// What a connection listens to now.
#[derive(Default)]
struct Slot(Guarded<Option<Heard>>);

/// Everybody who listens.
#[derive(Default)]
pub(crate) struct Listeners(Subscribers<Heard>);

impl Listeners {
    /// Listens in the place of what the connection listened to before. Call it under the store's lock.
    pub(crate) fn subscribe(&self, caller: &Caller, lean: bool) -> Result<()> {
        let agent = match caller.identity() {
            Identity::Agent(id) => Some(id.clone()),
            _ => None,
        };
        self.unsubscribe(caller.session());
        let heard = Heard { agent, lean };
        self.0.subscribe(heard.clone(), caller)?;
        *caller.session().slot::<Slot>().0.lock() = Some(heard);
        Ok(())
    }

    pub(crate) fn unsubscribe(&self, session: &Session) {
        if let Some(heard) = session.slot::<Slot>().0.lock().take() {
            self.0.unsubscribe(&heard, session);
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
        let agent: Option<Arc<str>> = agent.map(Into::into);
        self.tell_form(agent.as_ref(), false, full);
        self.tell_form(agent.as_ref(), true, lean);
    }

    fn tell_form(&self, agent: Option<&Arc<str>>, lean: bool, write: impl FnOnce() -> A2uiEvent) {
        let all = Heard { agent: None, lean };
        let own = agent.map(|agent| Heard { agent: Some(agent.clone()), lean });
        let heard: Vec<_> =
            [Some(all), own].into_iter().flatten().filter(|it| self.0.is_heard(it)).collect();
        if !heard.is_empty() {
            let event = write();
            heard.iter().for_each(|it| self.0.notify(it, &event));
        }
    }
}
