//! The memory plugin on real frames and real files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod asking;
mod disk;
mod exporting;
mod foreign;
mod keeping;
mod meaning;
mod racing;
mod scopes;
mod serving;
mod speaking;

use carport_core::testing::{TOKEN, TestClient, TestHost};
use carport_memory as _;
use serde_json::{Value, json};

/// Calls `memory.{method}` and expects it to work.
async fn call(client: &mut TestClient, method: &str, params: Value) -> Value {
    let reply = client.raw(&format!("memory.{method}"), params.clone()).await;
    reply.unwrap_or_else(|error| panic!("{method} {params}: {error} {:?}", error.data))
}

/// Calls `memory.{method}` and expects this code and field.
async fn refused(client: &mut TestClient, method: &str, params: Value) -> (i32, Option<String>) {
    let error = client.raw(&format!("memory.{method}"), params.clone()).await.unwrap_err();
    (error.code, error.field().map(str::to_owned))
}

/// Keeps a fact and returns the count.
async fn add(client: &mut TestClient, subject: &str, body: &str) -> u64 {
    call(client, "add_fact", json!({ "subject": subject, "body": body })).await.as_u64().unwrap()
}

/// The bodies of what a query finds.
async fn bodies(client: &mut TestClient, query: &str) -> Vec<String> {
    let found = call(client, "query", json!({ "query": query, "k": 100 })).await;
    let body = |it: &Value| it["body"].as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(body).collect()
}

async fn count(client: &mut TestClient) -> u64 {
    call(client, "fact_count", json!({})).await.as_u64().unwrap()
}

/// A connection that is bound to a namespace.
async fn bound(host: &TestHost, namespace: &str) -> TestClient {
    host.proven(json!({ "token": TOKEN, "memory_namespace": namespace })).await
}
