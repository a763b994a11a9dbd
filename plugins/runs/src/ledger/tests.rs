//! The ledger by example, and against a plain list.

use proptest::prelude::*;

use super::*;
use crate::record::{IncompleteReason, RunEnded, Termination};

fn started(id: &str) -> RunStarted {
    RunStarted {
        run_id: id.into(),
        agent_id: "a".into(),
        intent: "test".into(),
        outcome_description: None,
        started_at: Time::default(),
        agent_name: None,
    }
}

fn ended(run: &str, turn_count: u64) -> End {
    let reason = IncompleteReason::Cancelled;
    let termination = Termination::Incomplete { reason, message: None };
    let (run_id, agent_id) = (run.into(), "a".into());
    let ended_at = Time::default();
    End::from(&RunEnded { run_id, agent_id, termination, ended_at, turn_count })
}

fn line(n: usize) -> Line {
    Line::read(&format!("\"{}\"", "x".repeat(n))).unwrap()
}

#[test]
fn an_open_run_keeps_its_newest_turns_within_bounds() {
    let mut run = Run::new(started("r"), None);
    for _ in 0..100 {
        run.append(line(100 * 1024), Time::default());
    }
    let (first, lines) = run.recent();
    let lines: Vec<_> = lines.collect();
    assert_eq!(first + lines.len() as u64, 100);
    assert!(lines.iter().map(|it| it.text().len()).sum::<usize>() <= KEPT_BYTES);
    assert!(lines.len() >= 40);
    run.end(ended("r", 100)).unwrap();
    assert_eq!((run.recent.capacity(), run.turn_count), (0, 100));
}

#[test]
fn a_run_that_ended_leaves_once_the_index_knows_it_and_time_has_passed() {
    let mut ledger = Ledger::default();
    let hour = Time::from(*Time::default() + chrono::TimeDelta::hours(1));
    for id in ["open", "ended"] {
        ledger.insert(Run::new(started(id), Some(1)));
    }
    ledger.end("ended", ended("ended", 0)).unwrap();
    ledger.let_go(hour);
    assert!(ledger.get("ended").is_some(), "nobody else knows it yet");
    assert_eq!(ledger.take_ended().len(), 1);
    ledger.let_go(Time::default());
    assert!(ledger.get("ended").is_some());
    ledger.let_go(hour);
    assert!(ledger.get("ended").is_none() && ledger.get("open").is_some());
    assert_eq!(ledger.list("a", None).count(), 1);
    for n in 0..=MAX_RESTING {
        let id = n.to_string();
        ledger.insert(Run::new(started(&id), None));
        ledger.end(&id, ended(&id, 0)).unwrap();
    }
    ledger.take_ended();
    ledger.let_go(Time::default());
    assert!(ledger.get("0").is_none() && ledger.get("1").is_some());
}

#[test]
fn a_resumed_run_leaves_its_first_connection_alone() {
    let mut ledger = Ledger::default();
    ledger.insert(Run::new(started("r"), Some(1)));
    ledger.attach("r", 2).unwrap();
    assert_eq!(ledger.take_attached(1), Vec::<String>::new());
    assert_eq!((ledger.current(1), ledger.current(2)), (None, Some("r")));
    ledger.end("r", ended("r", 0)).unwrap();
    assert_eq!(ledger.current(2), None);
    assert_eq!(ledger.end("r", ended("r", 0)), Err(Refused::Terminal));
}

#[test]
fn a_connection_that_is_full_takes_over_nothing() {
    let mut ledger = Ledger::default();
    ledger.insert(Run::new(started("theirs"), Some(2)));
    for n in 0..MAX_OPEN_OF_SESSION {
        ledger.insert(Run::new(started(&n.to_string()), Some(1)));
    }
    assert_eq!(ledger.attach("theirs", 1), Err(Full::Session));
    assert_eq!(ledger.current(2), Some("theirs"));
    ledger.attach("0", 1).unwrap();
    assert_eq!(ledger.current(1), Some("0"), "its own becomes the current one");
}

#[test]
fn once_the_current_run_ends_or_goes_there_is_none() {
    let mut ledger = Ledger::default();
    for id in ["first", "second", "third"] {
        ledger.insert(Run::new(started(id), Some(1)));
    }
    ledger.end("first", ended("first", 0)).unwrap();
    assert_eq!(ledger.current(1), Some("third"));
    ledger.end("third", ended("third", 0)).unwrap();
    assert_eq!(ledger.current(1), None, "not the one before it");
    ledger.attach("second", 1).unwrap();
    assert_eq!(ledger.current(1), Some("second"));
    ledger.attach("second", 2).unwrap();
    assert_eq!((ledger.current(1), ledger.current(2)), (None, Some("second")));
}

#[test]
fn a_key_that_is_used_again_has_nothing_of_the_run_before() {
    let mut ledger = Ledger::default();
    ledger.insert(Run::new(started("k"), Some(1)));
    ledger.end("k", ended("k", 3)).unwrap();
    ledger.remove("k");
    ledger.insert(Run::new(started("k"), Some(1)));
    assert_eq!(ledger.take_ended(), [], "the open one has not ended");
}

#[derive(Debug, Clone)]
enum Step {
    Start(u8, u64),
    Append(u8, usize),
    Attach(u8, u64),
    End(u8),
    Leave(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4u8, 0..3u64).prop_map(|(run, session)| Step::Start(run, session)),
        (0..4u8, 1..900usize).prop_map(|(run, turns)| Step::Append(run, turns)),
        (0..4u8, 0..3u64).prop_map(|(run, session)| Step::Attach(run, session)),
        (0..4u8).prop_map(Step::End),
        (0..3u64).prop_map(Step::Leave),
    ]
}

proptest! {
    /// The ledger against a list of (owner, turns, open) that is looked through.
    #[test]
    fn it_does_what_a_plain_list_does(steps in prop::collection::vec(step(), 0..60)) {
        let mut ledger = Ledger::default();
        let mut model: HashMap<u8, (Option<u64>, u64, bool)> = HashMap::new();
        for step in steps {
            match step {
                Step::Start(run, session) if !model.contains_key(&run) => {
                    ledger.insert(Run::new(started(&run.to_string()), Some(session)));
                    model.insert(run, (Some(session), 0, true));
                }
                Step::Append(run, turns) => {
                    let Some((_, count, open)) = model.get_mut(&run) else { continue };
                    let fits = *count + turns as u64 <= MAX_TURNS;
                    let expected = match (*open, fits) {
                        (false, _) => Err(Refused::Terminal),
                        (true, false) => Err(Refused::TooMany),
                        (true, true) => Ok(()),
                    };
                    let known = ledger.get_mut(&run.to_string()).unwrap();
                    prop_assert_eq!(known.admits(turns), expected);
                    if expected.is_ok() {
                        (0..turns).for_each(|_| known.append(line(1), Time::default()));
                        *count += turns as u64;
                    }
                }
                Step::Attach(run, session) => {
                    ledger.attach(&run.to_string(), session).unwrap();
                    if let Some((owner, _, true)) = model.get_mut(&run) {
                        *owner = Some(session);
                    }
                }
                Step::End(run) => {
                    let id = run.to_string();
                    let ok = ledger.end(&id, ended(&id, 0)).is_ok();
                    let was_open = model.get(&run).is_some_and(|(_, _, open)| *open);
                    prop_assert_eq!(ok, was_open);
                    model.entry(run).and_modify(|it| it.2 = false);
                }
                Step::Leave(session) => {
                    let mut left = ledger.take_attached(session);
                    left.sort();
                    let mut expected: Vec<_> = model.iter()
                        .filter(|(_, (owner, _, open))| *open && *owner == Some(session))
                        .map(|(run, _)| run.to_string()).collect();
                    expected.sort();
                    prop_assert_eq!(&left, &expected);
                    for id in left {
                        ledger.end(&id, ended(&id, 0)).unwrap();
                        model.entry(id.parse().unwrap()).and_modify(|it| it.2 = false);
                    }
                }
                Step::Start(..) => {}
            }
            let open = model.values().filter(|(_, _, open)| *open).count();
            prop_assert_eq!(ledger.open_runs().len(), open);
        }
    }
}
