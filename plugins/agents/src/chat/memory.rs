//! What a chat remembers of what its agent said: the text of its tokens, and approvals.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// How much of the tokens' text a chat remembers for a `done` that brings none, in bytes.
pub(super) const TEXT_BYTES: usize = 1 << 20;
/// Open approvals of one chat that can be decided, and how long the id of one may be, in bytes.
const MAX_APPROVALS: usize = 256;
const APPROVAL_ID_BYTES: usize = 256;

/// The text of a chat's tokens, from its start.
#[derive(Default)]
pub(super) struct Text {
    pub(super) text: String,
    /// Whether the rest of what was said is missing.
    is_cut: bool,
}

impl Text {
    /// Takes the text of one more token, unless some was left out before: a text has no holes.
    pub(super) fn push(&mut self, delta: &str) {
        if self.is_cut {
            return;
        }
        let kept = delta.floor_char_boundary(TEXT_BYTES - self.text.len());
        self.text.push_str(&delta[..kept]);
        self.is_cut = kept < delta.len();
    }

    /// Becomes the member `text` unless there is one. `text_truncated` says if it is not all of it.
    pub(super) fn fill(&mut self, members: &mut Map<String, Value>) {
        if members.get("text").is_none_or(Value::is_null) {
            let Self { text, is_cut } = std::mem::take(self);
            members.insert("text".into(), text.into());
            if is_cut {
                members.insert("text_truncated".into(), true.into());
            }
        }
    }
}

/// Sets a member that is absent or null, which is the same.
pub(super) fn fill(members: &mut Map<String, Value>, name: &str, value: &str) {
    let member = members.entry(name).or_insert(Value::Null);
    if member.is_null() {
        *member = value.into();
    }
}

/// The approvals that an agent announced, by id; `true` while open.
#[derive(Default)]
pub(super) struct Approvals(pub(super) BTreeMap<String, bool>);

impl Approvals {
    /// This one can be decided from now on. Decided ones make room, and an id that nobody could send
    /// back is not kept.
    pub(super) fn announce(&mut self, id: &str) {
        if !(1..=APPROVAL_ID_BYTES).contains(&id.len()) || self.0.contains_key(id) {
            return;
        }
        if self.0.len() >= MAX_APPROVALS {
            let decided = self.0.iter().find(|(_, open)| !**open);
            let Some(decided) = decided.map(|(id, _)| id.clone()) else { return };
            self.0.remove(&decided);
        }
        self.0.insert(id.to_owned(), true);
    }

    pub(super) fn is_any_open(&self) -> bool {
        self.0.values().any(|open| *open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_can_be_decided_however_many_were_decided_before() {
        let mut approvals = Approvals::default();
        for n in 0..MAX_APPROVALS {
            approvals.announce(&n.to_string());
        }
        approvals.announce("one too many");
        assert!(!approvals.0.contains_key("one too many"), "so many are open");
        approvals.0.insert("7".into(), false);
        approvals.announce("next");
        assert_eq!((approvals.0.get("next"), approvals.0.get("7")), (Some(&true), None));
        assert_eq!(approvals.0.len(), MAX_APPROVALS);
    }

    #[test]
    fn an_id_that_cannot_be_sent_back_is_not_kept() {
        let mut approvals = Approvals::default();
        for id in ["", &"x".repeat(APPROVAL_ID_BYTES + 1)] {
            approvals.announce(id);
        }
        assert!(approvals.0.is_empty() && !approvals.is_any_open());
        approvals.announce(&"x".repeat(APPROVAL_ID_BYTES));
        assert!(approvals.is_any_open());
    }

    #[test]
    fn a_text_that_is_too_long_has_no_holes_and_says_so() {
        let mut text = Text::default();
        text.push(&"x".repeat(TEXT_BYTES - 1));
        text.push("ü");
        text.push("y");
        let mut members = Map::from_iter([("text".to_owned(), Value::Null)]);
        text.fill(&mut members);
        assert_eq!(members["text"].as_str().map(str::len), Some(TEXT_BYTES - 1));
        assert_eq!(members["text_truncated"], true);
        let mut whole = Map::new();
        text.push("all");
        text.fill(&mut whole);
        assert_eq!(Value::from(whole), serde_json::json!({ "text": "all" }));
    }
}
