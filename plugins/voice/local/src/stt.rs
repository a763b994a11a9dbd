//! Speech to text: what a recognizer is, and how a whole recording becomes text.

use std::sync::atomic::{AtomicBool, Ordering};

use carport_voice_audio::{Event, Segmenter, VadOptions};

use crate::{Activity, RunError};

/// The text of a stretch of speech.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Empty for silence, and for a mark of something that is not speech.
    pub text: String,
    /// The geometric mean of the tokens' probabilities, 0..=1; 0 for an empty text.
    pub confidence: f32,
}

/// What turns sound into text. It keeps nothing between calls, so all streams share one.
pub trait Recognizer: Send + Sync {
    /// The text of mono sound of 16 kHz within -1..=1, at most [`Recognizer::limit`] samples.
    fn decode(&self, samples: &[f32]) -> Result<Heard, RunError>;

    /// The most samples that one call takes.
    fn limit(&self) -> usize;
}

/// A segment of a recording. Positions are samples of 16 kHz.
#[derive(Debug, Clone, PartialEq)]
pub struct Spoken {
    /// Where speech began.
    pub from: u64,
    /// The last voiced moment.
    pub to: u64,
    /// What was said; never empty.
    pub text: String,
    /// As [`Heard::confidence`].
    pub confidence: f32,
}

/// The text of a whole recording, segment by segment. Only speech is decoded. `cancel` is looked at
/// between segments.
pub fn transcribe(
    recognizer: &dyn Recognizer,
    samples: &[f32],
    options: VadOptions,
    cancel: &AtomicBool,
) -> Result<Vec<Spoken>, RunError> {
    let (mut activity, mut segmenter) = (Activity::new(), Segmenter::new(options));
    let mut events = Vec::new();
    activity.push(samples, |score| segmenter.push(score, &mut events));
    activity.flush(|score| segmenter.push(score, &mut events));
    segmenter.flush(carport_voice_audio::Reason::Stop, &mut events);
    let (mut onset, mut spoken) = (0, Vec::new());
    for event in events {
        match event {
            Event::Started { at, .. } => onset = at,
            Event::Stopped { from, to, at, .. } => {
                if cancel.load(Ordering::Relaxed) {
                    return Err(RunError::Cancelled);
                }
                let end = (to as usize).min(samples.len());
                let heard = recognizer.decode(&samples[(from as usize).min(end)..end])?;
                if !heard.text.is_empty() {
                    let Heard { text, confidence } = heard;
                    spoken.push(Spoken { from: onset, to: at.min(end as u64), text, confidence });
                }
            }
            Event::Partial { .. } | Event::Eager { .. } => {}
        }
    }
    Ok(spoken)
}

/// A text without its marks of what is not speech: `[BLANK_AUDIO]`, `(music)`, `*sighs*`, notes. Empty if
/// nothing is left that can be said.
pub fn spoken_text(text: &str) -> String {
    let (mut plain, mut closing) = (String::new(), None);
    for letter in text.chars() {
        match (closing, letter) {
            (Some(end), _) if letter == end => closing = None,
            (Some(_), _) | (None, '♪' | '♫' | '♩' | '♬' | '♭' | '♯') => {}
            (None, '[') => closing = Some(']'),
            (None, '(') => closing = Some(')'),
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

/// How many of these tokens are wanted when the end of them repeats: a decoder that lost its way says the
/// same again and again. Of four repetitions or more that make twelve tokens or more, one stays.
pub(crate) fn without_repeats(tokens: &[u32]) -> Option<usize> {
    const TIMES: usize = 4;
    const TOKENS: usize = 12;
    for period in 1..=tokens.len() / TIMES {
        let (head, tail) = tokens.split_at(tokens.len() - period);
        let times = 1 + head.rchunks(period).take_while(|it| *it == tail).count();
        if times >= TIMES && times * period >= TOKENS {
            return Some(tokens.len() - (times - 1) * period);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_no_speech() {
        for mark in ["[BLANK_AUDIO]", " (upbeat music) ", "*sighs*", "♪♪", "...", "", "[a] (b)"]
        {
            assert_eq!(spoken_text(mark), "", "{mark}");
        }
        assert_eq!(spoken_text("[noise] Turn  left."), "Turn left.");
        assert_eq!(spoken_text("Turn (right"), "Turn (right");
        assert_eq!(spoken_text("3 * 4"), "3 * 4");
        assert_eq!(spoken_text("Größe, 42 – so what?"), "Größe, 42 – so what?");
    }

    #[test]
    fn repeats_are_cut_to_one() {
        let repeated = |head: &[u32], part: &[u32], times| {
            let mut all = head.to_vec();
            (0..times).for_each(|_| all.extend(part));
            all
        };
        assert_eq!(without_repeats(&repeated(&[7, 8], &[1, 2, 3], 4)), Some(5));
        assert_eq!(without_repeats(&repeated(&[7], &[1], 12)), Some(2));
        assert_eq!(without_repeats(&repeated(&[7], &[1], 11)), None);
        assert_eq!(without_repeats(&repeated(&[], &[1, 2, 3, 4, 5], 3)), None);
        assert_eq!(without_repeats(&[]), None);
        assert_eq!(without_repeats(&(0..200).collect::<Vec<_>>()), None);
    }
}
