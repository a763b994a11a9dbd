//! Each rule of the store, and that a refusal changes nothing.

use carport_a2ui_api::{CreatorKind, Owner};
use carport_core::RpcError;
use serde_json::{Value, json};
use times::secs;

use super::*;
use crate::Reason;

mod times {
    //! Times without a clock.
    use carport_core::Time;

    pub(super) fn secs(secs: i64) -> Time {
        serde_json::from_value(serde_json::json!(format!(
            "2026-01-{:02}T{:02}:{:02}:{:02}Z",
            1 + secs / 86_400,
            secs / 3600 % 24,
            secs / 60 % 60,
            secs % 60
        )))
        .unwrap()
    }
}

/// Sends and expects a refusal that changes nothing.
pub(super) fn refused(store: &mut Store, who: &Actor, envelope: Value) -> Fault {
    let before = store.written();
    let fault = store.send(who, envelope.clone()).expect_err(&envelope.to_string());
    assert_eq!(store.written(), before, "{envelope}");
    fault
}

pub(super) fn reason(store: &mut Store, envelope: Value) -> (Reason, String) {
    match refused(store, &client(), envelope.clone()) {
        Fault::Invalid(it) => (it.reason, it.field),
        other => panic!("{envelope}: {other:?}"),
    }
}

#[test]
fn an_envelope_is_completed_before_it_is_checked() {
    let mut store = store();
    let outcome = send(&mut store, json!({ "createSurface": { "surfaceId": "s" } }));
    assert_eq!(outcome.envelope["version"], "v0.9");
    assert_eq!(
        outcome.envelope["createSurface"]["catalogId"],
        "urn:carport:a2ui:catalog:extended:1"
    );
    let alias = "https://a2ui.org/specification/v0_9/basic_catalog.json";
    for (id, alias) in [("b", alias), ("c", "urn:other:name")] {
        let body = json!({ "surfaceId": id, "catalogId": alias });
        let outcome = send(&mut store, json!({ "version": "v0.9.1", "createSurface": body }));
        assert_eq!(outcome.envelope["version"], "v0.9");
        assert_eq!(store.get(&client(), id).unwrap().catalog_id, carport_a2ui_validate::BASIC);
    }
}

#[test]
fn every_fault_has_its_reason_and_place() {
    let mut store = store();
    create(&mut store, "s");
    send(&mut store, components("s", json!([column("root", &["a"]), column("a", &[])])));
    for (envelope, expected, field) in [
        (json!(7), Reason::InvalidEnvelope, "envelope"),
        (json!({}), Reason::InvalidEnvelope, "envelope"),
        (
            json!({ "version": 9, "deleteSurface": { "surfaceId": "s" } }),
            Reason::InvalidEnvelope,
            "version",
        ),
        (
            json!({ "version": "v1.0", "deleteSurface": { "surfaceId": "s" } }),
            Reason::UnsupportedVersion,
            "version",
        ),
        (json!({ "surfaceUpdate": {} }), Reason::UnsupportedVersion, "surfaceUpdate"),
        (
            json!({ "deleteSurface": { "surfaceId": "s" }, "createSurface": {} }),
            Reason::InvalidEnvelope,
            "deleteSurface",
        ),
        (
            json!({ "deleteSurface": { "surfaceId": "s" }, "more": 1 }),
            Reason::InvalidEnvelope,
            "more",
        ),
        (
            json!({ "deleteSurface": { "surfaceId": "s", "more": 1 } }),
            Reason::InvalidEnvelope,
            "deleteSurface.more",
        ),
        (json!({ "deleteSurface": {} }), Reason::InvalidEnvelope, "deleteSurface.surfaceId"),
        (
            json!({ "createSurface": { "surfaceId": "x", "catalogId": "urn:no" } }),
            Reason::UnsupportedCatalog,
            "createSurface.catalogId",
        ),
        (
            json!({ "createSurface": { "surfaceId": "x", "theme": { "primaryColor": "red" } } }),
            Reason::InvalidProperty,
            "createSurface.theme.primaryColor",
        ),
        (
            json!({ "createSurface": { "surfaceId": "__proto__" } }),
            Reason::ReservedSegment,
            "createSurface.surfaceId",
        ),
        (
            json!({ "createSurface": { "surfaceId": "x", "theme": { "a": { "prototype": 1 } } } }),
            Reason::ReservedSegment,
            "createSurface.theme.a.prototype",
        ),
        (components("s", json!([])), Reason::InvalidEnvelope, "updateComponents.components"),
        (
            components("s", json!([text("t"), 7])),
            Reason::InvalidEnvelope,
            "updateComponents.components[1]",
        ),
        (
            components("s", json!([{ "id": "e", "component": "EvilFrame" }])),
            Reason::UnsupportedComponent,
            "updateComponents.components[0].component",
        ),
        (
            components("s", json!([text("t"), { "id": "e", "component": "Text" }])),
            Reason::InvalidProperty,
            "updateComponents.components[1].text",
        ),
        (
            components("s", json!([text("t"), text("t")])),
            Reason::DuplicateId,
            "updateComponents.components[1]",
        ),
        (
            components("s", json!([column("t", &["t"])])),
            Reason::SelfReference,
            "updateComponents.components[0]",
        ),
        (
            components("s", json!([text("t"), column("a", &["root"])])),
            Reason::Cycle,
            "updateComponents.components[1]",
        ),
        (
            components("s", json!([text("t"), column("u", &["a", "__proto__"])])),
            Reason::ReservedSegment,
            "updateComponents.components[1].children",
        ),
        (
            components("s", json!([text("constructor")])),
            Reason::ReservedSegment,
            "updateComponents.components[0].id",
        ),
        (
            components(
                "s",
                json!([{ "id": "t", "component": "Text", "text": { "path": "/a/~9" } }]),
            ),
            Reason::InvalidPath,
            "updateComponents.components[0].text.path",
        ),
        (
            json!({ "updateDataModel": { "surfaceId": "s", "path": "a" } }),
            Reason::InvalidPath,
            "updateDataModel.path",
        ),
        (
            json!({ "updateDataModel": { "surfaceId": "s", "path": "/__proto__/a", "value": 1 } }),
            Reason::ReservedSegment,
            "updateDataModel.path",
        ),
        (
            json!({ "updateDataModel": { "surfaceId": "s", "value": { "a": { "constructor": 1 } } } }),
            Reason::ReservedSegment,
            "updateDataModel.value.a.constructor",
        ),
    ] {
        assert_eq!(reason(&mut store, envelope.clone()), (expected, field.into()), "{envelope}");
    }
    let who = client();
    assert_eq!(
        refused(&mut store, &who, json!({ "createSurface": { "surfaceId": "s" } })),
        Fault::Exists("s".into())
    );
    assert_eq!(
        refused(&mut store, &who, components("x", json!([text("t")]))),
        Fault::Unknown("x".into())
    );
}

#[test]
fn all_faults_of_components_are_told_at_once() {
    let mut store = store();
    create(&mut store, "s");
    let bad = json!([{ "id": "a", "component": "Text", "text": 1, "variant": "x" }, { "id": "b", "component": "Nope" }]);
    let error = RpcError::from(refused(&mut store, &client(), components("s", bad)));
    let data = error.data.unwrap();
    assert_eq!(data["componentId"], "a");
    assert_eq!(data["surfaceId"], "s");
    let paths: Vec<_> = data["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "/updateComponents/components/0/text",
            "/updateComponents/components/0/variant",
            "/updateComponents/components/1/component"
        ]
    );
}

#[test]
fn a_component_is_replaced_whole_and_keeps_its_place() {
    let mut store = store();
    create(&mut store, "s");
    let first = json!({ "id": "a", "component": "Text", "text": "x", "variant": "h1" });
    send(&mut store, components("s", json!([first, text("b")])));
    let outcome = send(&mut store, components("s", json!([text("a")])));
    assert!(!outcome.structural);
    let surface = store.get(&client(), "s").unwrap();
    let all: Vec<_> = surface.components.iter().map(|it| it.value.clone()).collect();
    assert_eq!(all, [text("a"), text("b")]);
    assert!(send(&mut store, components("s", json!([column("a", &[])]))).structural);
}

#[test]
fn a_path_may_be_as_long_as_the_limit() {
    let chain = |length: usize| -> Vec<Value> {
        let name = |at: usize| if at == 0 { "root".to_owned() } else { format!("n{at}") };
        (0..length).map(|at| column(&name(at), &[&name(at + 1)])).collect()
    };
    let mut first = store();
    create(&mut first, "s");
    send(&mut first, components("s", json!(chain(50))));
    // The fifty-first arrives under a name that was there before it.
    let late = components("s", json!([text("n50")]));
    assert_eq!(reason(&mut first, late).0, Reason::Depth);
    assert_eq!(
        reason(&mut first, components("s", json!([column("above", &["root"])]))).0,
        Reason::Depth
    );
    let mut long = chain(2000);
    long.pop();
    long.push(column("n1999", &["root"]));
    assert_eq!(reason(&mut first, components("s", json!(long))).0, Reason::Cycle);
}

#[test]
fn an_agent_has_only_what_it_created() {
    let mut store = store();
    store.send(&agent("a"), json!({ "createSurface": { "surfaceId": "s" } })).unwrap();
    create(&mut store, "t");
    let foreign = refused(&mut store, &agent("b"), components("s", json!([text("x")])));
    assert_eq!(foreign, Fault::Foreign("s".into()));
    let error = RpcError::from(foreign);
    assert_eq!(
        (error.code, error.data.unwrap()["reason"].clone()),
        (-32002, json!("foreign_owner"))
    );
    assert!(store.get(&agent("b"), "s").is_none() && store.get(&agent("a"), "s").is_some());
    let ids = |who: &Actor| store.list(who).iter().map(|it| it.id.clone()).collect::<Vec<_>>();
    assert_eq!(
        (ids(&agent("a")), ids(&agent("b")), ids(&client())),
        (vec!["s".into()], vec![], vec!["s".into(), "t".into()])
    );
    // The same agent on another connection is the same agent.
    let elsewhere = Actor::Agent { client_id: "c-9".into(), agent_id: "a".into() };
    store.send(&elsewhere, components("s", json!([text("x")]))).unwrap();
    send(&mut store, components("s", json!([text("y")])));
}

#[test]
fn a_peer_has_the_surfaces_of_its_endpoint_and_context() {
    let mut store = store();
    let owner = |context: &str| Owner::A2a {
        task_id: None,
        context_id: Some(context.into()),
        endpoint: Some("https://a.com/".into()),
    };
    let peer = |context: &str| Actor::Peer {
        endpoint: Some("https://a.com/".into()),
        context_id: Some(context.into()),
    };
    let envelope = json!({ "createSurface": { "surfaceId": "s" } });
    let who = peer("1");
    store
        .apply(Change { envelope, who: &who, owner: Some(&owner("1")), now: Time::default() })
        .unwrap();
    assert_eq!(store.get(&client(), "s").unwrap().created_by.kind, CreatorKind::Peer);
    assert!(store.get(&peer("2"), "s").is_none());
    assert_eq!(
        refused(&mut store, &peer("2"), components("s", json!([text("x")]))),
        Fault::Foreign("s".into())
    );
    store.send(&who, components("s", json!([text("x")]))).unwrap();
}

#[test]
fn a_peer_is_its_whole_endpoint_and_no_endpoint_is_nobodys() {
    let mut store = store();
    let peer = |endpoint: Option<&str>, context: Option<&str>| Actor::Peer {
        endpoint: endpoint.map(Into::into),
        context_id: context.map(Into::into),
    };
    let create = |store: &mut Store, who: &Actor, id: &str, endpoint: Option<&str>| {
        let owner = Owner::A2a {
            task_id: None,
            context_id: Some("1".into()),
            endpoint: endpoint.map(Into::into),
        };
        let envelope = json!({ "createSurface": { "surfaceId": id } });
        store.apply(Change { envelope, who, owner: Some(&owner), now: Time::default() }).unwrap();
    };
    let (own, other) =
        (peer(Some("https://a.com/?k=1"), Some("1")), peer(Some("https://a.com/?k=2"), Some("1")));
    create(&mut store, &client(), "s", Some("https://a.com?k=1"));
    create(&mut store, &other, "t", Some("https://a.com/?k=2"));
    let ids = |store: &Store, who: &Actor| {
        store.list(who).iter().map(|it| it.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!((ids(&store, &own), ids(&store, &other)), (vec!["s".into()], vec!["t".into()]));
    // What it is known by is shown to nobody.
    assert!(!format!("{} {:?}", store.written(), store.get(&client(), "s")).contains("k=1"));
    // Without an endpoint, nobody is somebody.
    create(&mut store, &peer(None, Some("1")), "u", None);
    for who in [peer(None, Some("1")), peer(None, None), peer(Some(""), Some("1"))] {
        assert_eq!(
            refused(&mut store, &who, components("u", json!([text("x")]))),
            Fault::Foreign("u".into())
        );
    }
    // A name for one payload is as good as an endpoint, and another one is another's.
    let (one, two) = (store.stranger(), store.stranger());
    let (one, two) = (peer(Some(&one), Some("1")), peer(Some(&two), Some("1")));
    create(&mut store, &one, "v", None);
    store.send(&one, components("v", json!([text("x")]))).unwrap();
    assert_eq!(
        refused(&mut store, &two, components("v", json!([text("x")]))),
        Fault::Foreign("v".into())
    );
}

#[test]
fn revisions_grow_across_deletion_and_say_what_they_follow() {
    let mut store = store();
    create(&mut store, "s");
    let first = send(&mut store, components("s", json!([text("a")])));
    assert_eq!((first.base_revision, first.revision), (1, 2));
    let gone = send(&mut store, json!({ "deleteSurface": { "surfaceId": "s" } }));
    assert_eq!((gone.base_revision, gone.revision), (2, 3));
    let again = send(&mut store, json!({ "createSurface": { "surfaceId": "s" } }));
    assert_eq!((again.base_revision, again.revision), (0, 4));
}

#[test]
fn what_nobody_touches_expires() {
    let mut store = with_limits(|it| it.max_surface_age_secs = 100);
    for (id, at) in [("a", 0), ("b", 10), ("c", 20)] {
        let envelope = json!({ "createSurface": { "surfaceId": id } });
        store.apply(Change { envelope, who: &client(), owner: None, now: secs(at) }).unwrap();
    }
    store.touch("a", secs(50));
    assert!(store.reap(secs(109)).is_empty());
    let gone: Vec<_> = store.reap(secs(120)).into_iter().map(|it| it.surface_id).collect();
    assert_eq!(gone, ["b", "c"]);
    assert_eq!(store.list(&client()).len(), 1);
    // The most that an operator can say is for ever.
    let mut store = with_limits(|it| it.max_surface_age_secs = u64::MAX);
    create(&mut store, "s");
    assert!(store.reap(secs(86_400 * 20)).is_empty());
}
