//! What peers send is taken in, whatever it is wrapped in.

use carport_core::codes;
use serde_json::{Value, json};

use crate::{call, create, host, refused};

fn part(id: &str) -> Value {
    json!({ "kind": "data", "data": { "a2ui": { "createSurface": { "surfaceId": id } } } })
}

#[tokio::test]
async fn payloads_are_taken_in_as_peers_wrap_them() {
    let host = host().await;
    let mut client = host.client().await;
    assert_eq!(
        call(&mut client, "a2ui.ingest", json!({})).await,
        json!({ "applied": [], "errors": [] })
    );
    let done =
        call(&mut client, "a2ui.ingest", json!({ "payload": { "parts": [part("s")] } })).await;
    assert_eq!((&done["applied"][0]["surfaceId"], &done["errors"]), (&json!("s"), &json!([])));
    assert!(done["applied"][0]["surface"]["owner"].is_null());
    let bare = call(&mut client, "a2ui.ingest", json!({ "parts": [part("t")] })).await;
    assert_eq!(bare["applied"][0]["surfaceId"], "t");
    let list = json!({ "payload": [{ "createSurface": { "surfaceId": "u" } }, part("v")] });
    assert_eq!(
        call(&mut client, "a2ui.ingest", list).await["applied"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_bad_envelope_keeps_none_of_the_others() {
    let host = host().await;
    let mut client = host.client().await;
    let payload = json!([
        { "createSurface": { "surfaceId": "s" } },
        { "updateComponents": { "surfaceId": "s", "components": [{ "id": "x", "component": "Nope" }] } },
        { "updateDataModel": { "surfaceId": "s", "value": { "a": 1 } } },
    ]);
    let done = call(&mut client, "a2ui.ingest", json!({ "payload": payload })).await;
    assert_eq!(done["applied"].as_array().unwrap().len(), 2);
    let error = &done["errors"][0];
    assert_eq!(
        (&error["index"], &error["path"], &error["code"]),
        (&json!(1), &json!("/1"), &json!(-32602))
    );
    assert_eq!(error["data"]["reason"], "unsupported_component");
    let only = json!({ "payload": [payload[1], { "deleteSurface": { "surfaceId": "none" } }] });
    let data = refused(&mut client, "a2ui.ingest", only, codes::INVALID_PARAMS).await;
    assert_eq!(
        (&data["reason"], data["errors"].as_array().unwrap().len()),
        (&json!("unsupported_component"), 2)
    );
    let many: Vec<_> = (0..257).map(|_| json!({ "deleteSurface": { "surfaceId": "s" } })).collect();
    let data = refused(&mut client, "a2ui.ingest", json!({ "payload": many }), codes::LIMIT).await;
    assert_eq!(data["field"], "maxEnvelopesPerPayload");
}

#[tokio::test]
async fn the_owner_is_who_the_payload_or_the_caller_says() {
    let host = host().await;
    let (mut agent, mut other) = (host.agent("a").await, host.agent("b").await);
    let task =
        json!({ "id": "t1", "contextId": "c1", "status": { "message": { "parts": [part("s")] } } });
    let done = call(&mut agent, "a2ui.ingest", json!({ "payload": { "result": task } })).await;
    let surface = &done["applied"][0]["surface"];
    assert_eq!(surface["owner"], json!({ "kind": "a2a", "taskId": "t1", "contextId": "c1" }));
    assert_eq!(
        (&surface["createdBy"]["kind"], &surface["createdBy"]["agentId"]),
        (&json!("peer"), &json!("a"))
    );
    assert!(call(&mut agent, "a2ui.get", json!({ "surfaceId": "s" })).await.is_object());
    assert!(call(&mut other, "a2ui.get", json!({ "surfaceId": "s" })).await.is_null());
    let owner = json!({ "kind": "agent", "agentId": "a" });
    let done =
        call(&mut agent, "a2ui.ingest", json!({ "payload": part("x")["data"], "owner": owner }))
            .await;
    assert_eq!(done["applied"][0]["surface"]["owner"], owner);
}

#[tokio::test]
async fn an_endpoint_that_may_not_be_called_is_not_kept() {
    let host = host().await;
    let mut client = host.client().await;
    let payload = json!({ "createSurface": { "surfaceId": "s" } });
    for (endpoint, consent, reason) in [
        ("https://127.0.0.1/", true, "blocked_address"),
        ("https://agent.example.com/", false, "untrusted_endpoint"),
        ("nonsense", true, "bad_url"),
    ] {
        let params =
            json!({ "payload": payload, "endpoint": endpoint, "allowUntrustedEndpoint": consent });
        let data = refused(&mut client, "a2ui.ingest", params, codes::POLICY).await;
        assert_eq!((&data["reason"], &data["field"]), (&json!(reason), &json!("endpoint")));
    }
    // The payload's own is left out, and the surface is drawn.
    let bare = json!({ "a2ui": payload, "endpoint": "https://127.0.0.1/" });
    let done = call(&mut client, "a2ui.ingest", bare).await;
    assert!(done["applied"][0]["surface"]["owner"].is_null());
    let named = json!({ "payload": { "createSurface": { "surfaceId": "t" } }, "allowUntrustedEndpoint": true,
        "endpoint": "https://agent.example.com/rpc?key=1" });
    let done = call(&mut client, "a2ui.ingest", named).await;
    assert_eq!(
        done["applied"][0]["surface"]["owner"],
        json!({ "kind": "a2a", "endpoint": "https://agent.example.com/rpc" })
    );
}

#[tokio::test]
async fn a_credential_that_is_none_is_refused_without_being_repeated() {
    let host = host().await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    for auth in [
        json!({ "type": "bearer" }),
        json!({ "type": "bearer", "token": "s3cr3t\r\nx" }),
        json!({ "type": "header", "name": "Host", "value": "s3cr3t" }),
        json!({ "type": "header", "name": "a b", "value": "s3cr3t" }),
        json!({ "type": "basic", "value": "s3cr3t" }),
        json!("s3cr3t"),
    ] {
        let params = json!({ "payload": {}, "routeAuth": auth });
        let error = client.raw("a2ui.ingest", params).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("routeAuth")));
        assert!(!json!(error).to_string().contains("s3cr3t"), "{error:?}");
    }
}
