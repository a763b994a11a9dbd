//! Whatever is sent: every method, in both spellings, over the connection and over HTTP, answers with a result
//! or with one of its own errors, and goes on.

use std::cell::RefCell;

use carport_core::{RpcError, testing::TestClient};
use proptest::{
    prelude::*,
    sample::{Index, select},
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{
    http::{Answer, Listener},
    judge,
    scene::{go_on, say, send, with_obedient},
};

/// Names of members, of either spelling and version, and some that are none.
const NAMES: [&str; 24] = [
    "id",
    "taskId",
    "task_id",
    "message",
    "messageId",
    "message_id",
    "role",
    "parts",
    "text",
    "data",
    "raw",
    "url",
    "file",
    "kind",
    "metadata",
    "configuration",
    "historyLength",
    "pageSize",
    "pageToken",
    "status",
    "token",
    "authentication",
    "pushNotificationConfig",
    "",
];

/// Texts that mean something somewhere.
const TEXTS: [&str; 16] = [
    "",
    "ROLE_USER",
    "agent",
    "TASK_STATE_WORKING",
    "completed",
    "AAA=",
    "!",
    "https://hook.invalid/",
    "http://[::1]/",
    "file:///etc/passwd",
    "../../etc/passwd",
    "2026-01-01T00:00:00Z",
    "application/json",
    "\u{0}\r\n",
    "0",
    "ünï",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(TEXTS.as_slice()).prop_map(Value::from),
        (1..20_000_usize).prop_map(|length| Value::from("x".repeat(length))),
        (1..120_usize).prop_map(|levels| (0..levels).fold(json!(1), |inner, _| json!([inner]))),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((select(NAMES.as_slice()), inner), 0..5).prop_map(|members| {
                members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

/// Something that is done to parameters.
#[derive(Debug, Clone)]
enum Twist {
    Set(Index, Value),
    Add(Index, &'static str, Value),
    Remove(Index),
}

fn twist() -> impl Strategy<Value = Twist> {
    prop_oneof![
        (any::<Index>(), json()).prop_map(|(at, value)| Twist::Set(at, value)),
        (any::<Index>(), select(NAMES.as_slice()), json())
            .prop_map(|(at, name, value)| Twist::Add(at, name, value)),
        any::<Index>().prop_map(Twist::Remove),
    ]
}

/// Where something stands in a value, as pointers; the value itself first.
fn places(value: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, it)| places(it, &format!("{at}/{name}"), all))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(number, it)| places(it, &format!("{at}/{number}"), all)),
        _ => {}
    }
}

fn twisted(mut params: Value, twists: &[Twist]) -> Value {
    for twist in twists {
        let mut all = Vec::new();
        places(&params, "", &mut all);
        match twist {
            Twist::Set(at, value) => {
                if let Some(there) = params.pointer_mut(at.get(all.as_slice()).as_str()) {
                    *there = value.clone();
                }
            }
            Twist::Add(at, name, value) => {
                if let Some(Value::Object(members)) =
                    params.pointer_mut(at.get(all.as_slice()).as_str())
                {
                    members.insert((*name).to_owned(), value.clone());
                }
            }
            Twist::Remove(at) => {
                let Some((parent, name)) = at.get(all.as_slice()).as_str().rsplit_once('/') else {
                    continue;
                };
                if let Some(Value::Object(members)) = params.pointer_mut(parent) {
                    members.remove(name);
                }
            }
        }
    }
    params
}

/// How deep a value nests: a frame of more than 128 levels is answered without its id.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Every method and what it takes, in both versions.
fn calls(asks: &str, done: &str) -> Vec<(&'static str, Value)> {
    let config = json!({ "taskId": asks, "id": "p", "url": "https://hook.invalid/", "token": "t",
        "authentication": { "scheme": "Bearer", "credentials": "c" } });
    let older = json!({ "message": { "kind": "message", "messageId": "m", "role": "user", "taskId": asks,
        "parts": [{ "kind": "text", "text": "ask" }, { "kind": "file", "file": { "bytes": "AAAA", "name": "a" } }] },
        "configuration": { "blocking": true, "historyLength": 1, "acceptedOutputModes": ["text/plain"] } });
    let mut data = say("ask");
    data["message"]["parts"] =
        json!([{ "data": { "a": [1, null] }, "metadata": { "b": 2 } }, { "raw": "AAAA" }]);
    data["configuration"] = json!({ "historyLength": 0, "taskPushNotificationConfig": { "url": "https://hook.invalid/" } });
    let list = json!({ "pageSize": 2, "pageToken": "", "status": "TASK_STATE_COMPLETED", "historyLength": 1,
        "statusTimestampAfter": "2020-01-01T00:00:00Z", "includeArtifacts": true, "contextId": "c" });
    let (of, older_of) = (
        json!({ "taskId": asks, "id": "p" }),
        json!({ "id": asks, "pushNotificationConfigId": "p" }),
    );
    vec![
        ("SendMessage", data),
        ("SendMessage", go_on(asks, "ask")),
        ("message/send", older.clone()),
        ("SendStreamingMessage", say("make it")),
        ("message/stream", older),
        ("GetTask", json!({ "id": asks, "historyLength": 1 })),
        ("tasks/get", json!({ "id": done, "history_length": 1 })),
        ("ListTasks", list.clone()),
        ("tasks/list", list),
        ("CancelTask", json!({ "id": done, "metadata": {} })),
        ("tasks/cancel", json!({ "id": done })),
        ("SubscribeToTask", json!({ "id": done })),
        ("tasks/resubscribe", json!({ "id": asks })),
        ("CreateTaskPushNotificationConfig", config.clone()),
        (
            "tasks/pushNotificationConfig/set",
            json!({ "taskId": asks, "pushNotificationConfig": config }),
        ),
        ("GetTaskPushNotificationConfig", of.clone()),
        ("tasks/pushNotificationConfig/get", older_of.clone()),
        (
            "ListTaskPushNotificationConfigs",
            json!({ "taskId": asks, "pageSize": 1, "pageToken": "0" }),
        ),
        ("tasks/pushNotificationConfig/list", json!({ "id": asks })),
        ("DeleteTaskPushNotificationConfig", of),
        ("tasks/pushNotificationConfig/delete", older_of),
        ("GetExtendedAgentCard", json!({})),
        ("agent/getAuthenticatedExtendedCard", json!({})),
    ]
}

struct Scene {
    runtime: Runtime,
    listener: Listener,
    client: RefCell<TestClient>,
    /// A task that waits for a message, and one that has ended.
    tasks: [String; 2],
    /// Keeps the host.
    _host: carport_core::testing::TestHost,
}

fn scene() -> Scene {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (host, listener, client, tasks) = runtime.block_on(async {
        let section = json!({ "store": "memory", "rest": true, "check_input_modes": false });
        let host = with_obedient().0.plugin("a2a", section).start().await;
        let listener = Listener::of(&host, json!({})).await;
        let mut client = host.client().await;
        let mut tasks = [String::new(), String::new()];
        for (task, text) in tasks.iter_mut().zip(["ask", "it"]) {
            *task = send(&mut client, say(text)).await["id"].as_str().unwrap().to_owned();
        }
        (host, listener, client, tasks)
    });
    Scene { runtime, listener, client: RefCell::new(client), tasks, _host: host }
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

/// An error is one that the contract knows, and says why in its form.
fn check(method: &str, params: &Value, code: i64, data: &Value) {
    let own = [-32602, -32001, -32002, -32003, -32004, -32005];
    let told = format!("{method}: {code} {data}");
    assert!(own.contains(&code), "{told}");
    // What is no object is refused before the method is asked.
    if params.is_object() {
        let info = &data[0];
        assert_eq!(info["@type"], "type.googleapis.com/google.rpc.ErrorInfo", "{told}");
        assert_eq!((code == -32602), data[1]["fieldViolations"].is_array(), "{told}");
    }
}

#[test]
fn whatever_the_parameters_are_over_the_connection() {
    let scene = scene();
    let calls = calls(&scene.tasks[0], &scene.tasks[1]);
    let case = (any::<Index>(), prop::collection::vec(twist(), 0..4));
    let tried = runner(400).run(&case, |(call, twists)| {
        let (method, params) = call.get(&calls).clone();
        let params = twisted(params, &twists);
        prop_assume!(depth(&params) < 120);
        let mut client = scene.client.borrow_mut();
        match scene.runtime.block_on(client.raw(method, params.clone())) {
            Err(RpcError { code: -32601, .. })
                if [
                    "SendStreamingMessage",
                    "message/stream",
                    "SubscribeToTask",
                    "tasks/resubscribe",
                ]
                .contains(&method) => {}
            Err(RpcError { code, data, .. }) => {
                check(method, &params, code.into(), &data.unwrap_or_default());
            }
            Ok(result) => judge::result(method, &result),
        }
        Ok(())
    });
    tried.unwrap();
}

/// What an answer says; of a stream nothing is read, for it may go on.
async fn body(answer: Answer) -> Option<Value> {
    match answer.headers.get("content-type").map(String::as_str) {
        Some("text/event-stream") => None,
        _ => Some(answer.json().await),
    }
}

#[test]
fn whatever_the_parameters_are_over_http() {
    let scene = scene();
    let calls = calls(&scene.tasks[0], &scene.tasks[1]);
    let case = (any::<Index>(), prop::collection::vec(twist(), 0..4));
    let tried = runner(200).run(&case, |(call, twists)| {
        let (method, params) = call.get(&calls).clone();
        let params = twisted(params, &twists);
        prop_assume!(depth(&params) < 120);
        scene.runtime.block_on(async {
            let version = if method.contains('/') { "0.3" } else { "1.0" };
            let answer =
                scene.listener.post(method, params.clone(), &[("A2A-Version", version)]).await;
            assert_eq!(answer.status, 200, "{method}");
            let Some(envelope) = body(answer).await else { return };
            assert_eq!((&envelope["jsonrpc"], &envelope["id"]), (&json!("2.0"), &json!("r1")));
            judge::envelope(method, &envelope);
            if let Some(error) = envelope.get("error") {
                check(method, &params, error["code"].as_i64().unwrap(), &error["data"]);
            }
        });
        Ok(())
    });
    tried.unwrap();
}

/// Methods of HTTP.
const VERBS: [&str; 8] = ["GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH", "X"];

/// Paths of the listener, and some that are none.
const PATHS: [&str; 20] = [
    "/",
    "/a2a",
    "/healthz",
    "/.well-known/agent-card.json",
    "/message:send",
    "/message:stream",
    "/tasks",
    "/tasks/TASK",
    "/tasks/TASK:cancel",
    "/tasks/TASK:subscribe",
    "/tasks/TASK/pushNotificationConfigs",
    "/tasks/TASK/pushNotificationConfigs/p",
    "/extendedAgentCard",
    "/tasks/%2e%2e%2f?pageSize=x",
    "/tasks?pageSize=-1&status=%zz",
    "//",
    "/tasks//:cancel",
    "/?A2A-Version=1.0",
    "/tasks/TASK:x",
    "/%00",
];

/// Headers that mean something.
const HEADERS: [&str; 11] = [
    "Content-Type",
    "A2A-Version",
    "A2A-Extensions",
    "Authorization",
    "Accept",
    "Last-Event-ID",
    "If-None-Match",
    "If-Modified-Since",
    "Origin",
    "Host",
    "X-Other",
];

/// What they may say.
const VALUES: [&str; 9] = [
    "application/json",
    "application/a2a+json; charset=x",
    "text/plain",
    "1.0",
    "0.3",
    "99",
    "*",
    "Bearer x",
    "localhost",
];

#[test]
fn whatever_the_request_is() {
    let scene = scene();
    let [asks, done] = scene.tasks.clone();
    let paths: Vec<String> = PATHS
        .iter()
        .flat_map(|path| [path.replace("TASK", &asks), path.replace("TASK", &done)])
        .collect();
    let value = prop_oneof![select(VALUES.as_slice()).prop_map(str::to_owned), "[!-~]{1,40}"];
    let header = (select(HEADERS.as_slice()), value);
    let whole = json!({ "jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": say("ask") })
        .to_string();
    let cut = (0..whole.len()).prop_map(move |end| whole[..end].to_owned());
    let text = prop_oneof![cut, json().prop_map(|it| it.to_string()), ".{0,60}"];
    let case = (select(VERBS.as_slice()), select(paths), prop::collection::vec(header, 0..5), text);
    let tried = runner(300).run(&case, |(verb, path, mut headers, text)| {
        let json = ("Content-Type", "application/json".to_owned());
        headers.insert(0, json);
        // Two of a name are the client's own fault, and another answer.
        let mut seen = Vec::new();
        headers.retain(|(name, _)| {
            !seen.contains(name) && {
                seen.push(*name);
                true
            }
        });
        scene.runtime.block_on(async {
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = scene.listener.raw(verb, &path, &headers, &text).await;
            assert!((200..500).contains(&answer.status), "{verb} {path}: {}", answer.status);
            drop(answer);
            let health = scene.listener.raw("GET", "/healthz", &[], "").await;
            assert_eq!(health.status, 200, "it goes on after {verb} {path}");
        });
        Ok(())
    });
    tried.unwrap();
}
