//! The A2UI plugin on real frames.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod acting;
mod advising;
mod drawing;
mod foreign;
mod ingesting;
mod listening;
mod mending;
mod remembering;

use carport_a2ui as _;
use carport_core::testing::{TestClient, TestHost};
use serde_json::{Value, json};

const EXTENDED: &str = "urn:carport:a2ui:catalog:extended:1";

/// Calls a method and expects it to work.
async fn call(client: &mut TestClient, method: &str, params: Value) -> Value {
    let reply = client.raw(method, params.clone()).await;
    reply.unwrap_or_else(|error| panic!("{method} {params}: {error} {:?}", error.data))
}

/// Calls a method and expects this code; the error's data.
async fn refused(client: &mut TestClient, method: &str, params: Value, code: i32) -> Value {
    let error = client.raw(method, params.clone()).await.expect_err(&params.to_string());
    assert_eq!(error.code, code, "{method} {params}: {error}");
    error.data.unwrap_or_default()
}

async fn create(client: &mut TestClient, id: &str) -> Value {
    call(client, "a2ui.apply", json!({ "createSurface": { "surfaceId": id } })).await
}

fn components(id: &str, components: Value) -> Value {
    let mut envelope = json!({ "version": "v0.9", "updateComponents": { "surfaceId": id } });
    envelope["updateComponents"]["components"] = components;
    envelope
}

fn text(id: &str) -> Value {
    json!({ "id": id, "component": "Text", "text": "t" })
}

/// Awaits the next `a2ui.event`.
async fn event(client: &mut TestClient) -> Value {
    client.notification("a2ui.event").await
}

/// Whether an `a2ui.event` has come that nobody awaited.
async fn has_event(client: &mut TestClient) -> bool {
    client.has_heard(|frame| frame["method"] == "a2ui.event").await
}

async fn host() -> TestHost {
    TestHost::start().await
}
