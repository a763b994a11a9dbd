//! One supervised agent as the rest of the daemon reaches it.

use std::sync::Arc;

use carport_core::Guarded;
use tokio::sync::{mpsc, oneshot, watch};

use super::{Ending, Inner};
use crate::{
    error::SuperviseError,
    logs::Capture,
    spec::AgentSpec,
    view::{ManagedAgent, View},
};

/// What a call answers.
pub(super) type Answer = Result<Arc<ManagedAgent>, SuperviseError>;

/// What is asked of an agent's task; one after another.
pub(super) enum Call {
    Start(oneshot::Sender<Answer>),
    Stop(Ending, oneshot::Sender<Answer>),
    Restart(oneshot::Sender<Answer>),
    /// With `true`, its logs go too.
    Remove(bool, oneshot::Sender<Answer>),
}

pub(super) struct Agent {
    pub(super) capture: Capture,
    pub(super) mailbox: mpsc::Sender<Call>,
    state: Guarded<State>,
    seen: watch::Sender<Arc<ManagedAgent>>,
}

struct State {
    spec: Arc<AgentSpec>,
    /// What the running process was started from.
    running: Option<Arc<AgentSpec>>,
    view: View,
    removed: bool,
}

impl Agent {
    pub(super) fn new(
        inner: &Inner,
        spec: AgentSpec,
        mailbox: mpsc::Sender<Call>,
    ) -> carport_core::Result<Self> {
        let settings = &inner.settings;
        let capture = Capture::new(&settings.state_root, &spec.id, settings.dropped.clone())?;
        let state =
            State { spec: Arc::new(spec), running: None, view: View::default(), removed: false };
        let (seen, _) = watch::channel(state.shown(inner));
        Ok(Self { capture, mailbox, state: Guarded::new(state), seen })
    }

    /// As it was last published.
    pub(super) fn seen(&self) -> Arc<ManagedAgent> {
        self.seen.borrow().clone()
    }

    /// Hears of every change.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<ManagedAgent>> {
        self.seen.subscribe()
    }

    /// The spec that the next process is started from.
    pub(super) fn spec(&self) -> Arc<AgentSpec> {
        self.state.lock().spec.clone()
    }

    /// Gives it another spec.
    pub(super) fn renew(&self, inner: &Inner, spec: AgentSpec) {
        self.change(inner, |state| state.spec = Arc::new(spec));
    }

    /// Says how it is now; `running` is the spec of the process that runs.
    pub(super) fn publish(&self, inner: &Inner, view: View, running: Option<Arc<AgentSpec>>) {
        self.change(inner, |state| (state.view, state.running) = (view, running));
    }

    /// Says that it is no more.
    pub(super) fn retire(&self, inner: &Inner) {
        self.change(inner, |state| state.removed = true);
    }

    /// Says how it is at its beginning.
    pub(super) fn introduce(&self, inner: &Inner) {
        self.change(inner, |_| {});
    }

    fn change(&self, inner: &Inner, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        change(&mut state);
        let stale = |running: &Arc<AgentSpec>| *running != state.spec;
        state.view.pending_restart = state.running.as_ref().is_some_and(stale);
        let agent = state.shown(inner);
        self.seen.send_replace(agent.clone());
        inner.settings.listener.changed(&agent, state.removed);
    }
}

impl State {
    fn shown(&self, inner: &Inner) -> Arc<ManagedAgent> {
        let settings = &inner.settings;
        let (spec, view) = (self.spec.clone(), self.view.clone());
        Arc::new(ManagedAgent::new(spec, view, &settings.manifest, &settings.state_root))
    }
}
