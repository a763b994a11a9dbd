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
    let list = json!([{ "createSurface": { "surfaceId": "u" } }, part("v")]);
    let done = call(&mut client, "a2ui.ingest", json!({ "payload": list })).await;
    assert_eq!(done["applied"].as_array().unwrap().len(), 1);
    // The parameters are the payload, also as a list.
    let list = json!([{ "createSurface": { "surfaceId": "w" } }, { "parts": [part("x")] }]);
    let done = call(&mut client, "a2ui.ingest", list).await;
    let ids = [&done["applied"][0]["surfaceId"], &done["applied"][1]["surfaceId"]];
    assert_eq!(ids, ["w", "x"]);
    assert_eq!(
        call(&mut client, "a2ui.ingest", json!([])).await,
        json!({ "applied": [], "errors": [] })
    );
    for params in [json!("x"), json!(7)] {
        let data = refused(&mut client, "a2ui.ingest", params, codes::INVALID_PARAMS).await;
        assert_eq!(data["field"], "params");
    }
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
    // The payload's own is left out, consent or not, and the surface is drawn.
    let own = json!({ "a2ui": payload, "endpoint": "https://agent.example.com/", "allowUntrustedEndpoint": true });
    let done = call(&mut client, "a2ui.ingest", own.clone()).await;
    assert!(done["applied"][0]["surface"]["owner"].is_null());
    call(&mut client, "a2ui.apply", json!({ "deleteSurface": { "surfaceId": "s" } })).await;
    let wrapped = json!({ "payload": own, "allowUntrustedEndpoint": true });
    let done = call(&mut client, "a2ui.ingest", wrapped).await;
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

#[tokio::test]
async fn a_credential_needs_an_endpoint_that_the_caller_names() {
    let host = host().await;
    let mut client = host.client().await;
    let auth = json!({ "type": "bearer", "token": "s3cr3t" });
    let create = json!({ "createSurface": { "surfaceId": "s" } });
    let own = json!({ "a2ui": create, "endpoint": "https://agent.example.com/rpc" });
    let mut bare = own.clone();
    bare["routeAuth"] = auth.clone();
    for params in [
        json!({ "payload": own, "routeAuth": auth, "allowUntrustedEndpoint": true }),
        json!({ "payload": create, "routeAuth": auth }),
        bare,
    ] {
        let data = refused(&mut client, "a2ui.ingest", params, codes::INVALID_PARAMS).await;
        assert_eq!(data["field"], "routeAuth");
    }
    assert_eq!(call(&mut client, "a2ui.surfaces", json!({})).await, json!([]));
    // To name none is to give none.
    let none = json!({ "payload": create, "routeAuth": { "type": "none" } });
    assert_eq!(call(&mut client, "a2ui.ingest", none).await["applied"][0]["surfaceId"], "s");
    let owner = json!({ "kind": "a2a", "endpoint": "https://agent.example.com/rpc" });
    let of_owner = json!({ "payload": { "createSurface": { "surfaceId": "t" } }, "routeAuth": auth,
        "owner": owner, "allowUntrustedEndpoint": true });
    let done = call(&mut client, "a2ui.ingest", of_owner).await;
    assert_eq!(done["applied"][0]["surface"]["owner"], owner);
}

#[tokio::test]
async fn an_owner_has_ids_of_the_length_of_ids() {
    let host = host().await;
    let mut client = host.client().await;
    for (kind, member) in [("a2a", "taskId"), ("a2a", "contextId"), ("agent", "agentId")] {
        let mut params = json!({ "payload": { "createSurface": { "surfaceId": "s" } } });
        params["owner"] = json!({ "kind": kind, member: "i".repeat(257) });
        let data = refused(&mut client, "a2ui.ingest", params, codes::LIMIT).await;
        assert_eq!((&data["field"], &data["got"]), (&json!("maxIdBytes"), &json!(257)));
    }
}

#[tokio::test]
async fn a_payload_that_changes_one_surface_often_shows_it_as_often_as_fits() {
    let host = host().await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    let fill = json!({ "updateDataModel": { "surfaceId": "s", "path": "/fill", "value": "x".repeat(900_000) } });
    call(&mut client, "a2ui.apply", fill).await;
    let count =
        |at: usize| json!({ "updateDataModel": { "surfaceId": "s", "path": "/n", "value": at } });
    let payload: Vec<_> = (0..256).map(count).collect();
    let done = call(&mut client, "a2ui.ingest", json!({ "payload": payload })).await;
    let applied = done["applied"].as_array().unwrap();
    let shown = applied.iter().filter(|it| it.get("surface").is_some()).count();
    assert_eq!((applied.len(), shown), (256, 9));
    assert!(done.to_string().len() < 9 << 20);
    let now = call(&mut client, "a2ui.get", json!({ "surfaceId": "s" })).await;
    assert_eq!(now["dataModel"]["n"], 255);
}
