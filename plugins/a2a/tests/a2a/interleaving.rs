//! Messages, cancels, streams and a kill in any order: an end is final, all streams tell the same, and
//! nothing that was acknowledged is lost.

use std::{fs, sync::Arc};

use async_trait::async_trait;
use carport_a2a_api::{
    A2A_EXECUTOR, End, Ending, Executor, Turn, Updates,
    types::{Artifact, Part},
};
use carport_core::testing::{TestHost, TestHostBuilder};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use tokio::{
    runtime::Builder,
    task::{JoinHandle, yield_now},
};

use crate::{
    http::Listener,
    scene::{at_once, go_on, say, state, with_engine},
};

/// Does what the words of a message say, one after the other.
struct Player;

#[async_trait]
impl Executor for Player {
    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending {
        let text = turn.message.first_text().unwrap_or_default().to_owned();
        for word in text.split(' ') {
            let part = Part::text(word);
            match word {
                "rest" => yield_now().await,
                "make" => drop(updates.artifact(Artifact::of("a", part), true, false).await),
                "renew" => drop(updates.artifact(Artifact::of("a", part), false, true).await),
                "say" => drop(updates.says(vec![part]).await),
                "panic" => panic!("as it was told"),
                "ask" => return Ending::saying(End::InputRequired, "what?"),
                "fail" => return Ending::saying(End::Failed, "no"),
                _ => {}
            }
        }
        Ending::saying(End::Completed, "done")
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Goes on with the task of this number, and waits for the turn or not.
    Say(usize, String, bool),
    Cancel(usize),
    /// Follows from a change on, until so many events were heard or to the end.
    Follow(usize, Option<u64>, Option<usize>),
    Rest(usize),
}

const TASKS: usize = 2;

fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec!["rest", "rest", "rest", "make", "renew", "say"]);
    let end = prop::sample::select(vec!["ask", "ask", "ask", "ask", "fail", "panic", "done"]);
    (vec(word, 0..12), end).prop_map(|(words, end)| format!("{} {end}", words.join(" ")))
}

fn step() -> impl Strategy<Value = Step> {
    let task = || 0..TASKS;
    prop_oneof![
        4 => (task(), words(), any::<bool>()).prop_map(|(task, words, waits)| Step::Say(task, words, waits)),
        1 => task().prop_map(Step::Cancel),
        4 => (task(), prop::option::of(0..6_u64), prop::option::of(1..5_usize))
            .prop_map(|(task, after, leaves)| Step::Follow(task, after, leaves)),
        3 => (1..40_usize).prop_map(Step::Rest),
    ]
}

type Events = Vec<(u64, Value)>;

/// The task that was followed, after how many events it was left, and what was heard.
type Heard = (usize, Option<usize>, Option<Events>);

/// What a stream tells, if there is one.
async fn follow(
    listener: Listener,
    id: String,
    after: Option<u64>,
    leaves: Option<usize>,
) -> Option<Events> {
    let after = after.map(|it| it.to_string());
    let mut headers = vec![("A2A-Version", "1.0")];
    headers.extend(after.as_deref().map(|it| ("Last-Event-ID", it)));
    let mut answer = listener.post("SubscribeToTask", json!({ "id": id }), &headers).await;
    if answer.headers["content-type"] != "text/event-stream" {
        return None;
    }
    let mut events = Vec::new();
    while leaves.is_none_or(|most| events.len() < most)
        && let Some(mut event) = answer.event().await
    {
        events.push((event.id, event.data["result"].take()));
    }
    Some(events)
}

/// What came of a run.
#[derive(Default)]
struct Run {
    /// The text of each message that was taken, by task.
    said: Vec<JoinHandle<(usize, String, Value)>>,
    cancelled: Vec<JoinHandle<(usize, Value)>>,
    followed: Vec<JoinHandle<Heard>>,
}

impl Run {
    fn step(&mut self, listener: &Listener, ids: &[String], number: usize, step: Step) {
        let listener = listener.clone();
        match step {
            Step::Say(task, words, waits) => {
                let text = format!("{number} {words}");
                let params = go_on(&ids[task], &text);
                let params = if waits { params } else { at_once(params) };
                self.said.push(tokio::spawn(async move {
                    (task, text, listener.call("SendMessage", params).await)
                }));
            }
            Step::Cancel(task) => {
                let params = json!({ "id": ids[task] });
                self.cancelled.push(tokio::spawn(async move {
                    (task, listener.call("CancelTask", params).await)
                }));
            }
            Step::Follow(task, after, leaves) => {
                let id = ids[task].clone();
                self.followed.push(tokio::spawn(async move {
                    (task, leaves, follow(listener, id, after, leaves).await)
                }));
            }
            Step::Rest(_) => {}
        }
    }
}

fn with_player(section: Value) -> TestHostBuilder {
    with_engine().plugin("a2a", section).config(|config| {
        config.provide(&A2A_EXECUTOR, Arc::new(Player) as Arc<dyn Executor>);
    })
}

/// A host on what is on disk at this moment, as after a kill.
async fn killed(host: &TestHost) -> TestHost {
    let other = with_player(json!({})).start().await;
    other.stop().await;
    let to = other.root().join("a2a/tasks");
    for entry in fs::read_dir(host.root().join("a2a/tasks")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    with_player(json!({})).on_root_of(&other).start().await
}

async fn read(listener: &Listener, id: &str) -> Value {
    listener.call("GetTask", json!({ "id": id })).await["result"].take()
}

fn is_terminal(state: &str) -> bool {
    ["COMPLETED", "FAILED", "CANCELED", "REJECTED"].contains(&state)
}

/// Nothing is alive after a kill, what had ended is as it was, and nothing that was said before is lost.
async fn check_killed(after: &TestHost, before: &[Value]) {
    let listener = Listener::of(after, json!({})).await;
    for earlier in before {
        let now = read(&listener, earlier["id"].as_str().unwrap()).await;
        assert!(!["SUBMITTED", "WORKING"].contains(&state(&now)), "{now}");
        if is_terminal(state(earlier)) {
            assert_eq!(now, *earlier);
        }
        let said = earlier["history"].as_array().unwrap();
        assert!(now["history"].as_array().unwrap().starts_with(said), "{now} {earlier}");
    }
    after.stop().await;
}

fn apply(task: &mut Value, event: &Value) {
    if let Some(update) = event.get("statusUpdate") {
        task["status"] = update["status"].clone();
        return;
    }
    let update = &event["artifactUpdate"];
    let artifact = update["artifact"].clone();
    match task["artifacts"].as_array_mut() {
        None => task["artifacts"] = json!([artifact]),
        Some(all) if update["append"] == true => {
            let parts = artifact["parts"].as_array().unwrap().clone();
            all[0]["parts"].as_array_mut().unwrap().extend(parts);
        }
        Some(all) => all[0] = artifact,
    }
}

/// Whoever begins anywhere hears the same to the end, and what they hear makes the task what it is.
async fn check_streams(listener: &Listener, id: &str, heard: Vec<(Option<usize>, Events)>) {
    let now = read(listener, id).await;
    let all = follow(listener.clone(), id.into(), Some(0), None).await.unwrap();
    let ends = all[1..]
        .iter()
        .filter(|(_, it)| it.get("statusUpdate").is_some_and(|it| is_terminal(state(it))));
    assert_eq!(ends.collect::<Vec<_>>(), [all.last().unwrap()], "one end, and nothing after it");
    for (leaves, events) in heard {
        let (first, told) = events.split_first().unwrap();
        let from = follow(listener.clone(), id.into(), Some(first.0), None).await.unwrap();
        assert_eq!(*first, from[0], "the task as of {}", first.0);
        let rest: Vec<_> = all[1..].iter().filter(|it| it.0 > first.0).cloned().collect();
        match leaves {
            Some(_) => assert!(rest.starts_with(told)),
            None => assert_eq!(told, rest),
        }
        let mut task = first.1["task"].clone();
        rest.iter().for_each(|(_, event)| apply(&mut task, event));
        assert_eq!((&task["status"], &task["artifacts"]), (&now["status"], &now["artifacts"]));
    }
}

async fn play(section: Value, begins: &[String], steps: &[Step]) {
    let on_disk = section["store"] != "memory";
    let host = with_player(section).start().await;
    let listener = Listener::of(&host, json!({})).await;
    let mut ids = Vec::new();
    for words in begins {
        let begun = listener.call("SendMessage", at_once(say(words))).await;
        ids.push(begun["result"]["task"]["id"].as_str().unwrap().to_owned());
    }
    let mut run = Run::default();
    for (number, step) in steps.iter().enumerate() {
        if let Step::Rest(times) = step {
            for _ in 0..*times {
                yield_now().await;
            }
        }
        run.step(&listener, &ids, number, step.clone());
    }
    if on_disk {
        let mut before = Vec::new();
        for id in &ids {
            before.push(read(&listener, id).await);
        }
        check_killed(&killed(&host).await, &before).await;
    }
    let mut said = Vec::new();
    for call in run.said.drain(..) {
        said.push(call.await.unwrap());
    }
    for (task, _) in ids.iter().enumerate() {
        run.step(&listener, &ids, 0, Step::Cancel(task));
    }
    let mut cancelled = vec![0; ids.len()];
    for call in run.cancelled {
        let (task, answer) = call.await.unwrap();
        cancelled[task] += usize::from(answer["result"].is_object());
        assert!(answer["result"].is_object() || answer["error"]["code"] == -32002, "{answer}");
    }
    let mut heard = vec![Vec::new(); ids.len()];
    for stream in run.followed {
        let (task, leaves, events) = stream.await.unwrap();
        heard[task].extend(events.map(|events| (leaves, events)));
    }
    for (task, heard) in heard.into_iter().enumerate() {
        let now = read(&listener, &ids[task]).await;
        assert_eq!(cancelled[task], usize::from(state(&now) == "CANCELED"), "{now}");
        let history = now["history"].to_string();
        for (_, text, answer) in said.iter().filter(|it| it.0 == task) {
            let is_kept = history.contains(text.as_str());
            assert!(is_kept || answer["error"].is_object(), "{text}: {answer}");
        }
        check_streams(&listener, &ids[task], heard).await;
    }
    host.stop().await;
}

fn try_cases(cases: u32) {
    let case = (vec(words(), TASKS), vec(step(), 1..16));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&case, |(begins, steps)| {
        for section in [json!({ "store": "memory" }), json!({})] {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(play(section, &begins, &steps));
        }
        Ok(())
    });
    tried.unwrap();
}

#[test]
fn whatever_comes_when_an_end_is_final_and_all_hear_the_same() {
    try_cases(5);
}

#[test]
#[ignore = "takes long: tests/run --long"]
fn whatever_comes_when_many_times() {
    try_cases(50);
}
