//! What happens while something is being written: nothing is read of it, and nothing removed under it.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc::{Receiver, Sender, channel},
};

use carport_a2a_types::{ListTasks, Message, PushConfig, TaskState, Version, read::read};
use carport_core::{Guarded, Time};
use chrono::TimeDelta;
use serde_json::json;
use tokio::{
    runtime::Builder,
    sync::mpsc,
    task::{spawn_blocking, yield_now},
};

use super::{
    NewTask, PushEntry, StoreError, StoreSettings, TaskStore, backing::Backing, kept::Kept,
    memory::Memory,
};
use crate::{caller::Caller, index::Index, log::Change};

/// Memory whose writes are held up, half done or before their end, until the test lets them go on.
struct Held {
    memory: Memory,
    /// What is about to be written or removed.
    begun: mpsc::Sender<&'static str>,
    /// Lets a write go on; whether it goes well.
    go: Guarded<Receiver<bool>>,
}

impl Held {
    fn wait(&self, what: &'static str) -> io::Result<()> {
        self.begun.try_send(what).unwrap();
        match self.go.lock().recv().unwrap() {
            true => Ok(()),
            false => Err(io::Error::other("as the test wants it")),
        }
    }
}

impl Backing for Held {
    fn begin(&self, id: &str, line: &[u8]) -> io::Result<()> {
        self.wait("begin")?;
        self.memory.begin(id, line)
    }

    fn append(&self, id: &str, line: &[u8]) -> io::Result<()> {
        let mut before = Vec::new();
        self.memory.read(id, 0)?.read_to_end(&mut before)?;
        self.memory.append(id, line)?;
        // It is written whole, and only now it shows whether it is kept.
        self.wait("append").inspect_err(|_| self.memory.begin(id, &before).unwrap())
    }

    fn read(&self, id: &str, from: u64) -> io::Result<impl BufRead> {
        self.memory.read(id, from)
    }

    fn remove(&self, id: &str) -> io::Result<()> {
        self.begun.try_send("remove").unwrap();
        self.memory.remove(id)
    }

    fn read_push(&self, id: &str) -> io::Result<Option<Vec<u8>>> {
        self.memory.read_push(id)
    }

    fn write_push(&self, id: &str, document: &[u8]) -> io::Result<()> {
        self.wait("write")?;
        self.memory.write_push(id, document)
    }

    fn with_push(&self) -> io::Result<Vec<String>> {
        self.memory.with_push()
    }
}

struct Scene {
    store: Kept<Held>,
    begun: mpsc::Receiver<&'static str>,
    go: Sender<bool>,
}

fn me() -> Caller {
    Caller::anonymous()
}

fn now() -> Time {
    Time::default()
}

fn new_task() -> NewTask {
    let message = json!({ "messageId": "m", "role": "user", "parts": [{ "text": "do it" }] });
    let message: Message = read(message, Version::V1).unwrap();
    NewTask { id: "t".into(), context_id: "c".into(), message, metadata: None }
}

fn receiver(id: &str) -> PushEntry {
    let config = json!({ "id": id, "taskId": "t", "url": "https://a.example/" });
    let config: PushConfig = read(config, Version::V1).unwrap();
    PushEntry { config, version: Version::V1, told_end: false }
}

impl Scene {
    fn new() -> Self {
        let (begun_at, begun) = mpsc::channel(16);
        let (go, goes) = channel();
        let held = Held { memory: Memory::default(), begun: begun_at, go: Guarded::new(goes) };
        let settings = StoreSettings { task_ttl: TimeDelta::zero(), ..StoreSettings::default() };
        Self { store: Kept::over(held, settings, Index::default()), begun, go }
    }

    /// A task that has ended.
    async fn ended() -> Self {
        let mut scene = Self::new();
        scene.go.send(true).unwrap();
        scene.store.create(&me(), new_task(), now()).await.unwrap();
        scene.go.send(true).unwrap();
        let end = Change::state(TaskState::Completed, None);
        scene.store.append(&me(), "t", end, now()).await.unwrap();
        assert_eq!(
            (scene.begun.recv().await, scene.begun.recv().await),
            (Some("begin"), Some("append"))
        );
        scene
    }
}

/// On two threads that may block: one of them is held up by the test, so on the other whatever is
/// begun later is done later.
fn on_two_threads(test: impl Future<Output = ()>) {
    Builder::new_current_thread().max_blocking_threads(2).build().unwrap().block_on(test);
}

/// Until everything that could be done was, with one thread held up.
async fn settled() {
    for _ in 0..10 {
        yield_now().await;
        spawn_blocking(|| ()).await.unwrap();
    }
}

#[test]
fn nothing_is_removed_while_it_is_written_and_nothing_written_after_it_was_removed() {
    on_two_threads(async {
        let Scene { store, mut begun, go } = Scene::ended().await;
        let put = |name| {
            let store = store.clone();
            tokio::spawn(async move { store.put_push(&me(), "t", receiver(name)).await })
        };
        let first = put("first");
        assert_eq!(begun.recv().await, Some("write"));
        let sweeper = store.clone();
        let sweeping = tokio::spawn(async move { sweeper.sweep(&me(), now()).await });
        settled().await;
        let second = put("second");
        settled().await;
        assert!(begun.try_recv().is_err(), "it is still being written");
        go.send(true).unwrap();
        first.await.unwrap().unwrap();
        // Not needed: the second one finds no task.
        go.send(true).unwrap();
        assert_eq!(sweeping.await.unwrap().unwrap().gone, ["t"]);
        assert!(matches!(second.await.unwrap(), Err(StoreError::NoTask(_))));
        assert_eq!((begun.try_recv(), begun.try_recv().ok()), (Ok("remove"), None));
        assert!(store.with_push(&Caller::daemon()).await.unwrap().is_empty());
        assert_eq!(store.count(&Caller::daemon()), 0);
    });
}

#[test]
fn a_change_is_not_read_before_it_is_kept_nor_if_it_never_was() {
    on_two_threads(async {
        let Scene { store, mut begun, go } = Scene::new();
        go.send(true).unwrap();
        let first = store.create(&me(), new_task(), now()).await.unwrap();
        assert_eq!(begun.recv().await, Some("begin"));
        for goes_well in [false, true] {
            let writer = store.clone();
            let writing = tokio::spawn(async move {
                let works = Change::state(TaskState::Working, None);
                writer.append(&me(), "t", works, now()).await
            });
            assert_eq!(begun.recv().await, Some("append"));
            for at in [None, Some(0), Some(1)] {
                assert_eq!(store.get(&me(), "t", at).await.unwrap(), first);
            }
            let page = store.list(&me(), &ListTasks::default()).await.unwrap();
            assert_eq!(page.tasks, std::slice::from_ref(&first.task));
            assert!(store.events_since(&me(), "t", 0).await.unwrap().is_empty());
            go.send(goes_well).unwrap();
            assert_eq!(writing.await.unwrap().is_ok(), goes_well);
            let seq = u64::from(goes_well);
            assert_eq!(store.get(&me(), "t", None).await.unwrap().seq, seq);
        }
    });
}

#[test]
fn a_task_that_cannot_be_made_takes_no_place_and_one_that_is_being_made_is_in_no_list() {
    on_two_threads(async {
        let Scene { store, mut begun, go } = Scene::new();
        let maker = store.clone();
        let making = tokio::spawn(async move { maker.create(&me(), new_task(), now()).await });
        assert_eq!(begun.recv().await, Some("begin"));
        assert_eq!(store.count(&Caller::daemon()), 1, "its place is taken");
        assert!(store.list(&me(), &ListTasks::default()).await.unwrap().tasks.is_empty());
        assert!(matches!(store.get(&me(), "t", None).await, Err(StoreError::NoTask(_))));
        go.send(false).unwrap();
        assert!(matches!(making.await.unwrap(), Err(StoreError::Disk(_))));
        assert_eq!(store.count(&Caller::daemon()), 0);
    });
}
