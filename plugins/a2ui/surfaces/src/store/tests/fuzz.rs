//! Envelopes of several senders at random, some of them broken, under limits at random, beside a model that says
//! in the plainest way what must hold.

use std::collections::{HashMap, HashSet};

use carport_a2ui_api::{Actor, Owner};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::{Value, json};

use super::{SCHEMAS, agent, client};
use crate::{
    Limits, Pointer, Surface,
    store::{Change, Outcome, Store},
};

const IDS: [&str; 8] = ["root", "a", "b", "c", "d", "e", "__proto__", "a-long-name"];

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
        1 => (id(), 1..80_usize).prop_map(|(id, levels)| {
            let more = (0..levels).fold(json!(1), |inner, _| json!([inner]));
            json!({ "id": id, "component": "Text", "text": "t", "accessibility": { "more": more } })
        }),
        1 => Just(json!({ "id": "e", "component": "EvilFrame" })),
    ]
}

fn any_envelope() -> impl Strategy<Value = Value> {
    let surface = || prop::sample::select(vec!["s", "t", "u", "prototype"]);
    let value = prop::option::weighted(0.8, crate::samples::any_json());
    let segments = |most: usize| {
        let each = prop::collection::vec("[ab]|[ab]|[0-2]||~0|~1a|~|__proto__|a{20}", 0..most);
        each.prop_map(|it| it.iter().map(|it| format!("/{it}")).collect::<String>())
    };
    let path = prop_oneof![4 => segments(3), 2 => segments(9), 1 => Just("/".to_owned()), 1 => Just("a".to_owned())];
    prop_oneof![
        3 => (surface(), any::<bool>()).prop_map(|(id, data)| json!({ "createSurface": { "surfaceId": id, "sendDataModel": data } })),
        8 => (surface(), prop::collection::vec(any_component(), 1..5)).prop_map(|(id, components)|
            json!({ "version": "v0.9", "updateComponents": { "surfaceId": id, "components": components } })),
        8 => (surface(), path, value).prop_map(|(id, path, value)| {
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
    (any_envelope(), prop::option::weighted(0.2, (0..40_usize, junk))).prop_map(
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

/// Limits that random envelopes pass, each of them now and then.
fn any_limits() -> impl Strategy<Value = Limits> {
    let counts = (2..7_usize, 2..9_usize, 3..30_usize, 2..6_usize, 4..12_usize, 1..4_usize);
    let bytes = (8..60_usize, 150..700_usize, 30..500_usize, 1100..3000_usize, 1500..5000_usize);
    let small = (counts, bytes).prop_map(|(counts, bytes)| Limits {
        max_depth: counts.0,
        max_components: counts.1,
        max_drawn_components: counts.2,
        max_list_items: counts.3,
        max_id_bytes: counts.4,
        max_surfaces: counts.5 + 1,
        max_surfaces_per_creator: counts.5,
        max_path_bytes: bytes.0,
        max_envelope_bytes: bytes.1,
        max_data_model_bytes: bytes.2,
        max_surface_bytes: bytes.3,
        max_creator_bytes: bytes.4,
        max_store_bytes: bytes.4 + bytes.2,
        ..Limits::default()
    });
    prop_oneof![
        3 => small,
        1 => Just(Limits { max_depth: 4, ..Limits::default() }),
    ]
}

/// Who sends, by number.
fn sender(number: usize) -> Actor {
    let peer = |query: &str| Actor::Peer {
        endpoint: Some(format!("https://peer.example/?{query}")),
        context_id: Some("c".into()),
    };
    match number {
        0 => client(),
        1 => agent("a"),
        2 => agent("b"),
        3 => peer("k=1"),
        _ => peer("k=2"),
    }
}

/// A surface as the plainest model has it: who created it, and components by id, by arrival.
struct Sheet {
    by: usize,
    components: Vec<(String, Value)>,
}

type Model = HashMap<String, Sheet>;

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

/// How many are drawn from `id` on, or how many of them until there are more than `most`.
fn drawn(components: &[(String, Value)], id: &str, most: usize) -> usize {
    let Some((_, component)) = components.iter().find(|it| it.0 == id) else { return 1 };
    named(component).iter().fold(1, |sum, child| match sum > most {
        true => sum,
        false => sum + drawn(components, child, most),
    })
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

/// How deep containers are, and how long the longest list is.
fn extent(value: &Value) -> (usize, usize) {
    let most = |each: &mut dyn Iterator<Item = &Value>, own: usize| {
        each.map(extent).fold((1, own), |(deep, long), it| (deep.max(it.0 + 1), long.max(it.1)))
    };
    match value {
        Value::Object(members) => most(&mut members.values(), 0),
        Value::Array(items) => most(&mut items.iter(), items.len()),
        _ => (0, 0),
    }
}

/// Follows an envelope that was accepted.
fn follow(model: &mut Model, by: usize, outcome: &Outcome) {
    let wire = outcome.envelope.as_object().unwrap();
    let (key, body) = wire.iter().find(|it| it.0 != "version").unwrap();
    let id = body["surfaceId"].as_str().unwrap().to_owned();
    if let Some(sheet) = model.get(&id) {
        assert!(by == 0 || by == sheet.by, "another's surface");
    }
    match &**key {
        "createSurface" => {
            assert!(model.insert(id, Sheet { by, components: Vec::new() }).is_none());
        }
        "deleteSurface" => assert!(model.remove(&id).is_some()),
        "updateComponents" => {
            let components = &mut model.get_mut(&id).unwrap().components;
            for component in body["components"].as_array().unwrap() {
                let own = component["id"].as_str().unwrap();
                match components.iter_mut().find(|it| it.0 == own) {
                    Some(old) => old.1 = component.clone(),
                    None => components.push((own.into(), component.clone())),
                }
            }
            components.retain(|(id, _)| !outcome.dropped.contains(id));
            let lost = |it: &String| outcome.dropped.contains(it);
            let root = components.iter().find(|it| it.0 == "root");
            assert!(!root.is_some_and(|it| named(&it.1).iter().any(lost)), "what is drawn stays");
        }
        _ => {}
    }
}

/// What must hold of every surface, and of all.
fn hold(model: &Model, store: &Store) {
    let (all, limits) = (store.list(&client()), store.limits());
    assert_eq!(all.len(), model.len());
    assert!(all.len() <= limits.max_surfaces);
    assert_eq!(store.bytes(), all.iter().map(|it| it.bytes()).sum::<usize>());
    assert!(store.bytes() <= limits.max_store_bytes);
    for by in 0..5 {
        let own: Vec<_> = all.iter().filter(|it| model[&it.id].by == by).collect();
        assert!(own.len() <= limits.max_surfaces_per_creator);
        assert!(own.iter().map(|it| it.bytes()).sum::<usize>() <= limits.max_creator_bytes);
        let seen = store.list(&sender(by)).len();
        assert_eq!(seen, if by == 0 { all.len() } else { own.len() });
    }
    for surface in all {
        let components = &model[&surface.id].components;
        let stored: Vec<_> =
            surface.components.iter().map(|it| (it.id.to_string(), it.value.clone())).collect();
        assert_eq!(&stored, components);
        assert!(components.len() <= limits.max_components);
        let inner: HashSet<_> = components.iter().flat_map(|it| named(&it.1)).collect();
        let mut total = 0;
        for (id, component) in components {
            let depth = longest(components, id, &mut HashSet::new()).expect("no cycle is accepted");
            assert!(depth <= limits.max_depth, "{depth}");
            assert!(is_clean(component) && extent(component).0 <= 64);
            assert!(named(component).iter().chain([id]).all(|it| it.len() <= limits.max_id_bytes));
            let own = drawn(components, id, limits.max_drawn_components);
            total += if inner.contains(id) { 0 } else { own };
        }
        assert!(total <= limits.max_drawn_components, "{total} are drawn");
        let (data, written) = (surface.model.root(), surface.model.root().to_string().len());
        let (deep, long) = extent(data);
        assert!(is_clean(data) && deep <= limits.max_depth, "{data}");
        assert!(long <= limits.max_list_items && written <= limits.max_data_model_bytes);
        assert_eq!(surface.model.bytes(), written);
        let shown = surface.snapshot().0.get().len();
        assert!(shown <= surface.bytes() && surface.bytes() <= limits.max_surface_bytes);
    }
}

/// What makes a surface anew is taken by a store of the same limits, and makes the same.
fn replayed(surface: &Surface, limits: &Limits) {
    let mut store = Store::new(SCHEMAS.clone(), limits.clone(), Vec::new());
    for envelope in surface.envelopes(limits) {
        let sent = store.send(&client(), envelope.clone());
        sent.unwrap_or_else(|fault| panic!("{envelope}: {fault}: {}", surface.model.root()));
    }
    let again = store.get(&client(), &surface.id).unwrap();
    assert!(again.components.iter().eq(surface.components.iter()));
    assert_eq!(again.model, surface.model);
    assert_eq!(
        again.model.get(&Pointer::read("", "", limits).unwrap()),
        Some(surface.model.root())
    );
    assert_eq!(again.send_data_model, surface.send_data_model);
}

/// Sends so many envelopes to stores that are each new for forty.
fn run(envelopes: u32) {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: envelopes / 40,
        failure_persistence: None,
        ..Default::default()
    });
    let many = prop::collection::vec((0..5_usize, mutated()), 40);
    let outcome = runner.run(&(any_limits(), many), |(limits, envelopes)| {
        let mut store = Store::new(SCHEMAS.clone(), limits.clone(), Vec::new());
        let mut model = Model::new();
        for (by, envelope) in envelopes {
            let (before, seq) = (store.written(), store.seq());
            let who = sender(by);
            let owner = match &who {
                Actor::Peer { endpoint, context_id } => Some(Owner::A2a {
                    task_id: None,
                    context_id: context_id.clone(),
                    endpoint: endpoint.clone(),
                }),
                _ => None,
            };
            let now = Default::default();
            match store.apply(Change { envelope, who: &who, owner: owner.as_ref(), now }) {
                Ok(outcome) => {
                    follow(&mut model, by, &outcome);
                    hold(&model, &store);
                    prop_assert_eq!((outcome.revision, store.seq()), (seq + 1, seq + 1));
                    if let Some(surface) = store.get(&client(), &outcome.surface_id) {
                        replayed(surface, &limits);
                    }
                }
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
