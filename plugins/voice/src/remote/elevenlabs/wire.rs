//! What is said over the WebSocket, and how it becomes utterances. Plain, without socket or clock.

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_voice_api::{Decoded, FailureKind, Heard, SAMPLE_RATE};
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
    }
    let Message { message_type, text } = serde_json::from_str(text).ok()?;
    Some(match &*message_type {
        "session_started" => Told::Started,
        "partial_transcript" => Told::Partial(text),
        "committed_transcript" => Told::Committed(text),
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

/// Utterances in the order of a stream. The service does not say where its segments lie, so each lies
/// between the end of the former one and the sound that was sent when it was told.
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

    pub(super) fn last(&mut self, text: String, language: Option<String>) -> Option<Heard> {
        if text.trim().is_empty() && !self.is_open {
            return None;
        }
        let (utterance, start_ms, end_ms) = (self.next, self.start_ms, to_ms(self.sent));
        (self.next, self.start_ms, self.is_open) = (utterance + 1, end_ms, false);
        let decoded = Decoded { text, language, ..Decoded::default() };
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

    proptest! {
        #[test]
        fn utterances_follow_one_another_in_time(
            steps in prop::collection::vec((0usize..9000, any::<bool>(), "[a ]{0,2}"), 0..40),
        ) {
            let (mut utterances, mut next, mut edge) = (Utterances::default(), 0, 0);
            for (samples, is_last, text) in steps {
                utterances.sent(samples);
                let heard = match is_last {
                    true => utterances.last(text, None),
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
