//! Pages of a list whose tasks change meanwhile.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeSet, sync::Arc};

use carport_a2a_tasks::{
    Caller, Change, FileStore, MemoryStore, NewTask, StoreSettings, TaskStore,
};
use carport_a2a_types::{ListTasks, Message, TaskState, Version, read::read};
use carport_core::{Durability, Time};
use chrono::DateTime;
use proptest::{collection::vec, prelude::*};
use serde_json::json;

fn at(ms: i64) -> Time {
    DateTime::from_timestamp_millis(1_700_000_000_000 + ms).unwrap().into()
}

fn said() -> Message {
    let message = json!({ "messageId": "m", "role": "user", "parts": [{ "text": "do it" }] });
    read(message, Version::V1).unwrap()
}

async fn create(store: &dyn TaskStore, id: &str, now: i64) {
    let new = NewTask { id: id.into(), context_id: "c".into(), message: said(), metadata: None };
    store.create(&Caller::anonymous(), new, at(now)).await.unwrap();
}

/// What happens to tasks, by their number, between two pages. The clock may have gone backwards.
#[derive(Debug, Clone)]
enum Meanwhile {
    Works(usize, i64),
    Begins(i64),
    /// Ends, and is let go at once.
    Goes(usize),
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        3 => (0..30_usize, -5..40_i64).prop_map(|(n, ms)| Meanwhile::Works(n, ms)),
        1 => (-5..40_i64).prop_map(Meanwhile::Begins),
        1 => (0..30_usize).prop_map(Meanwhile::Goes),
    ]
}

async fn walk(store: &dyn TaskStore, born: &[i64], size: u32, changes: &[Vec<Meanwhile>]) {
    let me = Caller::anonymous();
    let name = |n: usize| format!("t{n:02}");
    for (n, ms) in born.iter().enumerate() {
        create(store, &name(n), *ms).await;
    }
    let mut still: BTreeSet<String> = (0..born.len()).map(name).collect();
    let (mut seen, mut token, mut changes) = (Vec::new(), None, changes.iter());
    loop {
        let query = ListTasks { page_size: size, page_token: token, ..ListTasks::default() };
        let page = store.list(&me, &query).await.unwrap();
        assert_eq!(page.total_size as usize, store.count(&Caller::daemon()));
        let key =
            |it: &carport_a2a_types::Task| (std::cmp::Reverse(it.status.timestamp), it.id.clone());
        assert!(page.tasks.is_sorted_by_key(key), "newest first");
        seen.extend(page.tasks.into_iter().map(|it| it.id));
        assert!(seen.len() < 500, "it comes to an end");
        if page.next_page_token.is_empty() {
            break;
        }
        token = Some(page.next_page_token);
        for (number, change) in changes.next().into_iter().flatten().enumerate() {
            match change {
                Meanwhile::Begins(ms) => {
                    create(store, &format!("new-{}-{number}", seen.len()), *ms).await;
                }
                Meanwhile::Works(n, ms) => {
                    let change = Change::state(TaskState::Working, None);
                    let _ = store.append(&me, &name(*n), change, at(*ms)).await;
                    still.remove(&name(*n));
                }
                Meanwhile::Goes(n) => {
                    let change = Change::state(TaskState::Canceled, None);
                    let _ = store.append(&me, &name(*n), change, at(0)).await;
                    store.sweep(&me, at(1_000_000)).await.unwrap();
                    still.remove(&name(*n));
                }
            }
        }
    }
    let told: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!(told.len(), seen.len(), "one is there twice: {seen:?}");
    assert!(told.is_superset(&still), "some are lost: {:?}", still.difference(&told));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn no_task_is_on_two_pages_and_none_that_did_not_change_is_on_none(
        born in vec(0..20_i64, 0..30),
        size in 1..8_u32,
        changes in vec(vec(meanwhile(), 0..4), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let settings = StoreSettings {
                task_ttl: chrono::TimeDelta::milliseconds(1),
                ..StoreSettings::default()
            };
            let directory = tempfile::tempdir().unwrap();
            let disk = FileStore::open(directory.path(), Durability::Process, settings).await;
            let stores: [Arc<dyn TaskStore>; 2] =
                [Arc::new(MemoryStore::new(settings)), Arc::new(disk.unwrap())];
            for store in stores {
                walk(&*store, &born, size, &changes).await;
            }
        });
    }
}
