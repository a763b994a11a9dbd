//! One stream of sound: what waits for its worker, what its worker waits for, and its end.

mod agreement;
mod arrivals;
mod binary;
mod edge;
mod feed;
pub(crate) mod foreign;
pub(crate) mod hearing;
mod intake;
pub(crate) mod ledger;
mod line;
mod open;
pub(crate) mod settings;
mod track;
mod work;

use std::{
    sync::{
        Arc, Condvar, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use carport_core::{Guarded, Result, RpcError, Session, Time, codes};
use carport_voice_api::{
    Accepted, Cancel, EndReason, ErrorCode, Event, Failure, FailureKind, Heard, Opening, Summary,
    Terms, WarningCode,
};
use carport_voice_audio::{Format, Full};
use tokio::{sync::watch, time::timeout};

pub(crate) use self::{
    binary::{SOUND_IN, SoundFrame},
    line::PATIENCE,
    open::{Admission, HeldBack, MAX_PUSH, check_push},
};
use self::{intake::Intake, line::Line, settings::Settings};
use crate::{
    counts::Counted,
    hub::{Hub, Key},
    slots::Permit,
    speakers::Voices,
};

/// How long a worker that nobody wants any more may take to end.
const ABANDON: Duration = Duration::from_secs(5);
/// From when on a decode, or the end of a provider, is called slow.
const SLOW: Duration = Duration::from_secs(5);
/// From when on it is taken for one that never comes.
const HUNG: Duration = Duration::from_secs(60);

/// A stream that is open, or whose end somebody still waits for.
pub(crate) struct Stream {
    me: Weak<Stream>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) key: Key,
    pub(crate) owner: Option<Arc<Session>>,
    pub(crate) opening: Opening,
    pub(crate) format: Format,
    /// The word for the source.
    pub(crate) source: &'static str,
    pub(crate) started_at: Time,
    pub(crate) settings: Settings,
    pub(crate) terms: Terms,
    voices: Option<Guarded<Voices>>,
    line: Line,
    intake: Guarded<Intake>,
    /// Something changed that the worker or the feeder waits for.
    changed: Condvar,
    /// Whether its provider needs no place, for it does not compute here.
    waits: bool,
    /// The place that the worker has while it works.
    permit: Guarded<Option<Permit>>,
    /// Calls off the partial that its worker makes, or waits to make.
    spare: Guarded<Option<Cancel>>,
    worker_gone: watch::Sender<bool>,
    over: watch::Sender<bool>,
    /// Whether its last event was made.
    ended: AtomicBool,
    _counted: Counted,
}

impl Stream {
    /// What `voice.sessions.list` calls its state.
    pub(crate) fn status(&self) -> &'static str {
        if self.intake.lock().is_ending() { "stopping" } else { "listening" }
    }

    /// Sound so far, and how much of it waits.
    pub(crate) fn lengths_ms(&self) -> (u64, u64) {
        let intake = self.intake.lock();
        (intake.ring.position_ms(), intake.ring.buffered_ms())
    }

    /// When its first sample was heard.
    pub(crate) fn began(&self) -> Option<Time> {
        self.intake.lock().began()
    }

    /// Whether its last event was made, so that its id is free.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn is_pushed(&self) -> bool {
        self.source == "pcm_push"
    }

    pub(crate) fn no_such(&self) -> RpcError {
        no_such(&self.key.1)
    }

    /// Takes whole sample frames, or nothing.
    pub(crate) fn push(&self, pcm: &[u8]) -> Result<Accepted> {
        if !self.is_pushed() {
            let why =
                format!("stream `{}` is fed by the daemon; only pcm_push takes sound", self.key.1);
            return Err(RpcError::conflict(why));
        }
        check_push(pcm.len())?;
        let frames = self.format.frames(pcm);
        frames.map_err(|why| RpcError::invalid_params("pcm_b64", why))?;
        self.admit(pcm.len()).map_err(|retry_after_ms| {
            RpcError::overloaded(
                "more than 2 MiB of sound a second on this connection; push slower",
            )
            .with("retry_after_ms", retry_after_ms)
            .with("buffered_ms", self.lengths_ms().1)
        })?;
        let mut intake = self.intake.lock();
        if intake.is_ending() {
            return Err(self.no_such());
        }
        intake.push(pcm, self.hub.clock.now(), Instant::now()).map_err(no_room)?;
        let accepted = Accepted {
            bytes: pcm.len(),
            buffered_ms: intake.ring.buffered_ms(),
            position_ms: intake.ring.position_ms(),
        };
        drop(intake);
        self.changed.notify_all();
        Ok(accepted)
    }

    /// Whether the connection may send so much now; else when.
    fn admit(&self, bytes: usize) -> std::result::Result<(), u64> {
        let Some(owner) = &self.owner else { return Ok(()) };
        self.hub.admit(owner, bytes)
    }

    /// The open segment ends after what was pushed so far.
    pub(crate) fn flush(&self) -> Result<Option<u64>> {
        let mut intake = self.intake.lock();
        if intake.is_ending() {
            return Err(self.no_such());
        }
        intake.flush();
        let open = intake.open_segment;
        drop(intake);
        self.press();
        Ok(open)
    }

    /// Somebody waits for the text of what there is: no partial of it is in the way.
    fn press(&self) {
        if let Some(partial) = &*self.spare.lock() {
            partial.cancel();
        }
        self.changed.notify_all();
        self.hub.slots.look_again();
    }

    /// The provider heard something on a track; told by any thread.
    fn hear(&self, track: usize, heard: Heard) {
        self.intake.lock().hear(track, heard);
        self.changed.notify_all();
    }

    /// Begins its end; `false` if it had begun. What was pushed is still heard.
    pub(crate) fn end(&self, reason: EndReason) -> bool {
        let began = self.intake.lock().end(reason);
        self.press();
        began
    }

    /// Ends it, and waits until every event has left: with `drain`, also for what was pushed, 10 s at the
    /// most.
    pub(crate) async fn stop(&self, drain: bool) -> Result<Summary> {
        if !self.intake.lock().stop() {
            return Err(self.no_such());
        }
        self.press();
        self.go_live();
        let mut truncated = false;
        if drain {
            let mut over = self.over.subscribe();
            let waiting = timeout(PATIENCE, over.wait_for(|over| *over));
            truncated = waiting.await.is_err();
        }
        // What is missing is known only before the end empties the queue.
        truncated |= !drain && self.intake.lock().has_more();
        truncated &= self.close(EndReason::Stop);
        self.told_all().await;
        Ok(self.summary(truncated))
    }

    fn summary(&self, truncated: bool) -> Summary {
        let (audio_ms, speech_ms, dropped_ms) = self.intake.lock().sums();
        self.line.ledger(|ledger| Summary {
            transcript: std::mem::take(&mut ledger.transcript),
            segments: std::mem::take(&mut ledger.segments).into(),
            audio_ms,
            speech_ms,
            dropped_ms,
            truncated: truncated || ledger.truncated,
        })
    }

    /// It is over now, whatever its worker does; `false` if it was. Frees what it held.
    pub(crate) fn close(&self, reason: EndReason) -> bool {
        self.close_with(None, reason)
    }

    /// It cannot go on.
    pub(crate) fn fail(&self, code: ErrorCode, message: String, retry_after_ms: Option<u64>) {
        let error = Event::Error { code, message, fatal: true, retry_after_ms };
        self.close_with(Some(error), EndReason::Error);
    }

    fn close_with(&self, error: Option<Event>, reason: EndReason) -> bool {
        let (audio_ms, speech_ms, dropped_ms) = self.intake.lock().sums();
        let closed = self.line.close(|ledger| {
            // Whoever hears the last event may use the id again.
            self.ended.store(true, Ordering::Release);
            let segments = ledger.count;
            let stopped =
                Event::SessionStopped { reason, audio_ms, speech_ms, dropped_ms, segments };
            error.into_iter().chain([stopped]).collect()
        });
        if !closed {
            return false;
        }
        self.intake.lock().close();
        self.settings.listen.cancel.cancel();
        self.press();
        self.hub.forget(self);
        self.over.send_replace(true);
        self.see_worker_off();
        true
    }

    /// Gives the worker up if it does not end soon.
    fn see_worker_off(&self) {
        let Some(stream) = self.me.upgrade() else { return };
        self.hub.spawn("see a worker off", async move {
            let mut gone = stream.worker_gone.subscribe();
            if timeout(ABANDON, gone.wait_for(|gone| *gone)).await.is_err() {
                stream.hub.counts.abandoned.inc();
                tracing::warn!(
                    stream = stream.key.1,
                    provider = stream.opening.provider,
                    "a provider hangs; its thread was given up"
                );
                drop(stream.permit.lock().take());
            }
        });
    }

    /// Its connection is gone: it is over, unless whoever opened it ends it.
    pub(crate) fn owner_left(&self) {
        if !self.terms.outlives_owner {
            let daemon_ends = *self.hub.stopping.borrow();
            self.close(if daemon_ends { EndReason::Shutdown } else { EndReason::Disconnect });
        }
        self.go_live();
    }

    /// What a sweep does: an idle stream ends, and so does one whose connection or provider is gone.
    pub(crate) fn sweep(&self, now: Time, idle: Duration) {
        let (quiet, busy, told) = self.intake.lock().age(now);
        if self.owner.as_ref().is_some_and(|owner| owner.is_closed()) {
            self.owner_left();
        }
        if busy >= HUNG {
            let message = format!("the provider did not answer for {} s", HUNG.as_secs());
            self.fail(ErrorCode::ProviderFailed, message, None);
        } else if busy >= SLOW && !told {
            self.intake.lock().told_slow = true;
            let message = format!("the provider takes longer than {} s", SLOW.as_secs());
            self.warn(WarningCode::ProviderSlow, message, None);
        } else if self.is_pushed() && quiet >= idle {
            self.end(EndReason::Idle);
        }
    }

    fn warn(&self, code: WarningCode, message: String, dropped_ms: Option<u64>) {
        self.line.make(Event::Warning { code, message, dropped_ms });
    }

    /// Waits until its last event has left.
    pub(crate) async fn told_all(&self) {
        self.line.flushed().await;
    }

    /// Lets its events out.
    pub(crate) fn go_live(&self) {
        self.line.go_live();
    }

    fn fail_with(&self, failure: Failure) {
        let code = match failure.kind {
            FailureKind::Failed => ErrorCode::ProviderFailed,
            FailureKind::Auth => ErrorCode::ProviderAuth,
            FailureKind::Limit => ErrorCode::ProviderLimit,
            FailureKind::Load => ErrorCode::LoadFailed,
        };
        self.fail(code, failure.message, failure.retry_after_ms);
    }
}

/// There is no such stream, or not any more.
pub(crate) fn no_such(id: &str) -> RpcError {
    RpcError::not_found(format!("stream `{id}` on this connection"))
}

fn no_room(full: Full) -> RpcError {
    match full {
        Full::Format(why) => RpcError::invalid_params("pcm_b64", why),
        Full::TooLong { limit_ms, .. } => {
            RpcError::invalid_params("pcm_b64", full).with("limit", limit_ms)
        }
        Full::Busy { buffered_ms, retry_after_ms, .. } => RpcError::new(codes::OVERLOADED, full)
            .with("retryable", true)
            .with("buffered_ms", buffered_ms)
            .with("retry_after_ms", retry_after_ms),
    }
}
