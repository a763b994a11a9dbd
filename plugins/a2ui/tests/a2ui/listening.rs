//! Who hears what: a snapshot and then every event, whole or lean, and an agent only its own.

use carport_core::codes;
use serde_json::{Value, json};

use crate::{call, components, create, event, has_event, host, refused, text};

#[tokio::test]
async fn a_snapshot_and_the_events_after_it_meet() {
    let host = host().await;
    let (mut writer, mut reader) = (host.client().await, host.client().await);
    create(&mut writer, "s").await;
    let mut sent = Vec::new();
    for at in 0..20 {
        let envelope =
            json!({ "updateDataModel": { "surfaceId": "s", "path": "/n", "value": at } });
        sent.push(writer.send("a2ui.apply", envelope).await);
    }
    let start = call(&mut reader, "a2ui/subscribe", json!({ "snapshot": true })).await;
    for id in sent {
        writer.reply(id).await.unwrap();
    }
    let seen = start["seq"].as_u64().unwrap();
    assert_eq!(start["surfaces"][0]["revision"], json!(seen));
    for seq in seen + 1..=21 {
        let heard = event(&mut reader).await;
        assert_eq!(
            (&heard["seq"], &heard["revision"], &heard["baseRevision"]),
            (&json!(seq), &json!(seq), &json!(seq - 1))
        );
    }
    assert!(!has_event(&mut reader).await);
}

#[tokio::test]
async fn events_carry_the_envelopes_and_lean_ones_no_surface() {
    let host = host().await;
    let (mut writer, mut full, mut lean) =
        (host.client().await, host.client().await, host.client().await);
    let start = call(&mut full, "a2ui/subscribe", json!({})).await;
    assert_eq!(start, json!({ "subscribed": true, "seq": 0 }));
    call(&mut lean, "a2ui/subscribe", json!({ "lean": true })).await;
    create(&mut writer, "s").await;
    let (whole, less) = (event(&mut full).await, event(&mut lean).await);
    assert_eq!(whole["kind"], "a2ui.surface_updated");
    assert_eq!((&whole["source"], &whole["baseRevision"]), (&json!("client"), &json!(0)));
    assert_eq!(whole["envelopes"][0]["createSurface"]["surfaceId"], "s");
    assert_eq!(whole["envelopes"][0]["version"], "v0.9");
    assert!(whole["result"]["surface"].is_object() && less["result"].get("surface").is_none());
    let mut same = whole.clone();
    same["result"].as_object_mut().unwrap().remove("surface");
    assert_eq!(same, less);
    // A second subscription replaces the first.
    call(&mut full, "a2ui/subscribe", json!({ "lean": true })).await;
    call(&mut writer, "a2ui.apply", components("s", json!([text("root")]))).await;
    assert!(event(&mut full).await["result"].get("surface").is_none());
    assert!(!has_event(&mut full).await);
    for _ in 0..2 {
        assert_eq!(
            call(&mut full, "a2ui/unsubscribe", json!({})).await,
            json!({ "subscribed": false })
        );
    }
    call(&mut writer, "a2ui.apply", json!({ "deleteSurface": { "surfaceId": "s" } })).await;
    assert!(!has_event(&mut full).await);
}

#[tokio::test]
async fn an_agent_sees_hears_and_changes_only_its_own() {
    let host = host().await;
    let (mut a, mut b, mut client) =
        (host.agent("a").await, host.agent("b").await, host.client().await);
    for agent in [&mut a, &mut b] {
        call(agent, "a2ui/subscribe", json!({})).await;
    }
    let made = create(&mut a, "s").await;
    assert_eq!(made["surface"]["createdBy"]["agentId"], "a");
    call(&mut client, "a2ui.apply", components("s", json!([text("root")]))).await;
    call(&mut client, "a2ui.action", json!({ "name": "n", "surfaceId": "s" })).await;
    let kinds = [event(&mut a).await, event(&mut a).await, event(&mut a).await]
        .map(|it| it["kind"].clone());
    assert_eq!(kinds, ["a2ui.surface_updated", "a2ui.surface_updated", "a2ui.action"]);
    assert!(!has_event(&mut b).await);
    let foreign =
        refused(&mut b, "a2ui.apply", components("s", json!([text("x")])), codes::FORBIDDEN).await;
    assert_eq!(foreign["reason"], "foreign_owner");
    for method in ["a2ui.get", "a2ui/replay"] {
        assert_eq!(call(&mut b, method, json!({ "surfaceId": "s" })).await, Value::Null);
    }
    assert_eq!(call(&mut b, "a2ui.surfaces", json!({})).await, json!([]));
    let known = call(&mut b, "a2ui/subscribe", json!({ "snapshot": true })).await;
    assert_eq!(known["surfaces"], json!([]));
    for method in ["a2ui.action", "a2ui.render_report"] {
        refused(&mut b, method, json!({ "name": "n", "surfaceId": "s" }), codes::NOT_FOUND).await;
    }
    call(&mut host.host().await, "a2ui.apply", components("s", json!([text("y")]))).await;
    assert_eq!(event(&mut a).await["source"], "host");
}

#[tokio::test]
async fn a_client_that_becomes_an_agent_hears_no_more_than_one() {
    let host = host().await;
    let (mut writer, mut rising) = (host.client().await, host.client().await);
    call(&mut rising, "a2ui/subscribe", json!({})).await;
    create(&mut writer, "before").await;
    assert_eq!(event(&mut rising).await["result"]["surfaceId"], "before");
    let proof = json!({ "agent_id": "a", "token": carport_core::testing::TOKEN });
    call(&mut rising, "session.auth", proof).await;
    create(&mut writer, "s").await;
    call(&mut writer, "a2ui.action", json!({ "name": "n", "surfaceId": "s" })).await;
    create(&mut rising, "own").await;
    assert_eq!(event(&mut rising).await["result"]["surfaceId"], "own");
    assert!(!has_event(&mut rising).await);
}

#[tokio::test]
async fn the_log_of_the_host_has_a_row_for_each_change_without_the_surface() {
    let host = host().await;
    let (mut client, mut watcher) = (host.client().await, host.host().await);
    call(&mut watcher, "host.subscribe", json!({})).await;
    create(&mut client, "s").await;
    call(&mut client, "a2ui.apply", json!({ "deleteSurface": { "surfaceId": "s" } })).await;
    for (kind, revision) in [("a2ui.surface_updated", 1), ("a2ui.surface_deleted", 2)] {
        let row = watcher.frame(|it| it["params"]["kind"] == kind).await;
        assert_eq!(row["params"]["payload"], json!({ "surfaceId": "s", "revision": revision }));
    }
}

#[tokio::test]
async fn a_stranger_is_refused_everywhere() {
    let host = host().await;
    for method in
        ["capabilities", "apply", "ingest", "reap", "surfaces", "get", "action", "render_report"]
    {
        refused(
            &mut host.stranger().await,
            &format!("a2ui.{method}"),
            json!({}),
            codes::NOT_AUTHENTICATED,
        )
        .await;
    }
    for method in ["subscribe", "unsubscribe", "replay"] {
        refused(
            &mut host.stranger().await,
            &format!("a2ui/{method}"),
            json!({}),
            codes::NOT_AUTHENTICATED,
        )
        .await;
    }
}
