//! The engine on real frames and real files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::needless_pass_by_value, reason = "JSON that a test writes out is handed over")]

mod approving;
mod caching;
mod detached;
mod events;
mod hostile;
mod learning;
mod lending;
mod observing;
mod permissions;
mod policies;
mod replanning;
mod running;
mod service;
mod state;
mod submitting;
mod supervising;
mod tools;

use carport_core::{
    RpcError,
    testing::{TestClient, TestHost},
};
use carport_engine::ExecuteTool;
use serde_json::{Value, json};

/// A tool call without anything else.
fn call(id: &str, tool: &str, parameters: Value) -> Value {
    json!({ "id": id, "type": "tool_call", "tool": tool, "parameters": parameters })
}

/// An action with more members.
fn with(mut action: Value, more: Value) -> Value {
    action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    action
}

fn proposal(actions: Value) -> Value {
    json!({ "proposal": { "id": "p1", "actions": actions } })
}

/// A client that has registered tools of these names.
async fn client_with(host: &TestHost, tools: &[&str]) -> TestClient {
    let mut client = host.client().await;
    register(&mut client, tools).await;
    client
}

async fn register(client: &mut TestClient, tools: &[&str]) {
    let tools: Vec<_> = tools.iter().map(|name| json!({ "name": name })).collect();
    client.raw("tools.register", json!(tools)).await.unwrap();
}

/// Submits and runs the client's tools until the reply is here.
async fn run(
    client: &mut TestClient,
    params: Value,
    tool: impl FnMut(&ExecuteTool) -> Result<Value, RpcError>,
) -> Value {
    let id = client.send("proposal.submit", params).await;
    finish(client, id, tool).await.unwrap()
}

/// Runs the client's tools until the reply to a call is here.
async fn finish(
    client: &mut TestClient,
    id: u64,
    mut tool: impl FnMut(&ExecuteTool) -> Result<Value, RpcError>,
) -> Result<Value, RpcError> {
    loop {
        let is_reply = |it: &Value| it["id"] == id && it.get("method").is_none();
        let mut frame = client.frame(|it| is_reply(it) || it["method"] == "tools.execute").await;
        if is_reply(&frame) {
            return match frame.get("error") {
                Some(error) => Err(serde_json::from_value(error.clone()).unwrap()),
                None => Ok(frame["result"].take()),
            };
        }
        let ask: ExecuteTool = serde_json::from_value(frame["params"].take()).unwrap();
        match tool(&ask) {
            Ok(result) => client.answer(&frame["id"], result).await,
            Err(error) => client.answer_error(&frame["id"], &error).await,
        }
    }
}

/// A tool that says what it was called with.
fn echo(ask: &ExecuteTool) -> Result<Value, RpcError> {
    Ok(json!({ "tool": ask.tool, "parameters": ask.parameters }))
}

fn statuses(result: &Value) -> Vec<String> {
    let results = result["results"].as_array().unwrap();
    results.iter().map(|it| it["status"].as_str().unwrap().to_owned()).collect()
}

fn error_of(result: &Value, at: usize) -> String {
    result["results"][at]["error"].as_str().unwrap_or_default().to_owned()
}

/// The events of a kind, newest first.
async fn events(client: &mut TestClient, kind: &str) -> Vec<Value> {
    let page = client.raw("events.query", json!({ "kinds": [kind] })).await.unwrap();
    page["events"].as_array().unwrap().clone()
}

/// The text of every journal.
fn journals(host: &TestHost) -> String {
    let files = std::fs::read_dir(host.root().join("journals")).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// The `client_id` of a connection.
async fn id_of(client: &mut TestClient) -> String {
    let ready = client.raw("session.init", json!({})).await.unwrap();
    ready["session_id"].as_str().unwrap().to_owned()
}
