//! A voice, a memory and a model that do what a test says.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use carport_core::{Result, RpcError, Session, Time};
use carport_inference_api::{Inference, Pieces, Request};
use carport_memory_api::{
    ContextRequest, Event as Seen, GraphRef, Memory, NewFact, Question, Recalled, Turn,
};
use carport_voice_api::{
    Accepted, AudioSource, EndReason, Event, NewStream, Numbered, Opening, OwnerMay, Provider,
    ProviderRow, Segment, Sink, Speaker, Speech, SpeechOptions, Stream, StreamOptions, Summary,
    Terms, Voice,
};
use tokio::sync::watch;

/// A voice whose streams hear what a test tells them.
pub(crate) struct Script {
    streams: Mutex<BTreeMap<String, Arc<Scripted>>>,
    /// Whether a stream that stops says that something is missing.
    pub(crate) cuts: Arc<Mutex<bool>>,
    /// Opening fails for the stream with this position.
    pub(crate) refuses: Mutex<Option<usize>>,
    /// Streams that were opened.
    pub(crate) opened: Mutex<Vec<(String, StreamOptions)>>,
    /// While shut, a stream that stops with `drain` waits.
    pub(crate) drained: watch::Sender<bool>,
}

impl Default for Script {
    fn default() -> Self {
        let drained = watch::Sender::new(true);
        Self {
            streams: Mutex::default(),
            cuts: Arc::default(),
            refuses: Mutex::default(),
            opened: Mutex::default(),
            drained,
        }
    }
}

/// One stream.
struct Scripted {
    sink: Mutex<Option<Sink>>,
    seq: Mutex<u64>,
    /// What it tells when it is stopped.
    last: Mutex<Vec<Event>>,
    drained: watch::Receiver<bool>,
    cuts: Arc<Mutex<bool>>,
    live: Mutex<bool>,
    began: Mutex<Option<Time>>,
}

impl Scripted {
    fn tell(&self, event: Event) {
        let sink = self.sink.lock().unwrap().clone();
        let mut seq = self.seq.lock().unwrap();
        if let Some(sink) = sink {
            sink(&Numbered { event, seq: Some(*seq) });
            *seq += 1;
        }
    }

    fn end(&self, reason: EndReason) -> bool {
        let is_open = self.sink.lock().unwrap().is_some();
        self.tell(Event::SessionStopped {
            reason,
            audio_ms: 0,
            speech_ms: 0,
            dropped_ms: 0,
            segments: 0,
        });
        *self.sink.lock().unwrap() = None;
        is_open
    }
}

#[async_trait]
impl Stream for Scripted {
    fn opening(&self) -> Opening {
        Opening {
            provider: "script".into(),
            model: "script".into(),
            sample_rate: 16_000,
            channels: 1,
        }
    }
    fn began(&self) -> Option<Time> {
        *self.began.lock().unwrap()
    }
    fn go_live(&self) {
        *self.live.lock().unwrap() = true;
    }
    fn push(&self, pcm: &[u8]) -> Result<Accepted> {
        Ok(Accepted { bytes: pcm.len(), buffered_ms: 0, position_ms: 0 })
    }
    fn flush(&self) -> Result<Option<u64>> {
        Ok(None)
    }
    async fn stop(&self, drain: bool) -> Result<Summary> {
        if self.sink.lock().unwrap().is_none() {
            return Err(RpcError::not_found("stream"));
        }
        if drain {
            let _ = self.drained.clone().wait_for(|it| *it).await;
            self.last.lock().unwrap().drain(..).for_each(|it| self.tell(it));
        }
        self.end(EndReason::Stop);
        Ok(Summary { truncated: *self.cuts.lock().unwrap(), ..Summary::default() })
    }
}

impl Script {
    fn stream(&self, id: &str) -> Arc<Scripted> {
        self.streams.lock().unwrap()[id].clone()
    }

    /// A stream tells something.
    pub(crate) fn tell(&self, id: &str, event: Event) {
        self.stream(id).tell(event);
    }

    /// A stream heard somebody.
    pub(crate) fn says(&self, id: &str, segment_id: u64, label: &str, text: &str) {
        self.tell(id, said(segment_id, label, text));
    }

    /// What a stream tells while it stops.
    pub(crate) fn last_words(&self, id: &str, events: Vec<Event>) {
        *self.stream(id).last.lock().unwrap() = events;
    }

    /// The first sample of a stream was heard.
    pub(crate) fn begins(&self, id: &str, at: Time) {
        *self.stream(id).began.lock().unwrap() = Some(at);
    }

    /// A stream ends by itself.
    pub(crate) fn ends(&self, id: &str, reason: EndReason) {
        assert!(self.stream(id).end(reason), "it is open");
    }

    pub(crate) fn is_live(&self, id: &str) -> bool {
        *self.stream(id).live.lock().unwrap()
    }

    pub(crate) fn is_open(&self, id: &str) -> bool {
        self.stream(id).sink.lock().unwrap().is_some()
    }
}

/// The settled segment of a stream; each second one.
pub(crate) fn said(segment_id: u64, label: &str, text: &str) -> Event {
    let speaker =
        Some(Speaker { label: label.into(), score: None, enrolled: !label.starts_with('S') });
    let (start_ms, end_ms) = (segment_id * 1000, segment_id * 1000 + 800);
    let language = Some("en".into());
    let segment = Segment {
        segment_id,
        text: text.into(),
        start_ms,
        end_ms,
        speaker,
        language,
        ..<_>::default()
    };
    Event::Transcript { segment }
}

impl Voice for Script {
    fn register(&self, _: Provider) -> Result<()> {
        Ok(())
    }
    fn providers(&self) -> Vec<ProviderRow> {
        Vec::new()
    }
    fn open(&self, new: NewStream) -> Result<Arc<dyn Stream>> {
        let mut opened = self.opened.lock().unwrap();
        if *self.refuses.lock().unwrap() == Some(opened.len()) {
            return Err(RpcError::unavailable("provider", "install it"));
        }
        if let AudioSource::File { path, .. } = &new.source
            && path.is_empty()
        {
            return Err(RpcError::invalid_params("audio_source.path", "is empty"));
        }
        // The meeting alone ends it, and its owner hears of it.
        let terms = Terms { owner_may: OwnerMay::Push, outlives_owner: true, tracks: false };
        assert_eq!((new.terms, new.owner.is_some()), (terms, true));
        opened.push((new.session_id.clone(), new.options));
        let scripted = Arc::new(Scripted {
            sink: Mutex::new(new.sink),
            seq: Mutex::default(),
            last: Mutex::default(),
            drained: self.drained.subscribe(),
            cuts: self.cuts.clone(),
            live: Mutex::default(),
            began: Mutex::default(),
        });
        self.streams.lock().unwrap().insert(new.session_id, scripted.clone());
        Ok(scripted)
    }
    fn speak(&self, _: String, _: SpeechOptions) -> Result<Speech> {
        Err(RpcError::unavailable("speech", "none"))
    }
}

/// A memory that writes down what it is given.
#[derive(Default)]
pub(crate) struct Notebook {
    pub(crate) turns: Mutex<Vec<(GraphRef, Turn)>>,
    pub(crate) facts: Mutex<Vec<NewFact>>,
    pub(crate) forgotten: Mutex<Vec<(String, String)>>,
    /// Whether a connection has a graph of its own.
    pub(crate) is_own: Mutex<bool>,
    /// What it says to every turn, and to whoever wants one forgotten.
    pub(crate) fails: Mutex<Option<RpcError>>,
    /// Turns that were offered.
    pub(crate) offered: watch::Sender<usize>,
}

#[async_trait]
impl Memory for Notebook {
    fn graph(&self, session: &Session) -> Result<GraphRef> {
        Ok(match session.identity().agent_id() {
            Some(agent) => GraphRef::Agent(agent.into()),
            None if *self.is_own.lock().unwrap() => GraphRef::Session(session.id().into()),
            None => GraphRef::Shared,
        })
    }
    async fn add(&self, _: &GraphRef, fact: NewFact) -> Result<usize> {
        self.facts.lock().unwrap().push(fact);
        Ok(1)
    }
    async fn query(&self, _: &GraphRef, _: Question) -> Result<Vec<Recalled>> {
        Ok(Vec::new())
    }
    async fn build_context(&self, _: &GraphRef, _: ContextRequest) -> Result<String> {
        Ok(String::new())
    }
    async fn ingest(&self, graph: &GraphRef, turn: Turn) -> Result<()> {
        self.offered.send_modify(|it| *it += 1);
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Err(error);
        }
        self.turns.lock().unwrap().push((graph.clone(), turn));
        Ok(())
    }
    async fn forget(&self, _: &GraphRef, origin: &str, fact_id: &str) -> Result<bool> {
        self.forgotten.lock().unwrap().push((origin.into(), fact_id.into()));
        Ok(true)
    }
    async fn forget_turns(&self, graph: &GraphRef, origin: &str) -> Result<usize> {
        if let Some(error) = self.fails.lock().unwrap().clone() {
            return Err(error);
        }
        let mut turns = self.turns.lock().unwrap();
        let before = turns.len();
        turns.retain(|(of, turn)| of != graph || turn.origin != origin);
        Ok(before - turns.len())
    }
    fn observe(&self, _: &Session, _: Seen) {}
    async fn credit(&self, _: &GraphRef, _: Option<&str>, _: &[String], _: bool) -> Result<()> {
        Ok(())
    }
}

/// A model that answers what a test says, and keeps what it was asked.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) answer: Mutex<Option<Result<String>>>,
    pub(crate) asked: Mutex<Vec<Request>>,
}

#[async_trait]
impl Inference for Model {
    fn is_ready(&self, _: bool) -> bool {
        true
    }
    async fn complete(&self, request: Request) -> Result<String> {
        self.asked.lock().unwrap().push(request);
        let answer = self.answer.lock().unwrap().clone();
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
    async fn stream(&self, _: Request) -> Result<Pieces> {
        Err(RpcError::unavailable("streams", "none"))
    }
}
