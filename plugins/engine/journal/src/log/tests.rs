//! The log against a plain list.

use chrono::DateTime;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::Kind;

fn at(second: i64) -> Time {
    DateTime::from_timestamp(second, 0).unwrap().into()
}

fn event(n: u8) -> NewEvent {
    let kind = [Kind::ActionFailed, Kind::InferenceMetered, Kind::GateRejected][usize::from(n % 3)];
    let data = json!({ "tool": format!("t{}", n % 4), "attempt": n % 2, "cost_usd": 0.25 });
    NewEvent::new(kind, data).of_action(format!("a{}", n % 5)).of_proposal(format!("p{}", n % 2))
}

fn newest_first(log: &Log) -> Vec<Arc<Event>> {
    log.events().rev().cloned().collect()
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Pass(i64),
    Retain(Option<usize>, Option<u64>),
    Ask {
        kind: bool,
        action: bool,
        proposal: bool,
        since: Option<i64>,
        until: Option<i64>,
        attempt: bool,
        limit: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let ask =
        (any::<[bool; 4]>(), prop::option::of(0..60i64), prop::option::of(0..60i64), 0..5usize)
            .prop_map(|([kind, action, proposal, attempt], since, until, limit)| Step::Ask {
                kind,
                action,
                proposal,
                since,
                until,
                attempt,
                limit,
            });
    prop_oneof![
        6 => any::<u8>().prop_map(Step::Append),
        2 => (-3..10i64).prop_map(Step::Pass),
        1 => (prop::option::of(1..12usize), prop::option::of(1..20u64))
            .prop_map(|(count, age)| Step::Retain(count, age)),
        2 => ask,
    ]
}

/// A kept event of the model: sequence, second, number.
type Row = (u64, i64, u8);

fn retain(rows: &mut Vec<Row>, policy: Retention, now: i64) {
    let most = policy.max_events.unwrap_or(MAX_EVENTS);
    rows.drain(..rows.len().saturating_sub(most));
    let old = |row: &Row| policy.max_age_secs.is_some_and(|age| row.1 < now - age as i64);
    let young = rows.iter().position(|row| !old(row)).unwrap_or(rows.len());
    rows.drain(..young);
}

proptest! {
    #[test]
    fn it_keeps_and_finds_what_a_plain_list_does(steps in prop::collection::vec(step(), 0..60)) {
        let (mut log, mut rows) = (Log::default(), Vec::<Row>::new());
        let (mut now, mut policy, mut sequence, mut cost) = (0, Retention::default(), 0, 0.0);
        for step in steps {
            match step {
                Step::Append(n) => {
                    sequence += 1;
                    log.append("c", event(n), at(now));
                    rows.push((sequence, now, n));
                    cost += if n % 3 == 1 { 0.25 } else { 0.0 };
                    retain(&mut rows, policy, now);
                }
                Step::Pass(seconds) => now += seconds,
                Step::Retain(max_events, max_age_secs) => {
                    policy = Retention { max_events, max_age_secs };
                    let before = rows.len();
                    retain(&mut rows, policy, now);
                    prop_assert_eq!(log.retain(policy, at(now)), before - rows.len());
                    prop_assert_eq!(log.retention(), policy);
                }
                Step::Ask { kind, action, proposal, since, until, attempt, limit } => {
                    let query = Query {
                        kinds: if kind { vec!["gate_rejected".into(), "no_such_kind".into()] } else { vec![] },
                        action_id: action.then(|| "a1".into()),
                        proposal_id: proposal.then(|| "p1".into()),
                        since: since.map(at),
                        until: until.map(at),
                        data_matches: if attempt {
                            [("attempt".into(), "1".into()), ("tool".into(), "t3".into())].into()
                        } else {
                            BTreeMap::new()
                        },
                        limit,
                    };
                    let mut expected: Vec<_> = rows.iter().rev().filter(|(_, at, n)| {
                        (!kind || n % 3 == 2) && (!action || n % 5 == 1) && (!proposal || n % 2 == 1)
                            && since.is_none_or(|since| *at >= since)
                            && until.is_none_or(|until| *at < until)
                            && (!attempt || (n % 2 == 1 && n % 4 == 3))
                    }).map(|row| row.0).collect();
                    expected.truncate(if limit == 0 { usize::MAX } else { limit });
                    let found: Vec<_> =
                        query.pick(newest_first(&log)).iter().map(|event| event.sequence).collect();
                    prop_assert_eq!(found, expected);
                }
            }
            let kept: Vec<_> = log.events().map(|event| event.sequence).collect();
            prop_assert_eq!(kept, rows.iter().map(|row| row.0).collect::<Vec<_>>());
            prop_assert_eq!(log.cumulative_cost(), cost);
        }
    }

    #[test]
    fn a_file_is_rewritten_when_it_pays(kept in 0..3000usize, lines in 0..20_000usize) {
        let mut log = Log::default();
        log.retain(Retention { max_events: Some(kept.max(1)), max_age_secs: None }, at(0));
        (0..kept).for_each(|_| drop(log.append("c", event(0), at(0))));
        let more = lines.saturating_sub(kept);
        prop_assert_eq!(log.outgrown_by(lines), more >= 1024 && more as f64 >= lines as f64 / 4.0);
    }
}

#[test]
fn the_newest_ten_thousand_stay() {
    let mut log = Log::default();
    for n in 0..MAX_EVENTS as u64 + 5 {
        assert_eq!(log.append("c", event(0), at(0)).sequence, n + 1);
    }
    assert_eq!(log.len(), MAX_EVENTS);
    assert_eq!(log.events().next().unwrap().sequence, 6);
    let all = Query::default().pick(newest_first(&log));
    assert_eq!((all.len(), all[0].sequence), (MAX_EVENTS, MAX_EVENTS as u64 + 5));
}

#[test]
fn large_events_are_bounded_in_memory_and_in_an_answer() {
    let mut log = Log::default();
    let large = || NewEvent::new(Kind::StateRolledBack, json!({ "keys": "k".repeat(1 << 20) }));
    for _ in 0..80 {
        log.append("c", large(), at(0));
    }
    assert!((60..64).contains(&log.len()), "{}", log.len());
    let answer = Query::default().pick(newest_first(&log));
    assert_eq!((answer.len(), answer[0].sequence), (7, 80));
}

#[test]
fn what_was_restored_goes_on() {
    let mut first = Log::default();
    first.enable_chain();
    let lines: Vec<_> = (0..3).map(|n| first.append("c", event(n), at(0)).canonical()).collect();
    let mut second = Log::default();
    lines.iter().for_each(|line| second.restore(serde_json::from_str(line).unwrap()));
    let next = second.append("c", event(1), at(0));
    assert_eq!((next.sequence, second.cumulative_cost()), (4, 0.5));
    let last: Event = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!(next.prev_hash, last.hash);
}
