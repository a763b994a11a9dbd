//! What is said becomes the transcript: once each, in order, with its speaker.

use carport_core::Time;
use carport_voice_api::{Event, FinalReason, Speaker};

use super::*;
use crate::script::said;

fn corrected(segment_id: u64, label: &str) -> Event {
    Event::SpeakerCorrected {
        segment_id,
        speaker: Speaker { label: label.into(), score: None, enrolled: true },
    }
}

#[tokio::test]
async fn the_transcript_is_what_was_settled() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    for (id, label, text) in [
        (0, "S1", " Hello   there. "),
        (0, "S1", "Hello there."),
        (1, "S2", "[music]"),
        (2, "S2", "How are you?"),
        (3, "Ann", "Fine."),
    ] {
        lab.voice.says(&stream, id, label, text);
    }
    lab.voice.tell(&stream, corrected(0, "Ann"));
    lab.voice.tell(&stream, corrected(7, "Ann"));
    heard(&mut client, "m1", 3).await;
    let metrics = lab.host.host().await.raw("host.metrics", json!({})).await.unwrap();
    assert!(metrics["text"].as_str().unwrap().contains("\ncarport_meetings_ignored_total 1\n"));
    lab.voice.last_words(&stream, vec![said(4, "S2", "Last words.")]);
    let stopped = call(&mut client, "stop", json!({ "meeting_id": "m1" })).await;
    let expected = [
        (0, "Ann".to_owned(), "Hello there.".to_owned()),
        (1, "S2".into(), "How are you?".into()),
        (2, "Ann".into(), "Fine.".into()),
        (3, "S2".into(), "Last words.".into()),
    ];
    assert_eq!(lines(&stopped["transcript"]), expected);
    assert_eq!((&stopped["status"], &stopped["truncated"]), (&json!("ended"), &json!(false)));
    let meeting = &stopped["meeting"];
    assert_eq!(
        (&meeting["segments"], &meeting["words"], &meeting["languages"]),
        (&json!(4), &json!(8), &json!(["en"]))
    );
    let speech = |at: usize| {
        (
            meeting["participants"][at]["label"].clone(),
            meeting["participants"][at]["speech_ms"].clone(),
        )
    };
    assert_eq!(
        [speech(0), speech(1), speech(2)],
        [(json!("S1"), json!(0)), (json!("S2"), json!(1600)), (json!("Ann"), json!(1600))]
    );
    // The correction is a line of its own, and `get` after the end reads the same.
    assert_eq!(lab.file("m1", "transcript.jsonl").lines().count(), 5);
    let got = call(&mut client, "get", json!({ "meeting_id": "m1" })).await;
    assert_eq!(lines(&got["transcript"]), expected);
    assert_eq!(got["summary_info"]["kind"], "extractive");
}

#[tokio::test]
async fn partials_and_finals_are_in_no_file() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    let partial = |text: &str| Event::Partial {
        segment_id: 0,
        text: text.into(),
        stable_text: String::new(),
        start_ms: 0,
        end_ms: 5,
        language: None,
        speaker: None,
    };
    lab.voice.tell(&stream, partial("secret words"));
    let Event::Transcript { segment } = said(0, "S1", "A secret end.") else { unreachable!() };
    let reason = FinalReason::Silence;
    lab.voice.tell(&stream, Event::Final { segment, reason, latency_ms: 5 });
    lab.voice.says(&stream, 0, "S1", "Known words here now.");
    call(&mut client, "stop", json!({ "meeting_id": "m1" })).await;
    for name in ["meeting.json", "transcript.jsonl", "summary.md"] {
        assert!(!lab.file("m1", name).contains("secret"), "{name}");
    }
    let turns = format!("{:?}", lab.memory.turns.lock().unwrap());
    let facts = format!("{:?}", lab.memory.facts.lock().unwrap());
    assert!(turns.contains("Known words") && facts.contains("Known words"));
    assert!(!turns.contains("secret") && !facts.contains("secret"));
    assert_eq!(lab.memory.turns.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn sources_are_interleaved_as_they_settle_and_speakers_named_after_them() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let pushed = json!({ "kind": "pcm_push" });
    let sources = json!([
        { "source": "mic", "speaker": "Me", "audio_source": pushed },
        { "source": "room", "audio_source": pushed },
    ]);
    let started = call(&mut client, "start", json!({ "id": "m1", "sources": sources })).await;
    let stream =
        |at: usize| started["sources"][at]["voice_session_id"].as_str().unwrap().to_owned();
    lab.voice.says(&stream(1), 5, "S1", "Later, but settled first.");
    lab.voice.says(&stream(0), 0, "S1", "Earlier.");
    lab.voice.says(&stream(1), 6, "Ann", "Known.");
    let got = heard(&mut client, "m1", 3).await;
    let expected = [
        (0, "room:S1".to_owned(), "Later, but settled first.".to_owned()),
        (1, "Me".into(), "Earlier.".into()),
        (2, "Ann".into(), "Known.".into()),
    ];
    assert_eq!(lines(&got["transcript"]), expected);
    assert_eq!(got["transcript"][0]["start_ms"], 5000);
}

#[tokio::test]
async fn a_source_that_begins_later_is_later_on_the_meetings_clock() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let (pushed, file) =
        (json!({ "kind": "pcm_push" }), json!({ "kind": "file", "path": "a.wav" }));
    let source = |name: &str, audio: &Value| json!({ "source": name, "audio_source": audio });
    let sources = [source("late", &pushed), source("file", &file), source("early", &pushed)];
    let started = call(&mut client, "start", json!({ "id": "m1", "sources": sources })).await;
    let stream =
        |at: usize| started["sources"][at]["voice_session_id"].as_str().unwrap().to_owned();
    let began: Time = serde_json::from_value(started["started_at"].clone()).unwrap();
    let at = |ms| Time::from(*began + chrono::TimeDelta::milliseconds(ms));
    lab.voice.begins(&stream(0), at(7000));
    lab.voice.begins(&stream(1), at(9000));
    // A clock that was set, or a push that is longer than the meeting.
    lab.voice.begins(&stream(2), at(-3000));
    for n in 0..3 {
        lab.voice.says(&stream(n), 2, "S1", "Now.");
    }
    let got = heard(&mut client, "m1", 3).await;
    let times: Vec<_> = (0..3)
        .map(|n| {
            let it = &got["transcript"][n];
            (it["start_ms"].as_u64().unwrap(), it["end_ms"].as_u64().unwrap(), it["at"].clone())
        })
        .collect();
    let time = |ms: u64| (ms, ms + 800, json!(at(i64::try_from(ms).unwrap())));
    assert_eq!(times, [time(9000), time(2000), time(2000)]);
}

#[tokio::test]
async fn two_meetings_share_nothing() {
    let lab = Lab::start().await;
    let (mut one, mut other) = (lab.host.client().await, lab.host.client().await);
    let streams = (begin(&mut one, "m1").await, begin(&mut other, "m2").await);
    call(&mut one, "subscribe", json!({ "meeting_id": "m1" })).await;
    for n in 0..20 {
        lab.voice.says(&streams.0, n, "S1", &format!("One {n}."));
        lab.voice.says(&streams.1, n, "S1", &format!("Two {n}."));
    }
    let stopped = call(&mut one, "stop", json!({ "meeting_id": "m1" })).await;
    let texts = lines(&stopped["transcript"]);
    assert!(texts.len() == 20 && texts.iter().all(|it| it.2.starts_with("One ")), "{texts:?}");
    assert!(!one.has_heard(|it| it["params"]["meeting_id"] == "m2").await);
    until(async || lab.memory.turns.lock().unwrap().len() == 40).await;
    let turns = lab.memory.turns.lock().unwrap();
    assert!(
        turns
            .iter()
            .all(|(_, it)| it.key.starts_with("meeting:m1:") == it.text.starts_with("One "))
    );
}

#[tokio::test]
async fn text_from_elsewhere_goes_the_same_way() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    let note =
        json!({ "text": "Note this.", "speaker": "Ann", "source": "notes", "start_ms": 7000 });
    let texts = json!([note, { "text": "..." }, { "text": "Anonymous." }]);
    let params = json!({ "meeting_id": "m1", "segments": texts });
    assert_eq!(
        call(&mut client, "append", params.clone()).await,
        json!({ "appended": 2, "segments": 2 })
    );
    lab.voice.says(&stream, 0, "S1", "Spoken.");
    let got = heard(&mut client, "m1", 3).await;
    let speakers: Vec<_> = lines(&got["transcript"]).into_iter().map(|it| it.1).collect();
    assert_eq!(speakers, ["Ann", "speaker", "S1"]);
    assert_eq!(
        (&got["transcript"][0]["source"], &got["transcript"][0]["end_ms"]),
        (&json!("notes"), &json!(7000))
    );
    let mut other = lab.host.client().await;
    assert_eq!(refused(&mut other, "append", params.clone()).await.0, -32002);
    let backwards =
        json!({ "meeting_id": "m1", "segments": [{ "text": "x", "start_ms": 5, "end_ms": 4 }] });
    assert_eq!(
        refused(&mut client, "append", backwards).await,
        (-32602, Some("segments[0].end_ms".into()))
    );
    call(&mut client, "stop", json!({ "meeting_id": "m1" })).await;
    assert_eq!(refused(&mut client, "append", params.clone()).await.0, -32008);
    let nowhere = json!({ "meeting_id": "m9", "segments": [{ "text": "x" }] });
    assert_eq!(refused(&mut client, "append", nowhere).await.0, -32007);
}

/// From the moment a stream tells of a segment to the moment a follower has it: `cargo test -- --ignored
/// --nocapture` prints what the layer adds.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn what_the_layer_adds_is_measured() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let stream = begin(&mut client, "m1").await;
    call(&mut client, "subscribe", json!({ "meeting_id": "m1" })).await;
    lab.voice.says(&stream, 0, "S1", "The first.");
    while event(&mut client).await["type"] != "segment" {}
    let mut took = Vec::new();
    for n in 1..=2000 {
        let began = std::time::Instant::now();
        lab.voice.says(&stream, n, "S1", "A segment of some words as people say them.");
        assert_eq!(event(&mut client).await["segment"]["n"], n);
        took.push(began.elapsed());
    }
    took.sort();
    let at = |share: usize| took[took.len() * share / 100];
    eprintln!(
        "from a stream to a follower: median {:?}, 99 % {:?}, most {:?}",
        at(50),
        at(99),
        took[took.len() - 1]
    );
}
