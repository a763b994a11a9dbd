//! Turns: a quick answer and a thorough one to what a person said, at most one turn a connection.

mod track;
pub(crate) mod words;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering},
};

use carport_core::{Result, RpcError, Session};
use carport_inference_api::{Inference, Request};
use carport_voice_api::{Event, Numbered, TurnEvent};
use tokio::{
    sync::watch,
    time::{Duration, Instant},
};

use self::words::{Kind, classify};
use crate::{
    hub::{Desk, Hub},
    notify::VoiceEvent,
    stream::PATIENCE,
};

/// What the model is told where nobody says anything else.
pub(crate) const OVERLAY: &str = "You are spoken to and your answer is read aloud. Answer in one or two short \
                                  sentences of plain words, without lists, markup or links.";

/// A turn that runs.
pub(crate) struct Turn {
    pub(crate) id: u64,
    cancelled: watch::Sender<bool>,
    done: watch::Sender<bool>,
}

/// What a turn is about.
pub(crate) struct NewTurn {
    pub(crate) utterance: String,
    /// The stream whose id the events carry; empty for none.
    pub(crate) session_id: String,
    /// What the model is told; empty for nothing.
    pub(crate) overlay: String,
    pub(crate) sidecar_limit: Duration,
}

impl Turn {
    /// Cancels it; `false` if it has ended or that was done.
    pub(crate) fn cancel(&self) -> bool {
        !*self.done.borrow() && !self.cancelled.send_replace(true)
    }

    /// Waits until nothing more is sent.
    pub(crate) async fn done(&self) {
        let _ = self.done.subscribe().wait_for(|done| *done).await;
    }
}

/// There is nobody who runs models.
pub(crate) fn need(hub: &Hub) -> Result<Arc<dyn Inference>> {
    hub.inference.clone().ok_or_else(|| {
        let remedy =
            "turns need a plugin that runs models: use a build with the feature `inference`";
        RpcError::unavailable("inference", remedy)
    })
}

/// Ends the turn of a connection, if one runs; its last event is sent when this returns.
pub(crate) async fn cancel(session: &Session) {
    let desk = session.slot::<Desk>();
    let _one = desk.turning.lock().await;
    end(&desk).await;
}

async fn end(desk: &Desk) {
    let running = desk.turn.lock().take();
    if let Some(turn) = running {
        turn.cancel();
        turn.done().await;
    }
}

/// Starts a turn in the place of the one that runs. Its events wait for the gate that is returned.
pub(crate) async fn dispatch(
    hub: &Arc<Hub>,
    session: &Arc<Session>,
    new: NewTurn,
) -> Result<(u64, watch::Sender<bool>)> {
    let inference = need(hub)?;
    let desk = session.slot::<Desk>();
    let _one = desk.turning.lock().await;
    end(&desk).await;
    let turn = Arc::new(Turn {
        id: hub.next_turn.fetch_add(1, Ordering::Relaxed),
        cancelled: watch::Sender::new(false),
        done: watch::Sender::new(false),
    });
    *desk.turn.lock() = Some(turn.clone());
    let (gate, mut opened) = watch::channel(false);
    let (id, running) = (turn.id, Running::new(hub, session, inference, turn, new));
    hub.spawn("take a turn", async move {
        // The gate is dropped unopened if the caller never got its reply.
        if opened.wait_for(|open| *open).await.is_ok() {
            running.run().await;
        }
        running.turn.done.send_replace(true);
    });
    Ok((id, gate))
}

/// A turn at work. Only this sends its events.
struct Running {
    session: Arc<Session>,
    inference: Arc<dyn Inference>,
    turn: Arc<Turn>,
    new: NewTurn,
    kind: Option<Kind>,
    phrase: String,
    began: Instant,
    seq: AtomicU64,
    /// When the first piece of the fast answer came.
    first_delta_ms: OnceLock<u64>,
}

impl Running {
    fn new(
        hub: &Hub,
        session: &Arc<Session>,
        inference: Arc<dyn Inference>,
        turn: Arc<Turn>,
        new: NewTurn,
    ) -> Self {
        let settings = &hub.config.turns;
        let kind = classify(&new.utterance, &settings.words);
        let has_fast = kind.is_none() && inference.is_ready(true);
        let kind = if has_fast { None } else { Some(kind.unwrap_or(Kind::Unknown)) };
        let phrase = kind.map(|kind| settings.phrases.of(kind).to_owned()).unwrap_or_default();
        let (session, began) = (session.clone(), Instant::now());
        let (seq, first_delta_ms) = (AtomicU64::new(0), OnceLock::new());
        Self { session, inference, turn, new, kind, phrase, began, seq, first_delta_ms }
    }

    fn request(&self, fast: bool) -> Request {
        Request {
            system: Some(self.new.overlay.clone()).filter(|it| !it.is_empty()),
            prompt: self.new.utterance.clone(),
            model: None,
            prefer_fast: fast,
            max_tokens: None,
            remembers: (!fast).then(|| self.session.clone()),
        }
    }

    fn ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Sends an event; `false` if the client did not take it.
    async fn tell(&self, event: TurnEvent) -> bool {
        let seq = Some(self.seq.fetch_add(1, Ordering::Relaxed));
        let event = Numbered { event: Event::Turn(event), seq };
        let event = VoiceEvent { session_id: self.new.session_id.clone(), event };
        self.session.notify_wait(&event, PATIENCE).await
    }
}
