//! Speech out: chunks in order, in JSON and in binary frames, and its cancelling.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::{
    ManualClock, Time, codes,
    testing::{TestClient, TestHost},
};
use carport_voice_api::{Failure, FailureKind, Heard};
use serde_json::{Value, json};

use crate::{Lab, next, pass, start, until};

async fn speak(
    client: &mut TestClient,
    id: &str,
    text: &str,
    options: Value,
) -> carport_core::Result<Value> {
    let params = json!({ "stream_id": id, "text": text, "options": options });
    client.raw("voice.tts_stream.start", params).await
}

/// The chunks of a stream, up to its final one.
async fn chunks(client: &mut TestClient, id: &str) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    loop {
        let event = next(client, id).await;
        assert_eq!((&event["type"], &event["seq"]), (&json!("tts_chunk"), &json!(chunks.len())));
        chunks.push(STANDARD.decode(event["audio_b64"].as_str().unwrap()).unwrap());
        if event["is_final"] == true {
            return chunks;
        }
    }
}

#[tokio::test]
async fn sentences_come_one_by_one_and_exactly_one_chunk_is_final() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    lab.knobs.speaking.shut();
    let reply = speak(&mut client, "s", "One. Two. Three.", json!({})).await.unwrap();
    assert_eq!(
        reply,
        json!({ "stream_id": "s", "binary_frames": false, "format": "wav", "sample_rate": 16000, "channels": 1 })
    );
    assert_eq!(
        next(&mut client, "s").await,
        json!({ "type": "tts_started", "stream_id": "s", "format": "wav", "sample_rate": 16000, "channels": 1 })
    );
    let first = next(&mut client, "s").await;
    assert_eq!((&first["seq"], &first["is_final"]), (&json!(0), &json!(false)));
    let wav = STANDARD.decode(first["audio_b64"].as_str().unwrap()).unwrap();
    assert_eq!((&wav[..4], wav.len()), (&b"RIFF"[..], 44 + 640));
    let list = client.raw("voice.tts_stream.list", json!({})).await.unwrap();
    assert_eq!(list, json!({ "streams": ["s"] }));
    lab.knobs.speaking.open();
    let mut seen = 1;
    loop {
        let event = next(&mut client, "s").await;
        assert_eq!(event["seq"], seen);
        seen += 1;
        if event["is_final"] == true {
            break;
        }
    }
    assert!(seen == 3 || seen == 4, "{seen}");
    lab.is_clean().await;
    assert_eq!(client.raw("voice.tts_stream.list", json!({})).await.unwrap()["streams"], json!([]));
    let whole = json!({ "provider": "whole", "format": "pcm" });
    speak(&mut client, "s", "One. Two.", whole).await.unwrap();
    next(&mut client, "s").await;
    let lengths: Vec<_> = chunks(&mut client, "s").await.iter().map(Vec::len).collect();
    assert_eq!(lengths, [2 * 640], "without streaming there is one chunk");
}

#[tokio::test]
async fn a_cancel_is_quick_and_nothing_follows_it() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    lab.knobs.speaking.shut();
    speak(&mut client, "s", "One. Two.", json!({})).await.unwrap();
    until(async || lab.knobs.speaking.waiting.load(Ordering::SeqCst) == 1).await;
    next(&mut client, "s").await;
    next(&mut client, "s").await;
    let began = Instant::now();
    let params = json!({ "stream_id": "s" });
    let reply = client.raw("voice.tts_stream.cancel", params.clone()).await.unwrap();
    assert_eq!(reply, json!({ "stream_id": "s", "cancelled": true }));
    assert!(began.elapsed() < Duration::from_millis(100), "{:?}", began.elapsed());
    let reply = client.raw("voice.tts_stream.cancel", params).await.unwrap();
    assert_eq!(reply["cancelled"], false);
    pass(Duration::from_secs(5)).await;
    until(async || lab.count("threads_abandoned_total").await == 1).await;
    lab.knobs.speaking.open();
    lab.is_clean().await;
    assert!(!client.has_heard(|it| it["method"] == "voice.event").await);
}

#[tokio::test]
async fn a_failure_breaks_the_speech_off() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    *lab.knobs.speech_fails.lock().unwrap() = Some(Failure::new(FailureKind::Auth, "no key"));
    lab.knobs.speaking.shut();
    speak(&mut client, "s", "One. Two.", json!({})).await.unwrap();
    next(&mut client, "s").await;
    assert_eq!(next(&mut client, "s").await["type"], "tts_chunk");
    lab.knobs.speaking.open();
    assert_eq!(
        next(&mut client, "s").await,
        json!({ "type": "tts_error", "stream_id": "s", "code": "provider_auth", "message": "no key" })
    );
    lab.is_clean().await;
    assert!(!client.has_heard(|it| it["method"] == "voice.event").await);
}

#[tokio::test]
async fn speech_that_stands_still_is_swept() {
    let clock = ManualClock::at(Time::default());
    let lab = Lab::of(TestHost::builder().clock(clock.clone())).await;
    let mut client = lab.host.client().await;
    lab.knobs.speaking.shut();
    speak(&mut client, "s", "One. Two.", json!({})).await.unwrap();
    next(&mut client, "s").await;
    next(&mut client, "s").await;
    clock.advance(chrono::TimeDelta::seconds(60));
    pass(Duration::from_secs(10)).await;
    let event = next(&mut client, "s").await;
    assert_eq!((&event["type"], &event["code"]), (&json!("tts_error"), &json!("stalled")));
    lab.knobs.speaking.open();
    lab.is_clean().await;
}

#[tokio::test]
async fn what_cannot_be_said_is_refused() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    for (options, field) in [
        (json!({ "provider": "nobody" }), "options.provider"),
        (json!({ "format": "mp3" }), "options.format"),
        (json!({ "voice_id": "nobody" }), "options.voice_id"),
        (json!({ "speed": 3.0 }), "options.speed"),
        (json!({ "binary_frames": true }), "stream_id"),
    ] {
        let error = speak(&mut client, "s", "x", options).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
    for text in ["", &"x".repeat(16_385)] {
        let error = speak(&mut client, "s", text, json!({})).await.unwrap_err();
        assert_eq!(error.field(), Some("text"));
    }
    lab.knobs.speaking.shut();
    for id in ["a", "b", "c", "d"] {
        speak(&mut client, id, "One. Two.", json!({})).await.unwrap();
    }
    let error = speak(&mut client, "a", "x", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
    let error = speak(&mut client, "e", "x", json!({})).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(4)));
    let list = client.raw("voice.tts_stream.list", json!({})).await.unwrap();
    assert_eq!(list, json!({ "streams": ["a", "b", "c", "d"] }));
    lab.knobs.speaking.open();
    client.vanish();
    lab.is_clean().await;
}

#[tokio::test]
async fn speech_cancels_what_the_connection_is_told() {
    let lab = Lab::start().await;
    let (mut client, mut other) = (lab.host.client().await, lab.host.client().await);
    start(&mut client, "a", json!({ "barge_in": true, "provider": "remote" })).await;
    crate::event(&mut client, "a", "session_started").await;
    lab.knobs.speaking.shut();
    for client in [&mut client, &mut other] {
        speak(client, "s", "One. Two.", json!({})).await.unwrap();
    }
    let ear = lab.knobs.ear();
    let text = String::from("stop");
    ear(Heard::Partial { utterance: 0, text, start_ms: 0, end_ms: 0 });
    crate::event(&mut client, "a", "speech_started").await;
    let barged = next(&mut client, "a").await;
    assert_eq!(
        (&barged["type"], &barged["at_ms"], &barged["stream_ids"]),
        (&json!("barge_in"), &json!(0), &json!(["s"]))
    );
    let list = client.raw("voice.tts_stream.list", json!({})).await.unwrap();
    assert_eq!(list["streams"], json!([]));
    let list = other.raw("voice.tts_stream.list", json!({})).await.unwrap();
    assert_eq!(list["streams"], json!(["s"]), "others are not hushed");
    lab.knobs.speaking.open();
    client.vanish();
    other.vanish();
    lab.is_clean().await;
}

#[tokio::test]
async fn binary_frames_carry_the_same_stream() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let id = "0190c5e2a7b47cc08b1d2e3f40516273";
    let reply =
        speak(&mut client, id, "One. Two.", json!({ "binary_frames": true })).await.unwrap();
    assert_eq!((&reply["format"], &reply["binary_frames"]), (&json!("pcm"), &json!(true)));
    let mut frames = Vec::new();
    while frames.last().is_none_or(|it: &Vec<u8>| it[0] == 2) {
        frames.push(client.next_binary().await);
    }
    for (nth, frame) in frames.iter().enumerate() {
        let (header, payload) = frame.split_at(26);
        let last = nth == 2;
        assert_eq!((header[0], header[25]), (if last { 3 } else { 2 }, 0));
        assert_eq!(header[1..17].iter().map(|it| format!("{it:02x}")).collect::<String>(), id);
        assert_eq!(u64::from_le_bytes(header[17..25].try_into().unwrap()), nth as u64);
        assert_eq!(payload.len(), if last { 0 } else { 640 });
    }
    assert_eq!((frames.len(), &next(&mut client, id).await["type"]), (3, &json!("tts_started")));
    *lab.knobs.speech_fails.lock().unwrap() = Some(Failure::new(FailureKind::Failed, "broken"));
    speak(&mut client, id, "One. Two.", json!({ "binary_frames": true })).await.unwrap();
    let error = loop {
        let frame = client.next_binary().await;
        if frame[0] != 2 {
            break frame;
        }
    };
    assert_eq!((error[0], &error[26..]), (4, &b"broken"[..]));
    lab.is_clean().await;
    assert!(!client.has_heard(|it| it["params"]["event"]["type"] == "tts_chunk").await);
}
