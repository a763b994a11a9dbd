//! Following a run in the orders that its threads can take: no gap, no double, nothing before the reply. With the
//! feature `loom` these are all orders there are; without it, those that real threads happen to take.

use std::sync::Arc;
#[cfg(not(feature = "loom"))]
use std::thread;

use carport_core::{Time, testing::LoneSession};
#[cfg(feature = "loom")]
use loom::{model, thread};
use serde_json::Value;

use super::{incomplete, live::Live};
use crate::{
    ledger::Run,
    record::{IncompleteReason, Line, RunEnded, RunRecord, RunStarted, RunStatus},
    turn::NewTurn,
};

const RUN: &str = "run";

/// Runs it again and again: real threads take another order now and then.
#[cfg(not(feature = "loom"))]
fn model(run: impl Fn()) {
    (0..500).for_each(|_| run());
}

/// A run that is open, and nobody follows.
fn open() -> Arc<Live> {
    let live = Live::new();
    live.ledger.lock().insert(Run::new(
        RunStarted {
            run_id: RUN.into(),
            agent_id: "agent".into(),
            intent: "be followed".into(),
            outcome_description: None,
            started_at: Time::default(),
            agent_name: None,
        },
        None,
    ));
    live.into()
}

/// Appends turns with these indices as one batch.
fn append(live: &Live, indices: std::ops::Range<u64>) {
    let line = |index| NewTurn::default().encode(index, Time::default()).unwrap();
    live.commit(RUN, indices.map(line).collect(), Time::default(), |_, _| {});
}

fn end(live: &Live, turn_count: u64) {
    let ended = RunEnded {
        run_id: RUN.into(),
        agent_id: "agent".into(),
        termination: incomplete(IncompleteReason::Cancelled),
        ended_at: Time::default(),
        turn_count,
    };
    let line = Line::of(&RunRecord::Ended(ended.clone())).unwrap();
    live.end(RUN, (&ended).into(), line, |_, _| {}).unwrap();
}

/// A thread that appends batches up to each of these counts, and ends the run.
fn write(live: &Arc<Live>, counts: &'static [u64]) -> thread::JoinHandle<()> {
    let live = live.clone();
    thread::spawn(move || {
        let mut from = 0;
        for to in counts {
            append(&live, from..*to);
            from = *to;
        }
        end(&live, from);
    })
}

/// What a follower was told: where its snapshot stood, and the run's status then.
fn join(live: &Live, session: &LoneSession) -> (u64, RunStatus) {
    session.call(|caller| {
        let (snapshot, _) = live.join(RUN, caller).unwrap().expect("the run is in memory");
        assert!(session.take().is_none(), "an event came before the reply");
        let has_turns = snapshot.status == RunStatus::InProgress;
        // A run that has ended let its turns go; they are read from its file.
        let turns = if has_turns { snapshot.turns.len() as u64 } else { snapshot.cursor };
        assert_eq!(snapshot.first_index + snapshot.turns.len() as u64, snapshot.cursor);
        assert_eq!(turns, snapshot.cursor);
        (snapshot.cursor, snapshot.status)
    })
}

/// The events in the outbox go on where the snapshot stood, to the end, each once.
fn heard_the_rest(session: &LoneSession, snapshot: (u64, RunStatus), turns: u64) {
    let (mut cursor, mut status) = snapshot;
    while let Some(event) = session.take() {
        let event = &event["params"];
        assert_eq!(status, RunStatus::InProgress, "an event came after the end");
        match event["record"]["record"].as_str() {
            Some("turn") => {
                assert_eq!(event["record"]["index"], cursor, "a gap or a double");
                cursor += 1;
            }
            Some("ended") => status = RunStatus::Incomplete,
            other => panic!("{other:?}"),
        }
        assert_eq!(event["cursor"], Value::from(cursor));
    }
    assert_eq!((cursor, status), (turns, RunStatus::Incomplete));
}

#[test]
fn a_follower_hears_every_turn_once_in_each_schedule() {
    model(|| {
        let live = open();
        let writer = write(&live, &[1, 3]);
        let session = LoneSession::new(1);
        let snapshot = join(&live, &session);
        writer.join().unwrap();
        heard_the_rest(&session, snapshot, 3);
    });
}

#[test]
fn a_second_subscription_takes_the_place_of_the_first_in_each_schedule() {
    model(|| {
        let live = open();
        let writer = write(&live, &[1]);
        let session = LoneSession::new(1);
        join(&live, &session);
        // What the first subscription still heard is of the past once the second has its snapshot.
        let snapshot = session.call(|caller| {
            let (snapshot, _) = live.join(RUN, caller).unwrap().expect("the run is in memory");
            while session.take().is_some() {}
            (snapshot.cursor, snapshot.status)
        });
        writer.join().unwrap();
        heard_the_rest(&session, snapshot, 1);
    });
}

#[test]
fn followers_that_come_and_go_are_told_apart_in_each_schedule() {
    model(|| {
        let live = open();
        let writer = write(&live, &[1]);
        let leaver = thread::spawn({
            let live = live.clone();
            move || {
                let session = LoneSession::new(2);
                join(&live, &session);
                session.hang_up();
                assert!(session.take().is_none(), "a session that is gone hears nothing");
            }
        });
        let session = LoneSession::new(1);
        let snapshot = join(&live, &session);
        writer.join().unwrap();
        leaver.join().unwrap();
        heard_the_rest(&session, snapshot, 1);
        assert!(live.followers.is_heard(&RUN.into()), "the one that stayed");
        session.hang_up();
        assert!(!live.followers.is_heard(&RUN.into()), "nobody is left");
    });
}
