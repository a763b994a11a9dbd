//! What a provider hears that finds the ends of speech itself, brought into the order of our own events.

use carport_voice_api::{Decoded, Event, FinalReason, Heard, Segment};

use super::{agreement::Agreement, ledger::spoken};

/// The segment that is open.
#[derive(Debug)]
struct Open {
    utterance: u64,
    segment_id: u64,
    start_ms: u64,
    end_ms: u64,
    agreement: Agreement,
    text: String,
}

/// Numbers the utterances of a provider as segments, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Order {
    /// Utterances up to this one had their final.
    done: Option<u64>,
    open: Option<Open>,
    next: u64,
    pub(crate) speech_ms: u64,
    /// Whether the client has the partials.
    streaming: bool,
}

impl Order {
    pub(crate) fn new(streaming: bool) -> Self {
        Self { streaming, ..Self::default() }
    }

    /// The open segment.
    pub(crate) fn open_segment(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.segment_id)
    }

    /// The events that follow from what was heard. Whatever belongs to an utterance that is over is
    /// dropped; one that never got its final gets its last text when the next one begins.
    ///
    /// `since` tells how long ago the sound at a position came, in milliseconds.
    pub(crate) fn hear(&mut self, heard: Heard, since: &dyn Fn(u64) -> u64) -> Vec<Event> {
        let mut events = Vec::new();
        match heard {
            Heard::Partial { utterance, text, start_ms, end_ms } => {
                if self.begin(utterance, start_ms, since, &mut events) {
                    self.partial(&text, end_ms, &mut events);
                }
            }
            Heard::Final { utterance, decoded, start_ms, end_ms } => {
                if self.begin(utterance, start_ms, since, &mut events) {
                    self.end(decoded, end_ms, FinalReason::Provider, since, &mut events);
                }
            }
            Heard::Failed(_) | Heard::Ended => {}
        }
        events
    }

    /// Nothing more will be heard: what is open ends with its last text.
    pub(crate) fn finish(&mut self, reason: FinalReason, since: &dyn Fn(u64) -> u64) -> Vec<Event> {
        let mut events = Vec::new();
        self.close(reason, since, &mut events);
        events
    }

    /// Whether the utterance is open now.
    fn begin(
        &mut self,
        utterance: u64,
        start_ms: u64,
        since: &dyn Fn(u64) -> u64,
        events: &mut Vec<Event>,
    ) -> bool {
        if self.done.is_some_and(|done| utterance <= done) {
            return false;
        }
        match &self.open {
            Some(open) if open.utterance == utterance => return true,
            Some(open) if open.utterance > utterance => return false,
            _ => self.close(FinalReason::Provider, since, events),
        }
        let segment_id = self.next;
        self.next += 1;
        events.push(Event::SpeechStarted { segment_id, at_ms: start_ms });
        let (agreement, text) = (Agreement::default(), String::new());
        self.open =
            Some(Open { utterance, segment_id, start_ms, end_ms: start_ms, agreement, text });
        true
    }

    fn close(&mut self, reason: FinalReason, since: &dyn Fn(u64) -> u64, events: &mut Vec<Event>) {
        if let Some(open) = &mut self.open {
            let decoded = Decoded { text: std::mem::take(&mut open.text), ..Decoded::default() };
            let end_ms = open.end_ms;
            self.end(decoded, end_ms, reason, since, events);
        }
    }

    fn partial(&mut self, text: &str, end_ms: u64, events: &mut Vec<Event>) {
        let Some(open) = &mut self.open else { return };
        open.end_ms = open.end_ms.max(end_ms);
        text.clone_into(&mut open.text);
        if self.streaming {
            let agreed = open.agreement.next(text);
            events.push(Event::Partial {
                segment_id: open.segment_id,
                text: agreed.text,
                stable_text: agreed.stable,
                start_ms: open.start_ms,
                end_ms: open.end_ms,
                language: None,
                speaker: None,
            });
        }
    }

    fn end(
        &mut self,
        decoded: Decoded,
        end_ms: u64,
        reason: FinalReason,
        since: &dyn Fn(u64) -> u64,
        events: &mut Vec<Event>,
    ) {
        let Some(open) = self.open.take() else { return };
        let end_ms = end_ms.max(open.start_ms);
        self.done = Some(open.utterance);
        self.speech_ms = self.speech_ms.saturating_add(end_ms - open.start_ms);
        let segment_id = open.segment_id;
        events.push(Event::SpeechStopped { segment_id, at_ms: end_ms, silence_ms: 0 });
        let segment = segment(segment_id, decoded, open.start_ms, end_ms);
        events.push(Event::Final { segment, reason, latency_ms: since(end_ms) });
    }
}

/// A segment of a decode whose word times count from `start_ms`.
pub(crate) fn segment(segment_id: u64, decoded: Decoded, start_ms: u64, end_ms: u64) -> Segment {
    let text = spoken(&decoded.text);
    let mut words = decoded.words;
    if text.is_empty() {
        words.clear();
    }
    // Times come from outside; a word lies within its segment.
    let within = |ms: u64| start_ms.saturating_add(ms).min(end_ms);
    for word in &mut words {
        word.start_ms = within(word.start_ms);
        word.end_ms = within(word.end_ms).max(word.start_ms);
    }
    Segment {
        segment_id,
        text,
        start_ms,
        end_ms,
        confidence: decoded.confidence,
        language: decoded.language,
        speaker: None,
        channel: None,
        words: (!words.is_empty()).then_some(words),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partial(utterance: u64, text: &str) -> Heard {
        Heard::Partial { utterance, text: text.into(), start_ms: 100 * utterance, end_ms: 0 }
    }

    fn last(utterance: u64, text: &str) -> Heard {
        let decoded = Decoded { text: text.into(), ..Decoded::default() };
        let (start_ms, end_ms) = (100 * utterance, 100 * utterance + 50);
        Heard::Final { utterance, decoded, start_ms, end_ms }
    }

    /// The kinds of events of each segment, and its final text.
    fn told(events: &[Event]) -> Vec<(u64, &str, &str)> {
        events
            .iter()
            .map(|event| match event {
                Event::SpeechStarted { segment_id, .. } => (*segment_id, "started", ""),
                Event::Partial { segment_id, text, .. } => (*segment_id, "partial", text.as_str()),
                Event::SpeechStopped { segment_id, .. } => (*segment_id, "stopped", ""),
                Event::Final { segment, .. } => (segment.segment_id, "final", &*segment.text),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn late_and_doubled_finals_are_dropped_and_a_lost_one_is_made_up() {
        let mut order = Order::new(true);
        let heard = [
            partial(3, "one"),
            last(3, "one."),
            last(3, "one again"),
            partial(3, "late"),
            partial(5, "two"),
            last(7, "three"),
            last(6, "between"),
        ];
        let events: Vec<_> = heard.into_iter().flat_map(|it| order.hear(it, &|_| 0)).collect();
        assert_eq!(
            told(&events),
            [
                (0, "started", ""),
                (0, "partial", "one"),
                (0, "stopped", ""),
                (0, "final", "one."),
                (1, "started", ""),
                (1, "partial", "two"),
                (1, "stopped", ""),
                (1, "final", "two"),
                (2, "started", ""),
                (2, "stopped", ""),
                (2, "final", "three"),
            ]
        );
        assert_eq!(
            (order.open_segment(), order.finish(FinalReason::Stop, &|_| 0)),
            (None, Vec::new())
        );
    }

    proptest! {
        #[test]
        fn every_segment_has_one_beginning_and_one_end(
            heard in prop::collection::vec((0u64..8, any::<bool>()), 0..60),
        ) {
            let mut order = Order::new(true);
            let told_of = heard.into_iter().map(|(utterance, ends)| match ends {
                true => last(utterance, "x"),
                false => partial(utterance, "x"),
            });
            let mut events: Vec<_> = told_of.flat_map(|it| order.hear(it, &|_| 0)).collect();
            events.extend(order.finish(FinalReason::Stop, &|_| 0));
            let (mut open, mut next) = (None, 0);
            for (segment, what, _) in told(&events) {
                match what {
                    "started" => {
                        prop_assert!(open.is_none() && segment == next);
                        (open, next) = (Some((segment, false)), next + 1);
                    }
                    "partial" => prop_assert_eq!(open, Some((segment, false))),
                    "stopped" => {
                        prop_assert_eq!(open, Some((segment, false)));
                        open = Some((segment, true));
                    }
                    _ => prop_assert_eq!(open.take(), Some((segment, true))),
                }
            }
            prop_assert!(open.is_none());
        }
    }
}
