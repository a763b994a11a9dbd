//! Nobody makes a surface or the store larger, deeper or slower than the limits say.

use carport_a2ui_api::Owner;
use serde_json::{Value, json};

use super::{
    rules::{reason, refused},
    *,
};
use crate::Reason;

#[test]
fn no_surface_draws_more_than_the_limit() {
    let twice = |at: usize| column(&format!("n{at}"), &[&*format!("n{}", at + 1); 2]);
    let mut first = store();
    create(&mut first, "s");
    let many: Vec<_> = (0..50).map(twice).collect();
    let fault = refused(&mut first, &client(), components("s", json!(many)));
    assert!(matches!(fault, Fault::Limit { key: "maxDrawnComponents", limit: 10_000, .. }));
    let told = fault.to_string();
    assert!(told.contains("the limit is 10000") && told.ends_with("by templates"), "{told}");
    // Child by child, the last of them first: what is below is drawn with each.
    let mut first = with_limits(|it| it.max_drawn_components = 100);
    create(&mut first, "s");
    for at in (1..6).rev() {
        send(&mut first, components("s", json!([twice(at)])));
    }
    let fault = refused(&mut first, &client(), components("s", json!([twice(0)])));
    assert_eq!(fault, Fault::Limit { key: "maxDrawnComponents", limit: 100, got: 127 });
    // What has not arrived counts, and so does what nothing leads to.
    let wide = column("w", &["missing"; 36]);
    send(&mut first, components("s", json!([wide])));
    let fault = refused(&mut first, &client(), components("s", json!([text("one")])));
    assert_eq!(fault, Fault::Limit { key: "maxDrawnComponents", limit: 100, got: 101 });
    send(&mut first, components("s", json!([column("w", &["missing"; 35]), text("one")])));
}

#[test]
fn very_many_components_are_refused_before_any_is_looked_at() {
    let mut store = store();
    create(&mut store, "s");
    let fault = refused(&mut store, &client(), components("s", json!(vec![1; 400_000])));
    assert_eq!(fault, Fault::Limit { key: "maxComponents", limit: 2000, got: 400_000 });
    let fault = refused(&mut store, &client(), components("s", json!(vec![text(""); 2001])));
    assert_eq!(fault, Fault::Limit { key: "maxComponents", limit: 2000, got: 2001 });
    let bad = json!(vec![json!({ "id": "e", "component": "EvilFrame" }); 2000]);
    match refused(&mut store, &client(), components("s", bad)) {
        Fault::Invalid(it) => assert_eq!(it.violations.len(), 32),
        other => panic!("{other:?}"),
    }
    let long = json!([{ "id": "r", "component": "Row", "children": vec![7; 10_001] }]);
    let fault = refused(&mut store, &client(), components("s", long));
    assert_eq!(fault, Fault::Limit { key: "maxListItems", limit: 10_000, got: 10_001 });
}

#[test]
fn what_is_wrong_is_looked_for_as_long_as_others_can_wait() {
    let mut store = store();
    create(&mut store, "s");
    let all = |leaf: Value, wide: usize| json!({ "call": "and", "args": { "values": vec![leaf; wide] }, "returnType": "boolean" });
    let checked = |id: &str, leaf: Value, wide: usize| {
        let condition = all(all(all(leaf, wide), wide), wide);
        let checks = json!([{ "condition": condition, "message": "m" }]);
        json!({ "id": id, "component": "CheckBox", "label": "l", "value": true, "checks": checks })
    };
    let told = |store: &mut Store, list: Vec<Value>| match refused(
        store,
        &client(),
        components("s", list.into()),
    ) {
        Fault::Invalid(it) => (it.field, it.violations),
        other => panic!("{other:?}"),
    };
    let (field, all_told) = told(&mut store, vec![checked("a", json!(7), 2)]);
    assert!(field.starts_with("updateComponents.components[0].checks[0].condition"), "{field}");
    assert_eq!(all_told.len(), 8);
    let (field, one) = told(&mut store, vec![checked("a", json!(7), 16)]);
    assert_eq!((&*field, one.len()), ("updateComponents.components[0]", 1));
    // All of an envelope is one effort.
    let long = |at: usize| {
        let options = vec![json!({ "label": "l", "value": "v" }); 150];
        json!({ "id": format!("c{at}"), "component": "ChoicePicker", "options": options, "value": 7 })
    };
    let (_, found) = told(&mut store, (0..30).map(long).collect());
    let exact = found.iter().filter(|it| it.path.ends_with("/value")).count();
    assert_eq!((found.len(), exact), (30, 4));
    // What is right is taken at any size.
    send(&mut store, components("s", json!([checked("a", json!(true), 16)])));
}

#[test]
fn an_id_that_may_be_nobodys_is_named_by_nobody() {
    let mut store = store();
    create(&mut store, "s");
    let long = "x".repeat(257);
    for envelope in [
        components("s", json!([column("c", &[&long])])),
        components(
            "s",
            json!([{ "id": "c", "component": "List", "children": { "componentId": long, "path": "/l" } }]),
        ),
        components(
            "s",
            json!([{ "id": "c", "component": "Tabs", "tabs": [{ "title": "t", "child": long }] }]),
        ),
        components("s", json!([{ "id": long, "component": "EvilFrame" }])),
        json!({ "deleteSurface": { "surfaceId": long, "more": 1 } }),
    ] {
        let fault = refused(&mut store, &client(), envelope);
        assert_eq!(fault, Fault::Limit { key: "maxIdBytes", limit: 256, got: 257 });
    }
}

#[test]
fn whatever_a_surface_keeps_can_be_read_by_everybody() {
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let mut store = store();
    create(&mut store, "s");
    let label = |levels: usize| {
        let accessibility = json!({ "label": "l", "more": nested(levels) });
        json!({ "id": "a", "component": "Text", "text": "t", "accessibility": accessibility })
    };
    let themed = |id: &str, levels: usize| json!({ "createSurface": { "surfaceId": id, "theme": { "more": nested(levels) } } });
    send(&mut store, components("s", json!([label(62)])));
    send(&mut store, themed("t", 61));
    assert_eq!(reason(&mut store, components("s", json!([label(63)]))).0, Reason::Depth);
    assert_eq!(reason(&mut store, themed("u", 62)).0, Reason::Depth);
    let data = |path: String, value: Value| json!({ "updateDataModel": { "surfaceId": "s", "path": path, "value": value } });
    send(&mut store, data("/a".repeat(50), json!(1)));
    assert_eq!(
        reason(&mut store, data("/a".repeat(51), json!(1))),
        (Reason::Depth, "updateDataModel.path".into())
    );
    let all: Vec<_> = store.list(&client()).into_iter().map(Surface::snapshot).collect();
    let frame = json!({ "result": all }).to_string();
    assert!(serde_json::from_str::<Value>(&frame).is_ok());
}

#[test]
fn nobody_fills_the_store_alone() {
    let mut store = with_limits(|it| {
        it.max_creator_bytes = 6000;
        it.max_store_bytes = 20_000;
    });
    let data = |id: &str, size: usize| json!({ "updateDataModel": { "surfaceId": id, "value": "x".repeat(size) } });
    let (a, b) = (agent("a"), agent("b"));
    for (who, id) in [(&a, "a1"), (&a, "a2"), (&b, "b1")] {
        store.send(who, json!({ "createSurface": { "surfaceId": id } })).unwrap();
    }
    store.send(&a, data("a1", 2000)).unwrap();
    let fault = refused(&mut store, &a, data("a2", 2500));
    assert!(matches!(fault, Fault::Limit { key: "maxCreatorBytes", limit: 6000, .. }), "{fault}");
    store.send(&b, data("b1", 2500)).unwrap();
    // It is the creator's share, whoever writes.
    let fault = refused(&mut store, &client(), data("a2", 2500));
    assert!(matches!(fault, Fault::Limit { key: "maxCreatorBytes", .. }), "{fault}");
    store.send(&a, data("a1", 10)).unwrap();
    store.send(&a, data("a2", 2500)).unwrap();
}

#[test]
fn limits_are_held_and_shrinking_is_always_possible() {
    let mut store = with_limits(|it| {
        it.max_surfaces = 3;
        it.max_surfaces_per_creator = 2;
        it.max_surface_bytes = 3000;
        it.max_store_bytes = 5000;
        it.max_id_bytes = 5;
        it.max_envelope_bytes = 4000;
    });
    let limit = |fault: Fault| match fault {
        Fault::Limit { key, .. } => key,
        other => panic!("{other:?}"),
    };
    create(&mut store, "s");
    create(&mut store, "t");
    let new = |id: &str| json!({ "createSurface": { "surfaceId": id } });
    assert_eq!(limit(refused(&mut store, &client(), new("u"))), "maxSurfacesPerCreator");
    assert_eq!(limit(refused(&mut store, &agent("a"), new("sixsix"))), "maxIdBytes");
    store.send(&agent("a"), new("u")).unwrap();
    assert_eq!(limit(refused(&mut store, &agent("a"), new("v"))), "maxSurfaces");
    let data = |id: &str, size: usize| json!({ "updateDataModel": { "surfaceId": id, "value": "x".repeat(size) } });
    assert_eq!(limit(refused(&mut store, &client(), data("s", 2500))), "maxSurfaceBytes");
    assert_eq!(limit(refused(&mut store, &client(), data("s", 4000))), "maxEnvelopeBytes");
    send(&mut store, data("s", 1500));
    assert_eq!(limit(refused(&mut store, &client(), data("t", 1500))), "maxStoreBytes");
    send(&mut store, data("s", 10));
    send(&mut store, data("t", 1500));
    send(&mut store, json!({ "deleteSurface": { "surfaceId": "t" } }));
    send(&mut store, json!({ "deleteSurface": { "surfaceId": "s" } }));
    store.send(&agent("a"), json!({ "deleteSurface": { "surfaceId": "u" } })).unwrap();
    assert_eq!(store.bytes(), 0);
}

#[test]
fn peers_count_by_origin_or_name_and_strangers_as_one() {
    let mut store = with_limits(|it| it.max_surfaces_per_creator = 1);
    let (one, two) = (store.stranger(), store.stranger());
    for (at, (name, room)) in [
        ("https://a.com/rpc?k=1", true),
        ("https://a.com/other?k=2", false),
        ("https://b.com/rpc", true),
        ("caller ann", true),
        ("caller ann", false),
        ("caller bob", true),
        (one.as_str(), true),
        (two.as_str(), false),
    ]
    .into_iter()
    .enumerate()
    {
        let who = Actor::Peer { endpoint: Some(name.into()), context_id: Some("1".into()) };
        let done = store.send(&who, json!({ "createSurface": { "surfaceId": format!("s{at}") } }));
        assert_eq!(done.is_ok(), room, "{name}");
    }
}

#[test]
fn an_owner_is_told_in_ids() {
    let mut store = store();
    let long = Some("x".repeat(257));
    for owner in [
        Owner::A2a { task_id: long.clone(), context_id: None, endpoint: None },
        Owner::A2a { task_id: None, context_id: long, endpoint: None },
        Owner::Agent { agent_id: "x".repeat(257) },
    ] {
        let envelope = json!({ "createSurface": { "surfaceId": "s" } });
        let change = Change { envelope, who: &client(), owner: Some(&owner), now: Time::default() };
        let fault = store.apply(change).unwrap_err();
        assert_eq!(fault, Fault::Limit { key: "maxIdBytes", limit: 256, got: 257 });
    }
}

#[test]
fn orphans_make_room_the_oldest_first() {
    let mut store = with_limits(|it| it.max_components = 4);
    create(&mut store, "s");
    send(
        &mut store,
        components("s", json!([text("o1"), text("o2"), column("root", &["a"]), text("a")])),
    );
    let outcome = send(&mut store, components("s", json!([text("n")])));
    assert_eq!((outcome.dropped, outcome.structural), (vec!["o1".to_owned()], true));
    let fault = refused(
        &mut store,
        &client(),
        components("s", json!([column("root", &["a", "n", "o2"]), text("m")])),
    );
    assert_eq!(fault, Fault::Limit { key: "maxComponents", limit: 4, got: 5 });
    let surface = store.get(&client(), "s").unwrap();
    assert_eq!(surface.components.get("n").unwrap().id, "n".into());
    assert_eq!(surface.bytes() - surface.head_bytes, surface.components.bytes() + 2);
}
