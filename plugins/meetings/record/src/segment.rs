//! A piece of a transcript, and which text is taken into one.

use carport_core::Time;
use carport_voice_api::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What somebody said without a pause, or wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// Counts from 0 over the whole meeting in the order of writing.
    pub n: u64,
    /// The source that it was heard in.
    pub source: String,
    /// Who speaks: a label in the file, the name that was given to it for a reader.
    pub speaker: String,
    /// What is said.
    pub text: String,
    /// Where it begins, on the meeting's clock.
    pub start_ms: u64,
    /// Where it ends, on the meeting's clock.
    pub end_ms: u64,
    /// The time of day at its beginning.
    pub at: Time,
    /// How sure the recognition is, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The language that was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its words with times on the meeting's clock, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Vec<Word>>,
}

impl Segment {
    /// How long it is.
    pub fn length_ms(&self) -> u64 {
        self.end_ms.saturating_sub(self.start_ms)
    }
}

/// Bytes of a text; what a provider says beyond that is not taken.
const MOST_TEXT: usize = 64 << 10;

/// The text as it is written: trimmed, with single blanks and none of the characters that steer a terminal. `None` if it is nothing that was said: no
/// letter and no digit, or one bracketed mark as `[music]`, `(noise)`, `*laughs*`.
pub fn spoken(text: &str) -> Option<String> {
    let text = &text[..text.floor_char_boundary(MOST_TEXT)];
    let is_gap = |it: char| it.is_whitespace() || it.is_control();
    let text = text.split(is_gap).filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ");
    let is_mark =
        [('[', ']'), ('(', ')'), ('<', '>'), ('*', '*')].into_iter().any(|(open, close)| {
            let inside = text.strip_prefix(open).and_then(|it| it.strip_suffix(close));
            inside.is_some_and(|inside| !inside.contains([open, close]))
        });
    (text.chars().any(char::is_alphanumeric) && !is_mark).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_said_is_taken() {
        for mark in
            ["", "  ", "...", "[music]", " (noise) ", "*laughs*", "<noise>", "♪", "[ a  b ]"]
        {
            assert_eq!(spoken(mark), None, "{mark}");
        }
        assert_eq!(spoken(&"é ".repeat(1 << 20)).map(|it| it.len() <= MOST_TEXT), Some(true));
        assert_eq!(spoken("\u{1b}[31mred\0\u{85}").as_deref(), Some("[31mred"));
        assert_eq!(spoken("  Turn \t left\nnow ").as_deref(), Some("Turn left now"));
        for speech in ["7", "ü", "(a) or (b)", "[noise] so", "*a* and *b*", "好"] {
            assert_eq!(spoken(speech).as_deref(), Some(speech));
        }
    }
}
