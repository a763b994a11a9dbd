//! Following: a snapshot, then every event, and names.

use super::*;

#[tokio::test]
async fn a_snapshot_and_then_every_event() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let mut follower = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    lab.voice.says(&stream, 0, "S1", "Before that.");
    heard(&mut client, "m1", 1).await;
    let followed = call(&mut follower, "subscribe", json!({ "meeting_id": "m1" })).await;
    assert_eq!(lines(&followed["transcript"]).len(), 1);
    let cursor = followed["cursor"].as_u64().unwrap();
    lab.voice.says(&stream, 1, "S2", "After it.");
    call(&mut client, "label", json!({ "meeting_id": "m1", "label": "S1", "name": "Ann" })).await;
    call(&mut client, "stop", json!({ "meeting_id": "m1" })).await;
    let mut types = Vec::new();
    for nth in 1..=5 {
        let event = event(&mut follower).await;
        assert_eq!((&event["cursor"], &event["meeting_id"]), (&json!(cursor + nth), &json!("m1")));
        types.push(event["type"].as_str().unwrap().to_owned());
    }
    types[..3].sort();
    assert_eq!(types, ["participant", "participant", "segment", "status", "summary"]);
    // It is over: who subscribes now gets everything, and no event.
    let again = call(&mut follower, "subscribe", json!({ "meeting_id": "m1", "from": 1 })).await;
    assert_eq!(lines(&again["transcript"]), [(1, "S2".into(), "After it.".into())]);
    assert_eq!(again["meeting"]["status"], "ended");
}

#[tokio::test]
async fn a_name_is_shown_and_the_label_stays_in_the_file() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    lab.voice.says(&stream, 0, "S1", "One.");
    lab.voice.says(&stream, 1, "S1", "Two.");
    heard(&mut client, "m1", 2).await;
    let named =
        call(&mut client, "label", json!({ "meeting_id": "m1", "label": "S1", "name": "Ann" }))
            .await;
    assert_eq!(named["relabelled"], 2);
    let unknown = json!({ "meeting_id": "m1", "label": "S7", "name": "Ann" });
    assert_eq!(refused(&mut client, "label", unknown).await.0, -32007);
    let got = call(&mut client, "get", json!({ "meeting_id": "m1" })).await;
    assert!(lines(&got["transcript"]).iter().all(|it| it.1 == "Ann"));
    assert!(!lab.file("m1", "transcript.jsonl").contains("Ann"));
    call(&mut client, "stop", json!({ "meeting_id": "m1" })).await;
    // After the end too.
    let named =
        call(&mut client, "label", json!({ "meeting_id": "m1", "label": "S1", "name": "Bo" }))
            .await;
    assert_eq!(
        (&named["relabelled"], &named["meeting"]["participants"][0]["name"]),
        (&json!(2), &json!("Bo"))
    );
    let got = call(&mut client, "get", json!({ "meeting_id": "m1" })).await;
    assert!(lines(&got["transcript"]).iter().all(|it| it.1 == "Bo"));
}

#[tokio::test]
async fn nobody_hears_after_leaving_and_thirty_two_may_listen() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    let mut followers = Vec::new();
    for _ in 0..32 {
        let mut follower = lab.host.client().await;
        call(&mut follower, "subscribe", json!({ "meeting_id": "m1" })).await;
        followers.push(follower);
    }
    assert_eq!(refused(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await.0, -32012);
    let left = call(&mut followers[0], "unsubscribe", json!({ "meeting_id": "m1" })).await;
    assert_eq!(left["unsubscribed"], true);
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    lab.voice.says(&stream, 0, "S1", "Hello.");
    assert_eq!(event(&mut client).await["type"], "participant");
    assert!(!followers[0].has_heard(|it| it["method"] == "meeting.event").await);
    let left = call(&mut followers[0], "unsubscribe", json!({ "meeting_id": "m1" })).await;
    assert_eq!(left["unsubscribed"], false);
}
