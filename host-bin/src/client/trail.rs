//! Following one run: the snapshot, then each record once and in order, whatever was lost between.

use serde_json::Value;

use super::{
    link::{CallError, Link},
    runs::{self, IN_PROGRESS, Subscribed, TraceEvent},
};

/// How far a run was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trail {
    run_id: String,
    /// Whose run it is; empty until the first snapshot.
    agent_id: String,
    /// Turns that were handed out.
    held: u64,
    ended: bool,
}

/// What an event means to a trail.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// The next record.
    Next(Value),
    /// Seen already.
    Known,
    /// Something before it was lost: subscribe again.
    Gap,
}

/// What a snapshot adds to a trail.
#[derive(Debug, PartialEq)]
struct Fresh {
    /// How many turns are missing before `turns`, because they did not fit into the snapshot.
    missing: u64,
    turns: Vec<Value>,
    /// Whether the run has ended, so that no event will say so.
    ended: bool,
}

impl Trail {
    /// A run of which nothing was seen.
    pub(crate) fn of(run_id: impl Into<String>) -> Self {
        Self { run_id: run_id.into(), agent_id: String::new(), held: 0, ended: false }
    }

    /// The run.
    pub(crate) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Whose run it is; empty until the first snapshot.
    pub(crate) fn agent_id(&self) -> &str {
        &self.agent_id
    }

    /// Whether the end was handed out.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Subscribes, anew if need be; the records that were not handed out before.
    pub(crate) async fn attach(&mut self, link: &Link) -> Result<Vec<Value>, CallError> {
        // Worked out on a copy: what fails half-way was not handed out.
        let mut ahead = self.clone();
        let snapshot = runs::subscribe(link, &self.run_id).await?;
        let fresh = ahead.take(snapshot);
        let mut records = match fresh.missing {
            0 => Vec::new(),
            missing => {
                // Offset 0 is `started`, hence turn `i` is at `i + 1`.
                let mut all = runs::trace(link, &self.run_id, self.held + 1).await?;
                all.truncate(missing as usize);
                all
            }
        };
        records.extend(fresh.turns);
        if fresh.ended {
            records.extend(runs::trace(link, &self.run_id, ahead.held + 1).await?);
            ahead.ended = true;
        }
        *self = ahead;
        Ok(records)
    }

    fn take(&mut self, snapshot: Subscribed) -> Fresh {
        let Subscribed { agent_id, mut turns_so_far, cursor, status, first_index } = snapshot;
        self.agent_id = agent_id;
        let missing = first_index.saturating_sub(self.held);
        let known = self.held.saturating_sub(first_index).min(turns_so_far.len() as u64);
        let turns = turns_so_far.split_off(known as usize);
        self.held = self.held.max(cursor);
        Fresh { missing, turns, ended: status != IN_PROGRESS && !self.ended }
    }

    /// What an event of this run adds.
    pub(crate) fn hear(&mut self, event: TraceEvent) -> Heard {
        let is_turn = event.record["record"] == "turn";
        let next = self.held + u64::from(is_turn);
        match event.cursor {
            _ if self.ended => Heard::Known,
            cursor if cursor > next => Heard::Gap,
            cursor if cursor < next => Heard::Known,
            cursor => {
                self.held = cursor;
                self.ended = event.record["record"] == "ended";
                Heard::Next(event.record)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn turn(index: u64) -> Value {
        json!({ "record": "turn", "index": index })
    }

    fn event(record: Value, cursor: u64) -> TraceEvent {
        TraceEvent { run_id: "r".into(), record, cursor }
    }

    fn snapshot(turns: std::ops::Range<u64>, status: &str) -> Subscribed {
        Subscribed {
            agent_id: "a".into(),
            cursor: turns.end,
            first_index: turns.start,
            turns_so_far: turns.map(turn).collect(),
            status: status.into(),
        }
    }

    fn fresh(missing: u64, turns: std::ops::Range<u64>, ended: bool) -> Fresh {
        Fresh { missing, turns: turns.map(turn).collect(), ended }
    }

    #[test]
    fn events_follow_the_snapshot_each_once() {
        let mut trail = Trail::of("r");
        assert_eq!(trail.take(snapshot(0..2, IN_PROGRESS)), fresh(0, 0..2, false));
        assert_eq!(trail.hear(event(turn(1), 2)), Heard::Known);
        assert_eq!(trail.hear(event(turn(2), 3)), Heard::Next(turn(2)));
        assert_eq!(trail.hear(event(turn(2), 3)), Heard::Known);
        let ended = json!({ "record": "ended" });
        assert_eq!(trail.hear(event(ended.clone(), 3)), Heard::Next(ended.clone()));
        assert!(trail.has_ended());
        assert_eq!(trail.hear(event(ended, 3)), Heard::Known);
    }

    #[test]
    fn a_gap_is_closed_by_the_next_snapshot() {
        let mut trail = Trail::of("r");
        trail.take(snapshot(0..1, IN_PROGRESS));
        assert_eq!(trail.hear(event(turn(3), 4)), Heard::Gap);
        assert_eq!(trail.hear(event(json!({ "record": "ended" }), 5)), Heard::Gap);
        assert_eq!(trail.take(snapshot(0..5, "completed")), fresh(0, 1..5, true));
    }

    #[test]
    fn a_snapshot_of_the_newest_turns_says_what_is_missing() {
        let mut trail = Trail::of("r");
        assert_eq!(trail.take(snapshot(3..5, IN_PROGRESS)), fresh(3, 3..5, false));
        assert_eq!(trail.take(snapshot(4..8, IN_PROGRESS)), fresh(0, 5..8, false));
        assert_eq!(trail.take(snapshot(9..10, IN_PROGRESS)), fresh(1, 9..10, false));
    }

    #[test]
    fn any_loss_still_gives_every_turn_once_and_in_order() {
        // Every subset of eight events is lost once; a gap is answered with a snapshot.
        for lost in 0u32..256 {
            let mut trail = Trail::of("r");
            let mut seen: Vec<Value> = trail.take(snapshot(0..0, IN_PROGRESS)).turns;
            for index in (0..8u64).filter(|index| lost & (1 << index) == 0) {
                match trail.hear(event(turn(index), index + 1)) {
                    Heard::Next(record) => seen.push(record),
                    Heard::Gap => {
                        seen.extend(trail.take(snapshot(0..index + 1, IN_PROGRESS)).turns)
                    }
                    Heard::Known => panic!("nothing comes twice here"),
                }
            }
            seen.extend(trail.take(snapshot(0..8, "completed")).turns);
            assert_eq!(seen, (0..8).map(turn).collect::<Vec<_>>(), "lost {lost:#b}");
        }
    }
}
