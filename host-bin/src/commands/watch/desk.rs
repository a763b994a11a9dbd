//! Which approval a person is asked about, and what an answer belongs to. Pure: no terminal.

use std::collections::VecDeque;

use carport_core::{HostApproval, host::Resolution};

/// The approvals that wait for an answer, and the one that is asked about.
///
/// An answer counts only for the row whose question was on the screen when it was typed: if that
/// row is settled elsewhere, the next line is swallowed.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: VecDeque<HostApproval>,
    asked: Asked,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Asked {
    /// Nothing.
    #[default]
    Nothing,
    /// About the first that waits.
    First,
    /// About a row that was settled meanwhile.
    Settled,
}

/// What the desk wants of the terminal.
#[derive(Debug, PartialEq)]
pub(super) enum Say {
    /// Ask about this row. Lines typed before are no answer to it.
    Ask(Box<HostApproval>),
    /// Say that this row was settled, and have the line finished that may be half typed.
    Settled(String),
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A decision about the row with this id.
    Decide(String, Resolution),
    /// Later, or never: the row goes on waiting.
    Skip,
    /// Neither; ask again.
    Unclear,
    /// An answer to nothing.
    Void,
}

impl Desk {
    /// A row waits. A row that waits already is not asked about twice.
    pub(super) fn add(&mut self, row: HostApproval) {
        if !self.has(&row.id) {
            self.waiting.push_back(row);
        }
    }

    /// Whether this row is here.
    pub(super) fn has(&self, id: &str) -> bool {
        self.waiting.iter().any(|row| row.id == id)
    }

    /// A row waits no longer.
    pub(super) fn settle(&mut self, id: &str) -> Option<Say> {
        let at = self.waiting.iter().position(|row| row.id == id)?;
        self.waiting.remove(at);
        let was_asked = at == 0 && self.asked == Asked::First;
        was_asked.then(|| {
            self.asked = Asked::Settled;
            Say::Settled(id.to_owned())
        })
    }

    /// Keeps only rows that `is_pending` knows: after a reconnection the others are gone.
    pub(super) fn keep(&mut self, is_pending: impl Fn(&str) -> bool) -> Vec<Say> {
        let gone: Vec<_> =
            self.waiting.iter().map(|row| row.id.clone()).filter(|id| !is_pending(id)).collect();
        gone.iter().filter_map(|id| self.settle(id)).collect()
    }

    /// The next question, unless one is open.
    pub(super) fn next(&mut self) -> Option<Say> {
        if self.asked != Asked::Nothing {
            return None;
        }
        let row = self.waiting.front()?.clone();
        self.asked = Asked::First;
        Some(Say::Ask(Box::new(row)))
    }

    /// What a typed line means. The row that it is about leaves the desk.
    pub(super) fn answer(&mut self, line: &str) -> Answer {
        match std::mem::take(&mut self.asked) {
            Asked::Nothing | Asked::Settled => Answer::Void,
            Asked::First => {
                let resolution = match line.trim().to_ascii_lowercase().as_str() {
                    "y" | "yes" => Some(Resolution::Approve),
                    "n" | "no" => Some(Resolution::Deny),
                    "s" | "skip" => None,
                    _ => return Answer::Unclear,
                };
                let row = self.waiting.pop_front();
                match (row, resolution) {
                    (Some(row), Some(resolution)) => Answer::Decide(row.id, resolution),
                    _ => Answer::Skip,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(id: &str) -> HostApproval {
        let row = json!({
            "id": id, "source": "gate", "action": "ws.method:x.y", "title": "x.y",
            "client_id": null, "requested_by": "c", "context": {}, "status": "pending",
            "required_approvals": 1, "approvals": [], "created_at": "2026-05-02T12:00:00Z",
            "expires_at": "2026-05-02T12:01:00Z",
        });
        serde_json::from_value(row).unwrap()
    }

    fn desk(ids: &[&str]) -> Desk {
        let mut desk = Desk::default();
        ids.iter().for_each(|id| desk.add(row(id)));
        desk
    }

    fn asks(desk: &mut Desk) -> Option<String> {
        match desk.next()? {
            Say::Ask(row) => Some(row.id),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_are_asked_about_one_by_one() {
        let mut desk = desk(&["a", "b", "a"]);
        assert_eq!(asks(&mut desk).as_deref(), Some("a"));
        assert_eq!(asks(&mut desk), None);
        assert_eq!(desk.answer("what?"), Answer::Unclear);
        assert_eq!(asks(&mut desk).as_deref(), Some("a"));
        assert_eq!(desk.answer(" Yes "), Answer::Decide("a".into(), Resolution::Approve));
        assert_eq!(asks(&mut desk).as_deref(), Some("b"));
        assert_eq!(desk.answer("n"), Answer::Decide("b".into(), Resolution::Deny));
        assert_eq!(asks(&mut desk), None);
        assert_eq!(desk.answer("y"), Answer::Void);
    }

    #[test]
    fn an_answer_never_counts_for_another_row_than_the_one_that_was_shown() {
        let mut desk = desk(&["a", "b"]);
        asks(&mut desk);
        assert_eq!(desk.settle("a"), Some(Say::Settled("a".into())));
        assert_eq!(desk.next(), None, "the line may be half typed");
        assert_eq!(desk.answer("y"), Answer::Void);
        assert_eq!(asks(&mut desk).as_deref(), Some("b"));
    }

    #[test]
    fn a_row_that_is_settled_before_its_turn_is_not_asked_about() {
        let mut desk = desk(&["a", "b", "c"]);
        asks(&mut desk);
        assert_eq!(desk.settle("b"), None);
        assert_eq!(desk.settle("unknown"), None);
        assert_eq!(desk.answer("s"), Answer::Skip);
        assert_eq!(asks(&mut desk).as_deref(), Some("c"));
    }

    #[test]
    fn after_a_reconnection_only_what_still_waits_is_kept() {
        let mut desk = desk(&["a", "b"]);
        asks(&mut desk);
        assert_eq!(desk.keep(|id| id == "b"), [Say::Settled("a".into())]);
        assert_eq!(desk.answer("y"), Answer::Void);
        assert_eq!(asks(&mut desk).as_deref(), Some("b"));
    }
}
