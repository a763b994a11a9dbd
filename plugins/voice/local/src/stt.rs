//! Speech to text: what a recognizer is, and where a decoder has lost its way.

use std::sync::atomic::AtomicBool;

use crate::RunError;

/// The text of a stretch of speech.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Trimmed; empty for silence.
    pub text: String,
    /// The geometric mean of the tokens' probabilities, 0..=1; 0 for an empty text.
    pub confidence: f32,
    /// The text as the model writes it: a draft for more of the same speech.
    pub tokens: Vec<u32>,
}

/// What helps a decode along.
#[derive(Debug, Clone, Copy, Default)]
pub struct Help<'a> {
    /// Tokens of an earlier decode of the same speech. They are checked in one step, and those up to the first
    /// that the model would not write now need not be found one by one again. Others only cost that step.
    /// A model whose numbers are rounded for each step may round otherwise for many tokens at once, so a draft may
    /// decide between two tokens that are as likely.
    pub draft: &'a [u32],
    /// Becomes true when nobody wants the text any more. It is looked at between two steps.
    pub stop: Option<&'a AtomicBool>,
}

/// What turns sound into text. It keeps nothing between calls, so all streams share one.
pub trait Recognizer: Send + Sync {
    /// The text of mono sound of 16 kHz within -1..=1, at most [`Recognizer::limit`] samples.
    fn decode(&self, samples: &[f32]) -> Result<Heard, RunError> {
        self.decode_with(samples, Help::default())
    }

    /// The same with some help; [`RunError::Cancelled`] if it was stopped.
    fn decode_with(&self, samples: &[f32], help: Help<'_>) -> Result<Heard, RunError>;

    /// The most samples that one call takes.
    fn limit(&self) -> usize;
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
