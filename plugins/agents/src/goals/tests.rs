//! Goals on a real file: what is written, what makes room, what is taken back.

use std::{future::Future, path::Path, pin::pin, task::Poll};

use carport_core::{ManualClock, Time, codes};
use serde_json::json;

use super::*;

fn goals(root: &Path) -> Goals {
    Goals::open(root.join("goals.json"), ManualClock::at(Time::default())).unwrap()
}

fn goal(check: &str) -> Goal {
    Goal { check: check.into(), max_iterations: 8 }
}

async fn set(goals: &Goals, id: &str, check: &str) -> Result<Undo> {
    Ok(goals.set(id, goal(check), || Ok(()), |_| false).await?.1)
}

fn on_disk(root: &Path) -> Vec<String> {
    read(&root.join("goals.json")).unwrap().into_keys().collect()
}

/// Fills the table, one goal a second, with one that was met among them.
fn full(root: &Path, met: &str) -> Goals {
    let mut table: Table = Table::new();
    for n in 0..MAX_GOALS {
        let id = if n == 500 { met.to_owned() } else { format!("g{n}") };
        let status = if n == 500 { "met" } else { "active" };
        let state = json!({ "session_id": id, "check": "x", "max_iterations": 1, "status": status, "updated_at": n });
        table.insert(id, serde_json::from_value(state).unwrap());
    }
    std::fs::write(root.join("goals.json"), serde_json::to_vec(&table).unwrap()).unwrap();
    goals(root)
}

#[test]
fn a_write_whose_caller_has_left_is_finished_before_the_next() {
    let root = tempfile::tempdir().unwrap();
    let runtime =
        tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let goals = goals(root.path());
        // The one thread for the disk is busy until both writes are asked for.
        let (go, busy) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || busy.recv());
        {
            let mut left = pin!(set(&goals, "a", "x"));
            let polled =
                std::future::poll_fn(|cx| Poll::Ready(left.as_mut().poll(cx).is_pending()));
            assert!(polled.await);
        }
        assert!(goals.writing.try_lock().is_err(), "the write goes on");
        let second = set(&goals, "b", "y");
        go.send(()).unwrap();
        second.await.unwrap();
        assert_eq!(on_disk(root.path()), ["a", "b"]);
        assert!(goals.get("a").is_some(), "memory and file say the same");
    });
}

#[tokio::test]
async fn a_full_table_gives_up_what_is_over_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let goals = full(root.path(), "over");
    let undo = set(&goals, "new", "x").await.unwrap();
    assert!(goals.get("over").is_none() && goals.get("new").is_some());
    let error = set(&goals, "newer", "x").await.err().unwrap();
    let data = error.data.unwrap();
    assert_eq!(
        (error.code, &data["limit"], &data["got"]),
        (codes::LIMIT, &json!(1000), &json!(1001))
    );
    assert!(set(&goals, "new", "other").await.is_ok(), "a goal that is there may change");
    goals.undo(undo).await.unwrap();
    assert_eq!(goals.get("new").unwrap().check, "other", "somebody changed it since");
    assert!(goals.get("over").is_some());
}

#[tokio::test]
async fn a_made_up_id_makes_room_once_its_chat_does_not_run() {
    let root = tempfile::tempdir().unwrap();
    let minted = crate::chat::fresh_id();
    let goals = full(root.path(), "g500");
    goals.clear(|id| Ok(id == "g500")).await.unwrap();
    set(&goals, &minted, "x").await.unwrap();
    let runs = |id: &str| id == minted;
    assert!(goals.set("new", goal("x"), || Ok(()), runs).await.is_err());
    assert!(set(&goals, "new", "x").await.is_ok());
    assert!(goals.get(&minted).is_none());
}

#[tokio::test]
async fn what_was_set_is_taken_back_to_what_was_before() {
    let root = tempfile::tempdir().unwrap();
    let goals = goals(root.path());
    set(&goals, "c", "first").await.unwrap();
    let undo = set(&goals, "c", "second").await.unwrap();
    goals.undo(undo).await.unwrap();
    assert_eq!(goals.get("c").unwrap().check, "first");
    let undo = set(&goals, "d", "x").await.unwrap();
    goals.undo(undo).await.unwrap();
    assert_eq!(on_disk(root.path()), ["c"]);
}

#[tokio::test]
async fn whoever_may_not_is_asked_when_the_turn_has_come() {
    let root = tempfile::tempdir().unwrap();
    let goals = goals(root.path());
    let turn = goals.writing.clone().lock_owned().await;
    let may = std::sync::atomic::AtomicBool::new(true);
    let ask = || match may.load(std::sync::atomic::Ordering::Relaxed) {
        true => Ok(()),
        false => Err(RpcError::forbidden("no")),
    };
    let mut waiting = pin!(goals.set("c", goal("x"), ask, |_| false));
    let polled = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
    assert!(polled.await);
    may.store(false, std::sync::atomic::Ordering::Relaxed);
    drop(turn);
    assert_eq!(waiting.await.err().unwrap().code, codes::FORBIDDEN);
    assert!(goals.get("c").is_none());
}

#[tokio::test]
async fn events_are_seen_at_once_and_written_by_the_next_flush() {
    let root = tempfile::tempdir().unwrap();
    let goals = goals(root.path());
    set(&goals, "c", "x").await.unwrap();
    let members = |it: Value| it.as_object().cloned().unwrap();
    goals.heard("c", "done", &members(json!({ "finish_reason": "stop" })));
    let met = goals.get("c").unwrap();
    assert_eq!((met.status, met.terminal_kind.as_deref()), (GoalStatus::Met, Some("done")));
    goals.flush().await;
    assert_eq!(read(&root.path().join("goals.json")).unwrap()["c"].status, GoalStatus::Met);
    goals.heard("c", "goal_evaluated", &members(json!({ "iteration": 1, "met": false })));
    let running = goals.get("c").unwrap();
    assert_eq!((running.status, running.terminal_kind), (GoalStatus::Running, None));
    assert_eq!(running.terminal_message, None, "nothing of an earlier turn is left");
    goals.heard("c", "done", &members(json!({ "finish_reason": "cancelled" })));
    assert_eq!(goals.get("c").unwrap().status, GoalStatus::Active);
}
