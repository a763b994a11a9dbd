//! What is settled, and how often a store is read for what a receiver of v0.3 is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use carport_a2a_tasks::{Last, MemoryStore, NewTask, StoreSettings, Swept};
use carport_a2a_types::{
    Artifact, ArtifactUpdate, ListTasks, Message, PageOfTasks, Part, StatusUpdate, TaskState,
};
use carport_core::Time;
use serde_json::Value;

use super::*;

#[test]
fn only_what_is_refused_for_good_is_settled() {
    for status in [300, 307, 400, 401, 404, 413] {
        assert!(refuses(Attempt::Answer(status, None)), "{status}");
    }
    for status in [408, 425, 429, 500, 503] {
        assert!(!refuses(Attempt::Answer(status, None)), "{status}");
    }
    assert!(!refuses(Attempt::NoAnswer));
}

#[test]
fn only_a_name_may_lead_elsewhere_the_next_time() {
    for (url, passes) in [
        ("https://hook.example/", true),
        ("https://1.1.1.1/", false),
        ("https://localhost/", false),
        ("http://hook.example/", false),
    ] {
        assert_eq!(may_pass(&Screen::default(), url), passes, "{url}");
    }
}

/// A store that counts how often a whole task is read of it.
struct Counting {
    inner: MemoryStore,
    reads: AtomicUsize,
}

type Outcome<T> = Result<T, StoreError>;

#[async_trait]
impl TaskStore for Counting {
    async fn create(&self, caller: &Caller, new: NewTask, now: Time) -> Outcome<Fold> {
        self.inner.create(caller, new, now).await
    }

    async fn get(&self, caller: &Caller, id: &str, at: Option<u64>) -> Outcome<Fold> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.get(caller, id, at).await
    }

    async fn list(&self, caller: &Caller, query: &ListTasks) -> Outcome<PageOfTasks> {
        self.inner.list(caller, query).await
    }

    async fn append_after(
        &self,
        by: &Caller,
        id: &str,
        after: Option<u64>,
        it: Change,
        now: Time,
    ) -> Outcome<Arc<Stored>> {
        self.inner.append_after(by, id, after, it, now).await
    }

    fn last(&self, caller: &Caller, id: &str) -> Option<Last> {
        self.inner.last(caller, id)
    }

    async fn events_since(&self, by: &Caller, id: &str, seq: u64) -> Outcome<Vec<Arc<Stored>>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.inner.events_since(by, id, seq).await
    }

    async fn put_push(&self, caller: &Caller, id: &str, entry: PushEntry) -> Outcome<()> {
        self.inner.put_push(caller, id, entry).await
    }

    async fn get_push(&self, by: &Caller, id: &str, config: Option<&str>) -> Outcome<PushEntry> {
        self.inner.get_push(by, id, config).await
    }

    async fn list_push(&self, caller: &Caller, id: &str) -> Outcome<Vec<PushEntry>> {
        self.inner.list_push(caller, id).await
    }

    async fn delete_push(&self, caller: &Caller, id: &str, config: &str) -> Outcome<()> {
        self.inner.delete_push(caller, id, config).await
    }

    async fn drop_push(&self, caller: &Caller, id: &str, gone: PushEntry) -> Outcome<()> {
        self.inner.drop_push(caller, id, gone).await
    }

    async fn settle_push(&self, caller: &Caller, id: &str, told: PushEntry) -> Outcome<()> {
        self.inner.settle_push(caller, id, told).await
    }

    async fn with_push(&self, caller: &Caller) -> Outcome<Vec<String>> {
        self.inner.with_push(caller).await
    }

    async fn sweep(&self, caller: &Caller, now: Time) -> Outcome<Swept> {
        self.inner.sweep(caller, now).await
    }

    async fn live(&self, caller: &Caller) -> Vec<String> {
        self.inner.live(caller).await
    }

    fn count(&self, caller: &Caller) -> usize {
        self.inner.count(caller)
    }
}

fn told(stored: &Stored) -> Option<Told> {
    let (task_id, context_id) = ("t".to_owned(), "c".to_owned());
    let response = match stored.change.clone() {
        Change::Message(_) => return None,
        Change::Status(status) => StreamResponse::StatusUpdate(StatusUpdate {
            task_id,
            context_id,
            status,
            metadata: None,
        }),
        Change::Artifact(it) => StreamResponse::ArtifactUpdate(ArtifactUpdate {
            task_id,
            context_id,
            artifact: it.artifact,
            append: it.append,
            last_chunk: it.last_chunk,
            metadata: None,
        }),
    };
    Some(Told { seq: stored.seq, response, last: false })
}

/// A task of 300 changes, after each tenth of which its owner says something; and what is told of it.
async fn long_task() -> (Counting, Vec<Told>) {
    let inner = MemoryStore::new(StoreSettings::default());
    let (daemon, message) = (Caller::daemon(), Message::of_agent("m", "go"));
    let (id, context_id) = ("t".to_owned(), "c".to_owned());
    let new = NewTask { id, context_id, message, metadata: None };
    inner.create(&daemon, new, Time::default()).await.unwrap();
    let mut all = Vec::new();
    for at in 0..300_u32 {
        let change = match at % 10 {
            0 => {
                Change::state(TaskState::Working, Some(Message::of_agent(at.to_string(), "on it")))
            }
            9 => Change::Message(Message::of_agent(at.to_string(), "and?")),
            _ => Change::Artifact(ArtifactChange {
                artifact: Artifact::of((at % 7).to_string(), Part::text(at.to_string())),
                append: at % 3 != 0,
                last_chunk: false,
            }),
        };
        let stored = inner.append(&daemon, "t", change, Time::default()).await.unwrap();
        all.extend(told(&stored));
    }
    (Counting { inner, reads: AtomicUsize::new(0) }, all)
}

#[tokio::test]
async fn a_task_of_many_changes_is_read_only_where_one_is_not_told() {
    let (store, all) = long_task().await;
    assert_eq!(all.len(), 270);
    let mut snapshot = Snapshot::default();
    for told in &all {
        let body = snapshot.body(&store, "t", told).await.unwrap();
        // To fold the log is slow, which is why it is not done here for every change either.
        if told.seq % 7 == 0 || told.seq % 10 == 1 {
            let whole = store.inner.get(&Caller::daemon(), "t", Some(told.seq)).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body, serde_json::to_value(v03::Task::from(whole.task)).unwrap());
        }
    }
    // Once at the beginning, and after each of the 29 messages that something follows.
    assert_eq!(store.reads.load(Ordering::Relaxed), 30);
}

#[tokio::test]
async fn a_post_that_is_repeated_tells_the_same() {
    let (store, all) = long_task().await;
    let mut snapshot = Snapshot::default();
    let mut post = async |forgets: bool| {
        if forgets {
            snapshot.forget();
        }
        snapshot.body(&store, "t", &all[150]).await.unwrap()
    };
    let first = post(false).await;
    assert_eq!((&post(false).await, &post(true).await), (&first, &first));
    assert_eq!(store.reads.load(Ordering::Relaxed), 2);
}
