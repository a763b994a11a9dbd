//! Actions reach subscribers, the host's log, and the peer that drew the surface.

use carport_core::codes;
use serde_json::{Value, json};

use crate::{call, components, create, event, host, refused, text};

#[tokio::test]
async fn an_action_is_told_and_its_source_verified() {
    let host = host().await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    let button = json!({ "id": "b", "component": "Button", "child": "t", "action": { "event": { "name": "go" } } });
    call(&mut client, "a2ui.apply", components("s", json!([button, text("t")]))).await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    let params = json!({ "name": "go", "surfaceId": "s", "sourceComponentId": "b", "timestamp": "2026-01-01T00:00:00Z", "context": { "a": 1 } });
    let done = call(&mut client, "a2ui.action", params.clone()).await;
    assert_eq!(done["route"], json!({ "kind": "none" }));
    let mut action = params.clone();
    action["timestamp"] = "2026-01-01T00:00:00.000Z".into();
    // Every agent may read the log; what a person typed is not for all of them.
    let mut logged = action.clone();
    logged["context"] = json!({});
    assert_eq!(
        done["event"]["payload"],
        json!({ "surfaceId": "s", "action": logged, "route": { "kind": "none" } })
    );
    assert_eq!(done["event"]["kind"], "a2ui.action");
    let heard = event(&mut client).await;
    assert_eq!(
        (&heard["kind"], &heard["revision"], &heard["baseRevision"], &heard["seq"]),
        (&json!("a2ui.action"), &json!(2), &json!(2), &json!(3))
    );
    assert_eq!(
        heard["result"],
        json!({ "surfaceId": "s", "action": action, "owner": null, "verified": true })
    );
    let wrapped = json!({ "version": "v0.9", "action": { "name": "other", "surfaceId": "s", "sourceComponentId": "b" } });
    call(&mut client, "a2ui.action", wrapped).await;
    let heard = event(&mut client).await;
    assert_eq!(
        (&heard["result"]["verified"], &heard["result"]["action"]["context"]),
        (&json!(false), &json!({}))
    );
    let alias = call(&mut client, "a2ui.action", json!({ "action": "go", "surfaceId": "s" })).await;
    assert_eq!(alias["event"]["payload"]["action"]["name"], "go");
}

#[tokio::test]
async fn an_action_that_says_too_little_is_refused_by_field() {
    let host = host().await;
    let mut client = host.client().await;
    for (params, field) in [
        (json!({ "name": "n" }), "surfaceId"),
        (json!({ "surfaceId": "s" }), "name"),
        (json!({ "name": "n", "surfaceId": "s", "timestamp": "soon" }), "timestamp"),
        (json!({ "name": "n", "surfaceId": "s", "context": [] }), "context"),
        (json!({ "name": 7, "surfaceId": "s" }), "name"),
    ] {
        let data = refused(&mut client, "a2ui.action", params, codes::INVALID_PARAMS).await;
        assert_eq!(data["field"], field);
    }
    refused(&mut client, "a2ui.action", json!({ "name": "n", "surfaceId": "s" }), codes::NOT_FOUND)
        .await;
}

#[tokio::test]
async fn without_a_router_the_action_stays_here_and_says_so() {
    let host = host().await;
    let mut client = host.client().await;
    let params: Value = json!({
        "payload": { "createSurface": { "surfaceId": "s" } }, "endpoint": "https://agent.example.com/rpc?key=k3y",
        "allowUntrustedEndpoint": true, "routeAuth": { "type": "bearer", "token": "t0ken" },
    });
    call(&mut client, "a2ui.ingest", params).await;
    let done = call(&mut client, "a2ui.action", json!({ "name": "n", "surfaceId": "s" })).await;
    let route = json!({ "kind": "a2a", "delivered": false, "endpoint": "https://agent.example.com/rpc",
        "applied": 0, "error": "a2a is not in this build" });
    assert_eq!(done["route"], route);
    let logged = json!({ "kind": "a2a", "delivered": false });
    assert_eq!(done["event"]["payload"]["route"], logged, "every agent may read the log");
}

#[tokio::test]
async fn nothing_that_is_told_nests_deeper_than_frames_can_hold() {
    let host = host().await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }));
    for (method, member) in [("a2ui.action", "context"), ("a2ui.render_report", "stats")] {
        let params =
            |levels: usize| json!({ "name": "n", "surfaceId": "s", member: nested(levels) });
        call(&mut client, method, params(64)).await;
        let data = refused(&mut client, method, params(65), codes::INVALID_PARAMS).await;
        assert_eq!((&data["field"], &data["reason"]), (&json!(member), &json!("depth")));
    }
}

#[tokio::test]
async fn the_log_keeps_little_of_an_action_however_large_it_is() {
    let host = host().await;
    let (mut client, mut agent) = (host.client().await, host.agent("b").await);
    create(&mut client, "s").await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    call(&mut agent, "host.subscribe", json!({})).await;
    let typed = "my password ".repeat(10_000);
    let params = json!({ "surfaceId": "s", "name": "n ".repeat(9000), "sourceComponentId": "c".repeat(9000),
        "context": { "typed": typed } });
    call(&mut client, "a2ui.action", params.clone()).await;
    let heard = event(&mut client).await;
    assert_eq!(heard["result"]["action"]["context"]["typed"], typed);
    assert_eq!(heard["result"]["action"]["name"], params["name"]);
    let logged = agent.frame(|it| it["params"]["kind"] == "a2ui.action").await;
    let kept = call(&mut agent, "host.events", json!({})).await;
    for text in [logged["params"].to_string(), kept["events"].to_string()] {
        assert!(!text.contains("password") && text.len() < 2000, "{} bytes", text.len());
    }
}

#[tokio::test]
async fn an_action_nests_no_deeper_than_data() {
    let host = host().await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    let deep = |levels: usize| (1..levels).fold(json!({}), |deep, _| json!({ "a": deep }));
    let action = |member: &str, levels: usize| {
        let mut action = json!({ "name": "n", "surfaceId": "s" });
        action[member] = deep(levels);
        action
    };
    for member in ["context", "dataModel"] {
        call(&mut client, "a2ui.action", action(member, 62)).await;
        let code = codes::INVALID_PARAMS;
        let data = refused(&mut client, "a2ui.action", action(member, 70), code).await;
        assert_eq!((&data["field"], &data["reason"]), (&json!(member), &json!("depth")));
        let wrapped = json!({ "version": "v0.9", "action": action(member, 70) });
        let data = refused(&mut client, "a2ui.action", wrapped, code).await;
        assert_eq!(data["reason"], "depth");
    }
    let other = json!({ "version": "v0.8", "action": action("context", 1) });
    let data = refused(&mut client, "a2ui.action", other, codes::INVALID_PARAMS).await;
    assert_eq!(
        (&data["field"], &data["reason"], &data["versions"][0]),
        (&json!("version"), &json!("unsupported_version"), &json!("v0.9"))
    );
}
