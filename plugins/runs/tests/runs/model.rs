//! The whole of recording against a plain map, with stops, kills, torn files and lost indexes in between.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use carport_core::{
    Clock, ManualClock, SystemClock,
    testing::{TestClient, TestHost},
};
use chrono::TimeDelta;
use proptest::{prelude::*, test_runner::Config};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const AGENTS: [&str; 2] = ["one", "two"];
/// The place of the host among the clients.
const PERSON: usize = 2;
const KEYS: u8 = 6;

/// What an index goes through while no host runs.
#[derive(Debug, Clone, Copy)]
enum Index {
    Intact,
    Missing,
    Damaged,
}

#[derive(Debug, Clone)]
enum Step {
    Start(usize, u8),
    Record(usize, u8, u8),
    Complete(usize, u8),
    Cancel(u8),
    Delete(u8),
    HangUp(usize),
    Stop(Index),
    /// The bytes of a torn line that the kill leaves in open files.
    Kill(Index, usize),
}

/// What a run ought to be.
#[derive(Debug, Clone)]
struct Run {
    agent: usize,
    order: usize,
    tools: Vec<String>,
    /// How it ended.
    end: Option<&'static str>,
}

#[derive(Debug, Clone, Default)]
struct Model {
    runs: BTreeMap<u8, Run>,
    steps: usize,
}

impl Model {
    fn end_open(&mut self, which: impl Fn(&Run) -> bool, how: &'static str) {
        self.runs.values_mut().filter(|run| run.end.is_none() && which(run)).for_each(|run| {
            run.end = Some(how);
        });
    }

    fn own(&mut self, agent: usize, key: u8) -> Option<&mut Run> {
        self.runs.get_mut(&key).filter(|run| run.agent == agent && run.end.is_none())
    }
}

fn tools(step: usize, count: u8) -> Vec<String> {
    (0..count).map(|n| format!("{step}.{n}")).collect()
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let index = || prop_oneof![Just(Index::Intact), Just(Index::Missing), Just(Index::Damaged)];
        prop_oneof![
            6 => (0..2usize, 0..KEYS).prop_map(|(agent, key)| Step::Start(agent, key)),
            8 => (0..2usize, 0..KEYS, 1..5u8).prop_map(|(agent, key, n)| Step::Record(agent, key, n)),
            2 => (0..2usize, 0..KEYS).prop_map(|(agent, key)| Step::Complete(agent, key)),
            1 => (0..KEYS).prop_map(Step::Cancel),
            2 => (0..KEYS).prop_map(Step::Delete),
            1 => (0..2usize).prop_map(Step::HangUp),
            1 => index().prop_map(Step::Stop),
            2 => (index(), 0..60usize).prop_map(|(index, torn)| Step::Kill(index, torn)),
        ]
        .boxed()
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        model.steps += 1;
        let order = model.steps;
        match *step {
            Step::Start(agent, key) => {
                model.runs.entry(key).or_insert(Run { agent, order, tools: Vec::new(), end: None });
            }
            Step::Record(agent, key, count) => {
                if let Some(run) = model.own(agent, key) {
                    run.tools.extend(tools(order, count));
                }
            }
            Step::Complete(agent, key) => {
                if let Some(run) = model.own(agent, key) {
                    run.end = Some("outcome");
                }
            }
            Step::Cancel(key) => {
                let run = model.runs.get_mut(&key).filter(|run| run.end.is_none());
                run.into_iter().for_each(|run| run.end = Some("cancelled"));
            }
            Step::Delete(key) => {
                if model.runs.get(&key).is_some_and(|run| run.end.is_some()) {
                    model.runs.remove(&key);
                }
            }
            Step::HangUp(agent) => model.end_open(|run| run.agent == agent, "disconnect"),
            Step::Stop(_) => model.end_open(|_| true, "disconnect"),
            Step::Kill(..) => model.end_open(|_| true, "restart"),
        }
        model
    }
}

/// A host with a connection for each agent, on a state root of its own.
struct System {
    runtime: Arc<Runtime>,
    clock: Arc<ManualClock>,
    root: TempDir,
    host: TestHost,
    /// One of each agent, then one of the host.
    clients: Vec<TestClient>,
}

async fn boot(root: &Path, clock: &Arc<ManualClock>) -> (TestHost, Vec<TestClient>) {
    let root = root.to_owned();
    let host = TestHost::builder().clock(clock.clone()).config(|it| it.state_root = Some(root));
    let host = host.start().await;
    let clients = vec![host.agent(AGENTS[0]).await, host.agent(AGENTS[1]).await, host.host().await];
    (host, clients)
}

impl System {
    async fn step(&mut self, step: usize, what: &Step) {
        let run = |key: u8| json!({ "run_id": format!("run-{key}") });
        match *what {
            Step::Start(agent, key) => {
                let params = json!({ "intent": "x", "idempotency_key": format!("run-{key}") });
                // A conflict, if the key is another agent's: the check sees that nothing changed.
                let _ = self.clients[agent].raw("runs.start", params).await;
            }
            Step::Record(agent, key, count) => {
                let turns: Vec<_> =
                    tools(step, count).into_iter().map(|tool| json!({ "tool": tool })).collect();
                let mut params = run(key);
                params["turns"] = json!(turns);
                self.clients[agent].raw("runs.record_turns", params).await.unwrap();
            }
            Step::Complete(agent, key) => {
                let mut params = run(key);
                params["outcome"] = json!({});
                let _ = self.clients[agent].raw("runs.complete", params).await;
            }
            Step::Cancel(key) => drop(self.clients[PERSON].raw("runs.cancel", run(key)).await),
            Step::Delete(key) => drop(self.clients[PERSON].raw("runs.delete", run(key)).await),
            Step::HangUp(agent) => self.hang_up(agent).await,
            Step::Stop(index) => {
                // A stop is polite to connections that are still there, which takes its time.
                self.clients.clear();
                self.host.stop().await;
                spoil(self.root.path(), index);
                (self.host, self.clients) = boot(self.root.path(), &self.clock).await;
            }
            Step::Kill(index, torn) => self.kill(index, torn).await,
        }
    }

    async fn hang_up(&mut self, agent: usize) {
        self.clients.remove(agent).close().await;
        let ended = async {
            while self.host.host_arc().open_sessions() > 2 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ended).await.expect("the connection ends");
        self.clients.insert(agent, self.host.agent(AGENTS[agent]).await);
    }

    /// Goes on with the files as they are at this moment, and nothing else.
    async fn kill(&mut self, index: Index, torn: usize) {
        let left = tempfile::tempdir().unwrap();
        for file in files(&self.root.path().join("runs")) {
            let copy = left.path().join(file.strip_prefix(self.root.path()).unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(&file, &copy).unwrap();
            let text = fs::read(&copy).unwrap_or_default();
            let is_open = copy.extension().is_some_and(|it| it == "jsonl")
                && !String::from_utf8_lossy(&text).contains(r#"{"record":"ended""#);
            if is_open {
                let line = r#"{"record":"turn","index":0,"tool":"was never acknowledged"}"#;
                let mut file = fs::OpenOptions::new().append(true).open(&copy).unwrap();
                file.write_all(&line.as_bytes()[..torn.min(line.len())]).unwrap();
            }
        }
        spoil(left.path(), index);
        let next = boot(left.path(), &self.clock).await;
        self.clients.clear();
        self.host.stop().await;
        (self.host, self.clients) = next;
        self.root = left;
    }

    async fn check(&mut self, model: &Model) {
        for key in 0..KEYS {
            let params = json!({ "run_id": format!("run-{key}") });
            let trace = self.clients[PERSON].raw("runs.get_trace", params).await.unwrap();
            let Some(run) = model.runs.get(&key) else {
                assert_eq!(trace["not_found"], true, "run {key}");
                continue;
            };
            let records = trace["records"].as_array().unwrap();
            let turns: Vec<_> = records.iter().filter(|it| it["record"] == "turn").collect();
            let found: Vec<_> = turns.iter().map(|it| it["tool"].as_str().unwrap()).collect();
            assert_eq!(found, run.tools, "run {key}");
            assert!(turns.iter().enumerate().all(|(at, turn)| turn["index"] == at));
            let ends: Vec<_> =
                records.iter().filter(|it| it["record"] == "ended").map(how).collect();
            assert_eq!(ends, Vec::from_iter(run.end), "run {key}");
        }
        for (at, agent) in AGENTS.iter().enumerate() {
            let page =
                self.clients[PERSON].raw("runs.list", json!({ "agent_id": agent })).await.unwrap();
            let rows = page["runs"].as_array().unwrap().iter();
            let rows: Vec<_> =
                rows.map(|it| (it["run_id"].clone(), it["turn_count"].clone())).collect();
            let mut runs: Vec<_> = model.runs.iter().filter(|(_, run)| run.agent == at).collect();
            runs.sort_by_key(|(_, run)| std::cmp::Reverse(run.order));
            let expected: Vec<_> = runs
                .iter()
                .map(|(key, run)| (json!(format!("run-{key}")), json!(run.tools.len())))
                .collect();
            assert_eq!(rows, expected);
        }
    }
}

fn how(ended: &Value) -> &'static str {
    match ended["termination"]["reason"].as_str() {
        None => "outcome",
        Some("cancelled") => "cancelled",
        Some("disconnect") => "disconnect",
        Some("restart") => "restart",
        other => panic!("{other:?}"),
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn spoil(root: &Path, index: Index) {
    let path = root.join("runs/.index.sqlite");
    match index {
        Index::Intact => {}
        Index::Missing => drop(fs::remove_file(path)),
        Index::Damaged => fs::write(path, "no database").unwrap(),
    }
}

impl StateMachineTest for System {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (clock, root) = (ManualClock::at(SystemClock.now()), tempfile::tempdir().unwrap());
        let (host, clients) = runtime.block_on(boot(root.path(), &clock));
        Self { runtime: runtime.into(), clock, root, host, clients }
    }

    fn apply(mut system: Self, model: &Model, step: Step) -> Self {
        system.clock.advance(TimeDelta::seconds(1));
        let runtime = system.runtime.clone();
        runtime.block_on(async {
            system.step(model.steps, &step).await;
            system.check(model).await;
        });
        system
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_was_acknowledged_is_what_is_there(sequential 1..40 => System);
}
