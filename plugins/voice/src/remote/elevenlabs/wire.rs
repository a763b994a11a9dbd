//! What is said over the WebSocket, and how it becomes utterances. Plain, without socket or clock.

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_voice_api::{Decoded, FailureKind, Heard, SAMPLE_RATE, Word};
use carport_voice_audio::{pcm_s16le, to_ms};
use serde::Deserialize;
use serde_json::json;

/// A message with sound; `commit` ends the open segment. `context` is for the first message only.
pub(super) fn chunk(samples: &[f32], commit: bool, context: Option<&str>) -> String {
    let mut message = json!({
        "message_type": "input_audio_chunk",
        "audio_base_64": STANDARD.encode(pcm_s16le(samples)),
        "commit": commit,
        "sample_rate": SAMPLE_RATE,
    });
    if let Some(context) = context {
        message["previous_text"] = json!(context);
    }
    message.to_string()
}

/// A message of the service.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    /// It is ready.
    Started,
    /// The open segment so far.
    Partial(String),
    /// A segment for good.
    Committed(String),
    /// The same again, with its words.
    Timed(String, Vec<Word>),
    /// There was nothing to commit.
    Nothing,
    /// It cannot go on: in what way, and in our own words.
    Failed(FailureKind, &'static str),
    /// Something that is of no use here.
    Other,
}

/// Reads a message; `None` if it is none of the format. Words of the service itself are not repeated.
pub(super) fn read(text: &str) -> Option<Told> {
    #[derive(Deserialize)]
    struct Message {
        message_type: String,
        #[serde(default)]
        text: String,
        #[serde(default)]
        words: Option<Vec<TimedWord>>,
    }
    let Message { message_type, text, words } = serde_json::from_str(text).ok()?;
    Some(match &*message_type {
        "session_started" => Told::Started,
        "partial_transcript" => Told::Partial(text),
        "committed_transcript" => Told::Committed(text),
        "committed_transcript_with_timestamps" => {
            let words = words.unwrap_or_default().into_iter();
            Told::Timed(text, words.filter(|it| it.kind == "word").map(Word::from).collect())
        }
        "insufficient_audio_activity" | "commit_throttled" => Told::Nothing,
        "auth_error" => Told::Failed(FailureKind::Auth, "refused its key"),
        "unaccepted_terms" => Told::Failed(FailureKind::Auth, "wants its terms accepted first"),
        "quota_exceeded" => Told::Failed(FailureKind::Limit, "has no credit left"),
        "rate_limited" | "queue_overflow" | "resource_exhausted" => {
            Told::Failed(FailureKind::Limit, "wants fewer requests")
        }
        "session_time_limit_exceeded" => {
            Told::Failed(FailureKind::Limit, "ends a stream that is as long as this one")
        }
        "error" | "input_error" | "chunk_size_exceeded" | "transcriber_error" => {
            Told::Failed(FailureKind::Failed, "could not go on")
        }
        _ => Told::Other,
    })
}

/// A word, or what stands between two. Times in seconds from the first sample that was sent.
#[derive(Deserialize)]
struct TimedWord {
    text: String,
    #[serde(default)]
    start: f64,
    #[serde(default)]
    end: f64,
    #[serde(rename = "type", default)]
    kind: String,
    /// Natural logarithm of its probability.
    logprob: Option<f64>,
}

impl From<TimedWord> for Word {
    fn from(it: TimedWord) -> Self {
        let ms = |secs: f64| (secs * 1000.0) as u64;
        let confidence = it.logprob.map(|it| it.exp().clamp(0.0, 1.0));
        Self { text: it.text, start_ms: ms(it.start), end_ms: ms(it.end), confidence }
    }
}

/// Utterances in the order of a stream. Without words the service does not say where its segments lie, so
/// each lies between the end of the former one and the sound that was sent when it was told.
#[derive(Debug, Default)]
pub(super) struct Utterances {
    sent: u64,
    committed: u64,
    next: u64,
    start_ms: u64,
    is_open: bool,
}

impl Utterances {
    /// So many samples were sent.
    pub(super) fn sent(&mut self, samples: usize) {
        self.sent += samples as u64;
    }

    /// The sound so far is to be committed; whether there is any that was not.
    pub(super) fn commit(&mut self) -> bool {
        let is_more = self.sent > self.committed;
        self.committed = self.sent;
        is_more
    }

    /// Whether a segment has text and no end.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn partial(&mut self, text: String) -> Option<Heard> {
        if text.trim().is_empty() {
            return None;
        }
        self.is_open = true;
        let (start_ms, end_ms) = (self.start_ms, to_ms(self.sent));
        Some(Heard::Partial { utterance: self.next, text, start_ms, end_ms })
    }

    /// A segment for good; the times of its words count from the first sample that was sent.
    pub(super) fn last(
        &mut self,
        text: String,
        language: Option<String>,
        mut words: Vec<Word>,
    ) -> Option<Heard> {
        if text.trim().is_empty() && !self.is_open {
            return None;
        }
        let (utterance, start_ms, end_ms) = (self.next, self.start_ms, to_ms(self.sent));
        (self.next, self.start_ms, self.is_open) = (utterance + 1, end_ms, false);
        for word in &mut words {
            word.start_ms = word.start_ms.saturating_sub(start_ms);
            word.end_ms = word.end_ms.saturating_sub(start_ms);
        }
        let decoded = Decoded { text, language, words, ..Decoded::default() };
        Some(Heard::Final { utterance, decoded, start_ms, end_ms })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_told_apart_and_errors_keep_their_kind() {
        let message = |kind: &str| read(&json!({ "message_type": kind, "text": "x" }).to_string());
        assert_eq!(message("partial_transcript"), Some(Told::Partial("x".into())));
        assert_eq!(message("committed_transcript"), Some(Told::Committed("x".into())));
        assert_eq!(message("something_new"), Some(Told::Other));
        for (kind, failure) in [
            ("auth_error", FailureKind::Auth),
            ("quota_exceeded", FailureKind::Limit),
            ("rate_limited", FailureKind::Limit),
            ("transcriber_error", FailureKind::Failed),
        ] {
            assert!(matches!(message(kind), Some(Told::Failed(it, _)) if it == failure), "{kind}");
        }
        assert_eq!((read("{}"), read("nothing"), read("[1]")), (None, None, None));
    }

    #[test]
    fn words_are_those_that_were_said_from_the_start_of_their_segment() {
        let message = json!({
            "message_type": "committed_transcript_with_timestamps", "text": "go on",
            "words": [
                { "text": "go", "start": 2.25, "end": 2.5, "type": "word", "logprob": 0.0 },
                { "text": " ", "start": 2.5, "end": 2.5, "type": "spacing", "speaker_id": null },
                { "text": "on", "start": 2.5, "end": 1e300, "type": "word" },
            ],
        });
        let Some(Told::Timed(text, words)) = read(&message.to_string()) else { panic!() };
        let mut utterances = Utterances::default();
        utterances.sent(32_000);
        utterances.last("before".into(), None, Vec::new()).unwrap();
        utterances.sent(16_000);
        let Some(Heard::Final { decoded, start_ms, end_ms, .. }) =
            utterances.last(text, None, words)
        else {
            panic!()
        };
        assert_eq!((start_ms, end_ms), (2000, 3000));
        let word = |text: &str, start_ms, end_ms, confidence| Word {
            text: text.into(),
            start_ms,
            end_ms,
            confidence,
        };
        let never = u64::MAX - 2000;
        assert_eq!(decoded.words, [word("go", 250, 500, Some(1.0)), word("on", 500, never, None)]);
    }

    proptest! {
        #[test]
        fn utterances_follow_one_another_in_time(
            steps in prop::collection::vec((0usize..9000, any::<bool>(), "[a ]{0,2}"), 0..40),
        ) {
            let (mut utterances, mut next, mut edge) = (Utterances::default(), 0, 0);
            for (samples, is_last, text) in steps {
                utterances.sent(samples);
                let heard = match is_last {
                    true => utterances.last(text, None, Vec::new()),
                    false => utterances.partial(text),
                };
                match heard {
                    Some(Heard::Partial { utterance, start_ms, end_ms, .. }) => {
                        prop_assert!(utterance == next && start_ms == edge && end_ms >= edge);
                    }
                    Some(Heard::Final { utterance, start_ms, end_ms, .. }) => {
                        prop_assert!(utterance == next && start_ms == edge && end_ms >= edge);
                        (next, edge) = (next + 1, end_ms);
                    }
                    _ => {}
                }
            }
        }
    }
}
