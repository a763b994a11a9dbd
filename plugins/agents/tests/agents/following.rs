//! Logs that are followed: a snapshot, then every line, none twice.

use carport_core::{codes, testing::TestClient};
use serde_json::{Value, json};

use crate::{attach, host, spec, upsert};

/// Reads lines of a stream until this one comes.
async fn up_to(client: &mut TestClient, last: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    loop {
        lines.push(client.notification("agents.log").await);
        if lines.last().unwrap()["line"] == last {
            return lines;
        }
    }
}

#[tokio::test]
async fn the_window_and_the_lines_are_all_that_is_printed() {
    let host = host().await;
    let script =
        "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo $i; echo e$i >&2; done; sleep 1000";
    upsert(&host, spec("helper", script)).await;
    let (mut client, mut other) = (host.client().await, host.client().await);
    client.raw("agents.start", json!({ "id": "helper" })).await.unwrap();
    let follow = json!({ "id": "helper", "stream": "stdout", "n": 0 });
    let followed = client.raw("agents.follow_log", follow.clone()).await.unwrap();
    assert_eq!(followed["stderr"], json!([]), "another stream is not shown");
    let seen = followed["stdout"].as_array().unwrap().clone();
    assert_eq!(followed["cursor"]["stdout"], seen.len());
    let lines = match seen.len() {
        300 => Vec::new(),
        _ => up_to(&mut client, "300").await,
    };
    let numbers: Vec<u64> = lines.iter().map(|it| it["cursor"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (seen.len() as u64 + 1..=300).collect::<Vec<_>>());
    assert!(lines.iter().all(|it| it["stream"] == "stdout" && it["id"] == "helper"));
    let whole: Vec<_> = seen.into_iter().chain(lines.iter().map(|it| it["line"].clone())).collect();
    assert_eq!(whole, (1..=300).map(|it| json!(it.to_string())).collect::<Vec<_>>());

    let late = other.raw("agents.follow_log", json!({ "id": "helper", "n": 2 })).await.unwrap();
    assert_eq!(late["stdout"], json!(["299", "300"]));
    client.raw("agents.restart", json!({ "id": "helper" })).await.unwrap();
    up_to(&mut client, "300").await;
    let again = client.raw("agents.follow_log", follow).await.unwrap();
    assert_eq!((&again["cursor"]["stdout"], &again["stdout_total"]), (&json!(600), &json!(600)));
}

#[tokio::test]
async fn who_follows_no_longer_hears_nothing_more() {
    let host = host().await;
    let script = "while read line; do :; done; while :; do echo tick; sleep 0.01; done";
    upsert(&host, spec("helper", script)).await;
    let mut client = host.client().await;
    client.raw("agents.start", json!({ "id": "helper" })).await.unwrap();
    let id = json!({ "id": "helper" });
    client.raw("agents.follow_log", id.clone()).await.unwrap();
    assert_eq!(client.notification("agents.log").await["line"], "tick");
    for unfollowed in [true, false] {
        let reply = client.raw("agents.unfollow_log", id.clone()).await.unwrap();
        assert_eq!(reply["unfollowed"], unfollowed);
    }
    // What was queued before the reply is set aside; whatever comes now would come after these.
    while client.has_heard(|it| it["method"] == "agents.log").await {
        client.notification("agents.log").await;
    }
    let mut other = host.client().await;
    other.raw("agents.follow_log", id).await.unwrap();
    other.notification("agents.log").await;
    assert!(!client.has_heard(|it| it["method"] == "agents.log").await);
    host.stop().await;
}

#[tokio::test]
async fn a_log_that_is_followed_anew_tells_no_line_twice() {
    let host = host().await;
    upsert(&host, spec("helper", "while :; do echo tick; sleep 0.001; done")).await;
    let mut client = host.client().await;
    client.raw("agents.start", json!({ "id": "helper" })).await.unwrap();
    let follow = json!({ "id": "helper", "stream": "stdout", "n": 1 });
    let mut last = 0;
    for _ in 0..100 {
        let call = client.send("agents.follow_log", follow.clone()).await;
        let reply = loop {
            let frame = client.frame(|it| it["method"] == "agents.log" || it["id"] == call).await;
            match frame["id"] == call {
                true => break frame,
                false => last = frame["params"]["cursor"].as_u64().unwrap(),
            }
        };
        let counted = reply["result"]["cursor"]["stdout"].as_u64().unwrap();
        assert!(last <= counted, "line {last} came before the reply that begins after {counted}");
        last = client.notification("agents.log").await["cursor"].as_u64().unwrap();
        assert_eq!(last, counted + 1);
    }
    host.stop().await;
}

#[tokio::test]
async fn an_agent_follows_itself_and_a_connection_only_so_many() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    upsert(&host, spec("other", "true")).await;
    assert!(agent.raw("agents.follow_log", json!({ "id": "helper" })).await.is_ok());
    let error = agent.raw("agents.follow_log", json!({ "id": "other" })).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    let mut client = host.client().await;
    let error = client.raw("agents.follow_log", json!({ "id": "nobody" })).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
    for n in 0..17 {
        upsert(&host, spec(&format!("a{n}"), "true")).await;
    }
    for n in 0..16 {
        client.raw("agents.follow_log", json!({ "id": format!("a{n}") })).await.unwrap();
    }
    client.raw("agents.follow_log", json!({ "id": "a0" })).await.unwrap();
    let error = client.raw("agents.follow_log", json!({ "id": "a16" })).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(16)));
    client.raw("agents.unfollow_log", json!({ "id": "a3" })).await.unwrap();
    client.raw("agents.follow_log", json!({ "id": "a16" })).await.unwrap();
}

#[tokio::test]
async fn who_does_not_read_holds_no_child_up_and_sees_that_lines_are_missing() {
    let host = host().await;
    let pad = "x".repeat(1000);
    let script = format!("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo {pad}; done");
    upsert(&host, spec("helper", &script)).await;
    let (mut slow, mut other) = (host.client().await, host.client().await);
    let id = json!({ "id": "helper" });
    slow.raw("agents.follow_log", id.clone()).await.unwrap();
    other.raw("agents.start", id.clone()).await.unwrap();
    let ended = json!({ "id": "helper", "targets": ["stopped"] });
    assert_eq!(other.raw("agents.wait", ended).await.unwrap()["last_exit_code"], 0);
    let tail = other.raw("agents.tail_log", id.clone()).await.unwrap();
    assert_eq!(tail["stdout_total"], 3000);
    let call = slow.send("agents.unfollow_log", id).await;
    let (mut seen, mut told) = (0, 0);
    loop {
        let frame = slow.frame(|it| it["method"] == "agents.log" || it["id"] == call).await;
        if frame["id"] == call {
            break;
        }
        let cursor = frame["params"]["cursor"].as_u64().unwrap();
        assert!(cursor > seen, "none twice and none out of order");
        (seen, told) = (cursor, told + 1);
    }
    assert!((1..3000).contains(&told), "{told}");
}

#[tokio::test]
async fn only_who_supervises_can_be_followed() {
    let host = crate::host_with(json!({ "supervise": "never" })).start().await;
    let mut client = host.client().await;
    let error = client.raw("agents.follow_log", json!({ "id": "helper" })).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
}
