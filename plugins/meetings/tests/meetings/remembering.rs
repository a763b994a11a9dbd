//! What is said becomes turns: once each, in order, and a slow memory delays nobody.

use carport_core::RpcError;
use carport_memory_api::GraphRef;
use carport_voice_api::{Event, Speaker};

use super::*;

#[tokio::test]
async fn every_segment_is_one_turn_and_the_summary_a_fact() {
    let lab = Lab::start().await;
    let mut client = lab.host.agent("ann").await;
    let stream = begin(&mut client, "m1").await;
    for n in 0..5 {
        lab.voice.says(&stream, n, "S1", &format!("Segment {n} of all."));
    }
    let speaker = Speaker { label: "Cy".into(), score: None, enrolled: true };
    lab.voice.tell(&stream, Event::SpeakerCorrected { segment_id: 1, speaker });
    call(&mut client, "stop", json!({ "id": "m1" })).await;
    let turns = lab.memory.turns.lock().unwrap().clone();
    assert!(turns.iter().all(
        |(graph, turn)| *graph == GraphRef::Agent("ann".into()) && turn.origin == "meeting:m1"
    ));
    let mut last = std::collections::BTreeMap::new();
    for (_, turn) in &turns {
        last.insert(turn.key.clone(), turn.clone());
    }
    let last: Vec<_> = last.into_values().map(|it| (it.key, it.speaker, it.text)).collect();
    let expected = |n: usize| {
        let speaker = if n == 1 { "Cy" } else { "S1" };
        (format!("meeting:m1:{n}"), speaker.to_owned(), format!("Segment {n} of all."))
    };
    assert_eq!(last, (0..5).map(expected).collect::<Vec<_>>());
    let facts = lab.memory.facts.lock().unwrap();
    let fact = &facts[0];
    assert_eq!(
        (fact.fact_id.as_deref(), fact.subject.as_str(), fact.kind.as_str()),
        (Some("meeting-m1"), "meeting m1", "meeting")
    );
    assert_eq!(
        (fact.source.as_str(), fact.tags.as_slice()),
        ("meeting:m1", &["meeting".to_owned()][..])
    );
    assert!(fact.body.contains("Segment"));
}

#[tokio::test]
async fn nothing_is_remembered_unless_it_is_wanted() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let started = call(&mut client, "start", json!({ "id": "m1", "ingest": false })).await;
    lab.voice.says(started["voice_session_id"].as_str().unwrap(), 0, "S1", "Off the record.");
    call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert!(
        lab.memory.turns.lock().unwrap().is_empty() && lab.memory.facts.lock().unwrap().is_empty()
    );
}

#[tokio::test]
async fn a_failing_memory_delays_nobody_and_catches_up() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    *lab.memory.fails.lock().unwrap() = Some(RpcError::internal("the disk is full"));
    for n in 0..4 {
        lab.voice.says(&stream, n, "S1", &format!("Segment {n}."));
    }
    heard(&mut client, "m1", 4).await;
    let mut offered = lab.memory.offered.subscribe();
    offered.wait_for(|it| *it >= 1).await.unwrap();
    assert!(lab.memory.turns.lock().unwrap().is_empty());
    *lab.memory.fails.lock().unwrap() = None;
    call(&mut client, "stop", json!({ "id": "m1" })).await;
    let turns = lab.memory.turns.lock().unwrap();
    let texts: Vec<_> = turns.iter().map(|it| it.1.text.clone()).collect();
    assert_eq!(texts, ["Segment 0.", "Segment 1.", "Segment 2.", "Segment 3."]);
}

#[tokio::test]
async fn a_memory_that_is_late_is_told_once() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    *lab.memory.fails.lock().unwrap() = Some(RpcError::internal("the disk is full"));
    for n in 0..3 {
        lab.voice.says(&stream, n, "S1", &format!("Segment {n}."));
    }
    let mut offered = lab.memory.offered.subscribe();
    offered.wait_for(|it| *it >= 1).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    tokio::time::resume();
    while event(&mut client).await["code"] != "ingest_late" {}
    *lab.memory.fails.lock().unwrap() = None;
    until(async || lab.memory.turns.lock().unwrap().len() == 3).await;
    call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert!(!client.has_heard(|it| it["params"]["code"] == "ingest_late").await);
}

#[tokio::test]
async fn a_graph_that_is_gone_gets_no_more_turns() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    *lab.memory.fails.lock().unwrap() = Some(RpcError::not_found("connection"));
    for n in 0..4 {
        lab.voice.says(&stream, n, "S1", &format!("Segment {n}."));
    }
    let stopped = call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert_eq!(lines(&stopped["transcript"]).len(), 4);
    assert_eq!(*lab.memory.offered.subscribe().borrow(), 1);
}

#[tokio::test]
async fn a_meeting_that_is_deleted_while_the_memory_is_behind_does_not_come_back() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    *lab.memory.fails.lock().unwrap() = Some(RpcError::internal("the disk is full"));
    lab.voice.says(&stream, 0, "S1", "It was said.");
    heard(&mut client, "m1", 1).await;
    let stop = client.send("meeting.stop", json!({ "id": "m1", "summarize": false })).await;
    while event(&mut client).await["status"] != "ended" {}
    tokio::time::pause();
    client.reply(stop).await.unwrap();
    *lab.memory.fails.lock().unwrap() = None;
    call(&mut client, "delete", json!({ "meeting_id": "m1" })).await;
    // Longer than between two tries.
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(lab.memory.turns.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_name_reaches_the_turns_that_were_said_before() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    lab.voice.says(&stream, 0, "S1", "One.");
    lab.voice.says(&stream, 1, "S2", "Two.");
    heard(&mut client, "m1", 2).await;
    let last = || {
        let turns = lab.memory.turns.lock().unwrap();
        turns.last().map(|it| (it.1.key.clone(), it.1.speaker.clone()))
    };
    until(async || lab.memory.turns.lock().unwrap().len() == 2).await;
    let named = |name: &str| json!({ "meeting_id": "m1", "label": "S1", "name": name });
    call(&mut client, "label", named("Ann")).await;
    let known = |name: &str| Some(("meeting:m1:0".to_owned(), name.to_owned()));
    until(async || last() == known("Ann")).await;
    call(&mut client, "stop", json!({ "id": "m1" })).await;
    call(&mut client, "label", named("Cy")).await;
    assert!(lab.memory.turns.lock().unwrap().iter().any(|it| it.1.speaker == "Cy"));
}
