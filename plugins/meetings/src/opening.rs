//! Starts a meeting: its streams, then its files, then its tasks; or nothing of it.

use std::sync::Arc;

use carport_core::{Caller, Identity, Result, RpcError, Session, blocking_io};
use carport_meetings_record::{EndedBy, Meeting, Owner, Participant, Role, Source};
use carport_memory_api::GraphRef;
use carport_voice_api::{
    AudioSource, Event, NewStream, Numbered, OwnerMay, Sink, Stream, StreamOptions, Terms,
};
use uuid::Uuid;

use crate::{
    hall::{Hall, Place, taken},
    live::{Live, Order, Stage},
    queue::Queue,
    remembering,
    shelf::Kept,
    writer::Writer,
};

/// A meeting that is to begin.
pub(crate) struct Wanted {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) sources: Vec<WantedSource>,
    pub(crate) options: StreamOptions,
    pub(crate) participants: Vec<Participant>,
    pub(crate) ingest: bool,
}

/// A source that is to be opened.
pub(crate) struct WantedSource {
    pub(crate) source: String,
    pub(crate) speaker: Option<String>,
    pub(crate) audio: AudioSource,
}

/// Streams that end again unless the meeting begins.
struct Opened(Vec<Arc<dyn Stream>>);

impl Opened {
    async fn undo(self) {
        for stream in self.0 {
            let _ = stream.stop(false).await;
        }
    }
}

impl Hall {
    /// Begins a meeting. Its record is on disk when this returns, and its streams let their events out once
    /// the caller is answered.
    ///
    /// # Errors
    /// As `meeting.start`; nothing is left of it then.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        wanted: Wanted,
        caller: &Caller,
    ) -> Result<Arc<Live>> {
        let (hall, session, identity) =
            (self.clone(), caller.session().clone(), caller.identity().clone());
        // To its end even if the connection goes meanwhile: half a meeting is nobody's.
        let beginning = tokio::spawn(async move { hall.make(wanted, &session, &identity).await });
        let live = beginning.await.map_err(RpcError::internal)??;
        let streams = live.streams.get().cloned().unwrap_or_default();
        caller.after_reply(move || streams.iter().for_each(|it| it.go_live()));
        Ok(live)
    }

    async fn make(
        self: &Arc<Self>,
        wanted: Wanted,
        session: &Arc<Session>,
        identity: &Identity,
    ) -> Result<Arc<Live>> {
        let id = wanted.id.clone();
        let _reserved = self.reserve(&id, session)?;
        let shelf = self.shelf.clone();
        let name = id.clone();
        let holds = blocking_io(move || shelf.holds(&name)).await;
        if holds.map_err(|error| crate::broken(&error))? {
            return Err(taken(&id));
        }
        let graph = match wanted.ingest {
            true => Some(self.memory.graph(session)?),
            false => None,
        };
        let meeting = self.meeting(&wanted, identity);
        let outlives =
            self.config.keep_on_disconnect && wanted.sources.iter().all(|it| goes_on(&it.audio));
        let passing = graph.clone().filter(|it| matches!(it, GraphRef::Session(_)));
        let (orders, taken_up) = Queue::new();
        let opened = self.open(wanted, &meeting.sources, session, &orders).await?;
        let kept = Kept::new(meeting.clone(), graph.as_ref());
        let shelf = self.shelf.clone();
        let file = match blocking_io(move || shelf.begin(&kept)).await {
            Ok(file) => file,
            Err(error) => {
                opened.undo().await;
                let is_taken = error.kind() == std::io::ErrorKind::AlreadyExists;
                return Err(if is_taken { taken(&id) } else { crate::broken(&error) });
            }
        };
        let live = Arc::new(Live::new(meeting, session, outlives, graph, orders));
        let _ = live.streams.set(opened.0);
        if let Some(graph) = passing {
            self.passing.lock().insert(id.clone(), graph);
        }
        self.live.lock().insert(id.clone(), Place::Live(live.clone()));
        let (hall, writing) = (self.clone(), live.clone());
        let writer = Writer { hall, live: writing, file, orders: taken_up, failed: false };
        self.tasks.spawn("write a transcript", writer.run());
        self.tasks.spawn("watch over a transcript", watch_over(self.clone(), live.clone()));
        if let Some(graph) = live.graph.clone() {
            self.tasks.spawn(
                "remember a meeting",
                remembering::keep_up(self.clone(), live.clone(), graph),
            );
        }
        // It may have gone while this was made, and nobody would end it.
        if session.is_closed() {
            self.pass(session);
            if !outlives {
                self.end(&live, EndedBy::Disconnect);
            }
        }
        Ok(live)
    }

    fn meeting(&self, wanted: &Wanted, identity: &Identity) -> Meeting {
        let agent_id = identity.agent_id().map(str::to_owned);
        let role = match identity {
            Identity::Host => Role::Host,
            _ if agent_id.is_some() => Role::Agent,
            _ => Role::Client,
        };
        let owner = Owner { role, agent_id };
        let (id, title) = (wanted.id.clone(), wanted.title.clone());
        let mut meeting = Meeting::begin(id, title, self.clock.now(), owner, wanted.ingest);
        let source = |(at, it): (usize, &WantedSource)| Source {
            source: it.source.clone(),
            voice_session_id: stream_id(&wanted.id, at),
            kind: kind(&it.audio).into(),
            speaker: it.speaker.clone(),
        };
        meeting.sources = wanted.sources.iter().enumerate().map(source).collect();
        meeting.participants.clone_from(&wanted.participants);
        meeting
    }

    async fn open(
        &self,
        wanted: Wanted,
        sources: &[Source],
        owner: &Arc<Session>,
        orders: &Queue,
    ) -> Result<Opened> {
        // Only the meeting stops them, also when the connection or the daemon ends: its last words settle.
        let terms = Terms { owner_may: OwnerMay::Push, outlives_owner: true, ..Terms::default() };
        let mut opened = Opened(Vec::new());
        for (source, known) in wanted.sources.into_iter().zip(sources) {
            let new = NewStream {
                owner: Some(owner.clone()),
                session_id: known.voice_session_id.clone(),
                source: source.audio,
                // Whose a segment is, is only known when it has settled.
                options: StreamOptions { settled: Some(true), ..wanted.options.clone() },
                sink: Some(sink(source.source, orders.clone())),
                terms,
            };
            match self.voice.open(new) {
                Ok(stream) => opened.0.push(stream),
                Err(error) => {
                    opened.undo().await;
                    return Err(error.with("source", known.source.clone()));
                }
            }
        }
        Ok(opened)
    }
}

/// Tells the writer what concerns a meeting. It runs under the stream's lock.
fn sink(source: String, orders: Queue) -> Sink {
    Arc::new(move |told: &Numbered| {
        let concerns = matches!(
            told.event,
            Event::Transcript { .. }
                | Event::SpeakerCorrected { .. }
                | Event::Warning { .. }
                | Event::SessionStopped { .. }
        );
        if concerns {
            orders.tell(Order::Told { source: source.clone(), event: told.event.clone() });
        }
    })
}

/// 32 lower-case hex digits; the first is the meeting's id if that is such.
fn stream_id(meeting: &str, at: usize) -> String {
    let is_hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    match at == 0 && meeting.len() == 32 && meeting.bytes().all(is_hex) {
        true => meeting.to_owned(),
        false => Uuid::now_v7().simple().to_string(),
    }
}

fn kind(audio: &AudioSource) -> &'static str {
    match audio {
        AudioSource::PcmPush { .. } => "pcm_push",
        AudioSource::File { .. } => "file",
        AudioSource::Mic { .. } => "mic",
    }
}

/// Whether a source can go on without its connection.
fn goes_on(audio: &AudioSource) -> bool {
    match audio {
        AudioSource::PcmPush { .. } => false,
        AudioSource::File { .. } | AudioSource::Mic { .. } => true,
    }
}

/// Ends a meeting of which something that was said found no room, even if its writer hangs in the disk.
async fn watch_over(hall: Arc<Hall>, live: Arc<Live>) {
    tokio::select! {
        () = live.orders.loses() => {
            tracing::error!(meeting = live.id, "a transcript is not written for too long");
            hall.end(&live, EndedBy::WriteError);
        }
        () = live.reached(Stage::Over) => {}
    }
}
