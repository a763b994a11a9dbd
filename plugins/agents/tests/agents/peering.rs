//! Messages of agents to agents.

use carport_agents::PeerMessage;
use carport_core::{
    ManualClock, RpcError, Time, codes,
    testing::{TestClient, TestHost},
};
use serde_json::{Value, json};

use crate::{attach, host, host_with};

/// Sends a message and lets the peer acknowledge it: what the sender is told, what the peer heard.
async fn deliver(
    from: &mut TestClient,
    to: &mut TestClient,
    message: Value,
) -> (Value, PeerMessage) {
    let id = from.send("agents.message", message).await;
    let (ask, heard) = to.asked::<PeerMessage>().await;
    to.answer(&ask, json!(null)).await;
    (from.reply(id).await.unwrap(), heard)
}

async fn refused(from: &mut TestClient, message: Value) -> RpcError {
    from.raw("agents.message", message).await.unwrap_err()
}

fn to_b(body: &str) -> Value {
    json!({ "to": "b", "body": body, "from": "somebody else" })
}

async fn two(host: &TestHost) -> (TestClient, TestClient) {
    (attach(host, "a").await, attach(host, "b").await)
}

#[tokio::test]
async fn an_agent_finds_its_peer_and_tells_it_something() {
    let host = host().await;
    let (mut a, mut b) = two(&host).await;
    let found = a.raw("agents.peers", json!({})).await.unwrap();
    assert_eq!((&found["self"], &found["count"]), (&json!("a"), &json!(1)));
    let peer = &found["peers"][0];
    assert_eq!((&peer["address"], &peer["reference"]), (&json!("b"), &json!("car_agent:b")));
    assert_eq!((&peer["kind"], &peer["source"]), (&json!("car_agent"), &json!("attached")));
    assert_eq!((&peer["can_receive"], &peer["reachable"]), (&json!(true), &json!(true)));
    let (sent, heard) = deliver(&mut a, &mut b, to_b("hello")).await;
    assert_eq!(sent, json!({ "id": heard.id, "to": "b", "outcome": "delivered" }));
    assert_eq!((heard.from.as_str(), heard.body.as_str(), heard.no_reply), ("a", "hello", true));
    let (_, heard) = deliver(&mut host.host().await, &mut b, to_b("hello")).await;
    assert_eq!(heard.from, "@host");
    let mut client = host.client().await;
    assert_eq!(refused(&mut client, to_b("x")).await.code, codes::FORBIDDEN);
    let seen = client.raw("agents.peers", json!({})).await.unwrap();
    assert_eq!((&seen["self"], &seen["count"]), (&json!(null), &json!(2)));
    let own = refused(&mut a, json!({ "to": "a", "body": "x" })).await;
    assert_eq!((own.code, own.field()), (codes::INVALID_PARAMS, Some("to")));
    assert_eq!(refused(&mut a, json!({ "to": "c", "body": "x" })).await.code, codes::NOT_FOUND);
    b.close().await;
    assert_eq!(refused(&mut a, to_b("gone")).await.code, codes::NOT_FOUND);
}

#[tokio::test]
async fn the_same_twice_and_too_much_are_refused() {
    let clock = ManualClock::at(Time::default());
    let host = host_with(json!({})).clock(clock.clone()).start().await;
    let (mut a, mut b) = two(&host).await;
    deliver(&mut a, &mut b, to_b("hello")).await;
    assert_eq!(refused(&mut a, to_b("hello")).await.code, codes::CONFLICT);
    clock.advance(chrono::TimeDelta::seconds(10));
    deliver(&mut a, &mut b, to_b("hello")).await;
    for n in 2..20 {
        deliver(&mut a, &mut b, to_b(&n.to_string())).await;
    }
    let error = refused(&mut a, to_b("one more")).await;
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(20)));
    clock.advance(chrono::TimeDelta::seconds(60));
    deliver(&mut a, &mut b, to_b("one more")).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_keeps_silent_or_takes_no_part_has_not_acknowledged() {
    let host = host().await;
    let (mut a, mut b) = two(&host).await;
    let id = a.send("agents.message", to_b("one")).await;
    let (ask, _) = b.asked::<PeerMessage>().await;
    b.answer_error(&ask, &RpcError::new(codes::METHOD_NOT_FOUND, "no such method")).await;
    let sent = a.reply(id).await.unwrap();
    assert_eq!((&sent["outcome"], &sent["retained"]), (&json!("unacknowledged"), &json!(false)));
    assert_eq!(sent["reason"], "no such method");
    let sent = a.raw("agents.message", to_b("two")).await.unwrap();
    assert_eq!(sent["outcome"], "unacknowledged");
    // The fifty that may wait for one peer, and one more.
    let mut senders = Vec::new();
    for n in 0..3 {
        senders.push(attach(&host, &format!("s{n}")).await);
    }
    let mut calls = Vec::new();
    for n in 0..51 {
        let body = to_b(&format!("wait {n}"));
        calls.push(senders[n % 3].send("agents.message", body).await);
        senders[n % 3].raw("agents.peers", json!({})).await.unwrap();
    }
    let last = senders[50 % 3].reply(calls[50]).await.unwrap_err();
    assert_eq!(last.code, codes::OVERLOADED);
}

#[tokio::test]
async fn held_messages_wait_for_the_host() {
    let clock = ManualClock::at(Time::default());
    let host = host_with(json!({ "peer_messages": "hold" })).clock(clock).start().await;
    let (mut a, mut b) = two(&host).await;
    let mut owner = host.host().await;
    let mut ids = Vec::new();
    for body in ["first", "second"] {
        let sent = a.raw("agents.message", to_b(body)).await.unwrap();
        assert_eq!((&sent["outcome"], &sent["retained"]), (&json!("held"), &json!(true)));
        ids.push(sent["id"].clone());
    }
    assert_eq!(refused(&mut a, to_b("first")).await.code, codes::CONFLICT);
    let pending = owner.raw("agents.message.pending", json!({})).await.unwrap();
    assert_eq!((&pending["count"], &pending["cap"]), (&json!(2), &json!(100)));
    let row = &pending["held"][0];
    assert_eq!(
        (&row["from"], &row["to"], &row["body"]),
        (&json!("a"), &json!("b"), &json!("first"))
    );
    let denied = json!({ "id": ids[0], "decision": "no" });
    let reply = owner.raw("agents.message.approve", denied.clone()).await.unwrap();
    assert_eq!(reply, json!({ "id": ids[0], "outcome": "denied" }));
    let error = owner.raw("agents.message.approve", denied).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
    let id = owner.send("agents.message.approve", json!({ "id": ids[1], "decision": "yes" })).await;
    let (ask, heard) = b.asked::<PeerMessage>().await;
    b.answer(&ask, json!({})).await;
    assert_eq!((heard.body.as_str(), json!(heard.id)), ("second", ids[1].clone()));
    assert_eq!(owner.reply(id).await.unwrap()["outcome"], "delivered");
    deliver(&mut owner, &mut b, to_b("the host waits for nobody")).await;
    for (method, params) in [
        ("agents.message.pending", json!({})),
        ("agents.message.approve", json!({ "id": "x", "decision": true })),
    ] {
        assert_eq!(a.raw(method, params).await.unwrap_err().code, codes::FORBIDDEN);
    }
    let bad = json!({ "id": "x", "decision": 1 });
    let error = owner.raw("agents.message.approve", bad).await.unwrap_err();
    assert_eq!(error.field(), Some("decision"));
}

#[tokio::test]
async fn a_held_message_stays_while_its_peer_is_away() {
    let host = host_with(json!({ "peer_messages": "hold" })).start().await;
    let (mut a, b) = two(&host).await;
    let id = a.raw("agents.message", to_b("later")).await.unwrap()["id"].clone();
    b.close().await;
    let mut owner = host.host().await;
    let approve = json!({ "id": id, "decision": true });
    let error = owner.raw("agents.message.approve", approve).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
    let pending = owner.raw("agents.message.pending", json!({})).await.unwrap();
    assert_eq!(pending["count"], 1);
}

#[tokio::test]
async fn where_messages_are_denied_nobody_hears_and_the_audit_holds_no_text() {
    let host = host_with(json!({ "peer_messages": "deny" })).start().await;
    let (mut a, _b) = two(&host).await;
    assert_eq!(refused(&mut a, to_b("a secret")).await.code, codes::POLICY);
    let found = a.raw("agents.peers", json!({})).await.unwrap();
    assert_eq!(found["peers"][0]["can_receive"], false);
    host.stop().await;
    let lines = std::fs::read_to_string(host.root().join("journals/peer.jsonl")).unwrap();
    assert!(lines.contains("peer.refused") && !lines.contains("secret"), "{lines}");
}
