//! The official cases, and the official schema beside ours on examples that were changed at random.

use std::{fs, path::PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    BASIC, Message, Schemas,
    documents::{Documents, ENVELOPES, compile},
    tests::SCHEMAS,
};

fn data(folder: &str) -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../data").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    let json = files.into_iter().filter(|it| it.extension().is_some_and(|it| it == "json"));
    let read = |path: PathBuf| {
        let value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        (path.display().to_string(), value)
    };
    json.map(read).collect()
}

/// Whether an envelope is valid, as the store decides it.
fn is_valid(schemas: &Schemas, envelope: &Value) -> bool {
    let catalog = schemas.catalog(BASIC).unwrap();
    let Some(members) = envelope.as_object() else { return false };
    let Some(message) = members.keys().find_map(|key| Message::of_key(key)) else { return false };
    let component = |it: &Value| {
        let known = it["component"].as_str().and_then(|name| catalog.component(name));
        known.is_some_and(|known| known.check(it).is_empty())
    };
    let components = envelope["updateComponents"]["components"].as_array();
    catalog.check_message(message, envelope).is_empty()
        && components.into_iter().flatten().all(component)
}

#[test]
fn every_official_case_is_decided_right() {
    let schemas = &*SCHEMAS;
    let mut decided = 0;
    for (file, suite) in data("cases") {
        for case in suite["tests"].as_array().unwrap() {
            let valid = match suite["schema"].as_str() {
                Some("client_to_server.json") => schemas.client_message(&case["data"]).is_empty(),
                _ => is_valid(schemas, &case["data"]),
            };
            assert_eq!(json!(valid), case["valid"], "{file}: {}", case["description"]);
            decided += 1;
        }
    }
    assert_eq!(decided, 76);
    let lines = include_str!("../../data/cases/contact_form_example.jsonl").lines();
    for line in lines.filter(|line| !line.is_empty()) {
        assert!(is_valid(schemas, &serde_json::from_str(line).unwrap()), "{line}");
    }
}

/// Every message of the examples and the cases.
fn messages() -> Vec<Value> {
    let examples = data("examples").into_iter().map(|it| it.1["messages"].clone());
    let cases = data("cases").into_iter().map(|it| it.1["tests"].clone());
    let cases =
        cases.map(|it| it.as_array().unwrap().iter().map(|it| it["data"].clone()).collect());
    let all = examples.chain(cases).flat_map(|it| match it {
        Value::Array(messages) => messages,
        _ => unreachable!("lists"),
    });
    let small = |it: &Value| it.to_string().len() < 3000;
    all.filter(|it| it.get("action").is_none() && it.get("error").is_none()).filter(small).collect()
}

/// Changes the value at the `at`-th place of a tree, counted from the root.
fn change(value: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *value = with.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Object(members) => {
            if *at < members.len() && with.is_null() {
                let key = members.keys().nth(*at).cloned().unwrap_or_default();
                members.remove(&key);
                *at = usize::MAX;
            }
            for member in members.values_mut() {
                change(member, at, with);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| change(item, at, with)),
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let words = ["", "a", "h1", "Text", "Row", "v0.9", "required", "boolean", "#00BFFF", "root"];
    let call = json!({ "call": "required", "args": { "value": { "path": "/a" } }, "returnType": "boolean" });
    let null = json!({ "call": "length", "args": { "value": null, "min": 1 } });
    let wrong =
        json!({ "call": "formatString", "args": { "value": call }, "returnType": "string" });
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..40_i64).prop_map(Value::from),
        prop::sample::select(words.to_vec()).prop_map(Value::from),
        prop::sample::select(vec![
            call,
            null,
            wrong,
            json!({ "path": "/a" }),
            json!([]),
            json!(["a", "b"]),
            json!({}),
            json!({ "componentId": "a", "path": "/l" }),
            json!({ "event": { "name": "n" } })
        ]),
    ]
}

fn agrees(cases: u32) {
    let documents = Documents::read().unwrap();
    let set = documents.unchanged(BASIC);
    let official = compile(&set.registry().unwrap(), ENVELOPES).unwrap();
    let schemas = &*SCHEMAS;
    let messages = messages();
    let changes = prop::collection::vec((0..300_usize, any_value()), 0..3);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..Default::default()
    });
    let chosen = (0..messages.len(), changes);
    let agree = |(chosen, changes): (usize, Vec<(usize, Value)>)| {
        let mut message = messages[chosen].clone();
        for (mut at, with) in changes {
            change(&mut message, &mut at, &with);
        }
        prop_assert_eq!(official.is_valid(&message), is_valid(schemas, &message), "{}", message);
        Ok(())
    };
    runner.run(&chosen, agree).unwrap();
}

#[test]
fn ours_and_the_official_schema_agree() {
    agrees(300);
}

#[test]
#[ignore = "longer: a hundred thousand changed messages"]
fn ours_and_the_official_schema_agree_on_many() {
    agrees(100_000);
}
