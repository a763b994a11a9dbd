//! A stream's worker: one thread that opens the provider and does what the intake holds.

use std::sync::{Arc, PoisonError, Weak};

use carport_voice_api::{
    Caps, EndReason, Event, Failure, FailureKind, FinalReason, Heard, Listener, Recogniser,
    SpeechToText,
};
use carport_voice_audio::{Converter, Mix, Ring};

use super::{
    Stream,
    foreign::Order,
    hearing::{Hearing, Told},
    intake::Work,
};

/// Sound between two `audio_meta` events.
const META_MS: u64 = 500;

impl Stream {
    /// What the thread does from its beginning to its end.
    pub(super) fn work(self: &Arc<Self>, provider: &dyn SpeechToText, caps: Caps) {
        let weak: Weak<Self> = Arc::downgrade(self);
        let ear = Arc::new(move |heard| {
            if let Some(stream) = weak.upgrade() {
                stream.hear(heard);
            }
        });
        let opened = self.busy(|| provider.open(&self.settings.listen, ear));
        let ended = match opened {
            None => return,
            Some(Err(failure)) => Err(Failure { kind: load(failure.kind), ..failure }),
            Some(Ok(recogniser)) => {
                self.line.make(Event::SessionStarted {
                    provider: self.opening.provider.clone(),
                    model: self.opening.model.clone(),
                    sample_rate: self.opening.sample_rate,
                    channels: self.opening.channels,
                    caps: Caps { diarizer: self.voices.is_some(), ..caps },
                });
                match recogniser {
                    Recogniser::Segments { decoder, activity } => {
                        self.hear_segments(Hearing::new(decoder, activity, &self.settings))
                    }
                    Recogniser::Stream(listener) => self.hear_stream(listener),
                }
            }
        };
        if let Err(failure) = ended {
            self.fail_with(failure);
        }
    }

    /// Does model work in one of the places for it; `None` if nobody wants it any more.
    pub(super) fn busy<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let permit = self.hub.slots.take(self.waits, || self.intake.lock().is_closed())?;
        *self.permit.lock() = Some(permit);
        self.intake.lock().busy_since = Some(self.hub.clock.now());
        let made = work();
        {
            let mut intake = self.intake.lock();
            (intake.busy_since, intake.told_slow) = (None, false);
        }
        drop(self.permit.lock().take());
        Some(made)
    }

    /// Waits for something to do.
    fn next(&self) -> Work {
        let mut intake = self.intake.lock();
        loop {
            if let Some(work) = intake.next() {
                drop(intake);
                // A feeder may wait for room.
                self.changed.notify_all();
                return work;
            }
            intake = self.changed.wait(intake).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The plugin finds the segments.
    fn hear_segments(&self, mut hearing: Hearing) -> Result<(), Failure> {
        let mut edge = Edge::new(self);
        loop {
            let done = match self.next() {
                Work::Quit => return Ok(()),
                Work::Heard(_) => continue,
                Work::Sound(bytes) => {
                    let samples = edge.samples(self, &bytes);
                    self.busy(|| hearing.hear(self, samples))
                }
                Work::Flush => self.busy(|| hearing.flush(self, FinalReason::Flush)),
                Work::End(reason) => {
                    let rest = edge.rest();
                    let last = self.busy(|| {
                        hearing.hear(self, rest)?;
                        hearing.flush(self, FinalReason::Stop)
                    });
                    self.note(hearing.open_segment(), hearing.speech_ms());
                    if let Some(Err(failure)) = last {
                        return Err(failure);
                    }
                    self.close(reason);
                    return Ok(());
                }
            };
            self.note(hearing.open_segment(), hearing.speech_ms());
            match done {
                None => return Ok(()),
                Some(heard) => heard?,
            }
        }
    }

    /// The provider finds the segments.
    fn hear_stream(&self, mut listener: Box<dyn Listener>) -> Result<(), Failure> {
        let mut edge = Edge::new(self);
        let mut order = Order::new(self.settings.streaming);
        let mut ending: Option<EndReason> = None;
        loop {
            let done = match self.next() {
                Work::Quit => return Ok(()),
                Work::Sound(bytes) => {
                    let samples = edge.samples(self, &bytes);
                    self.busy(|| listener.hear(samples))
                }
                Work::Flush => self.busy(|| listener.flush()),
                Work::End(reason) => {
                    ending = Some(reason);
                    let rest = edge.rest();
                    self.busy(|| {
                        listener.hear(rest)?;
                        listener.finish()
                    })
                }
                Work::Heard(Heard::Failed(failure)) => return Err(failure),
                Work::Heard(Heard::Ended) => {
                    let last =
                        if ending.is_some() { FinalReason::Stop } else { FinalReason::Provider };
                    self.tell(order.finish(last, &|at_ms| self.since(at_ms)), &[]);
                    self.note(None, order.speech_ms);
                    let Some(reason) = ending else {
                        let why = "the provider ended the stream by itself";
                        return Err(Failure::new(FailureKind::Failed, why));
                    };
                    self.close(reason);
                    return Ok(());
                }
                Work::Heard(heard) => {
                    self.tell(order.hear(heard, &|at_ms| self.since(at_ms)), &[]);
                    Some(Ok(()))
                }
            };
            self.note(order.open_segment(), order.speech_ms);
            match done {
                None => return Ok(()),
                Some(heard) => heard?,
            }
        }
    }

    fn note(&self, open: Option<u64>, speech_ms: u64) {
        let mut intake = self.intake.lock();
        (intake.open_segment, intake.speech_ms) = (open, speech_ms);
    }
}

/// What could not be opened could not be loaded, unless the provider says something else.
fn load(kind: FailureKind) -> FailureKind {
    if kind == FailureKind::Failed { FailureKind::Load } else { kind }
}

/// Where a stream's bytes become samples, and its level is measured.
struct Edge {
    converter: Converter,
    samples: Vec<f32>,
    heard_ms: u64,
    bytes: u64,
}

impl Edge {
    fn new(stream: &Stream) -> Self {
        let converter = Converter::new(stream.format, Mix::Down);
        Self { converter, samples: Vec::new(), heard_ms: 0, bytes: 0 }
    }

    fn samples(&mut self, stream: &Stream, bytes: &[u8]) -> &[f32] {
        self.samples.clear();
        // The ring took whole frames only.
        let _ = self.converter.push(bytes, &mut self.samples);
        self.bytes += bytes.len() as u64;
        let position_ms = stream.format.ms(self.bytes / stream.format.frame_bytes() as u64);
        if stream.settings.audio_meta && position_ms / META_MS > self.heard_ms / META_MS {
            let level = self.converter.take_level();
            let buffered_ms = stream.intake.lock().ring.buffered_ms().min(Ring::LIMIT_MS);
            stream.line.make(Event::AudioMeta {
                level_db: f64::from(level.db),
                clipped: level.clipped,
                buffered_ms,
                position_ms,
            });
        }
        self.heard_ms = position_ms;
        &self.samples
    }

    /// What the resampler still holds.
    fn rest(&mut self) -> &[f32] {
        self.samples.clear();
        self.converter.flush(&mut self.samples);
        &self.samples
    }
}
