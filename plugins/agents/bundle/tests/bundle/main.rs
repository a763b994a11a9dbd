//! Manifests: their bounds, their canonical form, their signatures, what they ask of a build.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod asking;
mod bounds;
mod signing;

use carport_agents_bundle::Document;
use serde_json::{Value, json};

fn document(value: Value) -> Document {
    serde_json::from_value(value).unwrap()
}

/// A manifest of an agent that runs a program.
fn manifest() -> Value {
    json!({
        "agent": { "id": "helper", "name": "Helper", "namespace": "acme" },
        "transport": { "kind": "external_process", "command": "/bin/sh" },
    })
}

/// That manifest with one member, named by a JSON pointer, put in.
fn with(pointer: &str, value: Value) -> Value {
    let mut whole = manifest();
    let (table, member) = pointer.rsplit_once('/').unwrap();
    let mut at = &mut whole;
    for key in table.split('/').skip(1) {
        at = at.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({}));
    }
    at.as_object_mut().unwrap().insert(member.to_owned(), value);
    whole
}
