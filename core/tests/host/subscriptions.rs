//! Subscriptions: a snapshot, then everything after it, then nothing after the end.

use carport_core::{codes, testing::TestHost};
use serde_json::json;

use crate::lab::{Listen, Rang, Ring};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_listener_hears_every_ring_after_its_snapshot_and_none_twice() {
    let host = TestHost::start().await;
    for _ in 0..20 {
        let (mut ringer, mut listener) = (host.client().await, host.client().await);
        let ringing = tokio::spawn(async move {
            let mut last = 0;
            for _ in 0..50 {
                last = ringer.call(Ring { bell: 1 }).await.unwrap();
            }
            last
        });
        let from = listener.call(Listen { bell: 1, ring: false }).await.unwrap();
        let last = ringing.await.unwrap();
        for expected in from + 1..=last {
            assert_eq!(listener.event::<Rang>().await.number, expected);
        }
    }
}

#[tokio::test]
async fn nothing_is_heard_before_the_reply() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let call = client.send("lab.listen", json!({ "bell": 1, "ring": true })).await;
    let first = client.frame(|frame| frame["id"] == call || frame["method"] == "lab.rang").await;
    assert_eq!(first["id"], call);
    assert_eq!(client.event::<Rang>().await.number, 1);
}

#[tokio::test]
async fn the_same_subscription_again_replaces_the_first() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    client.call(Listen { bell: 1, ring: false }).await.unwrap();
    client.call(Listen { bell: 1, ring: false }).await.unwrap();
    client.call(Ring { bell: 1 }).await.unwrap();
    assert_eq!(client.event::<Rang>().await.number, 1);
    assert!(!client.has_heard(|frame| frame["method"] == "lab.rang").await);
}

#[tokio::test]
async fn a_connection_has_256_subscriptions() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for bell in 0..256 {
        client.call(Listen { bell, ring: false }).await.unwrap();
    }
    let error = client.call(Listen { bell: 256, ring: false }).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(256)));
    assert!(client.call(Listen { bell: 7, ring: false }).await.is_ok(), "a renewal takes no room");
}

#[tokio::test]
async fn a_client_that_reads_nothing_delays_nobody() {
    let host = TestHost::start().await;
    let (mut deaf, mut listener) = (host.client().await, host.client().await);
    deaf.call(Listen { bell: 1, ring: false }).await.unwrap();
    listener.call(Listen { bell: 1, ring: false }).await.unwrap();
    let mut ringer = host.client().await;
    for number in 1..=5000 {
        ringer.call(Ring { bell: 1 }).await.unwrap();
        assert_eq!(listener.event::<Rang>().await.number, number);
    }
    let metrics = ringer_metrics(&host).await;
    assert!(!metrics.contains("carport_outbox_drops_total 0"), "the deaf client lost some");
}

async fn ringer_metrics(host: &TestHost) -> String {
    let reply = host.host().await.raw("host.metrics", json!({})).await.unwrap();
    reply["text"].as_str().unwrap().to_owned()
}
