//! Endings: by whom, once, with everything that was said.

use carport_core::RpcError;
use carport_voice_api::EndReason;

use super::*;
use crate::script::said;

#[tokio::test]
async fn two_stops_at_once_get_the_same() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    lab.voice.drained.send_replace(false);
    lab.voice.last_words(&stream, vec![said(0, "S1", "The last word.")]);
    let (one, other) = (
        client.send("meeting.stop", json!({ "id": "m1" })).await,
        client.send("meeting.stop", json!({ "id": "m1" })).await,
    );
    // Both are read when this is answered, for calls begin in their order.
    call(&mut client, "list", json!({})).await;
    lab.voice.drained.send_replace(true);
    let (one, other) = (client.reply(one).await.unwrap(), client.reply(other).await.unwrap());
    assert_eq!(one, other);
    assert_eq!(lines(&one["transcript"]).len(), 1);
    // It has ended, with a summary.
    assert_eq!(refused(&mut client, "stop", json!({ "id": "m1" })).await.0, -32008);
}

#[tokio::test]
async fn a_meeting_without_a_summary_gets_one_later() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    lab.voice.says(&stream, 0, "S1", "We agreed on blue for the house.");
    let stopped = call(&mut client, "stop", json!({ "id": "m1", "summarize": false })).await;
    assert_eq!(stopped["summary"], Value::Null);
    assert!(!lab.has_file("m1/summary.md"));
    assert_eq!(
        refused(&mut client, "stop", json!({ "id": "m1", "summarize": false })).await.0,
        -32008
    );
    let again = call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert!(
        again["summary"].as_str().unwrap().contains("## Decisions\n\n- S1: We agreed on blue"),
        "{again}"
    );
    assert_eq!((&again["status"], &again["ended_at"]), (&stopped["status"], &stopped["ended_at"]));
    assert!(lab.file("m1", "summary.md").starts_with("# m1\n\n"));
}

#[tokio::test]
async fn a_source_whose_end_is_cut_is_told() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    begin(&mut client, "m1").await;
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    *lab.voice.cuts.lock().unwrap() = true;
    call(&mut client, "stop", json!({ "id": "m1" })).await;
    let told = event(&mut client).await;
    assert_eq!((&told["code"], &told["source"]), (&json!("overrun"), &json!("main")));
    assert_eq!(event(&mut client).await["status"], "ended");
}

#[tokio::test]
async fn only_who_started_it_ends_it() {
    let lab = Lab::start().await;
    let (mut client, mut other) = (lab.host.client().await, lab.host.client().await);
    begin(&mut client, "m1").await;
    for method in ["stop", "delete"] {
        assert_eq!(
            refused(&mut other, method, json!({ "meeting_id": "m1" })).await.0,
            -32002,
            "{method}"
        );
    }
    assert_eq!(refused(&mut client, "delete", json!({ "meeting_id": "m1" })).await.0, -32008);
    let mut host = lab.host.host().await;
    call(&mut host, "stop", json!({ "meeting_id": "m1" })).await;
    assert_eq!(refused(&mut client, "stop", json!({ "meeting_id": "m9" })).await.0, -32007);
}

#[tokio::test]
async fn an_agents_meeting_is_its_own() {
    let lab = Lab::start().await;
    let (mut ann, mut bo) = (lab.host.agent("ann").await, lab.host.agent("bo").await);
    begin(&mut ann, "m1").await;
    for method in ["get", "subscribe", "stop"] {
        assert_eq!(
            refused(&mut bo, method, json!({ "meeting_id": "m1" })).await.0,
            -32007,
            "{method}"
        );
    }
    assert_eq!(call(&mut bo, "list", json!({})).await["meetings"], json!([]));
    assert_eq!(call(&mut bo, "delete", json!({ "meeting_id": "m1" })).await["deleted"], false);
    let name = json!({ "meeting_id": "m1", "label": "S1", "name": "x" });
    assert_eq!(refused(&mut bo, "label", name.clone()).await.0, -32007);
    call(&mut ann, "stop", json!({ "meeting_id": "m1" })).await;
    assert_eq!(refused(&mut bo, "get", json!({ "meeting_id": "m1" })).await.0, -32007);
    assert_eq!(refused(&mut bo, "stop", json!({ "meeting_id": "m1" })).await.0, -32007);
    assert_eq!(refused(&mut bo, "label", name).await.0, -32007);
    assert_eq!(call(&mut bo, "delete", json!({ "meeting_id": "m1" })).await["deleted"], false);
    assert_eq!(
        call(&mut ann, "list", json!({})).await["meetings"][0]["owner"],
        json!({ "role": "agent", "agent_id": "ann" })
    );
}

#[tokio::test]
async fn a_client_that_vanishes_ends_its_meeting() {
    let lab = Lab::start().await;
    let (mut client, mut other) = (lab.host.client().await, lab.host.client().await);
    let stream = begin(&mut client, "m1").await;
    lab.voice.says(&stream, 0, "S1", "Everything was said by then.");
    lab.voice.last_words(&stream, vec![said(1, "S1", "Even this.")]);
    call(&mut other, "subscribe", json!({ "meeting_id": "m1" })).await;
    client.vanish();
    while event(&mut other).await["type"] != "summary" {}
    let got = call(&mut other, "get", json!({ "meeting_id": "m1" })).await;
    assert_eq!((&got["status"], &got["ended_by"]), (&json!("ended"), &json!("disconnect")));
    assert_eq!(lines(&got["transcript"]).len(), 2);
    assert!(!lab.voice.is_open(&stream));
}

#[tokio::test]
async fn a_clean_stop_of_the_daemon_ends_every_meeting() {
    let lab = Lab::with(json!({})).await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    lab.voice.says(&stream, 0, "S1", "Before the end of the day.");
    lab.host.stop().await;
    let stored: Value = serde_json::from_str(&lab.file("m1", "meeting.json")).unwrap();
    assert_eq!((&stored["status"], &stored["ended_by"]), (&json!("ended"), &json!("shutdown")));
    assert_eq!(stored["segments"], 1);
    assert_eq!(stored["summary"]["kind"], "extractive");
    assert!(lab.model.asked.lock().unwrap().is_empty(), "no model is waited for");
}

#[tokio::test]
async fn a_meeting_whose_stop_takes_long_has_ended_when_the_daemon_has() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    lab.voice.says(&stream, 0, "S1", "It was said.");
    heard(&mut client, "m1", 1).await;
    lab.voice.drained.send_replace(false);
    client.send("meeting.stop", json!({ "id": "m1" })).await;
    // It is being stopped when this is answered, for calls begin in their order.
    call(&mut client, "list", json!({})).await;
    lab.host.stop().await;
    let stored: Value = serde_json::from_str(&lab.file("m1", "meeting.json")).unwrap();
    assert_eq!((&stored["status"], &stored["ended_by"]), (&json!("ended"), &json!("stop")));
}

#[tokio::test]
async fn a_source_that_fails_is_told_and_the_others_go_on() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let pushed = json!({ "kind": "pcm_push" });
    let sources = json!([{ "source": "mic", "audio_source": pushed }, { "source": "room", "audio_source": pushed }]);
    let started = call(&mut client, "start", json!({ "id": "m1", "sources": sources })).await;
    let stream =
        |at: usize| started["sources"][at]["voice_session_id"].as_str().unwrap().to_owned();
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    lab.voice.ends(&stream(0), EndReason::Error);
    let told = event(&mut client).await;
    assert_eq!((&told["code"], &told["source"]), (&json!("source_lost"), &json!("mic")));
    lab.voice.says(&stream(1), 0, "S1", "Still here.");
    heard(&mut client, "m1", 1).await;
    // The last one gone leaves it recording, for text from elsewhere.
    lab.voice.ends(&stream(1), EndReason::Error);
    call(&mut client, "append", json!({ "meeting_id": "m1", "segments": [{ "text": "A note." }] }))
        .await;
    assert_eq!(
        call(&mut client, "stop", json!({ "id": "m1" })).await["meeting"]["ended_by"],
        "stop"
    );
}

#[tokio::test]
async fn a_file_at_its_end_ends_the_meeting() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let file = json!({ "kind": "file", "path": "talk.wav" });
    let started = call(&mut client, "start", json!({ "id": "m1", "audio_source": file })).await;
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    let stream = started["voice_session_id"].as_str().unwrap();
    lab.voice.says(stream, 0, "S1", "All of it.");
    lab.voice.ends(stream, EndReason::End);
    while event(&mut client).await["type"] != "summary" {}
    let got = call(&mut client, "get", json!({ "meeting_id": "m1" })).await;
    assert_eq!((&got["ended_by"], &got["segments"]), (&json!("end"), &json!(1)));
}

#[tokio::test]
async fn a_meeting_of_files_may_outlive_its_connection() {
    let config =
        json!({ "keep_on_disconnect": true, "live_per_connection": 3, "summary": "extractive" });
    let lab = Lab::with(config).await;
    let (mut client, mut other) = (lab.host.client().await, lab.host.client().await);
    let file = json!({ "kind": "file", "path": "talk.wav" });
    let started = call(&mut client, "start", json!({ "id": "m1", "audio_source": file })).await;
    let stream = started["voice_session_id"].as_str().unwrap().to_owned();
    begin(&mut client, "m2").await;
    let mic = json!({ "id": "m3", "audio_source": { "kind": "mic" } });
    let mic = call(&mut client, "start", mic).await["voice_session_id"].clone();
    client.vanish();
    lab.host.emptied_but(&other).await;
    assert!(lab.voice.is_open(mic.as_str().unwrap()), "so may one that hears a microphone");
    lab.voice.says(&stream, 0, "S1", "Nobody is there.");
    heard(&mut other, "m1", 1).await;
    lab.voice.ends(&stream, EndReason::End);
    until(async || {
        call(&mut other, "get", json!({ "meeting_id": "m1" })).await["summary"] != Value::Null
    })
    .await;
    assert_eq!(
        call(&mut other, "get", json!({ "meeting_id": "m2" })).await["ended_by"],
        "disconnect"
    );
}

#[tokio::test]
async fn a_deleted_meeting_is_gone_from_the_disk_and_its_fact_from_the_memory() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    lab.voice.says(&stream, 0, "S1", "Forget all about this.");
    call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert_eq!(call(&mut client, "delete", json!({ "meeting_id": "m1" })).await["deleted"], true);
    assert_eq!(call(&mut client, "delete", json!({ "meeting_id": "m1" })).await["deleted"], false);
    assert!(!lab.has_file("m1"));
    assert_eq!(
        *lab.memory.forgotten.lock().unwrap(),
        [("meeting:m1".to_owned(), "meeting-m1".to_owned())]
    );
    begin(&mut client, "m1").await;
}

#[tokio::test]
async fn what_a_deleted_meeting_said_is_forgotten_in_its_graph_alone() {
    let lab = Lab::start().await;
    *lab.memory.is_own.lock().unwrap() = true;
    let mut client = lab.host.client().await;
    for id in ["m1", "m2"] {
        let stream = begin(&mut client, id).await;
        lab.voice.says(&stream, 0, "S1", &format!("Said in {id}."));
        call(&mut client, "stop", json!({ "id": id, "summarize": id == "m2" })).await;
    }
    // The graph of a connection is there as long as that: a summary that is made later is kept in it.
    call(&mut client, "stop", json!({ "id": "m1" })).await;
    assert_eq!(lab.memory.facts.lock().unwrap().len(), 2);
    // What the memory cannot forget now, it is asked again: the meeting stays.
    *lab.memory.fails.lock().unwrap() = Some(RpcError::internal("the disk is full"));
    assert_eq!(refused(&mut client, "delete", json!({ "meeting_id": "m1" })).await.0, -32603);
    assert!(lab.has_file("m1/transcript.jsonl"));
    *lab.memory.fails.lock().unwrap() = None;
    assert_eq!(call(&mut client, "delete", json!({ "meeting_id": "m1" })).await["deleted"], true);
    let left: Vec<_> =
        lab.memory.turns.lock().unwrap().iter().map(|it| it.1.origin.clone()).collect();
    assert_eq!((left, lab.has_file("m1")), (vec!["meeting:m2".to_owned()], false));
}

#[tokio::test]
async fn what_finds_no_room_ends_the_meeting_and_is_never_lost_in_silence() {
    let lab = Lab::start().await;
    let (mut client, mut other) = (lab.host.client().await, lab.host.client().await);
    let stream = begin(&mut client, "m1").await;
    call(&mut other, "subscribe", json!({ "meeting_id": "m1" })).await;
    // Nothing is written meanwhile, as on a disk that hangs: this thread is the daemon's only one.
    for n in 0..1500 {
        lab.voice.says(&stream, n, "S1", &format!("Segment {n}."));
    }
    let told = event(&mut client).await;
    assert_eq!(
        (&told["type"], &told["status"], &told["ended_by"]),
        (&json!("status"), &json!("failed"), &json!("write_error"))
    );
    assert!(!lab.voice.is_open(&stream));
    while event(&mut other).await["status"] != "failed" {}
    let mut kept = Vec::new();
    let mut from = json!(0);
    while from != Value::Null {
        let got = call(&mut client, "get", json!({ "meeting_id": "m1", "from": from })).await;
        kept.extend(lines(&got["transcript"]).into_iter().map(|it| it.2));
        from = got["next"].clone();
    }
    // What is there is the beginning of what was said, with no hole.
    assert!((1000..1500).contains(&kept.len()), "{}", kept.len());
    assert!(kept.iter().zip(0..).all(|(text, n)| *text == format!("Segment {n}.")));
}

#[tokio::test]
async fn a_meeting_is_no_longer_than_it_may_be() {
    let lab = Lab::start().await;
    let (mut client, mut other) = (lab.host.client().await, lab.host.client().await);
    let file = json!({ "kind": "file", "path": "day.wav" });
    let started = call(&mut client, "start", json!({ "id": "m1", "audio_source": file })).await;
    call(&mut other, "subscribe", json!({ "meeting_id": "m1" })).await;
    // A file may be heard faster than it sounds.
    let stream = started["voice_session_id"].as_str().unwrap();
    lab.voice.says(stream, 12 * 3600, "S1", "It is late.");
    while event(&mut other).await["ended_by"] != "limit" {}
    assert!(!lab.voice.is_open(stream));
}

#[tokio::test]
async fn the_oldest_go_when_only_so_many_are_kept() {
    let clock = Arc::new(Hands::at(0));
    let builder = TestHost::builder().clock(clock.clone());
    let lab = Lab::of(builder, json!({ "keep": 2, "summary": "off" })).await;
    let mut client = lab.host.client().await;
    for (id, minute) in [("a", 1), ("b", 2), ("c", 3)] {
        clock.set(minute);
        begin(&mut client, id).await;
        call(&mut client, "stop", json!({ "id": id })).await;
    }
    until(async || !lab.has_file("a")).await;
    assert!(lab.has_file("b") && lab.has_file("c"));
}

#[tokio::test]
async fn a_client_that_vanishes_while_it_starts_leaves_nothing_open() {
    let lab = Lab::start().await;
    for nth in 0..20 {
        let id = format!("m{nth}");
        let mut client = lab.host.client().await;
        client.send("meeting.start", json!({ "id": id })).await;
        if nth % 2 == 0 {
            tokio::task::yield_now().await;
        }
        client.vanish();
        lab.host.emptied().await;
    }
    // Whatever began has ended, and its place is free.
    let is_open = |nth: i32| {
        let id = format!("m{nth}");
        lab.has_file(&format!("{id}/meeting.json"))
            && lab.file(&id, "meeting.json").contains("\"recording\"")
    };
    until(async || !(0..20).any(is_open)).await;
    let mut client = lab.host.client().await;
    begin(&mut client, "next").await;
    begin(&mut client, "and-next").await;
}
