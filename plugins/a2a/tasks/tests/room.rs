//! How much a store holds: of one task, on one page, and for whom.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use carport_a2a_tasks::{
    ArtifactChange, Caller, Change, FileStore, Limits, MemoryStore, NewTask, PushEntry, Refused,
    StoreError, StoreSettings, TaskStore,
};
use carport_a2a_types::{
    Artifact, ListTasks, Message, Part, PushConfig, TaskState, Version, read::read,
};
use carport_core::{Durability, Time};
use chrono::DateTime;
use serde_json::json;

fn at(second: i64) -> Time {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap().into()
}

fn said(text: &str) -> Message {
    let message = json!({ "messageId": "m", "role": "user", "parts": [{ "text": text }] });
    read(message, Version::V1).unwrap()
}

fn receiver() -> PushEntry {
    let config = json!({ "id": "p", "taskId": "t", "url": "https://a.example/" });
    let config: PushConfig = read(config, Version::V1).unwrap();
    PushEntry { config, version: Version::V1, told_end: false }
}

async fn create(store: &impl TaskStore, caller: &Caller, id: &str, second: i64) {
    let new = NewTask { id: id.into(), context_id: "c".into(), message: said("a"), metadata: None };
    store.create(caller, new, at(second)).await.unwrap();
}

async fn end(store: &impl TaskStore, caller: &Caller, id: &str, second: i64) {
    let end = Change::state(TaskState::Completed, None);
    store.append(caller, id, end, at(second)).await.unwrap();
}

async fn is_there(store: &impl TaskStore, id: &str) -> bool {
    store.get(&Caller::daemon(), id, None).await.is_ok()
}

#[tokio::test]
async fn the_log_of_a_task_has_a_size_and_past_it_the_task_may_only_end() {
    let me = Caller::anonymous();
    let limits = Limits { log_bytes: 10_000, ..Limits::default() };
    let settings = StoreSettings { limits, ..StoreSettings::default() };
    let directory = tempfile::tempdir().unwrap();
    let open =
        async || FileStore::open(directory.path(), Durability::Record, settings).await.unwrap();
    let store = open().await;
    create(&store, &me, "t", 0).await;
    let artifact = || Artifact::of("a", Part::text("y".repeat(3000)));
    let made = || ArtifactChange { artifact: artifact(), append: false, last_chunk: false };
    store.append(&me, "t", Change::Message(said(&"x".repeat(3000))), at(1)).await.unwrap();
    store.append(&me, "t", Change::Artifact(made()), at(1)).await.unwrap();
    // What another process knows of it is no less.
    for store in [store, open().await] {
        let full =
            |error| matches!(error, StoreError::Refused(Refused::Full { limit: 10_000, .. }));
        let more = Change::Message(said(&"x".repeat(4000)));
        assert!(full(store.append(&me, "t", more, at(2)).await.unwrap_err()));
        let more = Change::Artifact(ArtifactChange {
            artifact: Artifact::of("a", Part::text("y".repeat(4000))),
            ..made()
        });
        assert!(full(store.append(&me, "t", more, at(2)).await.unwrap_err()), "replaced or not");
    }
    let store = open().await;
    end(&store, &me, "t", 3).await;
    let size = std::fs::metadata(directory.path().join("tasks/t.jsonl")).unwrap().len();
    assert!(size < 10_500, "{size}");
}

#[tokio::test]
async fn a_page_ends_before_it_is_too_large_and_the_next_one_goes_on() {
    let (me, store) = (Caller::anonymous(), MemoryStore::new(StoreSettings::default()));
    for n in 0..5 {
        let id = format!("t{n}");
        create(&store, &me, &id, n).await;
        let big = said(&"x".repeat(3 * 1024 * 1024));
        store.append(&me, &id, Change::Message(big), at(n)).await.unwrap();
        let artifact = Artifact::of("a", Part::text("y".repeat(1000)));
        let made = ArtifactChange { artifact, append: false, last_chunk: true };
        store.append(&me, &id, Change::Artifact(made), at(n)).await.unwrap();
    }
    let (mut sizes, mut seen, mut token) = (Vec::new(), Vec::new(), None);
    loop {
        let query = ListTasks { page_token: token, ..ListTasks::default() };
        let page = store.list(&me, &query).await.unwrap();
        assert_eq!(page.total_size, 5);
        assert!(page.tasks.iter().all(|it| it.artifacts.is_empty()), "not asked for");
        sizes.push(page.tasks.len());
        seen.extend(page.tasks.into_iter().map(|it| it.id));
        if page.next_page_token.is_empty() {
            break;
        }
        token = Some(page.next_page_token);
    }
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(seen, ["t4", "t3", "t2", "t1", "t0"]);
    let short =
        ListTasks { history_length: Some(0), include_artifacts: true, ..ListTasks::default() };
    let page = store.list(&me, &short).await.unwrap();
    assert_eq!((page.tasks.len(), page.tasks[0].artifacts.len()), (5, 1));
}

#[tokio::test]
async fn a_full_store_takes_from_whoever_wants_more_and_then_from_whoever_has_most() {
    let (me, other) = (Caller::peer("me"), Caller::peer("other"));
    let settings = StoreSettings { max_tasks: 5, ..StoreSettings::default() };
    let store = MemoryStore::new(settings);
    for (n, (caller, id)) in
        [(&other, "o0"), (&me, "m0"), (&other, "o1"), (&other, "o2")].into_iter().enumerate()
    {
        create(&store, caller, id, n as i64).await;
        store.put_push(caller, id, receiver()).await.unwrap();
        end(&store, caller, id, n as i64).await;
        if id != "o0" {
            store.settle_push(caller, id, receiver()).await.unwrap();
        }
    }
    create(&store, &me, "m1", 1000).await;
    create(&store, &me, "m2", 1000).await;
    assert!(!is_there(&store, "m0").await, "one's own goes first");
    create(&store, &me, "m3", 1000).await;
    assert!(!is_there(&store, "o1").await, "somebody waits to be told how `o0` ended");
    create(&store, &me, "m4", 1000).await;
    end(&store, &me, "m1", 1001).await;
    store.settle_push(&other, "o0", receiver()).await.unwrap();
    create(&store, &me, "m5", 1002).await;
    assert!(!is_there(&store, "o0").await, "`m1` ended only now, and may not have been read");
}

#[tokio::test]
async fn a_receiver_that_took_anothers_place_is_not_dropped_with_it() {
    let (me, store) = (Caller::anonymous(), MemoryStore::new(StoreSettings::default()));
    create(&store, &me, "t", 0).await;
    let successor = PushEntry { version: Version::V03, ..receiver() };
    store.put_push(&me, "t", successor.clone()).await.unwrap();
    store.drop_push(&me, "t", receiver()).await.unwrap();
    assert_eq!(store.list_push(&me, "t").await.unwrap(), std::slice::from_ref(&successor));
    store.drop_push(&me, "t", successor).await.unwrap();
    assert!(store.list_push(&me, "t").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_task_that_cannot_be_removed_is_in_nobodys_way() {
    let (me, directory) = (Caller::anonymous(), tempfile::tempdir().unwrap());
    let settings = StoreSettings { max_tasks: 4, ..StoreSettings::default() };
    let store = FileStore::open(directory.path(), Durability::Process, settings).await.unwrap();
    for (n, id) in ["stuck", "old", "older", "waits"].into_iter().enumerate() {
        create(&store, &me, id, n as i64).await;
    }
    for (id, second) in [("stuck", 8), ("old", 9), ("older", 9)] {
        end(&store, &me, id, second).await;
    }
    for state in [TaskState::Working, TaskState::InputRequired] {
        store.append(&me, "waits", Change::state(state, None), at(9)).await.unwrap();
    }
    let path = directory.path().join("tasks/stuck.jsonl");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    create(&store, &me, "new", 1000).await;
    create(&store, &me, "newer", 1001).await;
    assert_eq!(store.count(&Caller::daemon()), 4);
    let month = settings.interrupted_ttl.num_seconds();
    end(&store, &me, "new", 1002).await;
    let swept = store.sweep(&me, at(month)).await.unwrap();
    assert_eq!((swept.gone, swept.overdue.len()), (vec!["new".to_owned()], 0));
    assert_eq!(store.sweep(&me, at(month + 9)).await.unwrap().overdue, [("waits".to_owned(), 2)]);
}

#[tokio::test]
async fn what_is_too_large_for_memory_is_read_from_its_place() {
    let (me, directory) = (Caller::anonymous(), tempfile::tempdir().unwrap());
    let settings = StoreSettings::default();
    let file = FileStore::open(directory.path(), Durability::Process, settings).await.unwrap();
    let memory = MemoryStore::new(settings);
    for store in [&file as &dyn TaskStore, &memory] {
        let new =
            NewTask { id: "t".into(), context_id: "c".into(), message: said("a"), metadata: None };
        store.create(&me, new, at(0)).await.unwrap();
        for seq in 1..=80_u64 {
            let text = "x".repeat(if seq % 3 == 0 { 20_000 } else { 10 });
            let artifact = Artifact::of("a", Part::text(text));
            let made = ArtifactChange { artifact, append: true, last_chunk: false };
            let stored = store.append(&me, "t", Change::Artifact(made), at(1)).await.unwrap();
            assert_eq!(store.events_since(&me, "t", seq - 1).await.unwrap(), [stored]);
        }
        for seq in 0..=80 {
            let events = store.events_since(&me, "t", seq).await.unwrap();
            assert!(events.iter().map(|it| it.seq).eq(seq + 1..=80), "after {seq}");
        }
    }
}
