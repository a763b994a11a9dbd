//! What a stream has heard so far: its text and its last segments.

use std::collections::VecDeque;

use carport_voice_api::{Event, Segment, Speaker};

/// Segments that are kept.
const MOST_SEGMENTS: usize = 2000;
/// Bytes of text that are kept.
const MOST_TEXT: usize = 4 << 20;

/// The finals of a stream.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) transcript: String,
    pub(crate) segments: VecDeque<Segment>,
    /// Segments that had their final.
    pub(crate) count: u64,
    /// Whether text was left out.
    pub(crate) truncated: bool,
}

impl Ledger {
    /// Notes what an event says of a segment.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Final { segment, .. } => self.add(segment),
            Event::Transcript { segment } => {
                self.settle(segment.segment_id, segment.speaker.as_ref())
            }
            Event::SpeakerCorrected { segment_id, speaker } => {
                self.settle(*segment_id, Some(speaker));
            }
            _ => {}
        }
    }

    fn add(&mut self, segment: &Segment) {
        self.count += 1;
        if self.segments.len() == MOST_SEGMENTS {
            self.segments.pop_front();
        }
        self.segments.push_back(segment.clone());
        if segment.text.is_empty() {
            return;
        }
        if self.transcript.len() + segment.text.len() + 1 > MOST_TEXT {
            self.truncated = true;
            return;
        }
        if !self.transcript.is_empty() {
            self.transcript.push(' ');
        }
        self.transcript.push_str(&segment.text);
    }

    fn settle(&mut self, segment_id: u64, speaker: Option<&Speaker>) {
        let mut known = self.segments.iter_mut().rev();
        if let Some(segment) = known.find(|it| it.segment_id == segment_id) {
            segment.speaker = speaker.cloned();
        }
    }
}

/// A text without its marks of what is not speech: `[BLANK_AUDIO]`, `(music)`, `*sighs*`, notes. Empty if
/// nothing is left that can be said.
pub(crate) fn spoken(text: &str) -> String {
    let (mut plain, mut closing) = (String::new(), None);
    for letter in text.chars() {
        match (closing, letter) {
            (Some(end), _) if letter == end => closing = None,
            (Some(_), _) | (None, '♪' | '♫' | '♩' | '♬' | '♭' | '♯') => {}
            (None, '[') => closing = Some(']'),
            (None, '(') => closing = Some(')'),
            (None, '<') => closing = Some('>'),
            (None, '*') => closing = Some('*'),
            (None, _) => plain.push(letter),
        }
    }
    // A mark that never closes was none.
    let plain = if closing.is_some() { text } else { &plain };
    match plain.chars().any(char::is_alphanumeric) {
        true => plain.split_whitespace().collect::<Vec<_>>().join(" "),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use carport_voice_api::FinalReason;

    use super::*;

    fn final_of(segment_id: u64, text: &str) -> Event {
        let segment = Segment { segment_id, text: text.into(), ..Segment::default() };
        Event::Final { segment, reason: FinalReason::Silence, latency_ms: 0 }
    }

    #[test]
    fn texts_are_joined_with_one_blank_and_the_last_segments_stay() {
        let mut ledger = Ledger::default();
        for (nth, text) in ["one", "", "two"].iter().enumerate() {
            ledger.note(&final_of(nth as u64, text));
        }
        assert_eq!(ledger.transcript, "one two");
        for nth in 3..2500 {
            ledger.note(&final_of(nth, "x"));
        }
        assert_eq!((ledger.count, ledger.segments.len()), (2500, MOST_SEGMENTS));
        assert_eq!(ledger.segments[0].segment_id, 500);
        assert!(!ledger.truncated);
        ledger.note(&final_of(2500, &"x".repeat(MOST_TEXT)));
        assert!(ledger.truncated);
    }

    #[test]
    fn marks_are_no_speech() {
        let marks =
            ["", " ", "[BLANK_AUDIO]", " (upbeat music) ", "*sighs*", "...", "<noise>", "♪♪"];
        for mark in marks.into_iter().chain(["[a] (b)"]) {
            assert_eq!(spoken(mark), "", "{mark}");
        }
        assert_eq!(spoken("[noise] Turn  left."), "Turn left.");
        for speech in ["Turn (right", "3 * 4", "You", "7", "ü", "Größe, 42 – so what?"] {
            assert_eq!(spoken(speech), speech);
        }
    }
}
