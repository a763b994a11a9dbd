//! External agents: programs that run one task, here shell scripts.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use carport_core::{codes, testing::TestHost};
use serde_json::{Value, json};

use crate::{attach, host_with, to_the_end};

/// Ignores TERM, has a grandchild with a session of its own, and says when all are there.
const STUBBORN: &str = "trap '' TERM
    (setsid sh -c 'trap \"\" TERM; sleep 1000' &)
    sleep 1000 & echo half; while :; do sleep 1000; done";

/// A host with one external agent, `fake`, and the directory that it lives and may work in.
struct World {
    host: TestHost,
    directory: tempfile::TempDir,
}

/// A program may not lie where everybody may write.
fn place() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn section(directory: &Path, script: &str) -> Value {
    let program = directory.join("fake-agent");
    let body = format!("#!/bin/sh\n[ \"$1\" = --version ] && echo 'fake 1.0' && exit\n{script}\n");
    fs::write(&program, body).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let off = json!({ "enabled": false });
    let fake = json!({
        "binary": program, "run_args": ["run", ["--image", "{image}"]], "stdin": "{task}",
        "env": { "MARK": directory }, "output": "lines",
    });
    json!({
        "external": { "claude-code": off, "codex": off, "gemini": off, "fake": fake },
        "external_roots": [directory], "external_max": 2,
    })
}

async fn world(script: &str) -> World {
    world_with(script, |_| {}).await
}

async fn world_with(script: &str, change: impl FnOnce(&mut Value)) -> World {
    let directory = place();
    let mut section = section(directory.path(), script);
    change(&mut section);
    World { host: host_with(section).start().await, directory }
}

impl World {
    fn path(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    /// What the audit file holds by now.
    fn audit(&self) -> Vec<Value> {
        let path = self.host.root().join("journals/external-agents.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// How many processes of its agents live.
    fn alive(&self) -> usize {
        let mark = format!("MARK={}", self.directory.path().display());
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|it| it == mark.as_bytes())
        })
        .count()
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let looking = async {
            while !is_so(self) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let so = tokio::time::timeout(Duration::from_secs(20), looking).await;
        so.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

fn task(task: &str) -> Value {
    json!({ "id": "fake", "task": task })
}

fn stream(session_id: &str) -> Value {
    json!({ "id": "fake", "task": "t", "stream": true, "session_id": session_id })
}

/// Lets the table of the fake agent take a session to go on with.
fn resumes(section: &mut Value) {
    section["external"]["fake"]["run_args"] = json!(["run", ["--resume", "{session_id}"]]);
}

#[tokio::test]
async fn what_is_found_is_listed_and_asked_how_it_is() {
    let world = world("exit 0").await;
    let mut client = world.host.client().await;
    let listed = client.raw("agents.list_external", json!({})).await.unwrap();
    let found = &listed[0];
    assert_eq!((&found["id"], &found["version"]), (&json!("fake"), &json!("fake 1.0")));
    assert_eq!(found["execution"], json!({ "state": "runnable" }));
    assert_eq!(found["capabilities"], json!({ "streaming": true, "images": true, "mcp": false }));
    assert_eq!((&found["auth_kind"], found.get("health")), (&json!("unknown"), None));
    let asked = client.raw("agents.health_external", json!({ "id": "fake" })).await.unwrap();
    assert_eq!(asked["status"], "unknown");
    let all = client.raw("agents.health_external", json!({})).await.unwrap();
    assert_eq!(all, json!([asked]));
    fs::remove_file(world.path().join("fake-agent")).unwrap();
    let again = client.raw("agents.list_external", json!({})).await.unwrap();
    assert_eq!(again, listed, "nobody looked again");
    let looked = json!({ "include_health": true });
    let gone = client.raw("agents.detect_external", looked).await.unwrap();
    assert_eq!(gone[0]["execution"]["state"], "unusable");
    assert_eq!(gone[0]["health"]["status"], "not_executable");
    let error = client.raw("agents.invoke_external", task("t")).await.unwrap_err();
    assert_eq!(error.code, codes::UNAVAILABLE);
    for method in ["agents.health_external", "agents.invoke_external"] {
        let unknown = json!({ "id": "nobody", "task": "t" });
        assert_eq!(client.raw(method, unknown).await.unwrap_err().code, codes::NOT_FOUND);
    }
    assert!(world.audit().is_empty());
}

#[tokio::test]
async fn a_task_is_answered_once_the_audit_file_knows() {
    let world = world("cat; pwd; echo; echo Bearer hunter2").await;
    let mut client = world.host.client().await;
    let path = world.path();
    let ask = json!({ "id": "fake", "task": "say Bearer hunter2", "cwd": path });
    let result = client.raw("agents.invoke_external", ask).await.unwrap();
    let answer = format!("say Bearer hunter2{}\n\nBearer hunter2", path.display());
    assert_eq!(result["answer"], answer);
    assert_eq!((&result["is_error"], &result["turns"]), (&json!(false), &json!(1)));
    let lines = world.audit();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!((&line["adapter_id"], &line["task"]), (&json!("fake"), &json!("say Bearer ***")));
    assert_eq!(line["options"]["cwd"], json!(path));
    assert_eq!(line["result"]["duration_ms"], result["duration_ms"]);
    assert!(line["ts"].is_string() && !line.to_string().contains("hunter2"), "{line}");
    let file = world.host.root().join("journals/external-agents.jsonl");
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_task_that_fails_is_a_result_and_one_whose_time_is_over_is_dead() {
    let world = world("read -r what; [ \"$what\" = fail ] && echo no >&2 && exit 3").await;
    let mut client = world.host.client().await;
    let failed = client.raw("agents.invoke_external", task("fail\n")).await.unwrap();
    assert_eq!(failed["is_error"], true);
    assert_eq!(failed["error"], "it ended with code 3: no");
    section(world.directory.path(), STUBBORN);
    let mut brief = task("t");
    brief["timeout_secs"] = json!(0);
    let late = client.raw("agents.invoke_external", brief).await.unwrap();
    assert_eq!(
        (&late["answer"], &late["error"]),
        (&json!("half"), &json!("it took more than 1 s"))
    );
    assert_eq!((world.alive(), world.audit().len()), (0, 2));
}

#[tokio::test]
async fn what_a_run_says_comes_as_events_of_its_chat() {
    let script = r#"echo '{"t":"tool","n":"grep","p":{"x":1}}'; echo '{"t":"say","d":"Hel"}'
        echo '{"t":"say","d":"lo"}'; echo '{"t":"end","s":"s-9"}'"#;
    let rules = json!([
        { "when": { "/t": "say" }, "token": "/d" },
        { "when": { "/t": "tool" }, "tool": "/n", "params": "/p" },
        { "when": { "/t": "end" }, "session_id": "/s" },
    ]);
    let world = world_with(script, |section| {
        section["external"]["fake"]["output"] = json!("json_lines");
        section["external"]["fake"]["events"] = rules;
    })
    .await;
    let mut client = world.host.client().await;
    let ask = json!({ "id": "fake", "task": "t", "stream": true });
    let begun = client.raw("agents.invoke_external", ask).await.unwrap();
    assert_eq!(begun["accepted"], true);
    let events = to_the_end(&mut client).await;
    let (lines, own) = (world.audit(), |event: &Value| event["session_id"] == begun["session_id"]);
    assert_eq!(lines.len(), 1, "the audit file knows before the last event");
    assert!(events.iter().all(own) && events.iter().all(|it| it["agent_id"] == "fake"));
    let kinds: Vec<_> = events.iter().map(|it| (it["seq"].clone(), it["kind"].clone())).collect();
    let expected = ["tool_call", "token", "token", "done"];
    let numbered = expected.iter().zip(1..).map(|(kind, seq)| (json!(seq), json!(kind)));
    assert_eq!(kinds, numbered.collect::<Vec<_>>());
    assert_eq!((&events[0]["tool"], &events[0]["params"]), (&json!("grep"), &json!({ "x": 1 })));
    let done = &events[3];
    assert_eq!((&done["text"], &done["finish_reason"]), (&json!("Hello"), &json!("stop")));
    assert_eq!((&done["external_session_id"], &done["tool_calls"]), (&json!("s-9"), &json!(1)));
}

#[tokio::test]
async fn a_stream_whose_task_fails_ends_with_an_error() {
    let world = world_with("echo $@; exit 4", resumes).await;
    let mut client = world.host.client().await;
    client.raw("agents.invoke_external", stream("s-1")).await.unwrap();
    let events = to_the_end(&mut client).await;
    assert_eq!(events[0]["delta"], "run --resume s-1\n");
    let last = &events[1];
    assert_eq!((&last["kind"], &last["error"]), (&json!("error"), &json!("it ended with code 4")));
    let option = json!({ "id": "fake", "task": "t", "session_id": "--yolo" });
    let error = client.raw("agents.invoke_external", option).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("session_id")));
}

#[tokio::test]
async fn a_cancel_ends_the_tree_before_the_chat() {
    let world = world_with(STUBBORN, resumes).await;
    let (mut client, mut other) = (world.host.client().await, world.host.client().await);
    client.raw("agents.invoke_external", stream("c")).await.unwrap();
    client.notification("agents.chat.event").await;
    world.until("all are there", |it| it.alive() >= 4).await;
    let error = client.raw("agents.invoke_external", stream("c")).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT, "the chat runs");
    let cancel = json!({ "session_id": "c" });
    let error = other.raw("agents.chat.cancel", cancel.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    let approve = json!({ "session_id": "c", "approval_id": "a", "decision": true });
    let error = client.raw("agents.chat.approve", approve).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
    let reply = client.raw("agents.chat.cancel", cancel.clone()).await.unwrap();
    assert_eq!(reply, json!({ "cancelled": true, "session_id": "c" }));
    let last = to_the_end(&mut client).await.pop().unwrap();
    assert_eq!((world.alive(), world.audit().len()), (0, 1));
    assert_eq!((&last["kind"], &last["finish_reason"]), (&json!("done"), &json!("cancelled")));
    assert_eq!(last["text"], "half");
    assert_eq!(client.raw("agents.chat.cancel", cancel).await.unwrap()["cancelled"], false);
}

#[tokio::test]
async fn whoever_leaves_takes_its_runs_along() {
    let world = world_with(STUBBORN, resumes).await;
    let mut streaming = world.host.client().await;
    streaming.raw("agents.invoke_external", stream("c")).await.unwrap();
    let mut waiting = world.host.client().await;
    waiting.send("agents.invoke_external", task("t")).await;
    world.until("both run", |it| it.alive() >= 8).await;
    let mut client = world.host.client().await;
    let error = client.raw("agents.invoke_external", task("t")).await.unwrap_err();
    assert_eq!(error.code, codes::OVERLOADED);
    streaming.vanish();
    world.until("one is audited", |it| it.audit().len() == 1).await;
    assert!(world.alive() < 8);
    waiting.vanish();
    world.until("both are audited", |it| it.audit().len() == 2).await;
    assert_eq!(world.alive(), 0);
}

#[tokio::test]
async fn the_end_of_the_daemon_is_the_end_of_its_runs() {
    let world = world(STUBBORN).await;
    let mut client = world.host.client().await;
    client.send("agents.invoke_external", task("t")).await;
    world.until("it runs", |it| it.alive() >= 4).await;
    world.host.stop().await;
    assert_eq!((world.alive(), world.audit().len()), (0, 1));
    assert_eq!(world.audit()[0]["result"]["error"], "it was cancelled");
}

#[tokio::test]
async fn an_agent_runs_others_only_where_the_operator_lets_it() {
    let strict = world("echo hi").await;
    let mut agent = attach(&strict.host, "helper").await;
    let error = agent.raw("agents.invoke_external", task("t")).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    let open = world_with("echo hi", |section| section["peer_chat"] = json!(true)).await;
    let mut agent = attach(&open.host, "helper").await;
    let result = agent.raw("agents.invoke_external", task("t")).await.unwrap();
    assert_eq!(result["answer"], "hi");
}

#[tokio::test]
async fn paths_lie_under_the_roots_and_what_is_no_image_is_counted() {
    let world = world("echo $@").await;
    let mut client = world.host.client().await;
    let inside = world.path();
    std::os::unix::fs::symlink("/usr", inside.join("link")).unwrap();
    for cwd in ["/usr".into(), inside.join("link"), inside.join("none"), "relative".into()] {
        let ask = json!({ "id": "fake", "task": "t", "cwd": cwd });
        let error = client.raw("agents.invoke_external", ask).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("cwd")), "{cwd:?}");
    }
    let outside = place();
    for file in [inside.join("a.png"), outside.path().join("b.png")] {
        fs::write(file, b"\x89PNG\r\n\x1a\n").unwrap();
    }
    fs::write(inside.join("c.png"), b"no image").unwrap();
    let paths = [inside.join("a.png"), outside.path().join("b.png"), inside.join("c.png")];
    let attachments: Vec<_> = paths.iter().map(|it| json!({ "path": it })).collect();
    let ask = json!({ "id": "fake", "task": "t", "attachments": attachments });
    let result = client.raw("agents.invoke_external", ask).await.unwrap();
    assert_eq!(result["answer"], format!("run --image {}", paths[0].display()));
    assert_eq!(result["dropped_attachments"], 2);
    let tools = json!({ "id": "fake", "task": "t", "allowed_tools": [] });
    let error = client.raw("agents.invoke_external", tools).await.unwrap_err();
    assert_eq!(error.field(), Some("allowed_tools"), "what it cannot be told is refused");
}

#[tokio::test]
async fn an_observer_runs_external_agents_too() {
    let owner = world("exit 0").await;
    let manifest = owner.host.root().join("agents.json");
    let observer = world_with(STUBBORN, |section| {
        section["manifest"] = json!(manifest);
        resumes(section);
    })
    .await;
    let mut client = observer.host.client().await;
    client.raw("agents.invoke_external", stream("c")).await.unwrap();
    client.notification("agents.chat.event").await;
    let cancel = json!({ "session_id": "c" });
    assert_eq!(client.raw("agents.chat.cancel", cancel).await.unwrap()["cancelled"], true);
    assert_eq!(to_the_end(&mut client).await.pop().unwrap()["finish_reason"], "cancelled");
}

#[tokio::test]
#[should_panic(expected = "`agents.external.fake.run_args` has `{tusk}`")]
async fn a_table_that_cannot_work_stops_the_boot_and_names_its_member() {
    world_with("exit 0", |section| {
        section["external"]["fake"]["run_args"] = json!(["{tusk}"]);
    })
    .await;
}

#[tokio::test]
async fn a_run_is_not_what_a_standing_goal_waits_for() {
    let world = world_with("echo done", resumes).await;
    let mut client = world.host.client().await;
    let set = json!({ "session_id": "s", "goal": { "check": "make test" } });
    client.raw("goal.set", set).await.unwrap();
    client.raw("agents.invoke_external", stream("s")).await.unwrap();
    let last = to_the_end(&mut client).await.pop().unwrap();
    assert_eq!((&last["kind"], &last["session_id"]), (&json!("done"), &json!("s")));
    let status = client.raw("goal.status", json!({ "session_id": "s" })).await.unwrap();
    assert_eq!(status["goal"]["status"], "active", "the agent was never told of it");
}

#[tokio::test]
async fn an_answer_of_many_escapes_is_shortened_to_an_event() {
    let world = world("head -c 900000 /dev/zero | tr '\\000' '\\001'").await;
    let mut client = world.host.client().await;
    let mut ask = task("t");
    ask["stream"] = json!(true);
    client.raw("agents.invoke_external", ask).await.unwrap();
    let last = to_the_end(&mut client).await.pop().unwrap();
    assert_eq!((&last["kind"], &last["truncated"]), (&json!("done"), &json!(true)));
    let size = last.to_string().len();
    assert!((1_048_000..=1_049_000).contains(&size), "{size}");
}

#[tokio::test]
async fn the_audit_file_knows_an_endpoint_without_what_is_secret_of_it() {
    let mcp = |section: &mut Value| {
        section["external"]["fake"]["run_args"] = json!(["run", "{mcp_config}"]);
    };
    let world = world_with("cat $2", mcp).await;
    let mut client = world.host.client().await;
    let mut ask = task("t");
    for (given, kept) in [
        ("https://me:s3cret@host:8/mcp?key=s3cret#s3cret", "https://host:8/mcp"),
        ("http://host?key=s3cret@x/y", "http://host"),
    ] {
        ask["mcp_endpoint"] = json!(given);
        let result = client.raw("agents.invoke_external", ask.clone()).await.unwrap();
        assert!(result["answer"].as_str().unwrap().contains(given), "the agent needs all of it");
        assert_eq!(world.audit().pop().unwrap()["options"]["mcp_endpoint"], kept);
    }
}
