//! A meeting that is being recorded: its ledger and its listeners, changed and told under one lock.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, OnceLock, Weak},
};

use carport_core::{Caller, Guarded, Identity, Result, RpcError, Session, Subscribers, Time};
use carport_meetings_record::{
    Change, EndedBy, Ledger, Meeting, Segment, Status, SummaryKind, page,
};
use carport_memory_api::GraphRef;
use carport_voice_api::{EndReason, Event, Stream};
use tokio::sync::{Notify, oneshot, watch};

use crate::{
    event::{MeetingEvent, WarningCode, What},
    queue::Queue,
    remembering,
    shelf::Kept,
};

pub(crate) use carport_meetings_record::Wanted;

/// Connections that may follow one meeting.
const MOST_LISTENERS: usize = 32;

/// What the writer of a meeting is asked to do.
pub(crate) enum Order {
    /// A source tells something.
    Told { source: String, event: Event },
    /// Texts from elsewhere.
    Texts { texts: Vec<Text>, reply: oneshot::Sender<Result<usize>> },
    /// A label gets a name.
    Name { label: String, name: String, reply: oneshot::Sender<Result<usize>> },
    /// Nothing more comes: the transcript is complete when this is answered.
    Close { to: Status, by: EndedBy, at: Time, done: oneshot::Sender<()> },
}

/// Text from elsewhere. What has no time was said when it is written.
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) speaker: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) start_ms: Option<u64>,
    pub(crate) end_ms: Option<u64>,
}

/// How far a meeting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Recording,
    /// Its sources are being closed.
    Ending,
    /// Its transcript is complete.
    Complete,
    /// Its summary is made, if one is wanted.
    Over,
}

/// A summary that was made, without its title.
pub(crate) type Made = (String, SummaryKind);

/// A meeting that is being recorded.
pub(crate) struct Live {
    pub(crate) id: String,
    /// The connection that started it.
    pub(crate) starter: Weak<Session>,
    pub(crate) serial: u64,
    /// Whether it goes on without that.
    pub(crate) outlives: bool,
    /// Where its turns go.
    pub(crate) graph: Option<GraphRef>,
    pub(crate) orders: Queue,
    pub(crate) streams: OnceLock<Vec<Arc<dyn Stream>>>,
    pub(crate) stage: watch::Sender<Stage>,
    pub(crate) state: Guarded<State>,
    /// There is something for the memory.
    pub(crate) ingestible: Notify,
    /// Whether the memory has everything, or will get no more.
    pub(crate) remembered: watch::Sender<bool>,
}

/// What changes of it.
pub(crate) struct State {
    pub(crate) ledger: Ledger,
    cursor: u64,
    listeners: Vec<Weak<Session>>,
    /// Numbers of segments that the memory has not got yet.
    pub(crate) to_ingest: VecDeque<u64>,
    /// Sources that give no sound any more.
    gone: BTreeSet<String>,
    pub(crate) summary: Option<Made>,
    /// Nothing more happens: nobody listens any more.
    told_all: bool,
}

/// A meeting as it is at a moment, as readers see it.
pub(crate) struct View {
    pub(crate) meeting: Meeting,
    /// Those that were asked for.
    pub(crate) segments: Vec<Segment>,
    /// The number of the first behind these, if there is one.
    pub(crate) next: Option<u64>,
    pub(crate) summary: Option<String>,
}

impl Live {
    pub(crate) fn new(
        meeting: Meeting,
        starter: &Arc<Session>,
        outlives: bool,
        graph: Option<GraphRef>,
        orders: Queue,
    ) -> Self {
        let state = State {
            cursor: 0,
            listeners: Vec::new(),
            to_ingest: VecDeque::new(),
            gone: BTreeSet::new(),
            summary: None,
            told_all: false,
            ledger: Ledger::new(meeting),
        };
        Self {
            id: state.ledger.meeting().id.clone(),
            starter: Arc::downgrade(starter),
            serial: starter.serial(),
            outlives,
            orders,
            streams: OnceLock::new(),
            stage: watch::Sender::new(Stage::Recording),
            state: Guarded::new(state),
            ingestible: Notify::new(),
            remembered: watch::Sender::new(graph.is_none()),
            graph,
        }
    }

    /// Begins its end; `false` if it had begun.
    pub(crate) fn begin_end(&self) -> bool {
        self.stage.send_if_modified(|stage| {
            let begins = *stage == Stage::Recording;
            if begins {
                *stage = Stage::Ending;
            }
            begins
        })
    }

    /// Waits until it is so far.
    pub(crate) async fn reached(&self, stage: Stage) {
        // The sender lives as long as this does.
        let _ = self.stage.subscribe().wait_for(|it| *it >= stage).await;
    }

    pub(crate) fn meeting(&self) -> Meeting {
        self.state.lock().ledger.meeting().clone()
    }

    pub(crate) fn kept(&self) -> Kept {
        Kept::new(self.meeting(), self.graph.as_ref())
    }

    pub(crate) fn view(&self, wanted: Wanted) -> View {
        self.state.lock().view(wanted)
    }

    /// Whether this caller may end it or write to it.
    pub(crate) fn is_of(&self, caller: &Caller) -> bool {
        let agent = |id: &str| self.meeting().owner.agent_id.as_deref() == Some(id);
        match caller.identity() {
            Identity::Host => true,
            _ if caller.session().serial() == self.serial => true,
            identity => identity.agent_id().is_some_and(agent),
        }
    }

    /// Whether this caller is the connection that started it, or the host.
    pub(crate) fn is_started_by(&self, caller: &Caller) -> bool {
        caller.is_host() || caller.session().serial() == self.serial
    }

    /// Listens and takes what there is in one step.
    pub(crate) fn follow(
        &self,
        followers: &Subscribers<String>,
        caller: &Caller,
        wanted: Wanted,
    ) -> Result<(View, u64)> {
        let mut state = self.state.lock();
        let session = caller.session();
        state.listeners.retain(|it| it.upgrade().is_some_and(|it| !it.is_closed()));
        let is_new =
            !state.listeners.iter().any(|it| std::ptr::eq(it.as_ptr(), Arc::as_ptr(session)));
        if !state.told_all {
            if is_new && state.listeners.len() >= MOST_LISTENERS {
                return Err(RpcError::limit(
                    "connections that follow a meeting",
                    MOST_LISTENERS as u64,
                ));
            }
            followers.subscribe(self.id.clone(), caller)?;
            if is_new {
                state.listeners.push(Arc::downgrade(session));
            }
        }
        Ok((state.view(wanted), state.cursor))
    }

    pub(crate) fn unfollow(&self, followers: &Subscribers<String>, session: &Session) -> bool {
        let mut state = self.state.lock();
        state.listeners.retain(|it| !std::ptr::eq(it.as_ptr(), session));
        followers.unsubscribe(&self.id, session)
    }

    /// Nothing more happens. Whoever started a meeting that failed hears of it without having asked.
    pub(crate) fn tell_no_more(&self, followers: &Subscribers<String>) {
        let mut state = self.state.lock();
        state.told_all = true;
        followers.remove_key(&self.id);
        let meeting = state.ledger.meeting();
        let is_new = |it: &Arc<Session>| {
            !state.listeners.iter().any(|known| std::ptr::eq(known.as_ptr(), Arc::as_ptr(it)))
        };
        let starter = self.starter.upgrade().filter(|_| meeting.status == Status::Failed);
        if let Some(starter) = starter.filter(is_new) {
            let what = What::Status { status: meeting.status, ended_by: meeting.ended_by };
            let (meeting_id, cursor) = (self.id.clone(), state.cursor);
            starter.notify(&MeetingEvent { meeting_id, cursor, what });
        }
    }

    /// Changes it and tells of what came of that, in one step.
    pub(crate) fn change<T>(
        &self,
        followers: &Subscribers<String>,
        change: impl FnOnce(&mut State) -> (Vec<What>, T),
    ) -> T {
        let mut state = self.state.lock();
        let (told, outcome) = change(&mut state);
        for what in told {
            state.cursor += 1;
            let event = MeetingEvent { meeting_id: self.id.clone(), cursor: state.cursor, what };
            followers.notify(&self.id, &event);
        }
        outcome
    }

    pub(crate) fn warn(
        &self,
        followers: &Subscribers<String>,
        code: WarningCode,
        source: Option<String>,
        message: impl Into<String>,
    ) {
        let message = message.into();
        self.change(followers, |_| (vec![What::Warning { code, source, message }], ()));
    }

    /// Where the first sample of a source lies on the meeting's clock. A file begins with the meeting, however
    /// fast it is read; what is heard live began when it was heard first. Sound that is left out later is no
    /// time: whoever pushes live sound with pauses pushes silence for them.
    pub(crate) fn offset_ms(&self, source: &str) -> u64 {
        let meeting = self.meeting();
        let found = meeting.sources.iter().zip(self.streams.get().into_iter().flatten());
        let stream = found.into_iter().find(|(it, _)| it.source == source && it.kind != "file");
        let began = stream.and_then(|(_, stream)| stream.began()).unwrap_or(meeting.started_at);
        u64::try_from((*began - *meeting.started_at).num_milliseconds()).unwrap_or(0)
    }

    /// Its recording is over; `false` if it was.
    pub(crate) fn finish(&self, to: Status, at: Time, by: EndedBy) -> bool {
        self.state.lock().ledger.meeting_mut().end(to, at, by).is_ok()
    }

    /// Lines that are in the file now: the ledger has them, the memory is to have them, listeners hear them,
    /// unless they were told that it is over. Whether somebody appeared.
    pub(crate) fn commit(&self, followers: &Subscribers<String>, changes: Vec<Change>) -> bool {
        let appeared = self.change(followers, |state| {
            let (mut told, mut appeared) = (Vec::new(), false);
            for change in changes {
                let n = change.segment.n;
                let applied = state.ledger.apply(change);
                let waits = applied.revised && state.to_ingest.contains(&n);
                if self.graph.is_some() && !waits {
                    state.to_ingest.push_back(n);
                }
                if let Some(participant) = applied.appeared {
                    appeared = true;
                    told.push(What::Participant { participant });
                }
                let segment = applied.segment;
                told.push(match applied.revised {
                    true => What::SegmentRevised { segment },
                    false => What::Segment { segment },
                });
            }
            if state.ledger.meeting().status != Status::Recording {
                told.clear();
            }
            (told, appeared)
        });
        self.ingestible.notify_one();
        appeared
    }

    /// A source gives no sound any more. Whether all that it ever heard came from files that are at their end.
    pub(crate) fn lose(
        &self,
        followers: &Subscribers<String>,
        source: &str,
        reason: EndReason,
    ) -> bool {
        let is_lost = matches!(reason, EndReason::Error | EndReason::Idle);
        let message = "the source failed or was silent for too long, and is heard no more";
        self.change(followers, |state| {
            state.gone.insert(source.to_owned());
            let sources = &state.ledger.meeting().sources;
            let is_file =
                |name: &str| sources.iter().any(|it| it.source == name && it.kind == "file");
            let all_gone = sources.iter().all(|it| state.gone.contains(&it.source));
            let ends = all_gone && is_file(source);
            let warning = What::Warning {
                code: WarningCode::SourceLost,
                source: Some(source.to_owned()),
                message: message.into(),
            };
            (is_lost.then_some(warning).into_iter().collect(), ends)
        })
    }
}

impl State {
    /// Has the memory get the turns of a label once more, of those that it holds still.
    pub(crate) fn ingest_again(&mut self, label: &str) {
        let waiting: BTreeSet<u64> = self.to_ingest.iter().copied().collect();
        let said = remembering::held(self.ledger.segments()).iter();
        let again = said.filter(|it| it.speaker == label && !waiting.contains(&it.n));
        self.to_ingest.extend(again.map(|it| it.n));
    }

    fn view(&self, wanted: Wanted) -> View {
        let (meeting, page) = (self.ledger.meeting().clone(), page(self.ledger.segments(), wanted));
        let segments = page.segments.into_iter().map(|it| meeting.shown(it)).collect();
        let summary = self.summary.as_ref().map(|it| it.0.clone());
        View { segments, next: page.next, summary, meeting }
    }
}
