//! Surfaces of peers: they are drawn, and what is done with them goes back, with the credential that was kept.

use std::sync::Arc;

use carport_a2ui_api::{Delivery, RouteAuth};
use carport_core::testing::TestHost;
use serde_json::{Map, Value, json};

use crate::{
    http::Listener,
    peer::{Peer, create, drawing},
    scene::{at_once, message, state, with_engine, with_obedient},
    sheet::{Sheet, with_sheet},
};

const SECRET: &str = "s3cret-of-the-peer";

async fn host() -> (TestHost, Arc<Sheet>) {
    let (builder, sheet) = with_sheet(with_obedient().0);
    let builder = builder.plugin("a2a", json!({ "allow": ["127.0.0.1"] }));
    (builder.start().await, sheet)
}

fn send(endpoint: &str, auth: &Value) -> Value {
    json!({ "endpoint": endpoint, "message": message(json!({ "text": "draw" })), "routeAuth": auth })
}

fn header() -> Value {
    json!({ "type": "header", "name": "X-Key", "value": SECRET })
}

/// An action on a surface that is of what answers at an endpoint in a context.
fn action(endpoint: &str, context: &str, surface: &str) -> Delivery {
    let action = json!({ "name": "go", "surfaceId": surface });
    Delivery {
        endpoint: endpoint.to_owned(),
        auth: RouteAuth::None,
        task_id: Some("t1".into()),
        context_id: Some(context.to_owned()),
        parts: vec![json!([{ "version": "v0.9", "action": action }]), json!({ "a2uiAction": 1 })],
        media_type: "application/a2ui+json",
        metadata: Map::from_iter([("a2uiClientCapabilities".to_owned(), json!({ "v0.9": {} }))]),
    }
}

#[tokio::test]
async fn what_a_peer_draws_is_handed_over_without_the_credential() {
    let ((host, sheet), peer) = (host().await, Peer::start().await);
    peer.will_say(drawing("c1", json!([create("s")])));
    let mut client = host.client().await;
    let sent = client.raw("a2a.send", send(&peer.rpc(), &header())).await.unwrap();
    assert_eq!(sent["a2ui"]["applied"][0]["surfaceId"], "s");
    let asked = peer.asked().remove(0);
    assert_eq!(asked.header("x-key"), Some(SECRET));
    let extensions =
        "https://a2ui.org/a2a-extension/a2ui/v0.9, https://a2ui.org/a2a-extension/a2ui/v0.9.1";
    assert_eq!(asked.header("a2a-extensions"), Some(extensions));
    let told = &asked.message()["metadata"]["a2uiClientCapabilities"];
    assert_eq!(told["endpoint"], peer.rpc());
    let given = sheet.given.lock().remove(0);
    assert_eq!(
        (given.endpoint.as_deref(), given.context_id.as_deref()),
        (Some(&*peer.rpc()), Some("c1"))
    );
    assert_eq!((given.task_id.as_deref(), given.allow_untrusted_endpoint), (Some("t1"), true));
    assert!(matches!(given.route_auth, RouteAuth::None), "it stays here");

    peer.will_say(drawing("c1", json!([create("other")])));
    let mut params = send(&peer.rpc(), &header());
    params["ingestA2ui"] = false.into();
    let sent = client.raw("a2a.send", params).await.unwrap();
    assert_eq!(sent["a2ui"], json!({ "applied": [], "errors": [] }));
    let asked = peer.asked().remove(0);
    assert_eq!((asked.header("a2a-extensions"), asked.message().get("metadata")), (None, None));
    assert!(sheet.given.lock().is_empty());
}

#[tokio::test]
async fn what_the_surfaces_refuse_as_a_whole_does_not_lose_the_answer() {
    let ((host, _), peer) = (host().await, Peer::start().await);
    peer.will_say(drawing("c1", json!([create("too-many")])));
    let sent = host.client().await.raw("a2a.send", send(&peer.rpc(), &Value::Null)).await.unwrap();
    assert_eq!(state(&sent["result"]["task"]), "INPUT_REQUIRED");
    assert_eq!(sent["a2ui"]["errors"][0]["code"], -32012);
}

#[tokio::test]
async fn an_action_goes_back_with_what_was_kept_for_it() {
    let ((host, sheet), peer, other) = (host().await, Peer::start().await, Peer::start().await);
    let mut client = host.client().await;
    peer.will_say(drawing("c1", json!([create("s")])));
    client.raw("a2a.send", send(&peer.rpc(), &header())).await.unwrap();
    peer.asked();
    let router = sheet.router();
    let with = async |peer: &Peer, delivery| {
        peer.will_say(drawing("c1", json!([])));
        let delivered = router.deliver(delivery).await.unwrap();
        assert_eq!(
            (delivered.version.as_deref(), delivered.task_id.as_deref()),
            (Some("1.0"), Some("t1"))
        );
        assert_eq!(delivered.answer["task"]["contextId"], "c1");
        peer.asked().remove(0)
    };
    let asked = with(&peer, action(&peer.rpc(), "c1", "s")).await;
    assert_eq!(asked.header("x-key"), Some(SECRET));
    let said = asked.message();
    assert_eq!(
        (&said["taskId"], &said["contextId"], &said["role"]),
        (&json!("t1"), &json!("c1"), &json!("ROLE_USER"))
    );
    assert_eq!(said["metadata"]["a2uiClientCapabilities"], json!({ "v0.9": {} }));
    let media = json!("application/a2ui+json");
    assert_eq!(
        (&said["parts"][0]["mediaType"], &said["parts"][0]["metadata"]["mimeType"]),
        (&media, &media)
    );
    assert_eq!(said["parts"][0]["data"][0]["action"]["name"], "go");
    assert_eq!(said["parts"][1], json!({ "data": { "a2uiAction": 1 } }));
    assert_eq!(asked.body["params"]["configuration"]["returnImmediately"], false);

    let elsewhere = with(&peer, action(&peer.rpc(), "c2", "s")).await;
    assert_eq!(elsewhere.header("x-key"), None, "of another context");
    sheet.forge(peer.rpc(), "c1", "forged");
    let forged = with(&peer, action(&peer.rpc(), "c1", "forged")).await;
    assert_eq!(forged.header("x-key"), None, "drawn by a connection in the peer's name");
    let foreign = with(&other, action(&other.rpc(), "c1", "s")).await;
    assert_eq!(foreign.header("x-key"), None, "of another origin");
    let own = Delivery {
        auth: RouteAuth::Bearer("of-the-surface".into()),
        ..action(&peer.rpc(), "c1", "s")
    };
    let own = with(&peer, own).await;
    assert_eq!(
        (own.header("authorization"), own.header("x-key")),
        (Some("Bearer of-the-surface"), None)
    );

    // A later credential takes its place, and a call without one leaves it.
    for auth in [json!({ "type": "bearer", "token": "another-one" }), Value::Null] {
        peer.will_say(drawing("c1", json!([create("s2")])));
        client.raw("a2a.send", send(&peer.rpc(), &auth)).await.unwrap();
        peer.asked();
        let asked = with(&peer, action(&peer.rpc(), "c1", "s")).await;
        assert_eq!(asked.header("authorization"), Some("Bearer another-one"));
    }
}

#[tokio::test]
async fn a_credential_goes_with_what_was_drawn_for_whoever_gave_it() {
    let ((host, sheet), peer) = (host().await, Peer::start().await);
    for (agent, id, auth) in
        [("a", "s", header()), ("b", "t", json!({ "type": "bearer", "token": "t0ken-of-b" }))]
    {
        peer.will_say(drawing("c1", json!([create(id)])));
        host.agent(agent).await.raw("a2a.send", send(&peer.rpc(), &auth)).await.unwrap();
    }
    peer.asked();
    for (id, key, token) in [("s", Some(SECRET), None), ("t", None, Some("Bearer t0ken-of-b"))] {
        peer.will_say(drawing("c1", json!([])));
        sheet.router().deliver(action(&peer.rpc(), "c1", id)).await.unwrap();
        let asked = peer.asked().remove(0);
        assert_eq!((asked.header("x-key"), asked.header("authorization")), (key, token), "{id}");
    }
}

#[tokio::test]
async fn a_credential_goes_with_the_last_surface_of_its_conversation() {
    let ((host, sheet), peer) = (host().await, Peer::start().await);
    let mut client = host.client().await;
    let mut draws = async |context: &str, id: &str, auth: &Value| {
        peer.will_say(drawing(context, json!([create(id)])));
        client.raw("a2a.send", send(&peer.rpc(), auth)).await.unwrap();
        peer.asked();
    };
    draws("c1", "s", &header()).await;
    let key = async |surface: &str, answer: Value| {
        peer.will_say(answer);
        sheet.router().deliver(action(&peer.rpc(), "c1", surface)).await.unwrap();
        peer.asked().remove(0).header("x-key").map(str::to_owned)
    };
    // The answer to an action replaces the surface: what is drawn then keeps the credential.
    let replacing = drawing("c1", json!([{ "deleteSurface": { "surfaceId": "s" } }, create("s2")]));
    assert_eq!(key("s", replacing.clone()).await.as_deref(), Some(SECRET));
    let from = carport_a2ui_api::FromPeer {
        payload: replacing,
        endpoint: Some(peer.rpc()),
        context_id: Some("c1".into()),
        ..Default::default()
    };
    carport_a2ui_api::Surfaces::ingest(sheet.as_ref(), from).unwrap();
    sheet.wipe("s");
    draws("c2", "x", &Value::Null).await;
    assert_eq!(key("s2", drawing("c1", json!([]))).await.as_deref(), Some(SECRET));
    sheet.wipe("s2");
    draws("c1", "s2", &Value::Null).await;
    assert_eq!(key("s2", drawing("c1", json!([]))).await, None, "the same one, drawn anew");
}

#[tokio::test]
async fn an_action_on_what_an_ended_task_drew_goes_on_in_its_context() {
    let ((_host, sheet), peer) = (host().await, Peer::start().await);
    peer.will_refuse(-32004, "the task has ended", Value::Null);
    peer.will_say(drawing("c1", json!([])));
    sheet.router().deliver(action(&peer.rpc(), "c1", "s")).await.unwrap();
    let asked = peer.asked();
    assert_eq!(asked[0].message()["taskId"], "t1");
    let again = asked[1].message();
    assert_eq!((again.get("taskId"), &again["contextId"]), (None, &json!("c1")));
    assert_eq!(again["referenceTaskIds"], json!(["t1"]));
    // Whatever else is refused is told.
    peer.will_refuse(-32001, "no such task", Value::Null);
    let error = sheet.router().deliver(action(&peer.rpc(), "c1", "s")).await.unwrap_err();
    assert!(error.message.contains("no such task") && peer.asked().len() == 1);
}

#[tokio::test]
async fn a_peer_that_repeats_a_credential_shows_it_to_nobody() {
    let ((host, sheet), peer) = (host().await, Peer::start().await);
    let mut client = host.client().await;
    let mut told = Vec::new();
    for auth in [header(), json!({ "type": "bearer", "token": SECRET })] {
        peer.will_refuse(-32603, &format!("bad key {SECRET}"), json!({ "got": [SECRET] }));
        let error = client.raw("a2a.send", send(&peer.rpc(), &auth)).await.unwrap_err();
        told.push(json!(error).to_string());
        let mut answer = drawing("c1", json!([create("s"), create(SECRET)]));
        answer["task"]["metadata"] = json!({ SECRET: SECRET });
        peer.will_say(answer);
        let sent = client.raw("a2a.send", send(&peer.rpc(), &auth)).await.unwrap();
        told.push(sent.to_string());
        peer.will_refuse(-32603, &format!("bad key {SECRET}"), json!({ "got": SECRET }));
        let error = sheet.router().deliver(action(&peer.rpc(), "c1", "s")).await.unwrap_err();
        told.push(format!("{error:?}"));
    }
    for wrong in [json!(SECRET), json!({ "type": "bearer", "token": format!("{SECRET}\n") })] {
        let error = client.raw("a2a.send", send(&peer.rpc(), &wrong)).await.unwrap_err();
        assert_eq!((error.code, error.field()), (-32602, Some("routeAuth")));
        told.push(json!(error).to_string());
    }
    assert_eq!(
        peer.asked().iter().filter(|it| format!("{:?}", it.headers).contains(SECRET)).count(),
        6
    );
    for told in told {
        assert!(!told.contains(SECRET), "{told}");
    }
}

#[tokio::test]
async fn a_card_that_moves_the_call_within_its_origin_is_followed_and_kept() {
    let ((host, sheet), peer) = (host().await, Peer::start().await);
    let card = json!({ "name": "p", "description": "", "version": "1", "capabilities": {},
        "supportedInterfaces": [{ "url": format!("{}/a2a/v1?k=1", peer.url), "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }] });
    peer.will_answer(card);
    peer.will_say(drawing("c1", json!([create("s")])));
    let mut client = host.client().await;
    client.raw("a2a.send", send(&peer.url, &header())).await.unwrap();
    let asked = peer.asked();
    assert_eq!(
        (asked[0].path.as_str(), asked[0].header("x-key")),
        ("/.well-known/agent-card.json", None)
    );
    assert_eq!((asked[1].path.as_str(), asked[1].header("x-key")), ("/a2a/v1?k=1", Some(SECRET)));
    let given = sheet.given.lock().remove(0);
    assert_eq!(given.endpoint, Some(format!("{}/a2a/v1?k=1", peer.url)));
}

#[tokio::test]
async fn where_actions_may_go_is_judged_as_for_messages() {
    let (builder, sheet) = with_sheet(with_obedient().0);
    let host = builder.start().await;
    let router = sheet.router();
    let reason = |url: &str, consent: bool| match router.screen(url, consent) {
        Ok(()) => "passes".to_owned(),
        Err(error) => error.data.unwrap()["reason"].as_str().unwrap().to_owned(),
    };
    assert_eq!(reason("http://127.0.0.1:1/rpc", true), "blocked_address");
    assert_eq!(reason("https://a.example/rpc", false), "untrusted_endpoint");
    assert_eq!(reason("https://a.example/rpc", true), "passes");
    let peer = json!({ "url": "https://a.example", "allowUntrusted": true });
    host.client().await.raw("a2a.peers.add", peer).await.unwrap();
    assert_eq!(reason("https://a.example/rpc", false), "passes");
    let error = router.deliver(action("http://127.0.0.1:1/rpc", "c", "s")).await.unwrap_err();
    assert_eq!(error.code, -32011);
}

#[tokio::test]
async fn what_messages_hold_is_drawn_in_their_context_which_is_the_callers_own() {
    let directory = tempfile::tempdir().unwrap();
    let mut tokens = json!({});
    for name in ["ann", "bob"] {
        let path = directory.path().join(name);
        std::fs::write(&path, format!("token-of-{name}")).unwrap();
        tokens[name] = format!("file:{}", path.display()).into();
    }
    let (builder, sheet) = with_sheet(with_engine());
    let host = builder.plugin("a2a", json!({ "tokens": tokens })).start().await;
    let listener = Listener::of(&host, json!({ "auth": "bearer" })).await;
    let post = async |who: &str, context: &str, id: &str| {
        let part = json!({ "data": [create(id)], "mediaType": "application/a2ui+json" });
        let mut params = json!({ "message": message(part) });
        params["message"]["contextId"] = context.into();
        let authorization = format!("Bearer token-of-{who}");
        let headers = [("A2A-Version", "1.0"), ("Authorization", authorization.as_str())];
        let answer = listener.post("SendMessage", params, &headers).await.json().await;
        assert_eq!(state(&answer["result"]["task"]), "COMPLETED", "{answer}");
    };
    post("ann", "c1", "s").await;
    let given = sheet.given.lock().remove(0);
    assert_eq!((given.endpoint, given.context_id.as_deref()), (None, Some("c1")));
    assert!(given.task_id.is_some());
    assert_eq!(given.caller.as_deref(), Some("peer:ann"));
    // Another caller's context of that name is another one.
    for (who, caller) in [("bob", "peer:bob"), ("ann", "peer:ann")] {
        post(who, "c1", "s2").await;
        assert_eq!(sheet.given.lock().remove(0).caller.as_deref(), Some(caller));
    }
}

#[tokio::test]
async fn surfaces_are_taken_only_where_they_are_drawn() {
    let plain = with_engine().start().await;
    let part = json!({ "data": [create("s")], "mediaType": "application/a2ui+json" });
    let params = at_once(json!({ "message": message(part) }));
    let error = plain.client().await.raw("SendMessage", params.clone()).await.unwrap_err();
    assert_eq!(error.code, -32005);
    let host = with_sheet(with_engine()).0.start().await;
    host.client().await.raw("SendMessage", params).await.unwrap();
}
