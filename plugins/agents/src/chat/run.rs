//! Chats whose agent is a run of an external agent: the same routes, with a process at the other end.

use std::sync::{Arc, atomic::Ordering};

use carport_agents_external::Stopper;
use carport_core::{Result, Session};
use serde_json::{Map, Value};

use super::{
    ChatCancelled, Chats, Ear, Line,
    book::{NewChat, Party, Speaker},
};

/// Who answers in a chat.
#[derive(Clone)]
pub(super) enum Partner {
    Session(Arc<Session>),
    Run(Stopper),
}

impl Partner {
    /// Whether the goal of a chat is its affair; a run is never told of one.
    pub(super) fn has_goals(&self) -> bool {
        matches!(self, Self::Session(_))
    }

    /// Nobody waits for the chat any more.
    pub(super) fn cancel(&self, session_id: String) {
        match self {
            Self::Session(agent) => drop(agent.notify(&ChatCancelled { session_id })),
            Self::Run(stopper) => stopper.stop(),
        }
    }
}

/// The chat of one run.
pub(crate) struct RunRoute {
    session_id: String,
    speaker: Speaker,
    /// For [`Chats::go_live`].
    pub(crate) serial: u64,
}

impl Chats {
    /// Makes the route of a run that a connection begins. It hears nothing before [`Self::go_live`].
    pub(crate) fn open_run(
        &self,
        from: &Arc<Session>,
        adapter_id: &str,
        session_id: &str,
        stopper: Stopper,
    ) -> Result<RunRoute> {
        let speaker = Speaker::Run(self.runs.fetch_add(1, Ordering::Relaxed));
        let new = NewChat {
            session_id: session_id.to_owned(),
            agent_id: adapter_id.to_owned(),
            agent: speaker,
            origin: Party::Session(from.serial()),
            ear: Line { origin: Ear::Session(from.clone()), agent: Partner::Run(stopper) },
            stream: true,
        };
        let serial = self.book.lock().open(self.now(), new)?;
        Ok(RunRoute { session_id: session_id.to_owned(), speaker, serial })
    }

    /// Takes back the route of a run that was not begun.
    pub(crate) fn withdraw_run(&self, session_id: &str, serial: u64) {
        self.book.lock().withdraw(session_id, serial);
    }

    /// An event of a run. One whose originator is gone is heard by nobody.
    pub(crate) fn say(&self, route: &RunRoute, kind: &str, members: Map<String, Value>) {
        self.take(route.speaker, &route.session_id, kind, members);
    }

    /// Whether a chat of this id is that of a run.
    pub(crate) fn is_run(&self, session_id: &str) -> bool {
        let ear = self.book.lock().ear(session_id, Party::Inside, true);
        matches!(ear, Ok(Some(Line { agent: Partner::Run(_), .. })))
    }
}
