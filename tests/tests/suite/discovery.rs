//! What the full build says of itself: golden documents, valid OpenRPC.

use std::fs;

use carport_core::testing::TestHost;
use serde_json::{Value, json};

use crate::golden;

async fn document() -> Value {
    TestHost::start().await.stranger().await.raw("rpc.discover", json!({})).await.unwrap()
}

fn fixture(name: &str) -> Value {
    let path = golden::root().join("tests/fixtures").join(name).join("schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// OpenRPC's meta-schema, with what it refers to.
fn meta_schema() -> jsonschema::Validator {
    let registry = jsonschema::Registry::new()
        .add("https://meta.json-schema.tools/", fixture("json-schema-tools-meta-schema"))
        .and_then(|it| {
            it.add("https://meta.json-schema.tools", fixture("json-schema-tools-meta-schema"))
        })
        .and_then(|it| it.prepare())
        .unwrap();
    // Its own `$schema` is the meta-schema of its tools, which is written in draft 7.
    let mut schema = fixture("openrpc-meta-schema");
    schema.as_object_mut().unwrap().remove("$schema");
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft7)
        .with_registry(&registry)
        .build(&schema)
        .unwrap()
}

#[tokio::test]
async fn the_document_is_the_golden_one() {
    let text = serde_json::to_string_pretty(&document().await).unwrap();
    golden::check("openrpc.json", &format!("{text}\n"));
}

#[tokio::test]
async fn the_plugins_are_the_golden_ones() {
    let list = TestHost::start().await.client().await.raw("capabilities.list", json!({})).await;
    let text = serde_json::to_string_pretty(&list.unwrap()).unwrap();
    golden::check("plugins.json", &format!("{text}\n"));
}

#[tokio::test]
async fn the_document_is_valid_openrpc() {
    let (schema, mut document) = (meta_schema(), document().await);
    let errors: Vec<_> = schema
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    document["methods"][0].as_object_mut().unwrap().remove("params");
    assert!(!schema.is_valid(&document), "the meta-schema is really asked");
}
