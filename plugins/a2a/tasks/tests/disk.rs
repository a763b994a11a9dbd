//! What the files of tasks bear: a kill at any byte, foreign lines, and secrets that only their owner reads.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use carport_a2a_tasks::{
    ArtifactChange, Caller, Change, FileStore, NewTask, PushEntry, StoreError, StoreSettings,
    TaskStore,
};
use carport_a2a_types::{Artifact, Message, Part, PushConfig, TaskState, Version, read::read};
use carport_core::{Durability, Identity, Time};
use serde_json::json;

async fn open(path: &Path) -> FileStore {
    FileStore::open(path, Durability::Process, StoreSettings::default()).await.unwrap()
}

fn me() -> Caller {
    Caller::of(&Identity::Client)
}

fn new_task(id: &str) -> NewTask {
    let message = json!({ "messageId": "m", "role": "user", "parts": [{ "data": { "n": 1 } }] });
    let message: Message = read(message, Version::V1).unwrap();
    NewTask { id: id.into(), context_id: "c".into(), message, metadata: None }
}

async fn fill(store: &FileStore) {
    store.create(&me(), new_task("t"), Time::default()).await.unwrap();
    let artifact = Artifact::of("a", Part::text("made"));
    for change in [
        Change::state(TaskState::Working, None),
        Change::Artifact(ArtifactChange { artifact, append: true, last_chunk: true }),
        Change::state(TaskState::InputRequired, Some(Message::of_agent("s", "Which?"))),
    ] {
        store.append(&me(), "t", change, Time::default()).await.unwrap();
    }
}

#[tokio::test]
async fn cut_anywhere_a_file_holds_every_whole_change_and_goes_on() {
    let whole = tempfile::tempdir().unwrap();
    fill(&open(whole.path()).await).await;
    let bytes = fs::read(whole.path().join("tasks/t.jsonl")).unwrap();
    let ends: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
    assert_eq!(ends.len(), 4);
    for cut in (0..=bytes.len()).step_by(7) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tasks/t.jsonl");
        fs::create_dir(directory.path().join("tasks")).unwrap();
        fs::write(&path, &bytes[..cut]).unwrap();
        let store = open(directory.path()).await;
        let lines = ends.iter().filter(|end| **end < cut).count();
        match store.get(&me(), "t", None).await {
            Err(_) => assert_eq!(lines, 0, "cut at {cut}"),
            Ok(fold) => {
                assert_eq!(fold.seq as usize, lines - 1, "cut at {cut}");
                let change = Change::state(TaskState::Canceled, None);
                store.append(&me(), "t", change, Time::default()).await.unwrap();
                let fold = open(directory.path()).await.get(&me(), "t", None).await.unwrap();
                assert_eq!(fold.seq as usize, lines, "cut at {cut}");
                assert_eq!(fold.task.status.state, TaskState::Canceled);
            }
        }
    }
}

#[tokio::test]
async fn a_line_that_does_not_read_costs_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    fill(&open(directory.path()).await).await;
    let path = directory.path().join("tasks/t.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines[2] = "{\"event\": damaged";
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    fs::write(directory.path().join("tasks/other.jsonl"), "no task\n").unwrap();
    fs::write(directory.path().join("tasks/README"), "somebody's\n").unwrap();
    let store = open(directory.path()).await;
    let fold = store.get(&me(), "t", None).await.unwrap();
    assert_eq!((fold.seq, fold.task.status.state), (3, TaskState::InputRequired));
    assert!(fold.task.artifacts.is_empty());
    assert_eq!(store.count(&Caller::daemon()), 1);
    assert!(directory.path().join("tasks/other.jsonl").exists(), "left alone");
}

#[tokio::test]
async fn files_are_for_their_owner_only_and_receivers_go_with_their_task() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    fill(&store).await;
    let config = json!({ "id": "p", "taskId": "t", "url": "https://a.example/", "token": "s" });
    let config: PushConfig = read(config, Version::V1).unwrap();
    let entry = PushEntry { config, version: Version::V03, told_end: false };
    store.put_push(&me(), "t", entry).await.unwrap();
    for (path, mode) in
        [("tasks", 0o700), ("push", 0o700), ("tasks/t.jsonl", 0o600), ("push/t.json", 0o600)]
    {
        let found = fs::metadata(directory.path().join(path)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path}");
    }
    fs::remove_file(directory.path().join("tasks/t.jsonl")).unwrap();
    let _again = open(directory.path()).await;
    assert!(!directory.path().join("push/t.json").exists(), "secrets of nobody");
}

#[tokio::test]
async fn a_link_in_the_place_of_a_task_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    fill(&open(directory.path()).await).await;
    let (path, aside) = (directory.path().join("tasks/t.jsonl"), directory.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &path).unwrap();
    assert_eq!(open(directory.path()).await.count(&Caller::daemon()), 0);
}

#[tokio::test]
async fn every_durability_keeps_what_was_acknowledged() {
    for durability in [Durability::Process, Durability::Interval, Durability::Record] {
        let directory = tempfile::tempdir().unwrap();
        let settings = StoreSettings::default();
        let store = FileStore::open(directory.path(), durability, settings).await.unwrap();
        fill(&store).await;
        store.sync().await;
        let fold = open(directory.path()).await.get(&me(), "t", None).await.unwrap();
        assert_eq!(fold.seq, 3, "{durability:?}");
    }
}

#[tokio::test]
async fn what_a_kill_left_half_made_is_gone_and_what_is_whole_stays() {
    let directory = tempfile::tempdir().unwrap();
    fill(&open(directory.path()).await).await;
    let at = |name: &str| directory.path().join(name);
    let receivers = "[]";
    for (name, text) in [
        ("tasks/empty.jsonl", ""),
        ("tasks/torn.jsonl", "{\"created\":{\"id\":\"torn\""),
        ("push/torn.json", receivers),
        ("push/t.json", receivers),
        ("push/.t.json.a1B2c3", "half a secr"),
    ] {
        fs::write(at(name), text).unwrap();
    }
    assert_eq!(open(directory.path()).await.count(&Caller::daemon()), 1);
    let there = |directory: &str| {
        let names = fs::read_dir(at(directory)).unwrap().map(|it| it.unwrap().file_name());
        names.collect::<Vec<_>>()
    };
    assert_eq!((there("tasks"), there("push")), (vec!["t.jsonl".into()], vec!["t.json".into()]));
}

#[tokio::test]
async fn a_line_that_cannot_follow_is_left_out_and_an_end_stays_one() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    fill(&store).await;
    let path = directory.path().join("tasks/t.jsonl");
    let works = |seq: u64| {
        let status = json!({ "status": { "state": "TASK_STATE_WORKING" } });
        let event = json!({ "seq": seq, "at": "2026-01-01T00:00:00.000Z", "change": status });
        json!({ "event": event }).to_string() + "\n"
    };
    let add = |seqs: &[u64]| {
        let lines: String = seqs.iter().map(|seq| works(*seq)).collect();
        fs::write(&path, fs::read_to_string(&path).unwrap() + &lines).unwrap();
    };
    let is = async |seq: u64, state: TaskState| {
        let store = open(directory.path()).await;
        for at in [None, Some(u64::MAX)] {
            let fold = store.get(&me(), "t", at).await.unwrap();
            assert_eq!((fold.seq, fold.task.status.state), (seq, state));
        }
        assert_eq!(store.events_since(&me(), "t", 0).await.unwrap().len() as u64, seq);
        store
    };
    add(&[0, 1, 3, u64::MAX]);
    let store = is(3, TaskState::InputRequired).await;
    add(&[4]);
    drop(store);
    let store = is(4, TaskState::Working).await;
    let end = Change::state(TaskState::Canceled, None);
    store.append(&me(), "t", end, Time::default()).await.unwrap();
    add(&[6, 7]);
    is(5, TaskState::Canceled).await;
}

#[tokio::test]
async fn a_task_whose_file_somebody_removes_is_none_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    fill(&store).await;
    fs::remove_file(directory.path().join("tasks/t.jsonl")).unwrap();
    let works = Change::state(TaskState::Working, None);
    let gone = store.append(&me(), "t", works, Time::default()).await.unwrap_err();
    assert!(matches!(gone, StoreError::NoTask(_)), "{gone}");
    assert_eq!(store.count(&Caller::daemon()), 0);
}

#[tokio::test]
async fn what_cannot_be_removed_keeps_no_store_from_opening() {
    let directory = tempfile::tempdir().unwrap();
    fill(&open(directory.path()).await).await;
    for name in ["push/.x", "push/strange.json"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    assert_eq!(open(directory.path()).await.count(&Caller::daemon()), 1);
}
