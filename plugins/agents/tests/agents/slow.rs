//! Originators that do not read: what is lost, what waits, and what they keep from others.

use std::time::Duration;

use carport_core::{codes, testing::TestHost};
use serde_json::json;

use crate::{
    attach,
    chatting::{begin, say},
    host_with,
};

/// A host that keeps a client which takes nothing.
async fn patient() -> TestHost {
    host_with(json!({}))
        .settings(|it| (it.transport.stuck_secs, it.transport.ping_secs) = (86_400, 86_400))
        .start()
        .await
}

#[tokio::test(start_paused = true)]
async fn the_end_waits_for_a_slow_reader_and_nothing_of_its_id_overtakes_it() {
    let host = patient().await;
    let mut agent = attach(&host, "helper").await;
    let (mut slow, mut other) = (host.client().await, host.client().await);
    begin(&mut slow, &mut agent, "c").await;
    // More than waits for one client, 1024 frames; it reads none of it.
    let token = json!({ "session_id": "c", "kind": "token", "delta": "x".repeat(200) });
    for _ in 0..3000 {
        agent.notify("agent.chat.event", token.clone()).await;
    }
    assert!(say(&mut agent, "c", "done", json!({})).await);
    assert!(!say(&mut agent, "c", "token", json!({})).await, "it has ended");
    let call = json!({ "agent_id": "helper", "prompt": "p", "session_id": "c" });
    let error = other.raw("agents.chat", call).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT, "its end is still under way");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let mut last = json!({});
    while last["kind"] != "done" {
        last = slow.notification("agents.chat.event").await;
    }
    assert_eq!(last["seq"], 3001);
    let gone = other.raw("agents.chat.cancel", json!({ "session_id": "c" })).await.unwrap();
    assert_eq!(gone["cancelled"], false);
    begin(&mut other, &mut agent, "c").await;
}
