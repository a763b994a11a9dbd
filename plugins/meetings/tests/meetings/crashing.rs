//! What a kill of the daemon or a full disk leaves.

use super::*;

#[tokio::test]
async fn a_killed_daemon_leaves_every_segment_that_was_seen() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    for n in 0..3 {
        lab.voice.says(&stream, n, "S1", &format!("Segment number {n} is here."));
    }
    let seen = heard(&mut client, "m1", 3).await;
    // Half a line, as a kill in the middle of a write leaves it.
    let path = lab.host.root().join("meetings/m1/transcript.jsonl");
    let mut text = std::fs::read_to_string(&path).unwrap();
    let whole = text.clone();
    text.push_str("{\"n\":3,\"source\":\"ma");
    std::fs::write(&path, text).unwrap();

    let next = lab.killed().await;
    let mut client = next.host.client().await;
    let listed = call(&mut client, "list", json!({})).await;
    assert_eq!(listed["meetings"][0]["status"], "interrupted");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    let got = call(&mut client, "get", json!({ "meeting_id": "m1" })).await;
    assert_eq!(got["transcript"], seen["transcript"]);
    assert_eq!(
        (&got["ended_by"], &got["duration_ms"], &got["summary"]),
        (&json!("crash"), &json!(2800), &Value::Null)
    );
    let stopped = call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert_eq!((&stopped["status"], &stopped["ended_at"]), (&json!("ended"), &got["ended_at"]));
    assert!(stopped["summary"].as_str().unwrap().contains("Segment number 0 is here."));
    assert_eq!(refused(&mut client, "stop", json!({ "id": "m1" })).await.0, -32008);
}

#[tokio::test]
async fn what_the_memory_had_not_got_before_the_kill_it_gets_when_the_meeting_is_stopped() {
    let lab = Lab::start().await;
    let mut ann = lab.host.agent("ann").await;
    *lab.memory.fails.lock().unwrap() = Some(carport_core::RpcError::internal("it is slow"));
    let stream = begin(&mut ann, "m1").await;
    for n in 0..3 {
        lab.voice.says(&stream, n, "S1", &format!("Segment {n}."));
    }
    heard(&mut ann, "m1", 3).await;
    let next = lab.killed().await;
    let mut ann = next.host.agent("ann").await;
    assert!(next.memory.turns.lock().unwrap().is_empty(), "nothing is touched before that");
    call(&mut ann, "stop", json!({ "id": "m1" })).await;
    let turns = next.memory.turns.lock().unwrap();
    let keys: Vec<_> = turns.iter().map(|it| it.1.key.as_str()).collect();
    assert_eq!(keys, ["meeting:m1:0", "meeting:m1:1", "meeting:m1:2"]);
}

#[tokio::test]
async fn an_interrupted_meeting_may_end_without_a_summary() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    begin(&mut client, "m1").await;
    let next = lab.killed().await;
    let mut client = next.host.client().await;
    let stopped = call(&mut client, "stop", json!({ "id": "m1", "summarize": false })).await;
    assert_eq!(
        (&stopped["status"], &stopped["meeting"]["ended_by"]),
        (&json!("ended"), &json!("crash"))
    );
}

#[tokio::test]
async fn what_the_memory_did_not_take_at_a_stop_it_gets_at_the_next() {
    let lab = Lab::start().await;
    let mut ann = lab.host.agent("ann").await;
    *lab.memory.fails.lock().unwrap() = Some(carport_core::RpcError::internal("it is slow"));
    let stream = begin(&mut ann, "m1").await;
    lab.voice.says(&stream, 0, "S1", "It was said.");
    heard(&mut ann, "m1", 1).await;
    let next = lab.killed().await;
    let mut ann = next.host.agent("ann").await;
    *next.memory.fails.lock().unwrap() = Some(carport_core::RpcError::internal("it is slow"));
    call(&mut ann, "stop", json!({ "id": "m1", "summarize": false })).await;
    assert!(next.memory.turns.lock().unwrap().is_empty());
    *next.memory.fails.lock().unwrap() = None;
    call(&mut ann, "stop", json!({ "id": "m1" })).await;
    assert_eq!(next.memory.turns.lock().unwrap().len(), 1);
}
