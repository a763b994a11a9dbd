//! Host events: numbered once, kept in a ring, heard without a gap.

use carport_core::{HostEvent, codes, host::Snapshot, testing::TestHost};
use serde_json::json;

#[tokio::test]
async fn an_event_is_numbered_kept_and_heard() {
    let host = TestHost::start().await;
    let (mut person, mut client) = (host.host().await, host.client().await);
    let snapshot: Snapshot =
        serde_json::from_value(person.raw("host.subscribe", json!({})).await.unwrap()).unwrap();
    assert_eq!((snapshot.sequence, snapshot.events.len(), snapshot.agents.len()), (0, 0, 0));
    let said = json!({ "kind": "shop.opened", "message": "hello", "payload": { "n": 1 } });
    let event = client.raw("host.notify", said).await.unwrap();
    assert_eq!((&event["sequence"], &event["kind"]), (&json!(1), &json!("shop.opened")));
    let heard: HostEvent = person.event().await;
    assert_eq!(json!(heard), event);
    let page = client.raw("host.events", json!({ "after": 0 })).await.unwrap();
    assert_eq!(page, json!({ "events": [event], "oldest_sequence": 1, "latest_sequence": 1 }));
    let bye = person.raw("host.unsubscribe", json!({})).await.unwrap();
    assert_eq!(bye, json!({ "subscribed": false, "was_subscribed": true }));
    client.raw("host.notify", json!({})).await.unwrap();
    assert!(!person.has_heard(|frame| frame["method"] == "host.event").await);
}

#[tokio::test]
async fn a_kind_is_two_words_and_not_the_daemons_own() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for kind in ["single", "agent.registered", "approval.x", "a2ui.x", "Up.case", "a..b", ".a", ""]
    {
        let error = client.raw("host.notify", json!({ "kind": kind })).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("kind")), "{kind}");
    }
    let big = json!({ "payload": { "a": "x".repeat(17_000) } });
    assert_eq!(client.raw("host.notify", big).await.unwrap_err().field(), Some("payload"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_and_what_follows_hold_each_event_once() {
    let host = TestHost::start().await;
    let (mut noisy, mut person) = (host.client().await, host.host().await);
    let noise = tokio::spawn(async move {
        for _ in 0..300 {
            noisy.raw("host.notify", json!({})).await.unwrap();
        }
    });
    while person.raw("host.events", json!({})).await.unwrap()["latest_sequence"] == 0 {}
    let snapshot: Snapshot =
        serde_json::from_value(person.raw("host.subscribe", json!({})).await.unwrap()).unwrap();
    let last = snapshot.events.last().map_or(0, |event| event.sequence);
    assert_eq!(snapshot.sequence, last);
    for expected in snapshot.sequence + 1..=300 {
        assert_eq!(person.event::<HostEvent>().await.sequence, expected);
    }
    noise.await.unwrap();
}

#[tokio::test]
async fn a_strict_daemon_wants_a_handshake_before_a_subscription() {
    let host = TestHost::builder().settings(|it| it.host.require_handshake = true).start().await;
    let mut person = host.host().await;
    let error = person.raw("host.subscribe", json!({})).await.unwrap_err();
    assert_eq!((error.code, &*error.message), (-32005, "protocol handshake required"));
    person.raw("server.handshake", json!({ "protocol_version": 3 })).await.unwrap();
    assert!(person.raw("host.subscribe", json!({})).await.is_ok());
}

#[tokio::test]
async fn the_schema_has_a_digest_that_stays() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let one = client.raw("server.schema", json!({})).await.unwrap();
    let two = client.raw("server.schema", json!({})).await.unwrap();
    assert_eq!(one, two);
    assert_eq!(one["digest"].as_str().unwrap().len(), 64);
    let list = client.raw("capabilities.list", json!({})).await.unwrap();
    assert!(list["capabilities"].as_array().unwrap().contains(&json!("lab")));
    assert_eq!(list["plugins"][0]["id"], "host");
}
