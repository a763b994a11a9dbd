//! From samples to the text of segments: voice activity, endpoints, and the decodes in between.

use std::time::Instant;

use carport_voice_api::{
    Activity, Decoded, Decoder, Event, FRAME_SAMPLES, Failure, FinalReason, Pass,
};
use carport_voice_audio::{Event as Edge, Reason, Segmenter, Tape, to_ms};

use super::{agreement::Agreement, foreign::segment, ledger::spoken, settings::Settings};

/// A worker rests so many times as long as its last partial took, before it makes another.
const REST: u32 = 4;

/// The hearing of one stream or file.
pub(crate) struct Hearing {
    decoder: Box<dyn Decoder>,
    activity: Box<dyn Activity>,
    segmenter: Segmenter,
    tape: Tape,
    /// Samples up to here were looked at.
    seen: u64,
    edges: Vec<Edge>,
    agreement: Agreement,
    /// The text of the open segment up to this position.
    eager: Option<(u64, Decoded)>,
    rested: Option<Instant>,
    /// What is decoded as soon as the worker has nothing else to do.
    due: Option<Due>,
}

/// A decode before the end of a segment.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// Of what there is by then.
    Partial { id: u64, from: u64 },
    /// Of what there was when it became silent.
    Eager { id: u64, from: u64, to: u64 },
}

/// Who gets what is heard.
pub(crate) trait Told {
    /// Whether partials are wanted, and may be made now.
    fn wants_partials(&self) -> bool;
    /// Whether the worker has nothing else to do.
    fn is_idle(&self) -> bool;
    /// How long ago the sound at this position came, in milliseconds.
    fn since(&self, position_ms: u64) -> u64;
    /// This happened; the samples are those of a partial or a final.
    fn tell(&self, event: Event, samples: &[f32]);
}

impl Hearing {
    pub(crate) fn new(
        decoder: Box<dyn Decoder>,
        activity: Box<dyn Activity>,
        settings: &Settings,
    ) -> Self {
        Self {
            decoder,
            activity,
            segmenter: Segmenter::new(settings.vad),
            tape: Tape::default(),
            seen: 0,
            edges: Vec::new(),
            agreement: Agreement::default(),
            eager: None,
            rested: None,
            due: None,
        }
    }

    pub(crate) fn open_segment(&self) -> Option<u64> {
        self.segmenter.open_segment()
    }

    pub(crate) fn speech_ms(&self) -> u64 {
        self.segmenter.speech_ms()
    }

    /// Takes samples at 16 kHz that follow the former ones.
    pub(crate) fn hear(&mut self, told: &dyn Told, samples: &[f32]) -> Result<(), Failure> {
        self.tape.push(samples);
        while self.seen + FRAME_SAMPLES as u64 <= self.tape.end() {
            let frame = self.tape.slice(self.seen..self.seen + FRAME_SAMPLES as u64);
            let score = self.activity.speech(frame);
            self.seen += FRAME_SAMPLES as u64;
            self.segmenter.push(score, &mut self.edges);
            self.follow(told)?;
        }
        self.look_ahead(told)?;
        self.tape.forget(self.segmenter.needed_from().min(self.seen));
        Ok(())
    }

    /// Ends the open segment here.
    pub(crate) fn flush(&mut self, told: &dyn Told, why: FinalReason) -> Result<(), Failure> {
        let reason = if why == FinalReason::Flush { Reason::Flush } else { Reason::Stop };
        self.segmenter.flush(reason, &mut self.edges);
        self.follow(told)
    }

    fn follow(&mut self, told: &dyn Told) -> Result<(), Failure> {
        for edge in std::mem::take(&mut self.edges) {
            match edge {
                Edge::Started { segment, at, .. } => {
                    (self.agreement, self.eager) = (Agreement::default(), None);
                    self.due = None;
                    let at_ms = to_ms(at);
                    told.tell(Event::SpeechStarted { segment_id: segment, at_ms }, &[]);
                }
                Edge::Partial { segment: id, from, .. } => {
                    // One that was due for silence says more.
                    self.due = self.due.or(Some(Due::Partial { id, from }));
                }
                Edge::Eager { segment: id, from, to } => {
                    self.due = Some(Due::Eager { id, from, to });
                }
                Edge::Stopped { .. } => self.last(told, edge)?,
            }
        }
        Ok(())
    }

    /// Decodes what is due, if there is time for it.
    fn look_ahead(&mut self, told: &dyn Told) -> Result<(), Failure> {
        let is_rested = self.rested.is_none_or(|rested| Instant::now() >= rested);
        match self.due {
            Some(Due::Partial { .. }) if !told.wants_partials() => self.due = None,
            Some(Due::Partial { id, from }) if told.is_idle() && is_rested => {
                self.due = None;
                return self.partial(told, id, from);
            }
            Some(Due::Eager { id, from, to }) if told.is_idle() => {
                self.due = None;
                return self.preflight(told, id, from, to);
            }
            _ => {}
        }
        Ok(())
    }

    fn partial(&mut self, told: &dyn Told, id: u64, from: u64) -> Result<(), Failure> {
        let (began, to) = (Instant::now(), self.seen);
        let samples = self.tape.slice(from..to);
        let decoded = self.decoder.decode(samples, Pass::Partial)?;
        self.rested = Some(Instant::now() + began.elapsed() * REST);
        let text = spoken(&decoded.text);
        if text.is_empty() {
            return Ok(());
        }
        let agreed = self.agreement.next(&text);
        let partial = Event::Partial {
            segment_id: id,
            text: agreed.text,
            stable_text: agreed.stable,
            start_ms: to_ms(from),
            end_ms: to_ms(to),
            language: decoded.language,
            speaker: None,
        };
        told.tell(partial, samples);
        Ok(())
    }

    /// Decodes ahead of the end, so that the text is there when the end is.
    fn preflight(&mut self, told: &dyn Told, id: u64, from: u64, to: u64) -> Result<(), Failure> {
        let decoded = self.decoder.decode(self.tape.slice(from..to), Pass::Final)?;
        let text = spoken(&decoded.text);
        self.eager = Some((to, decoded));
        if told.wants_partials() && !text.is_empty() {
            let preflight = Event::Preflight { segment_id: id, text, eot_probability: None };
            told.tell(preflight, &[]);
        }
        Ok(())
    }

    fn last(&mut self, told: &dyn Told, edge: Edge) -> Result<(), Failure> {
        let Edge::Stopped { segment: id, from, to, at, reason, eager } = edge else {
            return Ok(());
        };
        let (at_ms, silence_ms) = (to_ms(at), to_ms(to - at));
        self.due = None;
        told.tell(Event::SpeechStopped { segment_id: id, at_ms, silence_ms }, &[]);
        let ready = self.eager.take().filter(|(up_to, _)| Some(*up_to) == eager);
        let samples = self.tape.slice(from..to);
        let decoded = match ready {
            Some((_, decoded)) => decoded,
            None => self.decoder.decode(samples, Pass::Final)?,
        };
        let last = Event::Final {
            segment: segment(id, decoded, to_ms(from), to_ms(to)),
            reason: why(reason),
            latency_ms: told.since(at_ms),
        };
        told.tell(last, samples);
        Ok(())
    }
}

fn why(reason: Reason) -> FinalReason {
    match reason {
        Reason::Silence => FinalReason::Silence,
        Reason::MaxLength => FinalReason::MaxLength,
        Reason::Flush => FinalReason::Flush,
        Reason::Stop => FinalReason::Stop,
    }
}
