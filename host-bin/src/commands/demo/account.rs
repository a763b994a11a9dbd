//! The account of one run: what was sent, acknowledged, seen live and replayed, and whether it
//! agrees. Pure.

use std::fmt::Write;

use serde_json::Value;

/// Fields that the daemon adds to a turn.
const STAMPED: [&str; 4] = ["record", "index", "at", "verifier_verdict"];

/// Everything that is known of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Account {
    pub(super) run_id: String,
    pub(super) intent: String,
    /// Turns that the agent sent, in order.
    pub(super) sent: Vec<Value>,
    /// The index that the daemon gave each turn that it acknowledged, in the order sent.
    pub(super) acknowledged: Vec<u64>,
    /// Records that the watcher saw.
    pub(super) seen: Vec<Value>,
    /// Records of the replay.
    pub(super) replayed: Vec<Value>,
    /// How the run has to end.
    pub(super) end: End,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum End {
    /// The daemon was killed under it: `incomplete`, reason `restart`.
    #[default]
    Killed,
    /// The agent completed it, and the watcher saw it to its end.
    Completed,
}

impl Account {
    /// The turns of the replay.
    pub(super) fn turns(&self) -> impl Iterator<Item = &Value> {
        turns(&self.replayed)
    }

    /// How many turns the watcher saw.
    pub(super) fn seen_live(&self) -> usize {
        turns(&self.seen).count()
    }

    /// Whether the watcher saw the end.
    pub(super) fn seen_to_its_end(&self) -> bool {
        self.seen.last().is_some_and(|record| record["record"] == "ended")
    }

    /// Every way in which the records disagree; nothing if the promise was kept.
    pub(super) fn differences(&self) -> Vec<String> {
        let mut differences = Vec::new();
        self.check_brackets(&mut differences);
        self.check_turns(&mut differences);
        self.check_seen(&mut differences);
        differences
    }

    /// `started` first, `ended` last, as the run went.
    fn check_brackets(&self, differences: &mut Vec<String>) {
        let started = self.replayed.first().unwrap_or(&Value::Null);
        if started["record"] != "started"
            || started["run_id"] != *self.run_id
            || started["intent"] != *self.intent
        {
            differences.push(format!("the replay does not begin with the run's start: {started}"));
        }
        let ended = self.replayed.last().unwrap_or(&Value::Null);
        let termination = &ended["termination"];
        let as_it_went = match self.end {
            End::Killed => {
                termination["kind"] == "incomplete" && termination["reason"] == "restart"
            }
            End::Completed => {
                termination["kind"] == "outcome" && termination["outcome"]["status"] == "success"
            }
        };
        let turns = self.turns().count();
        if ended["record"] != "ended" || !as_it_went || ended["turn_count"] != turns {
            differences.push(format!("the replay does not end as the run did: {ended}"));
        }
    }

    /// What was acknowledged is there, at its index and as it was sent; and nothing else but turns
    /// whose acknowledgement was still under way.
    fn check_turns(&self, differences: &mut Vec<String>) {
        let replayed: Vec<_> = self.turns().collect();
        if replayed.len() > self.sent.len() {
            let (replayed, sent) = (replayed.len(), self.sent.len());
            differences.push(format!("{replayed} turns were replayed and only {sent} sent"));
        }
        for (at, index) in self.acknowledged.iter().enumerate() {
            if *index != at as u64 {
                differences.push(format!("turn {at} was acknowledged as turn {index}"));
            }
            if replayed.get(at).is_none() {
                differences.push(format!("turn {at} was acknowledged and is not in the replay"));
            }
        }
        for (at, (sent, record)) in self.sent.iter().zip(&replayed).enumerate() {
            if record["index"] != at || !is_kept(sent, record) {
                differences.push(format!("turn {at} was sent as {sent} and replayed as {record}"));
            }
        }
    }

    /// What the watcher saw is the beginning of the replay, byte for byte; all of it, if the run
    /// ended in peace.
    fn check_seen(&self, differences: &mut Vec<String>) {
        // Nobody can subscribe to a run before it has started.
        let replayed = self.replayed.get(1..).unwrap_or_default();
        let differs = self.seen.iter().zip(replayed).position(|(seen, replayed)| seen != replayed);
        if let Some(at) = differs {
            differences.push(format!("record {at} was not replayed as the watcher saw it"));
        }
        let missing = replayed.len().checked_sub(self.seen.len());
        match (missing, self.end) {
            (None, _) => differences.push("the watcher saw more than was replayed".into()),
            (Some(1..), End::Completed) => {
                differences.push("the watcher did not see the run to its end".into());
            }
            _ => {}
        }
    }
}

fn turns(records: &[Value]) -> impl Iterator<Item = &Value> {
    records.iter().filter(|record| record["record"] == "turn")
}

/// Whether a record is a sent turn with what the daemon stamps on it, and nothing else.
fn is_kept(sent: &Value, record: &Value) -> bool {
    let (Some(sent), Some(record)) = (sent.as_object(), record.as_object()) else { return false };
    let kept = sent.iter().all(|(key, value)| record.get(key) == Some(value));
    let added = record.keys().filter(|key| !sent.contains_key(*key));
    kept && added.into_iter().all(|key| STAMPED.contains(&key.as_str()))
}

/// Differences as one text, a line each.
pub(super) fn listed(differences: &[String]) -> String {
    differences.iter().fold(String::new(), |mut text, difference| {
        let _ = writeln!(text, "  {difference}");
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent(at: usize) -> Value {
        json!({ "tool": "read_file", "parameters": { "path": format!("f{at}") }, "output": { "n": at } })
    }

    fn stamped(at: usize) -> Value {
        let mut record = sent(at);
        record["record"] = json!("turn");
        record["index"] = json!(at);
        record["at"] = json!("2026-05-02T12:00:00.000Z");
        record["verifier_verdict"] = json!("not_run");
        record
    }

    fn ended(turns: usize, end: End) -> Value {
        let termination = match end {
            End::Killed => json!({ "kind": "incomplete", "reason": "restart" }),
            End::Completed => json!({ "kind": "outcome", "outcome": { "status": "success" } }),
        };
        json!({ "record": "ended", "termination": termination, "turn_count": turns })
    }

    fn account(turns: usize, end: End) -> Account {
        let started = json!({ "record": "started", "run_id": "r", "agent_id": "a", "intent": "i" });
        let mut replayed = vec![started];
        replayed.extend((0..turns).map(stamped));
        replayed.push(ended(turns, end));
        Account {
            run_id: "r".into(),
            intent: "i".into(),
            sent: (0..turns).map(sent).collect(),
            acknowledged: (0..turns as u64).collect(),
            seen: replayed[1..].to_vec(),
            replayed,
            end,
        }
    }

    fn changed(change: impl FnOnce(&mut Account)) -> Vec<String> {
        let mut account = account(4, End::Completed);
        change(&mut account);
        account.differences()
    }

    #[test]
    fn a_run_that_was_kept_has_no_differences() {
        assert!(changed(|_| {}).is_empty());
        assert!(account(0, End::Killed).differences().is_empty());
        let mut killed = account(4, End::Killed);
        killed.seen.truncate(2);
        assert!(killed.differences().is_empty(), "a kill may cut off what the watcher hears");
        assert_eq!((killed.seen_live(), killed.seen_to_its_end()), (2, false));
    }

    #[test]
    fn a_turn_whose_acknowledgement_was_under_way_may_be_there_or_not() {
        let mut there = account(4, End::Killed);
        there.acknowledged.pop();
        assert!(there.differences().is_empty());
        let mut not_there = account(3, End::Killed);
        not_there.sent.push(sent(3));
        assert!(not_there.differences().is_empty());
    }

    type Damage = (&'static str, fn(&mut Account));

    #[test]
    fn every_difference_is_found() {
        let damages: [Damage; 12] = [
            ("a lost turn", |it| drop(it.replayed.remove(4))),
            ("a turn twice", |it| it.replayed.insert(2, stamped(0))),
            ("two turns swapped", |it| it.replayed.swap(1, 2)),
            ("a changed output", |it| it.replayed[2]["output"]["n"] = json!(7)),
            ("a lost field", |it| drop(it.replayed[2].as_object_mut().unwrap().remove("tool"))),
            ("an added field", |it| it.replayed[2]["extra"] = json!(1)),
            ("a wrong index", |it| it.acknowledged[3] = 7),
            ("a wrong count", |it| it.replayed[5]["turn_count"] = json!(3)),
            ("no end", |it| drop(it.replayed.pop())),
            ("another end", |it| it.replayed[5] = ended(4, End::Killed)),
            ("another run's start", |it| it.replayed[0]["run_id"] = json!("other")),
            ("nothing at all", |it| it.replayed.clear()),
        ];
        for (damage, change) in damages {
            assert!(!changed(change).is_empty(), "{damage}");
        }
    }

    #[test]
    fn what_the_watcher_saw_must_be_what_was_replayed() {
        assert!(!changed(|it| it.seen[1]["at"] = json!("later")).is_empty());
        assert!(!changed(|it| drop(it.seen.remove(1))).is_empty());
        assert!(!changed(|it| drop(it.seen.pop())).is_empty());
        assert!(!changed(|it| it.seen.push(json!({}))).is_empty());
    }
}
