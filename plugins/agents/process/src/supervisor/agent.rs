//! One supervised agent as the rest of the daemon reaches it.

use std::sync::Arc;

use carport_core::Guarded;
use tokio::sync::{mpsc, oneshot};

use super::{Ending, Inner};
use crate::{
    error::SuperviseError,
    logs::Capture,
    spec::AgentSpec,
    view::{ManagedAgent, Status, View},
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

impl Call {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Self::Start(asked)
            | Self::Stop(_, asked)
            | Self::Restart(asked)
            | Self::Remove(_, asked) => asked.is_closed(),
        }
    }
}

/// Somebody waits for one of these statuses.
struct Waiter {
    targets: Vec<Status>,
    reached: oneshot::Sender<Arc<ManagedAgent>>,
}

pub(super) struct Agent {
    pub(super) capture: Capture,
    pub(super) mailbox: mpsc::Sender<Call>,
    state: Guarded<State>,
}

struct State {
    spec: Arc<AgentSpec>,
    /// What the running process was started from.
    running: Option<Arc<AgentSpec>>,
    view: View,
    removed: bool,
    /// As it was last published.
    seen: Arc<ManagedAgent>,
    waiters: Vec<Waiter>,
}

impl Agent {
    pub(super) fn new(
        inner: &Inner,
        spec: AgentSpec,
        mailbox: mpsc::Sender<Call>,
    ) -> carport_core::Result<Self> {
        let settings = &inner.settings;
        let capture = Capture::new(&settings.state_root, &spec.id, settings.dropped.clone())?;
        let (spec, view) = (Arc::new(spec), View::default());
        let seen = shown(inner, &spec, &view);
        let state = State { spec, running: None, view, removed: false, seen, waiters: Vec::new() };
        Ok(Self { capture, mailbox, state: Guarded::new(state) })
    }

    /// As it was last published.
    pub(super) fn seen(&self) -> Arc<ManagedAgent> {
        self.state.lock().seen.clone()
    }

    /// Hears of the first moment at which its status is one of these, however short it is.
    pub(super) fn reaching(&self, targets: &[Status]) -> oneshot::Receiver<Arc<ManagedAgent>> {
        let (reached, waiting) = oneshot::channel();
        let mut state = self.state.lock();
        state.waiters.retain(|waiter| !waiter.reached.is_closed());
        if targets.contains(&state.seen.view.status) {
            let _ = reached.send(state.seen.clone());
        } else if !state.removed {
            state.waiters.push(Waiter { targets: targets.to_vec(), reached });
        }
        waiting
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
        let agent = shown(inner, &state.spec, &state.view);
        state.seen = agent.clone();
        let status = agent.view.status;
        for waiter in state.waiters.extract_if(.., |it| it.targets.contains(&status)) {
            // Who waits no longer hears nothing.
            let _ = waiter.reached.send(agent.clone());
        }
        if state.removed {
            state.waiters.clear();
        }
        inner.settings.listener.changed(&agent, state.removed);
    }
}

fn shown(inner: &Inner, spec: &Arc<AgentSpec>, view: &View) -> Arc<ManagedAgent> {
    let settings = &inner.settings;
    let (spec, view) = (spec.clone(), view.clone());
    Arc::new(ManagedAgent::new(spec, view, &settings.manifest, &settings.state_root))
}
