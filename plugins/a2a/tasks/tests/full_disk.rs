//! A disk without room: in a process of its own, for the limit is the process's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path};

use carport_a2a_tasks::{Caller, Change, FileStore, NewTask, StoreError, StoreSettings, TaskStore};
use carport_a2a_types::{Message, TaskState, Version, read::read};
use carport_core::{Durability, Time};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// `SIGXFSZ`, which ends a process that does not listen.
const TOO_LARGE: i32 = 25;

fn said(text: &str) -> Message {
    let message = json!({ "messageId": "m", "role": "user", "parts": [{ "text": text }] });
    read(message, Version::V1).unwrap()
}

fn new_task(id: &str) -> NewTask {
    NewTask { id: id.into(), context_id: "c".into(), message: said("do it"), metadata: None }
}

fn names(directory: &Path) -> Vec<String> {
    let name = |it: fs::DirEntry| it.file_name().into_string().unwrap();
    fs::read_dir(directory).unwrap().map(|it| name(it.unwrap())).collect()
}

#[tokio::test]
async fn what_finds_no_room_leaves_no_half_line_and_no_task_without_one() {
    let _listens = signal(SignalKind::from_raw(TOO_LARGE)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let open = async || {
        let settings = StoreSettings::default();
        FileStore::open(directory.path(), Durability::Process, settings).await.unwrap()
    };
    let (me, store, now) = (Caller::anonymous(), open().await, Time::default());
    store.create(&me, new_task("t"), now).await.unwrap();
    let path = directory.path().join("tasks/t.jsonl");
    let length = fs::metadata(&path).unwrap().len();

    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(length + 10), ..before }).unwrap();
    let more = Change::Message(said(&"more ".repeat(20)));
    let refused = store.append(&me, "t", more.clone(), now).await.unwrap_err();
    assert!(matches!(refused, StoreError::Disk(_)), "{refused}");
    assert_eq!(fs::metadata(&path).unwrap().len(), length, "no half line is left");
    assert_eq!(store.get(&me, "t", None).await.unwrap().seq, 0);
    setrlimit(Resource::Fsize, Rlimit { current: Some(10), ..before }).unwrap();
    let refused = store.create(&me, new_task("other"), now).await.unwrap_err();
    setrlimit(Resource::Fsize, before).unwrap();
    assert!(matches!(refused, StoreError::Disk(_)), "{refused}");
    assert_eq!(
        (store.count(&Caller::daemon()), names(&directory.path().join("tasks"))),
        (1, vec!["t.jsonl".into()])
    );

    assert_eq!(store.append(&me, "t", more, now).await.unwrap().seq, 1);
    store.create(&me, new_task("other"), now).await.unwrap();
    let end = Change::state(TaskState::Completed, None);
    store.append(&me, "t", end, now).await.unwrap();
    let again = open().await;
    let fold = again.get(&me, "t", None).await.unwrap();
    assert_eq!((fold.seq, fold.task.history.len(), again.count(&Caller::daemon())), (2, 2, 2));
}
