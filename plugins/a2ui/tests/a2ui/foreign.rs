//! What other plugins use: a router that carries actions, surfaces of peers, and credentials that stay inside.

use std::sync::Arc;

use async_trait::async_trait;
use carport_a2ui_api::{Actor, Delivered, Delivery, FromPeer, RouteAuth, Router, SURFACES};
use carport_core::{Guarded, Result, RpcError, codes, testing::TestHost};
use serde_json::{Value, json};

use crate::{call, components, event, host, refused, text};

const TOKEN: &str = "t0ken-of-a-peer";

/// A router that takes down what it is given and answers what it is told to.
#[derive(Default)]
struct Courier {
    carried: Guarded<Vec<Delivery>>,
    answer: Guarded<Option<Result<Value>>>,
    silent: bool,
}

#[async_trait]
impl Router for Courier {
    fn screen(&self, endpoint: &str, _: bool) -> Result<()> {
        match endpoint.starts_with("https://peer.example") {
            true => Ok(()),
            false => {
                Err(RpcError::new(codes::POLICY, "not a peer").with("reason", "untrusted_endpoint"))
            }
        }
    }

    async fn deliver(&self, delivery: Delivery) -> Result<Delivered> {
        self.carried.lock().push(delivery);
        if self.silent {
            std::future::pending::<()>().await;
        }
        let answer = self.answer.lock().take().unwrap_or(Ok(Value::Null))?;
        Ok(Delivered { version: Some("1.0".into()), task_id: Some("t2".into()), answer })
    }
}

/// A host with a router, and a surface `s` of a peer with data that goes back.
async fn with_courier(host: &TestHost, courier: Courier) -> Arc<Courier> {
    let courier = Arc::new(courier);
    host.service(&SURFACES).route_by(courier.clone());
    let create = json!({ "createSurface": { "surfaceId": "s", "sendDataModel": true } });
    let params = json!({
        "payload": { "contextId": "c1", "taskId": "t1", "a2ui": create }, "endpoint": "https://peer.example/rpc?k=1",
        "routeAuth": { "type": "header", "name": "X-Key", "value": TOKEN },
    });
    let mut client = host.client().await;
    call(&mut client, "a2ui.ingest", params).await;
    let data = json!({ "updateDataModel": { "surfaceId": "s", "value": { "n": 1 } } });
    call(&mut client, "a2ui.apply", data).await;
    courier
}

#[tokio::test]
async fn an_action_goes_to_the_peer_and_its_answer_is_drawn() {
    let host = host().await;
    let courier = with_courier(&host, Courier::default()).await;
    let mut client = host.client().await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    let answer = json!({ "task": { "contextId": "c1", "status": { "message": { "parts": [
        { "data": [components("s", json!([text("root")])), { "createSurface": { "surfaceId": "new" } }] },
    ] } } } });
    *courier.answer.lock() = Some(Ok(answer));
    let done = call(&mut client, "a2ui.action", json!({ "name": "go", "surfaceId": "s" })).await;
    assert_eq!(
        done["route"],
        json!({ "kind": "a2a", "delivered": true, "endpoint": "https://peer.example/rpc",
        "version": "1.0", "taskId": "t2", "applied": 2 })
    );
    let events = [event(&mut client).await, event(&mut client).await, event(&mut client).await];
    assert_eq!(events.clone().map(|it| it["source"].clone()), ["client", "peer", "peer"]);
    assert!(events[0]["result"].get("route").is_none());
    assert_eq!(
        events[2]["result"]["surface"]["owner"],
        json!({ "kind": "a2a", "taskId": "t1", "contextId": "c1", "endpoint": "https://peer.example/rpc" })
    );
    let sent = courier.carried.lock();
    assert_eq!(
        (&*sent[0].endpoint, sent[0].task_id.as_deref(), sent[0].context_id.as_deref()),
        ("https://peer.example/rpc?k=1", Some("t1"), Some("c1"))
    );
    assert_eq!((sent[0].parts.len(), &sent[0].parts[0][0]["action"]["name"]), (1, &json!("go")));
    assert_eq!(
        sent[0].metadata["a2uiClientCapabilities"]["v0.9"]["supportedCatalogIds"][0],
        crate::EXTENDED
    );
    assert_eq!(
        sent[0].metadata["a2uiClientDataModel"],
        json!({ "version": "v0.9", "surfaces": { "s": { "n": 1 } } })
    );
}

#[tokio::test]
async fn the_data_of_the_renderer_goes_along_and_is_not_kept() {
    let setting = json!({ "continuation": "spec+car" });
    let host = TestHost::builder().plugin("a2ui", setting).start().await;
    let courier = with_courier(&host, Courier::default()).await;
    let mut client = host.client().await;
    call(
        &mut client,
        "a2ui.action",
        json!({ "name": "go", "surfaceId": "s", "dataModel": { "n": 2 } }),
    )
    .await;
    assert_eq!(
        call(&mut client, "a2ui.get", json!({ "surfaceId": "s" })).await["dataModel"],
        json!({ "n": 1 })
    );
    let sent = courier.carried.lock();
    assert_eq!(sent[0].metadata["a2uiClientDataModel"]["surfaces"]["s"], json!({ "n": 2 }));
    assert_eq!(sent[0].parts[1]["a2uiAction"]["name"], "go");
    let service = host.service(&SURFACES);
    let metadata = service.message_metadata("https://peer.example/rpc?k=1", Some("c2"));
    assert!(metadata.get("a2uiClientDataModel").is_none(), "another context's data");
    let own = service.message_metadata("https://peer.example/rpc?k=1", Some("c1"));
    assert_eq!(own["a2uiClientDataModel"]["surfaces"]["s"], json!({ "n": 1 }));
}

#[tokio::test]
async fn no_credential_is_seen_when_a_route_fails() {
    let host = host().await;
    let courier = with_courier(&host, Courier::default()).await;
    let mut client = host.host().await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    call(&mut client, "host.subscribe", json!({})).await;
    let said = format!("401: header X-Key: {TOKEN} is not known");
    *courier.answer.lock() = Some(Err(RpcError::new(codes::INTERNAL, said)));
    let done = call(&mut client, "a2ui.action", json!({ "name": "go", "surfaceId": "s" })).await;
    assert_eq!(done["route"]["delivered"], false);
    assert!(done["route"]["error"].as_str().unwrap().contains("401"));
    let log = call(&mut client, "host.events", json!({})).await;
    let shown = call(&mut client, "a2ui.surfaces", json!({})).await;
    let mut seen = format!("{done}{log}{shown}{}", event(&mut client).await);
    seen += &format!("{:?}", courier.carried.lock());
    assert!(!seen.contains(TOKEN), "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_not_waited_for_long() {
    let host = host().await;
    with_courier(&host, Courier { silent: true, ..Courier::default() }).await;
    let done =
        call(&mut host.client().await, "a2ui.action", json!({ "name": "go", "surfaceId": "s" }))
            .await;
    assert_eq!(done["route"]["error"], "no answer within 30 s");
}

#[tokio::test]
async fn a_router_judges_endpoints() {
    let host = host().await;
    with_courier(&host, Courier::default()).await;
    let params = json!({ "payload": { "createSurface": { "surfaceId": "x" } }, "endpoint": "https://elsewhere.example/" });
    refused(&mut host.client().await, "a2ui.ingest", params, codes::POLICY).await;
}

#[tokio::test]
async fn a_peer_changes_only_the_surfaces_of_its_context() {
    let host = host().await;
    let courier = with_courier(&host, Courier::default()).await;
    let service = host.service(&SURFACES);
    let from = |context: &str, payload: Value| FromPeer {
        payload,
        endpoint: Some("https://peer.example/rpc?k=1".into()),
        context_id: Some(context.into()),
        route_auth: RouteAuth::None,
        ..FromPeer::default()
    };
    let update = components("s", json!([text("root")]));
    let done = service.ingest(from("c2", update.clone())).unwrap();
    assert_eq!((done.applied.len(), done.errors[0].code), (0, codes::FORBIDDEN));
    // Of one server, what is behind another query is another.
    for endpoint in [Some("https://peer.example/rpc?k=2".into()), None] {
        let other = FromPeer { endpoint, ..from("c1", update.clone()) };
        assert_eq!(service.ingest(other).unwrap().applied.len(), 0);
    }
    assert_eq!(service.ingest(from("c1", update)).unwrap().applied.len(), 1);
    // Who is nowhere draws what one payload holds, and nobody else changes that.
    let both =
        json!([{ "createSurface": { "surfaceId": "m" } }, components("m", json!([text("root")]))]);
    let nowhere = |payload: Value| FromPeer { endpoint: None, ..from("c3", payload) };
    assert_eq!(service.ingest(nowhere(both)).unwrap().applied.len(), 2);
    let later = components("m", json!([text("other")]));
    assert_eq!(service.ingest(nowhere(later)).unwrap().applied.len(), 0);
    // A payload that names another context stays the peer's own.
    let other = json!({ "contextId": "c1", "a2ui": { "createSurface": { "surfaceId": "n" } } });
    service.ingest(from("c2", other)).unwrap();
    let shown = service.get(&Actor::UiAgent, "n").unwrap().value();
    assert_eq!(
        (&shown["owner"]["contextId"], &shown["createdBy"]),
        (&json!("c2"), &json!({ "kind": "peer" }))
    );
    assert!(courier.carried.lock().is_empty());
    assert_eq!(service.catalog_ids().len(), 2);
}
