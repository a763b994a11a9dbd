//! What every store promises, held against the one in memory and the one on disk.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "what `json!` makes is handed on")]

use std::sync::Arc;

use carport_a2a_tasks::{
    ArtifactChange, Caller, Change, FileStore, Limits, MAX_PUSH_CONFIGS, MemoryStore, NewTask,
    PushEntry, Refused, StoreError, StoreSettings, TaskStore,
};
use carport_a2a_types::{
    Artifact, Content, ListTasks, Message, Part, PushConfig, TaskState, Version,
    read::{MAX_NESTING, read},
};
use carport_core::{Durability, Identity, Time};
use chrono::{DateTime, TimeDelta};
use serde_json::json;
use tempfile::TempDir;

/// A store, and the directory that goes with it.
struct Scene {
    store: Arc<dyn TaskStore>,
    directory: Option<TempDir>,
    settings: StoreSettings,
}

impl Scene {
    async fn both(settings: StoreSettings) -> [Self; 2] {
        let memory = Arc::new(MemoryStore::new(settings));
        let directory = tempfile::tempdir().unwrap();
        let disk = FileStore::open(directory.path(), Durability::Process, settings).await.unwrap();
        [
            Self { store: memory, directory: None, settings },
            Self { store: Arc::new(disk), directory: Some(directory), settings },
        ]
    }

    /// The same tasks as another process would find them; those in memory just stay.
    async fn reopened(&self) -> Arc<dyn TaskStore> {
        match &self.directory {
            None => self.store.clone(),
            Some(directory) => {
                let path = directory.path();
                Arc::new(FileStore::open(path, Durability::Process, self.settings).await.unwrap())
            }
        }
    }

    async fn create(&self, caller: &Caller, id: &str, second: i64) {
        let message = said("do it");
        let new =
            NewTask { id: id.into(), context_id: format!("of-{id}"), message, metadata: None };
        self.store.create(caller, new, at(second)).await.unwrap();
    }

    async fn turn(&self, caller: &Caller, id: &str, state: TaskState, second: i64) {
        self.store.append(caller, id, Change::state(state, None), at(second)).await.unwrap();
    }
}

fn at(second: i64) -> Time {
    DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap().into()
}

fn said(text: &str) -> Message {
    let message = json!({ "messageId": "m", "role": "user", "parts": [{ "text": text }] });
    read(message, Version::V1).unwrap()
}

fn client() -> Caller {
    Caller::of(&Identity::Client)
}

fn chunk(text: &str, append: bool) -> Change {
    let artifact = Artifact::of("a", Part::text(text));
    Change::Artifact(ArtifactChange { artifact, append, last_chunk: false })
}

fn receiver(id: &str) -> PushEntry {
    let config = json!({ "id": id, "taskId": "t", "url": "https://a.example/", "token": "secret" });
    let config: PushConfig = read(config, Version::V1).unwrap();
    PushEntry { config, version: Version::V1, told_end: false }
}

#[tokio::test]
async fn a_task_is_what_its_changes_made_of_it_and_every_prefix_folds_to_its_end() {
    for scene in Scene::both(StoreSettings::default()).await {
        let me = client();
        scene.create(&me, "t", 0).await;
        let changes = [
            Change::state(TaskState::Working, None),
            chunk("one", false),
            Change::Message(said("and more")),
            chunk("two", true),
            chunk("three", false),
            Change::state(TaskState::Completed, Some(Message::of_agent("s", "done"))),
        ];
        for (second, change) in (1..).zip(changes) {
            scene.store.append(&me, "t", change, at(second)).await.unwrap();
        }
        let store = scene.reopened().await;
        let now = store.get(&me, "t", None).await.unwrap();
        assert_eq!((now.seq, now.task.status.state), (6, TaskState::Completed));
        assert_eq!(now.task.status.timestamp, Some(at(6)));
        assert_eq!(now.task.history.len(), 3);
        assert_eq!(now.task.artifacts, [Artifact::of("a", Part::text("three"))]);
        for n in 0..=7 {
            let mut fold = store.get(&me, "t", Some(n)).await.unwrap();
            assert_eq!(fold.seq, n.min(6));
            for stored in store.events_since(&me, "t", n).await.unwrap() {
                fold.apply(Arc::unwrap_or_clone(stored));
            }
            assert_eq!(fold, now, "from {n} on");
        }
    }
}

#[tokio::test]
async fn changes_of_a_living_task_are_told_in_order_whether_in_memory_or_not() {
    for scene in Scene::both(StoreSettings::default()).await {
        let me = client();
        scene.create(&me, "t", 0).await;
        for n in 0..600 {
            let text = if n % 97 == 0 { "x".repeat(20_000) } else { n.to_string() };
            scene.store.append(&me, "t", chunk(&text, true), at(n)).await.unwrap();
        }
        for from in [0, 1, 290, 530, 540, 599] {
            let (mut seq, mut heard) = (from, Vec::new());
            loop {
                let events = scene.store.events_since(&me, "t", seq).await.unwrap();
                let Some(last) = events.last() else { break };
                seq = last.seq;
                heard.extend(events.iter().map(|it| it.seq));
            }
            assert_eq!(heard, (from + 1..=600).collect::<Vec<_>>(), "from {from}");
        }
    }
}

#[tokio::test]
async fn another_callers_task_is_none() {
    for scene in Scene::both(StoreSettings::default()).await {
        let (me, host) = (client(), Caller::of(&Identity::Host));
        scene.create(&me, "t", 0).await;
        scene.store.put_push(&me, "t", receiver("p")).await.unwrap();
        let others =
            [Caller::anonymous(), Caller::peer("x"), Caller::of(&Identity::agent("client"))];
        for other in others {
            let store = &scene.store;
            let none = |error: StoreError| assert!(matches!(error, StoreError::NoTask(_)));
            none(store.get(&other, "t", None).await.unwrap_err());
            none(store.events_since(&other, "t", 0).await.unwrap_err());
            none(store.append(&other, "t", chunk("a", false), at(1)).await.unwrap_err());
            none(store.put_push(&other, "t", receiver("q")).await.unwrap_err());
            none(store.get_push(&other, "t", Some("p")).await.unwrap_err());
            none(store.list_push(&other, "t").await.unwrap_err());
            none(store.delete_push(&other, "t", "p").await.unwrap_err());
            none(store.settle_push(&other, "t", receiver("p")).await.unwrap_err());
            let page = store.list(&other, &ListTasks::default()).await.unwrap();
            assert_eq!((page.tasks.len(), page.total_size), (0, 0));
            assert!(store.live(&other).await.is_empty());
            let swept = store.sweep(&other, at(1_000_000_000)).await.unwrap();
            assert!(swept.gone.is_empty() && swept.overdue.is_empty());
        }
        assert_eq!(scene.store.get(&host, "t", None).await.unwrap().task.id, "t");
    }
}

#[tokio::test]
async fn a_receiver_that_was_told_the_end_does_not_come_back() {
    for scene in Scene::both(StoreSettings::default()).await {
        let (me, store) = (client(), &scene.store);
        scene.create(&me, "t", 0).await;
        let told = async |name: &str| {
            let entry = store.get_push(&me, "t", Some(name)).await;
            entry.map(|it| it.told_end)
        };
        for name in ["settled", "replaced", "forgotten"] {
            store.put_push(&me, "t", receiver(name)).await.unwrap();
        }
        let mut other = receiver("replaced");
        other.config.url = "https://elsewhere.example/hook".into();
        store.put_push(&me, "t", other).await.unwrap();
        store.delete_push(&me, "t", "forgotten").await.unwrap();
        for name in ["settled", "replaced", "forgotten"] {
            store.settle_push(&me, "t", receiver(name)).await.unwrap();
        }
        assert!(told("settled").await.unwrap() && !told("replaced").await.unwrap());
        assert!(matches!(told("forgotten").await, Err(StoreError::NoPushConfig(_))));
    }
}

#[tokio::test]
async fn what_has_ended_never_changes() {
    use TaskState::{Canceled, Completed, Failed, InputRequired, Rejected, Submitted, Working};
    for scene in Scene::both(StoreSettings::default()).await {
        let me = client();
        for (n, end) in [Completed, Failed, Canceled, Rejected].into_iter().enumerate() {
            let id = &format!("t{n}");
            scene.create(&me, id, 0).await;
            scene.turn(&me, id, Working, 1).await;
            scene.turn(&me, id, end, 2).await;
            for change in [
                Change::state(Working, None),
                Change::state(Canceled, None),
                Change::state(InputRequired, None),
                Change::Message(said("more")),
                chunk("late", false),
            ] {
                let error = scene.store.append(&me, id, change, at(3)).await.unwrap_err();
                assert!(
                    matches!(error, StoreError::Refused(Refused::Ended(state)) if state == end)
                );
            }
        }
        scene.create(&me, "waits", 0).await;
        scene.turn(&me, "waits", InputRequired, 1).await;
        for state in [Completed, Rejected, Submitted] {
            let change = Change::state(state, None);
            let error = scene.store.append(&me, "waits", change, at(2)).await.unwrap_err();
            assert!(matches!(error, StoreError::Refused(Refused::NoWay { .. })), "{state:?}");
        }
        scene.turn(&me, "waits", Working, 2).await;
    }
}

#[tokio::test]
async fn lists_are_paged_newest_first_and_count_what_fits() {
    for scene in Scene::both(StoreSettings::default()).await {
        let me = client();
        for n in 0..25 {
            scene.create(&me, &format!("t{n:02}"), n / 2).await;
        }
        scene.create(&Caller::anonymous(), "foreign", 99).await;
        scene.turn(&me, "t03", TaskState::Working, 50).await;
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let query = ListTasks { page_size: 7, page_token: token, ..ListTasks::default() };
            let page = scene.store.list(&me, &query).await.unwrap();
            assert_eq!((page.page_size, page.total_size), (7, 25));
            seen.extend(page.tasks.into_iter().map(|it| it.id));
            if page.next_page_token.is_empty() {
                break;
            }
            token = Some(page.next_page_token);
        }
        let mut expected: Vec<_> = (0..25).filter(|n| *n != 3).collect();
        expected.sort_by_key(|n| (-(n / 2), *n));
        let expected = expected.iter().map(|n| format!("t{n:02}"));
        assert_eq!(seen, std::iter::once("t03".into()).chain(expected).collect::<Vec<_>>());

        let count =
            async |query: ListTasks| scene.store.list(&me, &query).await.unwrap().total_size;
        let query = ListTasks::default;
        assert_eq!(count(ListTasks { status: Some(TaskState::Working), ..query() }).await, 1);
        assert_eq!(count(ListTasks { context_id: Some("of-t07".into()), ..query() }).await, 1);
        assert_eq!(count(ListTasks { status_timestamp_after: Some(at(12)), ..query() }).await, 2);
        let bad = ListTasks { page_token: Some("made up".into()), ..query() };
        assert!(matches!(scene.store.list(&me, &bad).await, Err(StoreError::BadToken)));
    }
}

#[tokio::test]
async fn a_full_store_lets_go_of_what_ended_first_and_of_nothing_that_lives() {
    for scene in Scene::both(StoreSettings { max_tasks: 3, ..StoreSettings::default() }).await {
        let me = client();
        for (n, id) in ["a", "b", "c"].into_iter().enumerate() {
            scene.create(&me, id, n as i64).await;
        }
        scene.turn(&me, "b", TaskState::Failed, 5).await;
        scene.turn(&me, "c", TaskState::Canceled, 6).await;
        scene.store.put_push(&me, "b", receiver("p")).await.unwrap();
        scene.create(&me, "d", 7).await;
        let gone = scene.store.get(&me, "b", None).await;
        assert!(matches!(gone, Err(StoreError::NoTask(_))));
        scene.create(&me, "e", 8).await;
        let new =
            NewTask { id: "f".into(), context_id: "x".into(), message: said("a"), metadata: None };
        let full = scene.store.create(&me, new, at(9)).await;
        assert!(matches!(full, Err(StoreError::Full(3))));
        assert_eq!(scene.reopened().await.count(&Caller::daemon()), 3);
        if let Some(directory) = &scene.directory {
            assert!(!directory.path().join("push/b.json").exists(), "its receivers went with it");
        }
    }
}

#[tokio::test]
async fn a_task_that_holds_too_much_may_only_end() {
    let limits = Limits { events: 5, artifact_bytes: 100, messages: 3, ..Limits::default() };
    for scene in Scene::both(StoreSettings { limits, ..StoreSettings::default() }).await {
        let me = client();
        let full = |error: StoreError| match error {
            StoreError::Refused(Refused::Full { what, .. }) => what,
            other => panic!("{other}"),
        };
        let append = async |id: &str, change| scene.store.append(&me, id, change, at(1)).await;
        for id in ["events", "bytes", "messages"] {
            scene.create(&me, id, 0).await;
        }
        for _ in 0..5 {
            append("events", Change::state(TaskState::Working, None)).await.unwrap();
        }
        let more = append("events", chunk("a", false)).await;
        assert_eq!(full(more.unwrap_err()), "events");

        append("bytes", chunk(&"x".repeat(40), false)).await.unwrap();
        append("bytes", chunk(&"y".repeat(40), false)).await.unwrap();
        let more = append("bytes", chunk(&"z".repeat(40), true)).await;
        assert_eq!(full(more.unwrap_err()), "bytes of artifacts");

        append("messages", Change::Message(said("2"))).await.unwrap();
        append("messages", Change::Message(said("3"))).await.unwrap();
        assert_eq!(
            full(append("messages", Change::Message(said("4"))).await.unwrap_err()),
            "messages"
        );

        for id in ["events", "bytes", "messages"] {
            let why = Some(Message::of_agent("s", "too much"));
            append(id, Change::state(TaskState::Failed, why)).await.unwrap();
            let fold = scene.store.get(&me, id, None).await.unwrap();
            assert_eq!(fold.task.status.state, TaskState::Failed);
        }
    }
}

#[tokio::test]
async fn what_would_not_be_read_again_is_refused() {
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let part = |levels| Part::of(Content::Data(nested(levels)));
    for scene in Scene::both(StoreSettings::default()).await {
        let me = client();
        scene.create(&me, "t", 0).await;
        let append = async |change| scene.store.append(&me, "t", change, at(1)).await;
        let says = |levels| Message { parts: vec![part(levels)], ..said("") };
        let makes = |levels| {
            let artifact = Artifact::of("a", part(levels));
            Change::Artifact(ArtifactChange { artifact, append: false, last_chunk: true })
        };
        for change in [
            Change::Message(says(MAX_NESTING)),
            makes(MAX_NESTING),
            Change::state(TaskState::Working, Some(says(MAX_NESTING))),
        ] {
            append(change).await.unwrap();
        }
        for change in [
            Change::Message(says(MAX_NESTING + 1)),
            makes(MAX_NESTING + 1),
            Change::state(TaskState::Completed, Some(says(MAX_NESTING + 1))),
        ] {
            let refused = append(change).await.unwrap_err();
            assert!(matches!(refused, StoreError::Refused(Refused::Deep)), "{refused}");
        }
        let fold = scene.reopened().await.get(&me, "t", None).await.unwrap();
        assert_eq!((fold.seq, fold.task.history.len(), fold.task.artifacts.len()), (3, 3, 1));
    }
}

#[tokio::test]
async fn what_is_old_goes_and_what_waits_too_long_is_named() {
    for scene in Scene::both(StoreSettings::default()).await {
        let me = client();
        for id in ["done", "waits", "works"] {
            scene.create(&me, id, 0).await;
            scene.turn(&me, id, TaskState::Working, 0).await;
        }
        scene.turn(&me, "done", TaskState::Completed, 0).await;
        scene.turn(&me, "waits", TaskState::AuthRequired, 0).await;
        let after = |ttl: TimeDelta| at(ttl.num_seconds());
        let before_either = scene.store.sweep(&me, at(604_799)).await.unwrap();
        assert!(before_either.gone.is_empty() && before_either.overdue.is_empty());
        let swept = scene.store.sweep(&me, after(TimeDelta::days(7))).await.unwrap();
        assert_eq!(swept.gone, ["done"]);
        let swept = scene.store.sweep(&me, after(TimeDelta::days(30))).await.unwrap();
        assert_eq!((swept.gone.len(), swept.overdue), (0, vec![("waits".to_owned(), 2)]));
        assert_eq!(scene.reopened().await.count(&Caller::daemon()), 2);
        assert_eq!(scene.reopened().await.live(&me).await, ["works"]);
        let (heard, late) = (Change::Message(said("go on")), after(TimeDelta::days(30)));
        scene.store.append(&me, "waits", heard, late).await.unwrap();
        assert!(scene.store.sweep(&me, late).await.unwrap().overdue.is_empty(), "it was heard");
        let fails = Change::state(TaskState::Failed, None);
        let overtaken = scene.store.append_after(&me, "waits", Some(2), fails, late).await;
        assert!(matches!(overtaken, Err(StoreError::Refused(Refused::WentOn))));
        assert_eq!(scene.reopened().await.live(&me).await.len(), 2, "its turn never began");
    }
}

#[tokio::test]
async fn receivers_are_few_kept_in_order_and_replaced_by_their_id() {
    for scene in Scene::both(StoreSettings::default()).await {
        let me = client();
        scene.create(&me, "t", 0).await;
        for n in 0..MAX_PUSH_CONFIGS {
            scene.store.put_push(&me, "t", receiver(&format!("p{n}"))).await.unwrap();
        }
        let one_more = scene.store.put_push(&me, "t", receiver("more")).await;
        assert!(matches!(one_more, Err(StoreError::ManyPushConfigs)));
        let told = PushEntry { told_end: true, ..receiver("p3") };
        scene.store.put_push(&me, "t", told.clone()).await.unwrap();
        let store = scene.reopened().await;
        assert_eq!(store.with_push(&me).await.unwrap(), ["t"]);
        assert!(store.with_push(&Caller::anonymous()).await.unwrap().is_empty());
        assert_eq!(store.get_push(&me, "t", Some("p3")).await.unwrap(), told);
        assert_eq!(store.get_push(&me, "t", None).await.unwrap(), receiver("p0"));
        store.delete_push(&me, "t", "p0").await.unwrap();
        store.delete_push(&me, "t", "p0").await.unwrap();
        let missing = store.get_push(&me, "t", Some("p0")).await;
        assert!(matches!(missing, Err(StoreError::NoPushConfig(_))));
        let ids: Vec<_> = store.list_push(&me, "t").await.unwrap();
        assert_eq!(ids.len(), MAX_PUSH_CONFIGS - 1);
        assert_eq!(ids[2].config.id.as_deref(), Some("p3"));
    }
}

#[tokio::test]
async fn many_at_once_leave_one_order() {
    for scene in Scene::both(StoreSettings::default()).await {
        let me = client();
        scene.create(&me, "t", 0).await;
        let writers = (0..8).map(|n| {
            let (store, me) = (scene.store.clone(), me.clone());
            tokio::spawn(async move {
                for _ in 0..25 {
                    store.append(&me, "t", chunk(&n.to_string(), true), at(1)).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let fold = scene.reopened().await.get(&me, "t", None).await.unwrap();
        assert_eq!((fold.seq, fold.task.artifacts[0].parts.len()), (200, 200));
    }
}
