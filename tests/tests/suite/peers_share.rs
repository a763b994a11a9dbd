//! A listener that shares the runtime of the connection that started it: its tools, its policies, and it is asked.

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::testing::{TestClient, TestHost};
use carport_engine_api::{ENGINE, HostTool, ToolCall};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use crate::peers_work::{accept, at_once, calling, ended, reply, saying, seen, until};

/// A listener, as a peer has it.
#[derive(Clone)]
pub(crate) struct Listener(String);

impl Listener {
    /// Has a connection start one that shares its runtime.
    pub(crate) async fn of(client: &mut TestClient) -> Self {
        let params = json!({ "bind": "127.0.0.1:0", "share_session_runtime": true });
        let started = client.raw("a2a.start", params).await.expect("starts");
        Self(started["bound"].as_str().unwrap().to_owned())
    }

    async fn request(&self, head: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.0).await.expect("it listens");
        let request = format!(
            "{head} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nA2A-Version: 1.0\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.0,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        serde_json::from_str(body).expect("JSON")
    }

    /// The ids of the skills on the card.
    async fn skills(&self) -> Vec<Value> {
        let card = self.request("GET /.well-known/agent-card.json", "").await;
        card["skills"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect()
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        self.request("POST /", &call.to_string()).await
    }

    /// Sends a message; its task.
    pub(crate) async fn send(&self, params: Value) -> Value {
        self.call("SendMessage", params).await["result"]["task"].take()
    }

    async fn get(&self, task: &Value) -> Value {
        self.call("GetTask", json!({ "id": task["id"] })).await["result"].take()
    }
}

/// A connection with the tools `ask` and `denied`, of which its policy forbids one.
pub(crate) async fn sharer(host: &TestHost) -> TestClient {
    let mut client = host.agent("sharer").await;
    let init = json!({
        "tools": [{ "name": "ask", "description": "Asks." }, { "name": "denied" }],
        "policies": [{ "name": "no", "rule": "deny_tool", "target": "denied" }],
    });
    client.raw("session.init", init).await.unwrap();
    client
}

/// Awaits the next tool call of the daemon: the frame.
pub(crate) async fn asked(client: &mut TestClient) -> Value {
    client.frame(|it| it["method"] == "tools.execute").await
}

/// A task as a host sees it, whosever it is.
async fn as_host(host: &mut TestClient, task: &Value) -> Value {
    host.raw("GetTask", json!({ "id": task["id"] })).await.unwrap()
}

#[tokio::test]
async fn peers_have_the_tools_and_policies_of_the_connection_and_no_others() {
    let host = TestHost::start().await;
    let mut client = sharer(&host).await;
    let listener = Listener::of(&mut client).await;
    let status = client.raw("a2a.status", json!({})).await.unwrap();
    assert_eq!(status["share_session_runtime"], true);
    assert_eq!(listener.skills().await, ["ask", "denied"]);
    let sending = listener.send(calling("ask", &json!({ "n": 1 })));
    let answering = async {
        let ask = asked(&mut client).await;
        assert_eq!(
            (&ask["params"]["tool"], &ask["params"]["parameters"]),
            (&json!("ask"), &json!({ "n": 1 }))
        );
        client.answer(&ask["id"], json!("yes")).await;
    };
    let (task, ()) = tokio::join!(sending, answering);
    assert_eq!(seen(&task).0, "COMPLETED");
    assert_eq!(task["artifacts"][0]["parts"], json!([{ "text": "yes" }]));
    for (tool, why) in
        [("denied", "policy 'no'"), ("calculate", "tool 'calculate' is not registered")]
    {
        let task = listener.send(calling(tool, &json!({ "expression": "6 * 7" }))).await;
        assert_eq!(seen(&task).0, "REJECTED");
        assert!(seen(&task).1.contains(why), "{tool}: {}", seen(&task).1);
    }
    // Over the daemon's own connection nothing is shared, and nobody sees more for sharing.
    let calculated = calling("calculate", &json!({ "expression": "6 * 7" }));
    let own = client.raw("SendMessage", calculated).await.unwrap();
    assert_eq!(seen(&own["task"]).0, "COMPLETED");
    let own = client.raw("SendMessage", calling("ask", &json!({}))).await.unwrap();
    assert_eq!(seen(&own["task"]), ("REJECTED", "tool 'ask' is not registered"));
    let read = client.raw("GetTask", json!({ "id": task["id"] })).await;
    assert_eq!(read.unwrap_err().code, -32001);
    let listed = client.raw("ListTasks", json!({})).await.unwrap();
    assert_eq!(listed["totalSize"], 2);
    // What the connection registers and forgets shows on the card.
    client.raw("tools.unregister", json!({ "name": "ask" })).await.unwrap();
    client.raw("tools.unregister", json!({ "name": "denied" })).await.unwrap();
    assert_eq!(listener.skills().await, ["chat"]);
}

#[tokio::test]
async fn words_are_asked_of_the_connection_agent_or_not() {
    let host = TestHost::start().await;
    for mut client in [host.client().await, host.agent("a").await] {
        let listener = Listener::of(&mut client).await;
        let sending = listener.send(saying(&json!({ "text": "hello" })));
        let answering = async {
            let (chat, prompt) = accept(&mut client).await;
            assert_eq!(prompt, "hello");
            reply(&mut client, &chat, "hello to you").await;
        };
        let (task, ()) = tokio::join!(sending, answering);
        assert_eq!(seen(&task), ("COMPLETED", "hello to you"));
        assert_eq!(task["history"].as_array().unwrap().len(), 2);
        client.raw("a2a.stop", json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn the_listener_ends_with_its_connection_and_what_it_did_with_it_fails() {
    let host = TestHost::start().await;
    let mut operator = host.host().await;
    operator
        .raw("supervision.subscribe", json!({ "filter": { "tools": ["calculate"] } }))
        .await
        .unwrap();
    let mut other = host.client().await;
    let calculate = calling("calculate", &json!({ "expression": "6 * 7" }));
    let living = other.raw("SendMessage", at_once(calculate)).await.unwrap()["task"].take();
    let intent = operator.notification("supervision.intent").await;

    let mut client = sharer(&host).await;
    let listener = Listener::of(&mut client).await;
    let mut both = calling("ask", &json!({}));
    let second = json!({ "data": { "tool": "calculate", "parameters": { "expression": "1" } } });
    both["message"]["parts"].as_array_mut().unwrap().push(second);
    let task = listener.send(at_once(both)).await;
    asked(&mut client).await;
    let words = listener.send(at_once(saying(&json!({ "text": "hello" })))).await;
    accept(&mut client).await;
    let mut follow_up = at_once(calling("calculate", &json!({ "expression": "2" })));
    follow_up["message"]["taskId"] = task["id"].clone();
    assert_eq!(seen(&listener.send(follow_up).await).0, "WORKING");
    client.vanish();

    let task = ended(&mut operator, &task).await;
    let left = "the connection whose tools the listener shares has ended";
    assert_eq!((seen(&task), task.get("artifacts")), (("FAILED", left), None));
    assert_eq!(seen(&ended(&mut operator, &words).await), ("FAILED", left));
    until(&mut operator, "a2a.status", json!({}), |it| it["running"] == false).await;
    // Nothing that was asked there is done with the daemon's own tools, now or later.
    let pending = operator.raw("supervision.pending", json!({})).await.unwrap();
    assert_eq!(pending["intents"], json!([intent]));
    assert_eq!(seen(&as_host(&mut operator, &living).await).0, "WORKING");
    let allow = json!({ "intent_id": intent["id"], "decision": { "kind": "allow" } });
    operator.raw("supervision.decide", allow).await.unwrap();
    assert_eq!(seen(&ended(&mut operator, &living).await).0, "COMPLETED");
    // Another one may share now.
    let mut next = host.client().await;
    next.raw("tools.register", json!([{ "name": "own" }])).await.unwrap();
    let listener = Listener::of(&mut next).await;
    assert_eq!(listener.skills().await, ["own"]);
    assert_eq!(seen(&listener.get(&task).await), ("FAILED", left));
}

#[tokio::test]
async fn a_stopped_listener_leaves_what_is_under_way_to_the_connection() {
    let host = TestHost::start().await;
    let (mut operator, mut client) = (host.host().await, sharer(&host).await);
    let listener = Listener::of(&mut client).await;
    let task = listener.send(at_once(calling("ask", &json!({})))).await;
    let ask = asked(&mut client).await;
    client.raw("a2a.stop", json!({})).await.unwrap();
    assert_eq!(seen(&as_host(&mut operator, &task).await).0, "WORKING");
    client.answer(&ask["id"], json!("late")).await;
    let task = ended(&mut operator, &task).await;
    assert_eq!(
        (seen(&task).0, &task["artifacts"][0]["parts"]),
        ("COMPLETED", &json!([{ "text": "late" }]))
    );
}

#[tokio::test]
async fn a_cancelled_task_takes_its_call_back_from_the_client() {
    let host = TestHost::start().await;
    let mut client = sharer(&host).await;
    let listener = Listener::of(&mut client).await;
    let task = listener.send(at_once(calling("ask", &json!({})))).await;
    let ask = asked(&mut client).await;
    let cancelled = listener.call("CancelTask", json!({ "id": task["id"] })).await;
    assert_eq!(seen(&cancelled["result"]).0, "CANCELED");
    let told = client.notification("tools.cancel").await;
    assert_eq!((&told["request_id"], &told["reason"]), (&ask["id"], &json!("given up")));
    client.answer(&ask["id"], json!("late")).await;
    client.raw("tools.list", json!({})).await.unwrap();
    let task = listener.get(&task).await;
    assert_eq!((seen(&task).0, task.get("artifacts")), ("CANCELED", None));
}

/// Runs until it is dropped.
#[derive(Default)]
struct Endless {
    begun: Notify,
    dropped: Arc<Notify>,
}

struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[async_trait]
impl HostTool for Endless {
    fn schema(&self) -> Value {
        json!({ "name": "endless" })
    }

    async fn call(&self, _: Map<String, Value>, _: ToolCall) -> Result<Value, String> {
        let _tell = Tell(self.dropped.clone());
        self.begun.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_cancelled_task_stops_the_tool_that_runs_in_the_daemon() {
    let host = TestHost::start().await;
    let mut client = sharer(&host).await;
    let endless = Arc::new(Endless::default());
    let runtime = host.service(&ENGINE).of_session(&host.session_of("sharer")).await.unwrap();
    runtime.register(endless.clone()).unwrap();
    let listener = Listener::of(&mut client).await;
    let task = listener.send(at_once(calling("endless", &json!({})))).await;
    endless.begun.notified().await;
    assert_eq!(seen(&listener.get(&task).await).0, "WORKING");
    let cancelled = listener.call("CancelTask", json!({ "id": task["id"] })).await;
    assert_eq!(seen(&cancelled["result"]).0, "CANCELED");
    // Not as long as a client may be silent, whose end would stop it as well.
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, endless.dropped.notified()).await.expect("it is stopped");
}
