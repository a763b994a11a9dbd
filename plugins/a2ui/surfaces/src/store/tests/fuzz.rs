//! Envelopes at random, some of them broken, beside a model that says in the plainest way what must hold.

use std::collections::{HashMap, HashSet};

use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use super::{client, with_limits};
use crate::store::Store;

const IDS: [&str; 7] = ["root", "a", "b", "c", "d", "e", "__proto__"];

fn id() -> impl Strategy<Value = String> {
    prop::sample::select(&IDS[..]).prop_map(str::to_owned)
}

fn any_component() -> impl Strategy<Value = Value> {
    let children = prop::collection::vec(id(), 0..4);
    prop_oneof![
        4 => (id(), children).prop_map(|(id, children)| json!({ "id": id, "component": "Column", "children": children })),
        2 => (id(), id()).prop_map(|(id, child)| json!({ "id": id, "component": "Card", "child": child })),
        2 => (id(), id(), id()).prop_map(|(id, a, b)| json!({ "id": id, "component": "Modal", "trigger": a, "content": b })),
        1 => (id(), id()).prop_map(|(id, a)| json!({ "id": id, "component": "Tabs", "tabs": [{ "title": "t", "child": a }] })),
        1 => (id(), id()).prop_map(|(id, a)| json!({ "id": id, "component": "List", "children": { "componentId": a, "path": "/l" } })),
        3 => id().prop_map(|id| json!({ "id": id, "component": "Text", "text": { "path": "/a" } })),
        1 => id().prop_map(|id| json!({ "id": id, "component": "Text", "text": 7 })),
        1 => Just(json!({ "id": "e", "component": "EvilFrame" })),
    ]
}

fn any_envelope() -> impl Strategy<Value = Value> {
    let surface = || prop::sample::select(vec!["s", "t", "prototype"]);
    let value = prop::option::of(crate::samples::any_json());
    let path = prop_oneof![
        prop::collection::vec("[ab]|[0-2]|~0|~|__proto__", 0..3)
            .prop_map(|it| it.iter().map(|it| format!("/{it}")).collect()),
        Just("/".to_owned()),
        Just("a".to_owned()),
    ];
    prop_oneof![
        2 => surface().prop_map(|id| json!({ "createSurface": { "surfaceId": id } })),
        8 => (surface(), prop::collection::vec(any_component(), 1..5)).prop_map(|(id, components)|
            json!({ "version": "v0.9", "updateComponents": { "surfaceId": id, "components": components } })),
        4 => (surface(), path, value).prop_map(|(id, path, value)| {
            let mut body = json!({ "surfaceId": id, "path": path });
            if let Some(value) = value { body["value"] = value; }
            json!({ "updateDataModel": body })
        }),
        1 => surface().prop_map(|id| json!({ "deleteSurface": { "surfaceId": id } })),
    ]
}

/// An envelope with one place changed, or as it was.
fn mutated() -> impl Strategy<Value = Value> {
    let junk = prop::sample::select(vec![
        Value::Null,
        json!(7),
        json!("x"),
        json!([]),
        json!({}),
        json!({ "__proto__": 1 }),
        json!({ "path": "/~" }),
        json!({ "call": "not", "args": { "value": true } }),
        json!("root"),
        json!({ "constructor": [] }),
    ]);
    (any_envelope(), prop::option::weighted(0.3, (0..40_usize, junk))).prop_map(
        |(mut envelope, change)| {
            if let Some((mut at, with)) = change {
                put(&mut envelope, &mut at, &with);
            }
            envelope
        },
    )
}

fn put(value: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *value = with.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Object(members) => members.values_mut().for_each(|it| put(it, at, with)),
        Value::Array(items) => items.iter_mut().for_each(|it| put(it, at, with)),
        _ => {}
    }
}

/// Surfaces as the plainest model has them: components by id, by arrival.
type Model = HashMap<String, Vec<(String, Value)>>;

/// What a component names, by all ways that there are.
fn named(component: &Value) -> Vec<String> {
    let mut ids: Vec<_> =
        ["child", "trigger", "content"].iter().filter_map(|it| component[it].as_str()).collect();
    ids.extend(component["children"].as_array().into_iter().flatten().filter_map(Value::as_str));
    ids.extend(component["children"]["componentId"].as_str());
    ids.extend(
        component["tabs"].as_array().into_iter().flatten().filter_map(|it| it["child"].as_str()),
    );
    ids.into_iter().map(str::to_owned).collect()
}

/// The longest path from `id`, or `None` for a cycle.
fn longest(components: &[(String, Value)], id: &str, above: &mut HashSet<String>) -> Option<usize> {
    let Some((_, component)) = components.iter().find(|it| it.0 == id) else { return Some(0) };
    if !above.insert(id.into()) {
        return None;
    }
    let mut most = 0;
    for child in named(component) {
        most = most.max(longest(components, &child, above)?);
    }
    above.remove(id);
    Some(most + 1)
}

/// Whether the names of members anywhere, or ids, are reserved.
fn is_clean(value: &Value) -> bool {
    let reserved = |name: &str| ["__proto__", "constructor", "prototype"].contains(&name);
    match value {
        Value::Object(members) => {
            members.iter().all(|(name, it)| !reserved(name) && is_clean(it))
                && !["id", "surfaceId"]
                    .iter()
                    .any(|it| members.get(*it).and_then(Value::as_str).is_some_and(reserved))
        }
        Value::Array(items) => items.iter().all(is_clean),
        _ => true,
    }
}

/// Follows an envelope that was accepted, and finds the same.
fn follow(model: &mut Model, envelope: &Value, store: &Store) {
    let (key, body) = envelope.as_object().unwrap().iter().find(|it| it.0 != "version").unwrap();
    let id = body["surfaceId"].as_str().unwrap().to_owned();
    match &**key {
        "createSurface" => assert!(model.insert(id.clone(), Vec::new()).is_none()),
        "deleteSurface" => assert!(model.remove(&id).is_some()),
        "updateComponents" => {
            let components = model.get_mut(&id).unwrap();
            for component in body["components"].as_array().unwrap() {
                let own = component["id"].as_str().unwrap();
                match components.iter_mut().find(|it| it.0 == own) {
                    Some(old) => old.1 = component.clone(),
                    None => components.push((own.into(), component.clone())),
                }
            }
        }
        _ => {}
    }
    let all = store.list(&client());
    assert_eq!(all.len(), model.len());
    for surface in all {
        let components = &model[&surface.id];
        let stored: Vec<_> =
            surface.components.iter().map(|it| (it.id.to_string(), it.value.clone())).collect();
        assert_eq!(&stored, components);
        for (id, component) in components {
            let depth = longest(components, id, &mut HashSet::new()).expect("no cycle is accepted");
            assert!(depth <= 4, "{depth}");
            assert!(is_clean(component));
        }
        assert!(is_clean(surface.model.root()));
        assert_eq!(surface.model.bytes(), surface.model.root().to_string().len());
    }
}

/// Sends so many envelopes to stores that are each new for forty.
fn run(envelopes: u32) {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: envelopes / 40,
        failure_persistence: None,
        ..Default::default()
    });
    let many = prop::collection::vec(mutated(), 40);
    let outcome = runner.run(&many, |envelopes| {
        let mut store = with_limits(|it| it.max_depth = 4);
        let mut model = Model::new();
        for envelope in envelopes {
            let before = store.written();
            match store.send(&client(), envelope.clone()) {
                Ok(outcome) => follow(&mut model, &outcome.envelope, &store),
                Err(_) => prop_assert_eq!(store.written(), before),
            }
        }
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn nothing_broken_is_accepted_and_nothing_refused_changes_anything() {
    run(4000);
}

#[test]
#[ignore = "a million envelopes take minutes"]
fn a_million_envelopes() {
    run(1_000_000);
}
