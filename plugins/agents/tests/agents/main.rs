//! The agents plugin on real frames, real files and real processes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attaching;
mod chatting;
mod ends;
mod following;
mod goals;
mod installing;
mod peering;
mod registry;
mod services;
mod supervising;

use carport_core::testing::{TestClient, TestHost, TestHostBuilder};
use serde_json::{Value, json};

/// A host that knows agents by their own tokens, with this beside what every test needs.
fn host_with(mut section: Value) -> TestHostBuilder {
    let members = section.as_object_mut().unwrap();
    members.insert("url".into(), "ws://127.0.0.1:9".into());
    members.insert("scratch_dirs".into(), json!([]));
    let shim = json!([env!("CARGO_BIN_EXE_carport-agents-helper"), "shim"]);
    members.insert("shim".into(), shim);
    TestHost::builder().without_agents().plugin("agents", section)
}

async fn host() -> TestHost {
    host_with(json!({})).start().await
}

/// An agent that runs a shell script.
fn spec(id: &str, script: &str) -> Value {
    json!({ "id": id, "command": "/bin/sh", "args": ["-c", script], "restart": "never" })
}

async fn upsert(host: &TestHost, spec: Value) -> Value {
    host.host().await.raw("agents.upsert", spec).await.unwrap()
}

/// The token of an agent, as its own process would know it.
fn token(host: &TestHost, id: &str) -> String {
    let path = host.root().join("run/agents").join(format!("{id}.token"));
    std::fs::read_to_string(path).unwrap()
}

/// A connection that is bound to an agent of the manifest; the agent is written down for it.
async fn attach(host: &TestHost, id: &str) -> TestClient {
    upsert(host, spec(id, "sleep 1000")).await;
    host.proven(json!({ "agent_id": id, "token": token(host, id) })).await
}

/// Reads every event of a chat up to its last.
async fn to_the_end(client: &mut TestClient) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = client.notification("agents.chat.event").await;
        let ends = matches!(event["kind"].as_str(), Some("done" | "error"));
        events.push(event);
        if ends {
            return events;
        }
    }
}
