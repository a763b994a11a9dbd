//! Peers work here with the real engine and real agents: what waits for a person, what is cancelled, and words.

use std::{path::Path, time::Duration};

use carport_core::testing::{TestClient, TestHost, TestHostBuilder};
use serde_json::{Value, json};
use tokio::time::timeout;

/// Parameters of a message with one part.
pub(crate) fn saying(part: &Value) -> Value {
    json!({ "message": { "messageId": "m", "role": "ROLE_USER", "parts": [part] } })
}

/// Parameters of a message that calls a tool.
pub(crate) fn calling(tool: &str, parameters: &Value) -> Value {
    saying(&json!({ "data": { "tool": tool, "parameters": parameters } }))
}

/// The same, answered at once.
pub(crate) fn at_once(mut params: Value) -> Value {
    params["configuration"]["returnImmediately"] = true.into();
    params
}

/// The state of a task, without its prefix, and what it says.
pub(crate) fn seen(task: &Value) -> (&str, &str) {
    let state = task["status"]["state"].as_str().expect("a state");
    let words = task["status"]["message"]["parts"][0]["text"].as_str().unwrap_or_default();
    (state.strip_prefix("TASK_STATE_").expect("a state of v1.0"), words)
}

/// Sends a message over the daemon's own connection; its task.
async fn send(client: &mut TestClient, params: Value) -> Value {
    client.raw("SendMessage", params).await.expect("is taken")["task"].take()
}

async fn get(client: &mut TestClient, task: &Value) -> Value {
    client.raw("GetTask", json!({ "id": task["id"] })).await.unwrap()
}

async fn cancel(client: &mut TestClient, task: &Value) -> Value {
    client.raw("CancelTask", json!({ "id": task["id"] })).await.unwrap()
}

/// Calls a method until its result is as wanted, within a minute.
pub(crate) async fn until(
    client: &mut TestClient,
    method: &str,
    params: Value,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let asking = async {
        loop {
            let result = client.raw(method, params.clone()).await.unwrap();
            if wanted(&result) {
                return result;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.expect("it comes about")
}

/// Waits until a task has ended.
pub(crate) async fn ended(client: &mut TestClient, task: &Value) -> Value {
    let ended = |task: &Value| !["SUBMITTED", "WORKING"].contains(&seen(task).0);
    until(client, "GetTask", json!({ "id": task["id"] }), ended).await
}

/// A message that has a file written, and the file.
fn writing(host: &TestHost, name: &str) -> (Value, std::path::PathBuf) {
    let params = at_once(calling("write_file", &json!({ "path": name, "content": "x" })));
    (params, host.root().join("workspace").join(name))
}

async fn decide(supervisor: &mut TestClient, intent: &Value, decision: Value) -> Result<(), i32> {
    let params = json!({ "intent_id": intent["id"], "decision": decision });
    supervisor.raw("supervision.decide", params).await.map(drop).map_err(|error| error.code)
}

#[tokio::test]
async fn a_task_is_working_while_a_person_decides_and_then_done_or_rejected() {
    let section = json!({ "tools": ["write_file"] });
    let host = TestHost::builder().plugin("a2a", section).start().await;
    let (mut client, mut supervisor) = (host.client().await, host.host().await);
    supervisor.raw("supervision.subscribe", json!({})).await.unwrap();
    let deny = json!({ "kind": "deny", "reason": "too dear" });
    for (name, decision, expected) in [
        ("allowed", json!({ "kind": "allow" }), ("COMPLETED", "")),
        ("denied", deny, ("REJECTED", "supervision gate: denied by a supervisor: too dear")),
    ] {
        let (params, path) = writing(&host, name);
        let task = send(&mut client, params).await;
        let intent = supervisor.notification("supervision.intent").await;
        assert_eq!(
            (&intent["source"], &intent["scope"]["callerId"]),
            (&json!("a2a"), &json!("client"))
        );
        assert_eq!((seen(&get(&mut client, &task).await).0, path.exists()), ("WORKING", false));
        decide(&mut supervisor, &intent, decision).await.unwrap();
        assert_eq!(seen(&ended(&mut client, &task).await), expected);
        assert_eq!(path.exists(), expected.0 == "COMPLETED");
    }
}

#[tokio::test]
async fn what_waits_for_a_person_is_withdrawn_with_its_task_and_never_runs() {
    let section = json!({ "tools": ["write_file"] });
    // Nobody gives it up before the test is over but whoever cancels.
    let patient = json!({ "supervision_timeout_ms": 600_000 });
    let builder = TestHost::builder().plugin("a2a", section).plugin("engine", patient);
    let host = builder.start().await;
    let (mut client, mut supervisor) = (host.client().await, host.host().await);
    supervisor.raw("supervision.subscribe", json!({})).await.unwrap();
    let (params, path) = writing(&host, "cancelled");
    let task = send(&mut client, params).await;
    let intent = supervisor.notification("supervision.intent").await;
    assert_eq!(seen(&cancel(&mut client, &task).await).0, "CANCELED");
    let withdrawn = |pending: &Value| pending["intents"] == json!([]);
    until(&mut supervisor, "supervision.pending", json!({}), withdrawn).await;
    let late = decide(&mut supervisor, &intent, json!({ "kind": "allow" })).await;
    assert_eq!(late, Err(-32007));
    // Whatever was to run has run by the time that a later one has.
    let (params, later) = writing(&host, "later");
    let next = send(&mut client, params).await;
    let intent = supervisor.notification("supervision.intent").await;
    decide(&mut supervisor, &intent, json!({ "kind": "allow" })).await.unwrap();
    assert_eq!(seen(&ended(&mut client, &next).await).0, "COMPLETED");
    assert_eq!((path.exists(), later.exists()), (false, true));
    assert_eq!(seen(&get(&mut client, &task).await).0, "CANCELED");
}

#[tokio::test]
async fn what_needs_an_approval_first_is_rejected_until_it_has_one() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let deploy = || calling("deploy", &json!({ "to": "prod" }));
    let task = send(&mut client, deploy()).await;
    let (state, why) = seen(&task);
    assert_eq!(state, "REJECTED");
    assert!(why.contains("permission gate") && why.contains("full_access"), "{why}");
    let fingerprint = why.split(|it: char| !it.is_ascii_hexdigit()).find(|it| it.len() == 64);
    let approval =
        json!({ "fingerprint": fingerprint.expect("is named"), "required_tier": "full_access" });
    host.host().await.raw("permission.approve", approval).await.unwrap();
    let task = send(&mut client, deploy()).await;
    assert_eq!(seen(&task), ("REJECTED", "tool 'deploy' is not registered"));
}

/// A host that knows agents by their own tokens, and hands words to `helper`.
fn with_helper() -> TestHostBuilder {
    let agents = json!({ "url": "ws://127.0.0.1:9", "scratch_dirs": [] });
    let a2a = json!({ "chat_agent": "helper", "store": "memory" });
    TestHost::builder().without_agents().plugin("agents", agents).plugin("a2a", a2a)
}

/// The connection of `helper`.
async fn helper(host: &TestHost) -> TestClient {
    let spec = json!({ "id": "helper", "command": "/bin/sh", "restart": "never" });
    host.host().await.raw("agents.upsert", spec).await.unwrap();
    let token = host.root().join(Path::new("run/agents/helper.token"));
    let token = std::fs::read_to_string(token).unwrap();
    host.proven(json!({ "agent_id": "helper", "token": token })).await
}

/// Awaits the next chat that is asked for and accepts it; its id and prompt.
pub(crate) async fn accept(agent: &mut TestClient) -> (Value, Value) {
    let mut ask = agent.frame(|it| it["method"] == "agent.chat").await;
    agent.answer(&ask["id"], json!({ "accepted": true })).await;
    (ask["params"]["session_id"].take(), ask["params"]["prompt"].take())
}

pub(crate) async fn reply(agent: &mut TestClient, chat: &Value, text: &str) {
    let done = json!({ "session_id": chat, "kind": "done", "text": text });
    assert_eq!(agent.raw("agent.chat.event", done).await.unwrap()["ok"], true);
}

#[tokio::test]
async fn words_are_replied_to_by_an_agent_that_fails_or_is_told_of_the_end() {
    let host = with_helper().start().await;
    let (mut client, mut agent) = (host.client().await, helper(&host).await);
    let words = |text: &str| at_once(saying(&json!({ "text": text })));
    let task = send(&mut client, words("one")).await;
    let (chat, prompt) = accept(&mut agent).await;
    assert_eq!(prompt, "one");
    reply(&mut agent, &chat, "two").await;
    assert_eq!(seen(&ended(&mut client, &task).await), ("COMPLETED", "two"));

    let task = send(&mut client, words("three")).await;
    let (chat, _) = accept(&mut agent).await;
    assert_eq!(seen(&cancel(&mut client, &task).await).0, "CANCELED");
    assert_eq!(agent.notification("agent.chat.cancel").await["session_id"], chat);

    let task = send(&mut client, words("four")).await;
    accept(&mut agent).await;
    agent.vanish();
    assert_eq!(seen(&ended(&mut client, &task).await), ("FAILED", "agent disconnected"));
    let task = send(&mut client, words("five")).await;
    assert_eq!(seen(&ended(&mut client, &task).await), ("COMPLETED", "Acknowledged."));
}

#[tokio::test(start_paused = true)]
async fn an_agent_has_five_seconds_to_take_a_chat_and_hears_that_it_was_too_late() {
    let host = with_helper().start().await;
    let (mut client, mut agent) = (host.client().await, helper(&host).await);
    let began = tokio::time::Instant::now();
    let task = send(&mut client, saying(&json!({ "text": "hello" }))).await;
    assert_eq!(seen(&task), ("COMPLETED", "Acknowledged."));
    assert_eq!(began.elapsed().as_secs(), 5);
    let ask = agent.frame(|it| it["method"] == "agent.chat").await;
    let told = agent.notification("agent.chat.cancel").await;
    assert_eq!(told["session_id"], ask["params"]["session_id"]);
}
