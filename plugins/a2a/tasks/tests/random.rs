//! Whatever happens to tasks in whatever order: an end is final, and what was told is what is read again.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{collections::BTreeMap, fs::OpenOptions, io::Write, sync::Arc};

use carport_a2a_tasks::{
    ArtifactChange, Caller, Change, FileStore, Fold, MemoryStore, NewTask, Refused, StoreError,
    StoreSettings, Stored, TaskStore,
};
use carport_a2a_types::{Artifact, Content, Message, Part, TaskState, Version, read::read};
use carport_core::{Durability, Time};
use chrono::DateTime;
use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

const IDS: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    Create(&'static str),
    Append(&'static str, Change),
    /// The process is killed, half way in a line of this task or not.
    Restart(Option<&'static str>),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,9}", ".{1,9}"]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec((text(), inner), 0..3).prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

fn metadata() -> impl Strategy<Value = Option<Map<String, Value>>> {
    let compat = json!({ "data_part_compat": true }).as_object().cloned();
    prop_oneof![
        4 => Just(None),
        1 => Just(compat),
        1 => vec((text(), json_value()), 0..2).prop_map(|it| Some(it.into_iter().collect())),
    ]
}

/// Whatever an executor in the same process may hand over.
fn part() -> impl Strategy<Value = Part> {
    let content = prop_oneof![
        text().prop_map(Content::Text),
        vec(any::<u8>(), 0..9).prop_map(Content::Raw),
        text().prop_map(Content::Url),
        json_value().prop_map(Content::Data),
    ];
    let word = || prop::option::weighted(0.2, text());
    (content, metadata(), word(), word()).prop_map(|(content, metadata, filename, media_type)| {
        Part { content, metadata, filename, media_type }
    })
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    prop_oneof![
        9 => vec(part(), 0..3),
        1 => (99..103_usize).prop_map(|count| vec![Part::text("x"); count]),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    (parts(), text(), metadata()).prop_map(|(parts, id, metadata)| Message {
        parts,
        metadata,
        ..Message::of_agent(id, "")
    })
}

fn change() -> impl Strategy<Value = Change> {
    let state = prop_oneof![
        6 => select(vec![TaskState::Working, TaskState::InputRequired]),
        1 => select(TaskState::ALL.to_vec()),
    ];
    let status = (state, prop::option::weighted(0.3, message()));
    let artifact = (select(vec!["x", "y", ""]), parts(), text(), metadata(), any::<[bool; 3]>());
    prop_oneof![
        2 => status.prop_map(|(state, says)| Change::state(state, says)),
        2 => artifact.prop_map(|(id, parts, name, metadata, [append, last_chunk, named])| {
            let name = named.then_some(name);
            let artifact = Artifact { parts, name, metadata, ..Artifact::of(id, Part::text("")) };
            Change::Artifact(ArtifactChange { artifact, append, last_chunk })
        }),
        1 => message().prop_map(Change::Message),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => select(IDS.to_vec()).prop_map(Step::Create),
        12 => (select(IDS.to_vec()), change()).prop_map(|(id, change)| Step::Append(id, change)),
        1 => prop::option::of(select(IDS.to_vec())).prop_map(Step::Restart),
    ]
}

struct Scene {
    store: Arc<dyn TaskStore>,
    directory: Option<TempDir>,
    /// Each task as it began, and what was told of it.
    told: BTreeMap<&'static str, (Fold, Vec<Arc<Stored>>)>,
    now: i64,
}

fn me() -> Caller {
    Caller::anonymous()
}

impl Scene {
    async fn open(directory: &TempDir) -> Arc<dyn TaskStore> {
        let settings = StoreSettings::default();
        let store = FileStore::open(directory.path(), Durability::Process, settings).await;
        Arc::new(store.unwrap())
    }

    async fn both() -> [Self; 2] {
        let directory = tempfile::tempdir().unwrap();
        let memory = Arc::new(MemoryStore::new(StoreSettings::default()));
        let disk = Self::open(&directory).await;
        let scene = |store, directory| Self { store, directory, told: BTreeMap::new(), now: 0 };
        [scene(memory, None), scene(disk, Some(directory))]
    }

    fn tick(&mut self) -> Time {
        self.now += 1;
        DateTime::from_timestamp_millis(1_700_000_000_000 + self.now).unwrap().into()
    }

    async fn step(&mut self, step: Step) {
        let now = self.tick();
        match step {
            Step::Create(id) if !self.told.contains_key(id) => {
                let message =
                    json!({ "messageId": "m", "role": "user", "parts": [{ "text": id }] });
                let message = read(message, Version::V1).unwrap();
                let new =
                    NewTask { id: id.into(), context_id: "c".into(), message, metadata: None };
                let fold = self.store.create(&me(), new, now).await.unwrap();
                self.told.insert(id, (fold, Vec::new()));
            }
            Step::Append(id, change) => self.append(id, change, now).await,
            Step::Restart(torn) => {
                let Some(directory) = &self.directory else { return };
                if let Some(id) = torn.filter(|id| self.told.contains_key(id)) {
                    let path = directory.path().join(format!("tasks/{id}.jsonl"));
                    let mut file = OpenOptions::new().append(true).open(path).unwrap();
                    file.write_all(b"{\"event\":{\"seq\":9,\"at\":\"2026").unwrap();
                }
                self.store = Self::open(directory).await;
            }
            Step::Create(_) => {}
        }
    }

    async fn append(&mut self, id: &'static str, change: Change, now: Time) {
        let tried = change.clone();
        let appended = self.store.append(&me(), id, change, now).await;
        let Some((first, told)) = self.told.get_mut(id) else {
            assert!(matches!(appended, Err(StoreError::NoTask(_))));
            return;
        };
        let state = told_so_far(first, told).task.status.state;
        let legal = may_follow(state, &tried);
        match appended {
            Ok(stored) => {
                assert!(legal, "{state:?} and then {tried:?}");
                assert!(!state.is_terminal(), "{state:?} is final, not {:?}", stored.change);
                assert_eq!(stored.seq, told.len() as u64 + 1);
                told.push(stored);
            }
            Err(StoreError::Refused(refused)) => {
                let ended = matches!(refused, Refused::Ended(of) if of == state);
                assert_eq!(ended, state.is_terminal(), "{refused}");
                assert!(!legal, "{state:?} and then {tried:?}: {refused}");
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The task as of any change, with those told since, is the task as it is.
    async fn check(&self) {
        for (id, (first, told)) in &self.told {
            let now = self.store.get(&me(), id, None).await.unwrap();
            assert_eq!(now, told_so_far(first, told));
            for n in 0..=told.len() as u64 + 1 {
                let mut fold = self.store.get(&me(), id, Some(n)).await.unwrap();
                assert_eq!(fold.seq, n.min(now.seq));
                let events = self.store.events_since(&me(), id, n).await.unwrap();
                assert_eq!(events, told[told.len().min(n as usize)..]);
                events.into_iter().for_each(|it| fold.apply(Arc::unwrap_or_clone(it)));
                assert_eq!(fold, now, "from {n} on");
            }
        }
        assert_eq!(self.store.count(&Caller::daemon()), self.told.len());
    }
}

/// Whether a change may follow: by the states, and if it is read again.
fn may_follow(from: TaskState, change: &Change) -> bool {
    let goes = match change {
        Change::Status(status) => match status.state {
            TaskState::Unspecified | TaskState::Submitted => false,
            TaskState::Working | TaskState::Canceled | TaskState::Failed => true,
            _ => !from.is_interrupted(),
        },
        _ => true,
    };
    let text = serde_json::to_string(change).unwrap();
    goes && !from.is_terminal() && serde_json::from_str::<Change>(&text).is_ok()
}

fn told_so_far(first: &Fold, told: &[Arc<Stored>]) -> Fold {
    let mut fold = first.clone();
    told.iter().for_each(|it| fold.apply(it.as_ref().clone()));
    fold
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(80) })]

    #[test]
    fn an_end_is_final_and_every_prefix_folds_to_what_is(steps in vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for mut scene in Scene::both().await {
                for step in &steps {
                    scene.step(step.clone()).await;
                }
                scene.check().await;
                scene.step(Step::Restart(Some("a"))).await;
                scene.check().await;
            }
        });
    }
}
