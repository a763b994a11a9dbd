//! An agent's answer as it is put together from events. Pure: no terminal.

use crate::client::agents::ChatEvent;

/// What was printed of an answer so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    printed: String,
    last: u64,
    lost: bool,
}

/// What an event adds to an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// Nothing that was not printed.
    Nothing,
    /// Text that goes on where the printed text ends.
    More(String),
    /// The whole answer: events between were lost, so that what was printed has holes.
    Whole(String),
}

impl Answer {
    /// Counts an event. A gap means that the daemon dropped some for a slow reader.
    pub(super) fn count(&mut self, event: &ChatEvent) {
        self.lost |= event.seq > self.last + 1;
        self.last = self.last.max(event.seq);
    }

    /// A piece of the answer.
    pub(super) fn token(&mut self, delta: &str) -> Added {
        self.printed.push_str(delta);
        match delta.is_empty() {
            true => Added::Nothing,
            false => Added::More(delta.to_owned()),
        }
    }

    /// The end, with the whole text. An agent may end with another text than it streamed, a summary for
    /// instance; what was printed without a hole stays the answer then.
    pub(super) fn done(&mut self, text: &str) -> Added {
        let added = match text.strip_prefix(self.printed.as_str()) {
            Some("") => Added::Nothing,
            Some(rest) => Added::More(rest.to_owned()),
            None if self.lost && !text.is_empty() => Added::Whole(text.to_owned()),
            None => Added::Nothing,
        };
        match &added {
            Added::Nothing => {}
            Added::More(rest) => self.printed.push_str(rest),
            Added::Whole(text) => self.printed.clone_from(text),
        }
        added
    }

    /// Whether the last line is open.
    pub(super) fn in_a_line(&self) -> bool {
        !self.printed.is_empty() && !self.printed.ends_with('\n')
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn event(seq: u64) -> ChatEvent {
        let (session_id, kind) = ("s".to_owned(), "token".to_owned());
        ChatEvent { session_id, seq, kind, members: Map::from_iter([("delta".into(), json!("x"))]) }
    }

    /// The answer after these tokens, numbered from 1 with holes.
    fn heard(tokens: &[(u64, &str)]) -> Answer {
        let mut answer = Answer::default();
        for (seq, delta) in tokens {
            answer.count(&event(*seq));
            answer.token(delta);
        }
        answer
    }

    #[test]
    fn the_end_adds_what_was_not_streamed() {
        assert_eq!(heard(&[]).done("all"), Added::More("all".into()));
        assert_eq!(heard(&[(1, "a"), (2, "b")]).done("ab"), Added::Nothing);
        assert_eq!(heard(&[(1, "a")]).done("abc"), Added::More("bc".into()));
        assert_eq!(heard(&[(1, "a")]).done(""), Added::Nothing);
    }

    #[test]
    fn an_answer_with_holes_is_printed_anew_and_one_without_is_not() {
        assert_eq!(heard(&[(1, "a"), (3, "c")]).done("abc"), Added::Whole("abc".into()));
        assert_eq!(heard(&[(1, "a"), (2, "b")]).done("a summary"), Added::Nothing);
        assert_eq!(heard(&[(2, "b")]).done(""), Added::Nothing);
    }

    #[test]
    fn a_line_is_open_until_it_ends() {
        assert!(!Answer::default().in_a_line());
        assert!(heard(&[(1, "a")]).in_a_line());
        assert!(!heard(&[(1, "a\n")]).in_a_line());
    }
}
