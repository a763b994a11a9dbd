//! Rows by themselves: places, marks, and rows that come after others of the same task.

use std::{future::pending, sync::Arc};

use carport_a2a_types::{Message, TaskState};
use carport_core::Time;
use proptest::prelude::*;

use super::*;
use crate::executor::TestExecutor;

fn job() -> Job {
    Job { message: Message::of_agent("m", "do it"), by: Arc::new(TestExecutor) }
}

fn stored(seq: u64, state: TaskState) -> Stored {
    Stored { seq, at: Time::default(), change: Change::state(state, None) }
}

/// What does turns, as far as rows know.
fn turns(_: Job) -> AbortHandle {
    tokio::spawn(pending::<()>()).abort_handle()
}

fn take(rows: &mut Rows, seq: u64) -> (u64, Place) {
    let number = rows.announce("t", "me", seq).unwrap();
    (number, rows.take_place("t", number, job(), turns).unwrap())
}

#[tokio::test]
async fn what_was_announced_to_a_row_that_is_gone_does_nothing_to_the_next_one() {
    let mut rows = Rows::default();
    let first = rows.announce("t", "me", 0).unwrap();
    assert!(rows.note("t", &stored(1, TaskState::Canceled)).is_none());
    // Somebody read the task before it ended, and announces their message only now.
    let second = rows.announce("t", "me", 0).unwrap();
    assert!(rows.take_place("t", first, job(), turns).is_none(), "it starts nothing");
    rows.give_up("t", first);
    rows.lose_turn("t", first);
    assert!(rows.next("t", first).is_none());
    assert_eq!(rows.rows["t"].arriving, 1, "the second one is still on its way");
    rows.give_up("t", second);
    assert!(rows.rows.is_empty(), "nobody follows it");
}

#[tokio::test]
async fn a_turn_that_is_dropped_leaves_its_row_as_it_is_to_the_next_one_of_the_task() {
    let mut rows = Rows::default();
    let (first, _place) = take(&mut rows, 0);
    assert!(rows.note("t", &stored(1, TaskState::Failed)).is_some());
    let (second, _other) = take(&mut rows, 0);
    rows.lose_turn("t", first);
    assert_eq!(rows.running("t").map(|it| it.0), Some(second), "it still runs");
}

#[tokio::test]
async fn turns_come_one_after_the_other_and_whoever_waits_knows_when_theirs_is_over() {
    let mut rows = Rows::default();
    let (number, first) = take(&mut rows, 0);
    let (_, second) = take(&mut rows, 0);
    assert_eq!((first.turn.number, second.turn.number), (1, 2));
    rows.note("t", &stored(1, TaskState::Working));
    assert!(!rows.is_over(&first));
    rows.note("t", &stored(2, TaskState::InputRequired));
    assert!(rows.is_over(&first) && !rows.is_over(&second));
    assert_eq!((first.turn.end(), second.turn.end()), (Some(2), None));
    assert!(rows.next("t", number).is_some());
    let (_, third) = take(&mut rows, 2);
    assert_eq!(third.turn.number, 3);
    let running = rows.note("t", &stored(3, TaskState::Completed));
    assert!(running.is_some() && rows.is_over(&second) && rows.is_over(&third));
    assert!(!second.turn.never_began() && third.turn.never_began());
    let ends = (first.turn.end(), second.turn.end());
    assert_eq!(ends, (Some(2), None), "also when the row is gone");
    assert_eq!(*second.mark.borrow(), 3);
}

#[tokio::test]
async fn a_turn_that_is_lost_gives_its_number_to_the_next_job() {
    let mut rows = Rows::default();
    let (number, first) = take(&mut rows, 0);
    rows.lose_turn("t", number);
    assert!(rows.running("t").is_none());
    let (_, second) = take(&mut rows, 0);
    assert_eq!((first.turn.number, second.turn.number), (1, 1));
    rows.note("t", &stored(1, TaskState::InputRequired));
    assert!(rows.is_over(&first) && rows.is_over(&second));
}

#[tokio::test]
async fn messages_wait_in_a_bounded_number_and_turns_have_one_for_each_caller_and_for_all() {
    let mut rows = Rows::default();
    take(&mut rows, 0);
    let last = (0..MAX_WAITING).map(|_| rows.announce("t", "me", 0).unwrap()).last().unwrap();
    let full = rows.announce("t", "me", 0).unwrap_err();
    assert!(full.message().contains("16 messages wait"), "{}", full.message());
    rows.give_up("t", last);
    rows.announce("t", "me", 0).unwrap();

    let held = 1 + MAX_WAITING;
    for n in held..MAX_TURNS[0] {
        rows.announce(&format!("t{n}"), "me", 0).unwrap();
    }
    let full = rows.announce("more", "me", 0).unwrap_err();
    assert!(full.message().starts_with("1024 messages"), "{}", full.message());
    for n in MAX_TURNS[0]..MAX_TURNS[1] {
        rows.announce(&format!("t{n}"), &format!("other {}", n % 7), 0).unwrap();
    }
    let full = rows.announce("more", "new", 0).unwrap_err();
    assert!(full.message().starts_with("4096 messages"), "{}", full.message());
}

#[test]
fn a_row_stays_as_long_as_somebody_follows_it() {
    let mut rows = Rows::default();
    let mark = rows.subscribe("t", "me", 3);
    let number = rows.announce("t", "me", 3).unwrap();
    rows.give_up("t", number);
    rows.note("t", &stored(4, TaskState::Working));
    rows.forget_idle("t");
    rows.note("t", &stored(5, TaskState::Working));
    assert_eq!(*mark.borrow(), 5, "it is still followed");
    drop(mark);
    rows.forget_idle("t");
    assert!(rows.rows.is_empty());
}

#[test]
fn a_row_stays_while_a_change_is_written_and_whoever_comes_meanwhile_is_told_of_it() {
    let mut rows = Rows::default();
    let writer = rows.hold("t", "me", 3);
    drop(rows.subscribe("t", "me", 3));
    rows.forget_idle("t");
    // The store has it already, and nothing took note of it.
    let mark = rows.subscribe("t", "me", 4);
    assert_eq!(*mark.borrow(), 3);
    rows.note("t", &stored(4, TaskState::Working));
    assert_eq!(*mark.borrow(), 4);
    rows.release("t", writer);
    assert!(rows.rows.contains_key("t"), "it is followed");
    drop(mark);
    let writer = rows.hold("t", "me", 4);
    rows.release("t", writer);
    assert!(rows.rows.is_empty());
}

#[tokio::test]
async fn what_is_noted_after_the_end_changes_nothing_of_the_row_that_came_then() {
    let mut rows = Rows::default();
    let (late, last) = (rows.hold("t", "me", 4), rows.hold("t", "me", 4));
    rows.note("t", &stored(6, TaskState::Canceled));
    rows.release("t", last);
    let (_, place) = take(&mut rows, 6);
    rows.note("t", &stored(5, TaskState::InputRequired));
    rows.release("t", late);
    assert!(!rows.is_over(&place) && *place.mark.borrow() == 6);
}

proptest! {
    #[test]
    fn the_mark_moves_on_only_when_no_change_is_missing(
        order in Just((1..=20_u64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut rows = Rows::default();
        let mark = rows.subscribe("t", "me", 0);
        let mut noted = BTreeSet::new();
        for seq in order {
            rows.note("t", &stored(seq, TaskState::Working));
            noted.insert(seq);
            let whole = (1..).find(|seq| !noted.contains(seq)).unwrap() - 1;
            prop_assert_eq!(*mark.borrow(), whole);
        }
    }
}
