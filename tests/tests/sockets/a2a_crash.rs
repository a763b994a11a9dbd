//! Daemons killed at random moments while tasks run, receivers are kept and streams are followed: what anybody was
//! told is so afterwards, what was being worked on has failed and says why, and a torn line costs only itself.

use std::{collections::BTreeMap, fs, io::Write, ops::AddAssign};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    a2a::{Http, SERVING, at_once, message, state},
    crash::ask,
    daemon::{Daemon, Peer},
};

const SENDERS: usize = 4;
/// Streams that end by themselves, and streams of tasks that work for long.
const FOLLOWERS: [&str; 3] =
    ["tck-stream-artifact-chunked", "tck-stream-artifact-chunked", "test-resubscribe-message-id"];
const INTERRUPTED: &str = "interrupted by a restart of the daemon";
const SECRET: &str = "s3cret-of-a-receiver";

/// What all rounds came to.
#[derive(Debug, Default)]
struct Summary {
    kills: usize,
    /// Tasks that had ended, or waited, as somebody was told.
    kept: usize,
    /// Tasks that were being worked on.
    orphans: usize,
    receivers: usize,
    /// Events that a follower saw.
    seen: usize,
    torn: usize,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.kills += more.kills;
        self.kept += more.kept;
        self.orphans += more.orphans;
        self.receivers += more.receivers;
        self.seen += more.seen;
        self.torn += more.torn;
    }
}

/// What a sender knows of one of its tasks.
#[derive(Debug, Default)]
struct Known {
    /// As it was last told.
    task: Value,
    /// More was asked of it, and nobody answered.
    asked: bool,
    /// Receivers that it was told are kept.
    receivers: Vec<String>,
}

/// By their ids.
type Tasks = BTreeMap<String, Known>;

fn id(task: &Value) -> String {
    task["id"].as_str().unwrap().to_owned()
}

/// A receiver that is nowhere.
fn receiver(name: &str) -> Value {
    json!({ "id": name, "url": "https://hook.invalid/", "token": SECRET,
        "authentication": { "scheme": "Bearer", "credentials": SECRET } })
}

/// Sends messages until the daemon dies; what it knows of each task.
async fn send_until_the_end(mut peer: Peer, told: watch::Sender<usize>) -> Tasks {
    let mut tasks = Tasks::new();
    for turn in 0.. {
        if act(&mut peer, turn, &mut tasks, &told).await.is_none() {
            break;
        }
    }
    tasks
}

async fn act(
    peer: &mut Peer,
    turn: usize,
    tasks: &mut Tasks,
    told: &watch::Sender<usize>,
) -> Option<()> {
    let mut params = match turn % 4 {
        0 => message("tck-stream-artifact-chunked"),
        1 => message("tck-input-required"),
        2 => message("tck-reject-task"),
        _ => at_once(message("test-resubscribe-message-id")),
    };
    if turn % 4 == 1 {
        params["configuration"]["taskPushNotificationConfig"] = receiver("first");
    }
    let task = ask(peer, "SendMessage", params).await?["task"].take();
    told.send_modify(|told| *told += 1);
    let known = tasks.entry(id(&task)).or_default();
    known.task = task;
    if turn % 4 == 1 {
        known.receivers.push("first".into());
        let mut second = receiver("second");
        second["taskId"] = known.task["id"].clone();
        ask(peer, "CreateTaskPushNotificationConfig", second).await?;
        known.receivers.push("second".into());
    }
    // Some tasks get another message, some are cancelled, the others are left as they are.
    let more = match turn % 12 {
        1 => {
            let mut more = message("tck-artifact-text");
            more["message"]["taskId"] = known.task["id"].clone();
            ("SendMessage", more)
        }
        3 => ("CancelTask", json!({ "id": known.task["id"] })),
        _ => return Some(()),
    };
    known.asked = true;
    let mut answer = ask(peer, more.0, more.1).await?;
    told.send_modify(|told| *told += 1);
    known.task = if more.0 == "CancelTask" { answer } else { answer["task"].take() };
    known.asked = false;
    Some(())
}

/// Events of streams, by their tasks.
type Seen = BTreeMap<String, Vec<(u64, Value)>>;

/// Has messages answered with streams until the daemon dies; what they told.
async fn follow_until_the_end(http: Http, asks: &'static str, told: watch::Sender<usize>) -> Seen {
    let mut seen = Seen::new();
    loop {
        let stream = http.open("SendStreamingMessage", &message(asks), "").await;
        let Some(mut stream) = stream else { return seen };
        let Some((_, first)) = stream.event().await else { return seen };
        let events = seen.entry(id(&first["task"])).or_default();
        while let Some(event) = stream.event().await {
            told.send_modify(|told| *told += 1);
            events.push(event);
        }
    }
}

/// A daemon is killed while it works; the next one is asked what there is. What `elder` were is still so.
async fn round(daemon: &mut Daemon, until: usize, elder: &mut Vec<Value>) -> Summary {
    let (told, mut counted) = watch::channel(0);
    let (mut senders, mut followers) = (JoinSet::new(), JoinSet::new());
    let http = Http::of(daemon).await;
    for _ in 0..SENDERS {
        senders.spawn(send_until_the_end(daemon.client().await, told.clone()));
    }
    for asks in FOLLOWERS {
        followers.spawn(follow_until_the_end(http.clone(), asks, told.clone()));
    }
    counted.wait_for(|told| *told >= until).await.unwrap();
    daemon.crash().await;
    let known: Tasks = senders.join_all().await.into_iter().flatten().collect();
    let seen: Seen = followers.join_all().await.into_iter().flatten().collect();
    let torn = tear(daemon, known.keys().next());
    *daemon = Daemon::start_on(daemon.root.clone(), &[]).await;

    let mut peer = daemon.client().await;
    for task in elder.drain(..) {
        let now = peer.call("GetTask", json!({ "id": task["id"] })).await.unwrap();
        assert_eq!(now, task, "it is as an earlier daemon told it");
    }
    for state in ["TASK_STATE_SUBMITTED", "TASK_STATE_WORKING"] {
        let list = peer.call("ListTasks", json!({ "status": state })).await.unwrap();
        assert_eq!(list["totalSize"], 0, "{list}");
    }
    let mut summary = Summary { kills: 1, torn, ..Summary::default() };
    for known in known.values() {
        let now = peer.call("GetTask", json!({ "id": known.task["id"] })).await.unwrap();
        summary += check(known, &now);
        let list = json!({ "taskId": known.task["id"] });
        let list = peer.call("ListTaskPushNotificationConfigs", list).await.unwrap();
        assert!(!list.to_string().contains(SECRET));
        let names: Vec<_> =
            list["configs"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
        assert!(
            known.receivers.iter().all(|it| names.contains(&&json!(it))),
            "{known:?}: {names:?}"
        );
        summary.receivers += known.receivers.len();
        elder.push(now);
    }
    for (id, events) in &seen {
        check_events(&daemon.read(&format!("a2a/tasks/{id}.jsonl")), events);
        summary.seen += events.len();
    }
    check_files(daemon);
    // Every eleventh of the elder is asked about again: many are as good as all.
    *elder = std::mem::take(elder).into_iter().step_by(11).collect();
    summary
}

/// Leaves half a line in a file, as a kill in the middle of a write would; how many files end in half a line now.
fn tear(daemon: &Daemon, id: Option<&String>) -> usize {
    if let Some(id) = id {
        let path = daemon.path(&format!("a2a/tasks/{id}.jsonl"));
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(br#"{"event":{"seq":99,"at":"2026-"#).unwrap();
    }
    let files = fs::read_dir(daemon.path("a2a/tasks")).unwrap();
    files.filter(|it| !fs::read(it.as_ref().unwrap().path()).unwrap().ends_with(b"\n")).count()
}

/// A task is as it was told, or has failed because it was being worked on.
fn check(known: &Known, now: &Value) -> Summary {
    let (was, is) = (state(&known.task), state(now));
    let says = now["status"]["message"]["parts"][0]["text"].as_str();
    let failed = is == "FAILED" && says == Some(INTERRUPTED);
    match was {
        "SUBMITTED" | "WORKING" => {
            let ended = is == "COMPLETED" || is == "CANCELED" && known.asked;
            assert!(failed || ended, "{known:?} is {now}");
        }
        "INPUT_REQUIRED" if known.asked => {
            assert!(failed || ["INPUT_REQUIRED", "COMPLETED"].contains(&is), "{known:?} is {now}");
            let before = known.task["history"].as_array().unwrap();
            assert_eq!(&now["history"].as_array().unwrap()[..before.len()], before);
        }
        _ => assert_eq!(now, &known.task),
    }
    let kept = usize::from(now == &known.task);
    Summary { kept, orphans: failed.into(), ..Summary::default() }
}

/// What a follower saw is what is kept, in the same places.
fn check_events(file: &str, seen: &[(u64, Value)]) {
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kept = |seq: u64| {
        let of = |line: &&Value| line["event"]["seq"] == seq;
        lines.iter().find(of).map(|line| &line["event"]["change"])
    };
    for (at, (seq, event)) in seen.iter().enumerate() {
        assert_eq!(*seq, at as u64 + 1, "no gap and no double: {seen:?}");
        let change = kept(*seq).unwrap_or_else(|| panic!("{seq} of {seen:?} is lost: {file}"));
        match event.get("statusUpdate") {
            Some(update) => assert_eq!(change["status"], update["status"]),
            None => assert_eq!(
                change["artifact"]["artifact"]["parts"],
                event["artifactUpdate"]["artifact"]["parts"]
            ),
        }
    }
}

/// Every line of every file reads, and nothing else is there.
fn check_files(daemon: &Daemon) {
    for entry in fs::read_dir(daemon.path("a2a/tasks")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.ends_with('\n'), "a torn line was left: {text}");
        text.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap()));
    }
    for entry in fs::read_dir(daemon.path("a2a/push")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.extension().is_some_and(|it| it == "json"), "{}", path.display());
        serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    }
    assert!(!daemon.log().contains(SECRET), "a secret is in the log");
}

/// The moments of death come from a seed, which a failure prints.
async fn rounds(count: usize) {
    let seed = std::env::var("CARPORT_CRASH_SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("CARPORT_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Summary::default();
    for first in (0..count).step_by(10) {
        // Tasks that wait are never let go, so a state root sees ten kills.
        let (mut daemon, mut elder) = (Daemon::with_config(SERVING).await, Vec::new());
        for _ in first..count.min(first + 10) {
            all += round(&mut daemon, random.random_range(1..250), &mut elder).await;
        }
    }
    eprintln!("{all:#?}");
    assert_eq!(all.kills, count);
    assert!(
        all.kept > 0 && all.orphans > 0 && all.receivers > 0 && all.seen > 0,
        "nothing was at stake"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_anybody_was_told_survives_a_few_kills() {
    rounds(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: tests/run --long"]
async fn what_anybody_was_told_survives_two_hundred_kills() {
    rounds(200).await;
}
