//! The one ordered queue of a stream: events are numbered where they are made and leave in that order.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use carport_core::{Guarded, Session};
use carport_voice_api::{Event, Numbered, Sink};
use tokio::sync::{Notify, watch};

use super::ledger::Ledger;
use crate::notify::VoiceEvent;

/// How long an event that must not be lost waits for room.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Events that wait for the sender; beyond that, droppable ones are dropped.
const MOST_WAITING: usize = 256;

/// The events of a stream.
pub(crate) struct Line {
    state: Guarded<State>,
    changed: Notify,
    live: Notify,
    flushed: watch::Sender<bool>,
}

struct State {
    next_seq: u64,
    /// Nobody takes them where a stream has no owner.
    waiting: Option<VecDeque<Numbered>>,
    sink: Option<Sink>,
    ledger: Ledger,
    closed: bool,
}

impl State {
    fn make(&mut self, event: Event) {
        self.ledger.note(&event);
        let numbered = Numbered { event, seq: Some(self.next_seq) };
        self.next_seq += 1;
        if let Some(sink) = &self.sink {
            sink(&numbered);
        }
        if let Some(waiting) = &mut self.waiting
            && (waiting.len() < MOST_WAITING || !numbered.event.is_droppable())
        {
            waiting.push_back(numbered);
        }
    }
}

impl Line {
    pub(crate) fn new(has_owner: bool, sink: Option<Sink>) -> Self {
        let (next_seq, waiting) = (0, has_owner.then(VecDeque::new));
        let state = State { next_seq, waiting, sink, ledger: Ledger::default(), closed: false };
        Self {
            state: Guarded::new(state),
            changed: Notify::new(),
            live: Notify::new(),
            flushed: watch::Sender::new(!has_owner),
        }
    }

    /// Makes an event. After the last one it is discarded.
    pub(crate) fn make(&self, event: Event) {
        let mut state = self.state.lock();
        if !state.closed {
            state.make(event);
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Makes the last events; `false` if that was done before.
    pub(crate) fn close(&self, last: impl FnOnce(&Ledger) -> Vec<Event>) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        for event in last(&state.ledger) {
            state.make(event);
        }
        state.closed = true;
        state.sink = None;
        drop(state);
        self.changed.notify_one();
        true
    }

    /// Reads what was heard so far.
    pub(crate) fn ledger<T>(&self, read: impl FnOnce(&mut Ledger) -> T) -> T {
        read(&mut self.state.lock().ledger)
    }

    /// Lets events out.
    pub(crate) fn go_live(&self) {
        self.live.notify_one();
    }

    /// Waits until every event has left.
    pub(crate) async fn flushed(&self) {
        // The sender lives as long as this does.
        let _ = self.flushed.subscribe().wait_for(|flushed| *flushed).await;
    }

    /// The next event, and whether it was the last.
    async fn next(&self) -> Option<Numbered> {
        loop {
            {
                let mut state = self.state.lock();
                let next = state.waiting.as_mut().and_then(VecDeque::pop_front);
                if next.is_some() || state.closed {
                    return next;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Sends every event to the owner, in order, until the last. `slow` is told when the client did not
    /// take an event in time; from then on nothing is waited for.
    pub(crate) async fn send(&self, id: &str, session: &Arc<Session>, slow: impl Fn()) {
        self.live.notified().await;
        let mut patient = true;
        while let Some(event) = self.next().await {
            let waits = patient && !event.event.is_droppable();
            let event = VoiceEvent { session_id: id.to_owned(), event };
            let sent = match waits {
                true => session.notify_wait(&event, PATIENCE).await,
                false => session.notify(&event),
            };
            if waits && !sent {
                patient = false;
                if !session.is_closed() {
                    slow();
                }
            }
        }
        self.flushed.send_replace(true);
    }
}
