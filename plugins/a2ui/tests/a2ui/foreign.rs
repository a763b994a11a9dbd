//! What other plugins use: a router that carries actions, surfaces of peers, and credentials that stay inside.

use std::sync::Arc;

use async_trait::async_trait;
use carport_a2ui_api::{Actor, Delivered, Delivery, FromPeer, RouteAuth, Router, SURFACES};
use carport_core::{Guarded, Result, RpcError, codes, testing::TestHost};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{call, components, event, host, refused, text};

const TOKEN: &str = "t0ken-of-a-peer";
const QUERY: &str = "k3y-of-a-peer";

/// A router that takes down what it is given and answers what it is told to.
#[derive(Default)]
struct Courier {
    carried: Guarded<Vec<Delivery>>,
    answer: Guarded<Option<Result<Value>>>,
    /// Whether it answers only once it is let go.
    silent: bool,
    came: Notify,
    go: Notify,
}

#[async_trait]
impl Router for Courier {
    fn screen(&self, endpoint: &str, consent: bool) -> Result<()> {
        match endpoint.starts_with("https://peer.example") || consent {
            true => Ok(()),
            false => {
                Err(RpcError::new(codes::POLICY, "not a peer").with("reason", "untrusted_endpoint"))
            }
        }
    }

    async fn deliver(&self, delivery: Delivery) -> Result<Delivered> {
        self.carried.lock().push(delivery);
        self.came.notify_one();
        if self.silent {
            self.go.notified().await;
        }
        let answer = self.answer.lock().take().unwrap_or(Ok(Value::Null))?;
        Ok(Delivered { version: Some("1.0".into()), task_id: Some("t2".into()), answer })
    }
}

fn own() -> String {
    format!("https://peer.example/rpc?k={QUERY}")
}

/// A host with a router, and a surface `s` of a peer with data that goes back.
async fn with_courier(host: &TestHost, courier: Courier) -> Arc<Courier> {
    let courier = Arc::new(courier);
    host.service(&SURFACES).route_by(courier.clone());
    let create = json!({ "createSurface": { "surfaceId": "s", "sendDataModel": true } });
    let params = json!({
        "payload": { "contextId": "c1", "taskId": "t1", "a2ui": create }, "endpoint": own(),
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
        (&*own(), Some("t1"), Some("c1"))
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
    for (endpoint, context) in [
        (own(), Some("c2")),
        (own(), None),
        // Who is at the same origin and path need not be the same.
        ("https://peer.example/rpc?k=other".into(), Some("c1")),
        ("https://peer.example/rpc".into(), Some("c1")),
        ("peer".into(), Some("c1")),
    ] {
        let metadata = service.message_metadata(&endpoint, context);
        assert!(metadata.get("a2uiClientDataModel").is_none(), "{endpoint} {context:?}");
    }
    let own = service.message_metadata(&own(), Some("c1"));
    assert_eq!(own["a2uiClientDataModel"]["surfaces"]["s"], json!({ "n": 1 }));
}

#[tokio::test]
async fn no_credential_is_seen_when_a_route_fails() {
    let host = host().await;
    let courier = with_courier(&host, Courier::default()).await;
    let mut client = host.host().await;
    call(&mut client, "a2ui/subscribe", json!({})).await;
    call(&mut client, "host.subscribe", json!({})).await;
    let said = format!("401 of {}: header X-Key: {TOKEN} is not known, nor is {QUERY}", own());
    *courier.answer.lock() = Some(Err(RpcError::new(codes::INTERNAL, said)));
    let done = call(&mut client, "a2ui.action", json!({ "name": "go", "surfaceId": "s" })).await;
    assert_eq!(done["route"]["delivered"], false);
    assert!(done["route"]["error"].as_str().unwrap().contains("401"));
    let log = call(&mut client, "host.events", json!({})).await;
    let shown = call(&mut client, "a2ui.surfaces", json!({})).await;
    let mut seen = format!("{done}{log}{shown}{}", event(&mut client).await);
    seen += &format!("{:?}", courier.carried.lock());
    let from = FromPeer {
        endpoint: Some(own()),
        payload: TOKEN.into(),
        route_auth: RouteAuth::Bearer(TOKEN.into()),
        ..FromPeer::default()
    };
    seen += &format!("{from:?}");
    assert!(!seen.contains(TOKEN) && !seen.contains(QUERY), "{seen}");
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
        endpoint: Some(own()),
        context_id: Some(context.into()),
        route_auth: RouteAuth::None,
        ..FromPeer::default()
    };
    let update = components("s", json!([text("root")]));
    let mut foreign =
        [from("c2", update.clone()), from("c1", update.clone()), from("c1", update.clone())];
    // At the same origin and path there may be others, and nowhere in particular is nobody's endpoint.
    foreign[1].endpoint = Some("https://peer.example/rpc?k=other".into());
    foreign[2].endpoint = None;
    for from in foreign {
        let done = service.ingest(from).unwrap();
        assert_eq!((done.applied.len(), done.errors[0].code), (0, codes::FORBIDDEN));
    }
    let mut taken = from("c1", json!({ "createSurface": { "surfaceId": "s" } }));
    taken.endpoint = None;
    assert_eq!(service.ingest(taken).unwrap().errors[0].code, codes::CONFLICT);
    assert_eq!(service.ingest(from("c1", update)).unwrap().applied.len(), 1);
    // Who is nowhere draws what one payload holds, and nobody else changes that.
    let both =
        json!([{ "createSurface": { "surfaceId": "m" } }, components("m", json!([text("root")]))]);
    let nowhere = |payload: Value| FromPeer { endpoint: None, ..from("c3", payload) };
    assert_eq!(service.ingest(nowhere(both)).unwrap().applied.len(), 2);
    let later = components("m", json!([text("other")]));
    assert_eq!(service.ingest(nowhere(later)).unwrap().applied.len(), 0);
    // A caller with a name keeps what it drew, and no other caller, nor who is at an endpoint, has that name.
    let called =
        |caller: &str, payload: Value| FromPeer { caller: Some(caller.into()), ..nowhere(payload) };
    let first = json!({ "createSurface": { "surfaceId": "mine" } });
    assert_eq!(service.ingest(called("ann", first)).unwrap().applied.len(), 1);
    let later = components("mine", json!([text("root")]));
    for (from, applied) in [
        (called("bob", later.clone()), 0),
        (nowhere(later.clone()), 0),
        (FromPeer { endpoint: Some("caller ann".into()), ..nowhere(later.clone()) }, 0),
        (called("ann", later), 1),
    ] {
        assert_eq!(service.ingest(from).unwrap().applied.len(), applied);
    }
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

#[tokio::test]
async fn a_payload_may_name_an_endpoint_that_is_allowed_by_name_and_no_other() {
    let host = host().await;
    let courier = with_courier(&host, Courier::default()).await;
    let mut client = host.client().await;
    for (at, (endpoint, consent, kept)) in
        [("https://peer.example/x?k=1", false, true), ("https://elsewhere.example/x", true, false)]
            .into_iter()
            .enumerate()
    {
        for wrapped in [false, true] {
            let id = format!("{at}{wrapped}");
            let mut params = json!({ "contextId": "c", "a2ui": { "createSurface": { "surfaceId": id } }, "endpoint": endpoint });
            if wrapped {
                params = json!({ "payload": params });
            }
            params["allowUntrustedEndpoint"] = consent.into();
            let done = call(&mut client, "a2ui.ingest", params).await;
            let owner = &done["applied"][0]["surface"]["owner"];
            let shown = if kept { json!("https://peer.example/x") } else { Value::Null };
            assert_eq!(owner["endpoint"], shown, "{endpoint} {wrapped}");
            let acted =
                call(&mut client, "a2ui.action", json!({ "name": "n", "surfaceId": id })).await;
            assert_eq!(acted["route"]["kind"], if kept { "a2a" } else { "none" });
        }
    }
    let carried = courier.carried.lock();
    assert!(carried.len() == 2 && carried.iter().all(|it| matches!(it.auth, RouteAuth::None)));
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_answers_is_drawn_although_whoever_acted_has_left() {
    let host = host().await;
    let courier = with_courier(&host, Courier { silent: true, ..Courier::default() }).await;
    let mut watcher = host.host().await;
    call(&mut watcher, "host.subscribe", json!({})).await;
    *courier.answer.lock() = Some(Ok(components("s", json!([text("root")]))));
    let mut leaver = host.client().await;
    leaver.send("a2ui.action", json!({ "name": "go", "surfaceId": "s" })).await;
    courier.came.notified().await;
    leaver.close().await;
    host.emptied_but(&watcher).await;
    courier.go.notify_one();
    let logged = watcher.frame(|it| it["params"]["kind"] == "a2ui.action").await;
    let route = &logged["params"]["payload"]["route"];
    assert_eq!(route, &json!({ "kind": "a2a", "delivered": true }));
    let now = call(&mut watcher, "a2ui.get", json!({ "surfaceId": "s" })).await;
    assert_eq!(now["components"][0], text("root"));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_actions_are_on_their_way_at_once() {
    let host = host().await;
    let courier = with_courier(&host, Courier { silent: true, ..Courier::default() }).await;
    let mut client = host.client().await;
    let action = json!({ "name": "go", "surfaceId": "s" });
    let mut sent = Vec::new();
    for _ in 0..8 {
        sent.push(client.send("a2ui.action", action.clone()).await);
    }
    let refused = call(&mut client, "a2ui.action", action.clone()).await;
    assert_eq!(refused["route"]["delivered"], false);
    let why = refused["route"]["error"].as_str().unwrap();
    assert!(why.contains("8 actions"), "{why}");
    assert_eq!(courier.carried.lock().len(), 8);
    // What ends makes room.
    courier.go.notify_one();
    client.frame(|it| it["result"]["route"]["delivered"] == true).await;
    client.send("a2ui.action", action).await;
    while courier.carried.lock().len() < 9 {
        courier.came.notified().await;
    }
}

#[tokio::test]
async fn an_answer_is_of_the_surfaces_own_context_also_where_it_has_none() {
    let host = host().await;
    let courier = with_courier(&host, Courier::default()).await;
    let mut client = host.client().await;
    let params =
        json!({ "payload": { "createSurface": { "surfaceId": "bare" } }, "endpoint": own() });
    call(&mut client, "a2ui.ingest", params).await;
    let part = json!({ "data": [components("bare", json!([text("root")]))] });
    let status = json!({ "message": { "parts": [part] } });
    let task = json!({ "id": "t9", "contextId": "c9", "status": status });
    *courier.answer.lock() = Some(Ok(json!({ "task": task })));
    let done = call(&mut client, "a2ui.action", json!({ "name": "go", "surfaceId": "bare" })).await;
    assert_eq!((&done["route"]["delivered"], &done["route"]["applied"]), (&json!(true), &json!(1)));
}

#[tokio::test]
async fn data_that_goes_along_is_no_more_than_one_model_may_have() {
    let limits = json!({ "limits": { "maxDataModelBytes": 100 } });
    let host = TestHost::builder().plugin("a2ui", limits).start().await;
    let courier = with_courier(&host, Courier::default()).await;
    let mut client = host.client().await;
    for id in ["s2", "s3"] {
        let create = json!({ "createSurface": { "surfaceId": id, "sendDataModel": true } });
        let params = json!({ "payload": { "contextId": "c1", "a2ui": create }, "endpoint": own() });
        call(&mut client, "a2ui.ingest", params).await;
        let data = json!({ "surfaceId": id, "value": { "n": "x".repeat(70) } });
        call(&mut client, "a2ui.apply", json!({ "updateDataModel": data })).await;
    }
    call(&mut client, "a2ui.action", json!({ "name": "go", "surfaceId": "s3" })).await;
    let sent = courier.carried.lock();
    let models = sent[0].metadata["a2uiClientDataModel"]["surfaces"].as_object().unwrap();
    assert_eq!(models.keys().collect::<Vec<_>>(), ["s", "s3"]);
}
