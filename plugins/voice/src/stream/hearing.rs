//! From samples to the text of segments: voice activity, endpoints, and the decodes in between.

use std::{ops::Range, time::Instant};

use carport_voice_api::{
    Activity, Cancel, Decoded, Decoder, Event, FRAME_SAMPLES, Failure, FinalReason, Pass,
};
use carport_voice_audio::{Event as Edge, Reason, Segmenter, Tape, to_ms};

use super::{agreement::Agreement, foreign::segment, ledger::spoken, settings::Settings};
use crate::slots::Need;

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
    /// Takes a place for a decode; `false` if there is none for it, or nobody wants the text any more.
    fn begin(&self, need: Need<'_>) -> bool;
    /// The decode is done.
    fn done(&self);
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
            Some(Due::Partial { id, from })
                if told.is_idle() && is_rested && self.segmenter.may_be_partial() =>
            {
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

    /// The text of a part of the tape; `None` if it was put off, or nobody wants it any more.
    fn decode(
        &mut self,
        told: &dyn Told,
        part: Range<u64>,
        pass: Pass,
    ) -> Result<Option<Decoded>, Failure> {
        let stop = Cancel::default();
        let need = if pass == Pass::Partial { Need::Spare(&stop) } else { Need::Now };
        if !told.begin(need) {
            return Ok(None);
        }
        let began = Instant::now();
        let decoded = self.decoder.decode(self.tape.slice(part), pass, &stop);
        // The wait for the place does not count.
        if pass == Pass::Partial {
            self.rested = Some(Instant::now() + began.elapsed() * REST);
        }
        told.done();
        decoded.map(|decoded| (!stop.is_cancelled()).then_some(decoded))
    }

    /// Stays due if others need the place.
    fn partial(&mut self, told: &dyn Told, id: u64, from: u64) -> Result<(), Failure> {
        let to = self.seen;
        let Some(decoded) = self.decode(told, from..to, Pass::Partial)? else { return Ok(()) };
        self.due = None;
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
        told.tell(partial, self.tape.slice(from..to));
        Ok(())
    }

    /// Decodes ahead of the end, so that the text is there when the end is.
    fn preflight(&mut self, told: &dyn Told, id: u64, from: u64, to: u64) -> Result<(), Failure> {
        let Some(decoded) = self.decode(told, from..to, Pass::Final)? else { return Ok(()) };
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
        let decoded = match ready {
            Some((_, decoded)) => Some(decoded),
            None => self.decode(told, from..to, Pass::Final)?,
        };
        let Some(decoded) = decoded else { return Ok(()) };
        let last = Event::Final {
            segment: segment(id, decoded, to_ms(from), to_ms(to)),
            reason: why(reason),
            latency_ms: told.since(at_ms),
        };
        told.tell(last, self.tape.slice(from..to));
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

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, sync::Arc};

    use carport_core::Guarded;
    use carport_voice_api::StreamOptions;

    use super::*;

    /// Decodes, and is called off while it does as often as a test says.
    #[derive(Clone, Default)]
    struct Script(Arc<Guarded<(usize, Vec<Pass>)>>);

    impl Decoder for Script {
        fn decode(&mut self, _: &[f32], pass: Pass, stop: &Cancel) -> Result<Decoded, Failure> {
            let mut script = self.0.lock();
            script.1.push(pass);
            if pass == Pass::Partial && script.0 > 0 {
                script.0 -= 1;
                stop.cancel();
                return Ok(Decoded { text: "half a".into(), ..Decoded::default() });
            }
            Ok(Decoded { text: "all of it".into(), ..Decoded::default() })
        }
    }

    struct Loud;

    impl Activity for Loud {
        fn speech(&mut self, frame: &[f32]) -> f32 {
            if frame[0] > 0.1 { 0.9 } else { 0.0 }
        }
    }

    /// Says whether there is a place: not for so many of those who ask first.
    struct Place {
        refusals: RefCell<usize>,
        told: RefCell<Vec<&'static str>>,
    }

    impl Told for Place {
        fn wants_partials(&self) -> bool {
            true
        }
        fn is_idle(&self) -> bool {
            true
        }
        fn begin(&self, need: Need<'_>) -> bool {
            self.told.borrow_mut().push(match need {
                Need::Now => "now",
                Need::Later => "later",
                Need::Spare(_) => "spare",
            });
            let mut refusals = self.refusals.borrow_mut();
            let has_place = *refusals == 0;
            *refusals = refusals.saturating_sub(1);
            has_place
        }
        fn done(&self) {
            self.told.borrow_mut().push("done");
        }
        fn since(&self, _: u64) -> u64 {
            0
        }
        fn tell(&self, event: Event, _: &[f32]) {
            self.told.borrow_mut().push(match event {
                Event::Partial { .. } => "partial",
                Event::Preflight { .. } => "preflight",
                Event::Final { .. } => "final",
                _ => return,
            });
        }
    }

    /// What half a second of speech comes to if the place is refused, and partials are called off, so often.
    fn heard(refusals: usize, called_off: usize) -> (Vec<&'static str>, Vec<Pass>) {
        let script = Script::default();
        script.0.lock().0 = called_off;
        let settings = Settings::of(StreamOptions::default());
        let mut hearing = Hearing::new(Box::new(script.clone()), Box::new(Loud), &settings);
        let place = Place { refusals: RefCell::new(refusals), told: RefCell::default() };
        for (level, frames) in [(0.5, 32), (0.0, 40)] {
            for _ in 0..frames {
                // However long a decode took on a busy machine.
                hearing.rested = None;
                hearing.hear(&place, &[level; FRAME_SAMPLES]).unwrap();
            }
        }
        let decodes = std::mem::take(&mut script.0.lock().1);
        (place.told.into_inner(), decodes)
    }

    const END: [&str; 4] = ["now", "done", "preflight", "final"];

    #[test]
    fn a_partial_that_is_put_off_is_made_later_and_what_it_had_is_not_told() {
        let made = ["spare", "done", "partial"];
        assert_eq!(heard(0, 0).0, [&made[..], &END].concat());
        let (told, decodes) = heard(0, 1);
        assert_eq!(told, [&["spare", "done"], &made[..], &END].concat());
        assert_eq!(decodes, [Pass::Partial, Pass::Partial, Pass::Final]);
        let (told, decodes) = heard(1, 0);
        assert_eq!(told, [&["spare"], &made[..], &END].concat());
        assert_eq!(decodes, [Pass::Partial, Pass::Final]);
    }

    #[test]
    fn a_partial_that_was_called_off_is_followed_by_a_rest_and_one_that_was_refused_is_not() {
        for (refusals, called_off, rests) in [(0, 1, true), (0, 0, true), (1, 0, false)] {
            let script = Script::default();
            script.0.lock().0 = called_off;
            let settings = Settings::of(StreamOptions::default());
            let mut hearing = Hearing::new(Box::new(script), Box::new(Loud), &settings);
            let place = Place { refusals: RefCell::new(refusals), told: RefCell::default() };
            while place.told.borrow().is_empty() {
                hearing.hear(&place, &[0.5; FRAME_SAMPLES]).unwrap();
            }
            assert_eq!(hearing.rested.is_some(), rests);
        }
    }

    #[test]
    fn a_partial_that_was_put_off_is_not_made_in_the_middle_of_a_silence() {
        // Due 29 frames in; 32 are loud, and less than half of the 13 to a preflight may follow.
        assert_eq!(heard(0, usize::MAX).1.len(), 4 + 6 + 1);
    }

    #[test]
    fn a_partial_that_never_gets_a_place_gives_way_to_the_final() {
        let (told, decodes) = heard(0, usize::MAX);
        assert_eq!(told[told.len() - 4..], END);
        assert_eq!(told.iter().filter(|it| **it == "partial").count(), 0);
        assert_eq!(decodes.iter().filter(|it| **it == Pass::Final).count(), 1);
    }
}
