//! One track of a stream on its way to text: its samples, its recogniser, the numbers of its segments.

use std::{cell::Cell, time::Instant};

use carport_voice_api::{
    Cancel, Event, Failure, FailureKind, FinalReason, Heard, Listener, Recogniser, Segment, Speaker,
};
use carport_voice_audio::{Tape, from_ms};

use super::{
    Stream,
    edge::Edge,
    foreign::Order,
    hearing::{Hearing, Told},
};
use crate::slots::Need;

/// Sound that is kept to tell voices apart where the provider finds the segments.
const KEPT_MS: u64 = 30_000;
/// Sound at the end of a growing segment that tells whose it is.
const GLANCE_MS: u64 = 2400;

/// All channels of a stream, or one of them.
pub(super) struct Track<'a> {
    telling: Telling<'a>,
    edge: Edge,
    hears: Hears,
    /// Nothing more is heard.
    is_over: bool,
}

/// Who finds the segments.
enum Hears {
    /// The plugin.
    Segments(Box<Hearing>),
    /// The provider.
    Stream { listener: Box<dyn Listener>, order: Order, tape: Option<Tape> },
}

impl<'a> Track<'a> {
    /// `next` is the number of the stream's next segment.
    pub(super) fn new(
        stream: &'a Stream,
        channel: Option<u16>,
        recogniser: Recogniser,
        next: &'a Cell<u64>,
    ) -> Self {
        let hears = match recogniser {
            Recogniser::Segments { decoder, activity } => {
                Hears::Segments(Box::new(Hearing::new(decoder, activity, &stream.settings)))
            }
            Recogniser::Stream(listener) => Hears::Stream {
                listener,
                order: Order::new(stream.settings.streaming),
                tape: stream.voices.is_some().then(Tape::default),
            },
        };
        let telling = Telling { stream, channel, next, segment: Cell::default() };
        Self { telling, edge: Edge::new(stream, channel), hears, is_over: false }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// The open segment, by its number in the stream.
    pub(super) fn open_segment(&self) -> Option<u64> {
        let open = match &self.hears {
            Hears::Segments(hearing) => hearing.open_segment(),
            Hears::Stream { order, .. } => order.open_segment(),
        };
        open.map(|_| self.telling.segment.get())
    }

    pub(super) fn speech_ms(&self) -> u64 {
        match &self.hears {
            Hears::Segments(hearing) => hearing.speech_ms(),
            Hears::Stream { order, .. } => order.speech_ms,
        }
    }

    /// Takes bytes of whole sample frames.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.edge.take(self.telling.stream, bytes);
        self.pass_on()
    }

    /// The open segment ends here.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.hears {
            Hears::Segments(hearing) => hearing.flush(&self.telling, FinalReason::Flush),
            Hears::Stream { listener, .. } => {
                within_place(self.telling.stream, || listener.flush())
            }
        }
    }

    /// No more sound comes.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        self.edge.finish();
        self.pass_on()?;
        match &mut self.hears {
            Hears::Segments(hearing) => {
                self.is_over = true;
                hearing.flush(&self.telling, FinalReason::Stop)
            }
            Hears::Stream { listener, .. } => {
                within_place(self.telling.stream, || listener.finish())
            }
        }
    }

    fn pass_on(&mut self) -> Result<(), Failure> {
        let samples = self.edge.samples();
        match &mut self.hears {
            Hears::Segments(hearing) => hearing.hear(&self.telling, samples),
            Hears::Stream { listener, tape, .. } => {
                if let Some(tape) = tape {
                    tape.push(samples);
                    tape.forget(tape.end().saturating_sub(from_ms(KEPT_MS)));
                }
                within_place(self.telling.stream, || listener.hear(samples))
            }
        }
    }

    /// The provider told this, and `ending` says whether it may come to its end.
    pub(super) fn told(&mut self, heard: Heard, ending: bool) -> Result<(), Failure> {
        let Hears::Stream { order, tape, .. } = &mut self.hears else { return Ok(()) };
        if self.is_over {
            return Ok(());
        }
        let telling = &self.telling;
        let since = |at_ms: u64| telling.since(at_ms);
        let events = match heard {
            Heard::Failed(failure) => return Err(failure),
            Heard::Ended => {
                self.is_over = true;
                let last = if ending { FinalReason::Stop } else { FinalReason::Provider };
                order.finish(last, &since)
            }
            heard => order.hear(within(heard, self.edge.position_ms()), &since),
        };
        for event in events {
            let kept = tape.as_ref().zip(span(&event));
            telling.tell(event, kept.map_or(&[][..], |(tape, (from, to))| tape.slice(from..to)));
        }
        if self.is_over && !ending {
            let why = "the provider ended the stream by itself";
            return Err(Failure::new(FailureKind::Failed, why));
        }
        Ok(())
    }
}

/// What a provider does that hears everything itself. Nothing is done for a stream that is over.
fn within_place(
    stream: &Stream,
    work: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    stream.busy(work).unwrap_or(Ok(()))
}

/// What was heard lies in the sound that there was.
fn within(mut heard: Heard, position_ms: u64) -> Heard {
    if let Heard::Partial { start_ms, end_ms, .. } | Heard::Final { start_ms, end_ms, .. } =
        &mut heard
    {
        *end_ms = (*end_ms).min(position_ms);
        *start_ms = (*start_ms).min(*end_ms);
    }
    heard
}

/// Where the sound of a partial or a final lies, in samples.
fn span(event: &Event) -> Option<(u64, u64)> {
    match event {
        Event::Partial { start_ms, end_ms, .. }
        | Event::Final { segment: Segment { start_ms, end_ms, .. }, .. } => {
            Some((from_ms(*start_ms), from_ms(*end_ms)))
        }
        _ => None,
    }
}

/// Tells what is heard on a track, with the numbers that its segments have in the stream.
struct Telling<'a> {
    stream: &'a Stream,
    channel: Option<u16>,
    next: &'a Cell<u64>,
    /// The last segment that began here.
    segment: Cell<u64>,
}

impl Told for Telling<'_> {
    fn wants_partials(&self) -> bool {
        self.stream.settings.streaming
    }

    fn is_idle(&self) -> bool {
        self.stream.intake.lock().is_idle()
    }

    fn begin(&self, need: Need<'_>) -> bool {
        self.stream.begin(need)
    }

    fn done(&self) {
        self.stream.done();
    }

    fn since(&self, position_ms: u64) -> u64 {
        let intake = self.stream.intake.lock();
        intake.arrivals.since(position_ms, Instant::now()).as_millis() as u64
    }

    fn tell(&self, mut event: Event, samples: &[f32]) {
        let stream = self.stream;
        self.place(&mut event);
        let (mut settled, mut onset) = (None, None);
        match &mut event {
            Event::Final { segment, .. } if stream.settings.settled && !segment.text.is_empty() => {
                settled = Some(segment.clone());
            }
            Event::SpeechStarted { at_ms, .. } if stream.settings.barge_in => onset = Some(*at_ms),
            Event::Partial { speaker, .. } => *speaker = stream.glance(samples),
            _ => {}
        }
        stream.line.make(event);
        if let Some(segment) = settled {
            stream.settle(segment, samples);
        }
        if let Some(event) = onset.and_then(|at_ms| stream.barge_in(at_ms)) {
            stream.line.make(event);
        }
    }
}

impl Telling<'_> {
    /// Segments of a track are told one after the other, so whatever is told of one is of the last that
    /// began.
    fn place(&self, event: &mut Event) {
        match event {
            Event::SpeechStarted { segment_id, .. } => {
                *segment_id = self.next.get();
                self.segment.set(*segment_id);
                self.next.set(*segment_id + 1);
            }
            Event::Partial { segment_id, .. }
            | Event::Preflight { segment_id, .. }
            | Event::SpeechStopped { segment_id, .. } => *segment_id = self.segment.get(),
            Event::Final { segment, .. } => {
                segment.segment_id = self.segment.get();
                segment.channel = self.channel;
            }
            _ => {}
        }
    }
}

impl Stream {
    /// Tells a segment with whose voice it is, and what that says of earlier ones.
    fn settle(&self, segment: Segment, samples: &[f32]) {
        let id = segment.segment_id;
        let (speaker, corrected) = self.who(id, samples);
        self.line.make(Event::Transcript { segment: Segment { speaker, ..segment } });
        for (segment_id, speaker) in corrected {
            self.line.make(Event::SpeakerCorrected { segment_id, speaker });
        }
    }

    fn who(&self, segment_id: u64, samples: &[f32]) -> (Option<Speaker>, Vec<(u64, Speaker)>) {
        let Some(voices) = &self.voices else { return (None, Vec::new()) };
        let provider = voices.lock().provider();
        let Some(print) = self.busy(|| provider.print(samples)) else { return (None, Vec::new()) };
        match print {
            Ok(print) if print.voiced_ms == 0 => (None, Vec::new()),
            Ok(print) => {
                let (speaker, corrected) = voices.lock().name(segment_id, print);
                (Some(speaker), corrected)
            }
            Err(failure) => {
                tracing::debug!(%failure, "no voice print of a segment");
                (None, Vec::new())
            }
        }
    }

    /// Whose voice a segment that still grows seems to be.
    fn glance(&self, samples: &[f32]) -> Option<Speaker> {
        let voices = self.voices.as_ref()?;
        let provider = voices.lock().provider();
        let from = samples.len().saturating_sub(from_ms(GLANCE_MS) as usize);
        // The print itself is short, so nobody looks whether it was called off.
        let stop = Cancel::default();
        if !self.begin(Need::Spare(&stop)) {
            return None;
        }
        let print = provider.print(&samples[from..]);
        self.done();
        voices.lock().seems(&print.ok()?)
    }

    /// Speech cancels what the connection is being told; the event says what it was, if it was anything.
    fn barge_in(&self, at_ms: u64) -> Option<Event> {
        let owner = self.owner.as_ref()?;
        let (stream_ids, turn_id) = self.hub.hush(owner);
        let took_effect = !stream_ids.is_empty() || turn_id.is_some();
        took_effect.then_some(Event::BargeIn { at_ms, stream_ids, turn_id })
    }
}
