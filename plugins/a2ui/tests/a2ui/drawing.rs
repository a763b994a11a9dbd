//! Surfaces are drawn, shown and refused, as every client that exists spells it.

use std::{fs, path::PathBuf};

use carport_core::{ManualClock, Time, codes, testing::TestHost};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{EXTENDED, call, components, create, host, refused, text};

#[tokio::test]
async fn capabilities_name_catalogs_components_and_limits() {
    let host = host().await;
    let mut client = host.client().await;
    let known = call(&mut client, "a2ui.capabilities", Value::Null).await;
    assert_eq!(known["version"], "v0.9");
    assert_eq!(known["versions"], json!(["v0.9", "v0.9.1"]));
    assert_eq!(known["mimeType"], "application/a2ui+json");
    assert_eq!(known["catalogs"][0], EXTENDED);
    assert_eq!(known["catalogs"].as_array().unwrap().len(), 2);
    assert_eq!(known["components"].as_array().unwrap().len(), 24);
    assert_eq!(known["components"], known["catalogComponents"][EXTENDED]);
    assert_eq!(known["functions"].as_array().unwrap().len(), 14);
    let limits = known["limits"].as_object().unwrap();
    assert_eq!(
        (limits.len(), &limits["maxSurfaces"], &limits["maxAxeNodes"]),
        (22, &json!(256), &json!(1500))
    );
}

#[tokio::test]
async fn a_surface_has_the_same_bytes_wherever_it_is_shown() {
    let host = host().await;
    let mut client = host.client().await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    let made = create(&mut client, "s").await;
    assert_eq!((&made["deleted"], &made["revision"]), (&json!(false), &json!(1)));
    let shown = &made["surface"];
    let keys: Vec<_> = shown.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 13, "{keys:?}");
    assert_eq!(shown["createdBy"]["kind"], "client");
    assert_eq!(
        (&shown["owner"], &shown["theme"], &shown["dataModel"]),
        (&Value::Null, &Value::Null, &json!({}))
    );
    let event = crate::event(&mut client).await;
    assert_eq!(&event["result"], &made);
    assert_eq!(&call(&mut client, "a2ui.get", json!({ "surface_id": "s" })).await, shown);
    assert_eq!(&call(&mut client, "a2ui/replay", json!({ "surfaceId": "s" })).await, shown);
    assert_eq!(call(&mut client, "a2ui.surfaces", Value::Null).await, json!([shown]));
    for method in ["a2ui.get", "a2ui/replay"] {
        assert_eq!(call(&mut client, method, json!({ "surfaceId": "other" })).await, Value::Null);
        refused(&mut client, method, json!({}), codes::INVALID_PARAMS).await;
    }
    let gone =
        call(&mut client, "a2ui.apply", json!({ "deleteSurface": { "surfaceId": "s" } })).await;
    assert_eq!(gone, json!({ "surfaceId": "s", "deleted": true, "revision": 2 }));
}

#[tokio::test]
async fn an_envelope_may_be_wrapped_and_its_answer_lean() {
    let host = host().await;
    let mut client = host.client().await;
    let envelope =
        json!({ "version": "v0.9", "createSurface": { "surfaceId": "s", "catalogId": EXTENDED } });
    let lean = call(&mut client, "a2ui.apply", json!({ "envelope": envelope, "lean": true })).await;
    assert_eq!(lean, json!({ "surfaceId": "s", "deleted": false, "revision": 1 }));
    let mut bare = components("s", json!([text("root")]));
    bare["lean"] = true.into();
    assert_eq!(call(&mut client, "a2ui.apply", bare).await["revision"], 2);
    // Null is a value within an envelope.
    let null = json!({ "updateDataModel": { "surfaceId": "s", "path": "/a", "value": null } });
    let shown = call(&mut client, "a2ui.apply", null).await;
    assert_eq!(shown["surface"]["dataModel"], json!({ "a": null }));
}

#[tokio::test]
async fn refusals_name_the_spot_and_change_nothing() {
    let host = host().await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    call(
        &mut client,
        "a2ui.apply",
        components("s", json!([{ "id": "root", "component": "Card", "child": "a" }])),
    )
    .await;
    let before = call(&mut client, "a2ui.surfaces", json!({})).await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    for (envelope, code, reason, field) in [
        (
            components("s", json!([{ "id": "x", "component": "EvilFrame" }])),
            codes::INVALID_PARAMS,
            "unsupported_component",
            "updateComponents.components[0].component",
        ),
        (
            json!({ "createSurface": { "surfaceId": "x", "catalogId": "urn:x" } }),
            codes::INVALID_PARAMS,
            "unsupported_catalog",
            "createSurface.catalogId",
        ),
        (
            components("s", json!([{ "id": "a", "component": "Card", "child": "root" }])),
            codes::INVALID_PARAMS,
            "cycle",
            "updateComponents.components[0]",
        ),
        (
            json!({ "version": "v0.8", "surfaceUpdate": {} }),
            codes::INVALID_PARAMS,
            "unsupported_version",
            "surfaceUpdate",
        ),
        (json!({}), codes::INVALID_PARAMS, "invalid_envelope", "envelope"),
    ] {
        let data = refused(&mut client, "a2ui.apply", envelope.clone(), code).await;
        assert_eq!(
            (&data["reason"], &data["field"]),
            (&json!(reason), &json!(field)),
            "{envelope}"
        );
    }
    refused(
        &mut client,
        "a2ui.apply",
        json!({ "createSurface": { "surfaceId": "s" } }),
        codes::CONFLICT,
    )
    .await;
    refused(&mut client, "a2ui.apply", components("none", json!([text("a")])), codes::NOT_FOUND)
        .await;
    assert_eq!(call(&mut client, "a2ui.surfaces", json!({})).await, before);
    assert!(!crate::has_event(&mut client).await);
}

#[tokio::test]
async fn a_burst_takes_effect_in_its_order() {
    let host = host().await;
    let mut client = host.client().await;
    let mut sent = Vec::new();
    for envelope in [
        json!({ "createSurface": { "surfaceId": "s" } }),
        components("s", json!([text("root")])),
        json!({ "updateDataModel": { "surfaceId": "s", "value": { "a": 1 } } }),
    ] {
        sent.push(client.send("a2ui.apply", envelope).await);
    }
    for (id, revision) in sent.into_iter().zip(1..) {
        assert_eq!(client.reply(id).await.unwrap()["revision"], revision);
    }
}

#[tokio::test]
async fn every_example_applies_and_its_replay_makes_it_again() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/examples");
    let (first, second) = (host().await, host().await);
    let (mut one, mut two) = (first.client().await, second.client().await);
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let example: Value =
            serde_json::from_str(&fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        let mut shown = Value::Null;
        for message in example["messages"].as_array().unwrap() {
            shown = call(&mut one, "a2ui.apply", message.clone()).await["surface"].take();
        }
        let params = json!({ "surfaceId": shown["surfaceId"], "form": "envelopes" });
        let replay = call(&mut one, "a2ui/replay", params).await;
        assert_eq!(replay["revision"], shown["revision"]);
        let mut again = Value::Null;
        for envelope in replay["envelopes"].as_array().unwrap() {
            again = call(&mut two, "a2ui.apply", envelope.clone()).await["surface"].take();
        }
        for own in ["owner", "createdBy", "revision", "structureRevision", "createdAt", "updatedAt"]
        {
            again[own] = shown[own].clone();
        }
        assert_eq!(again, shown);
        count += 1;
    }
    assert_eq!(count, 43);
}

#[tokio::test]
async fn what_nobody_touches_is_reaped() {
    let clock = ManualClock::at(Time::default());
    let host = TestHost::builder().clock(clock.clone()).start().await;
    let (mut client, mut agent) = (host.client().await, host.agent("a").await);
    call(&mut client, "a2ui/subscribe", json!({})).await;
    for id in ["s", "t"] {
        create(&mut client, id).await;
        crate::event(&mut client).await;
    }
    create(&mut agent, "u").await;
    clock.advance(TimeDelta::hours(23));
    call(&mut client, "a2ui/replay", json!({ "surfaceId": "t" })).await;
    clock.advance(TimeDelta::hours(1));
    assert_eq!(call(&mut agent, "a2ui.reap", Value::Null).await, json!({ "removed": ["u"] }));
    crate::event(&mut client).await;
    let gone = crate::event(&mut client).await;
    assert_eq!(
        (&gone["kind"], &gone["source"]),
        (&json!("a2ui.surface_deleted"), &json!("reaper"))
    );
    assert_eq!(gone["result"], json!({ "surfaceId": "s", "deleted": true, "revision": 4 }));
    let left = call(&mut client, "a2ui.surfaces", json!({})).await;
    assert_eq!((left.as_array().unwrap().len(), &left[0]["surfaceId"]), (1, &json!("t")));
    assert_eq!(call(&mut client, "a2ui.reap", Value::Null).await, json!({ "removed": [] }));
}

#[tokio::test]
async fn limits_are_what_the_operator_sets() {
    let limits = json!({ "limits": { "maxSurfacesPerCreator": 1, "maxEnvelopeBytes": 300, "maxActionBytes": 60 } });
    let host = TestHost::builder().plugin("a2ui", limits).start().await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    let more = json!({ "createSurface": { "surfaceId": "t" } });
    let data = refused(&mut client, "a2ui.apply", more.clone(), codes::LIMIT).await;
    assert_eq!(data, json!({ "field": "maxSurfacesPerCreator", "limit": 1, "got": 2 }));
    create(&mut host.client().await, "t").await;
    let long = json!({ "updateDataModel": { "surfaceId": "s", "value": "x".repeat(300) } });
    assert_eq!(
        refused(&mut client, "a2ui.apply", long, codes::LIMIT).await["field"],
        "maxEnvelopeBytes"
    );
    let act = json!({ "name": "n", "surfaceId": "s", "context": { "a": "x".repeat(60) } });
    assert_eq!(
        refused(&mut client, "a2ui.action", act, codes::LIMIT).await["field"],
        "maxActionBytes"
    );
}
