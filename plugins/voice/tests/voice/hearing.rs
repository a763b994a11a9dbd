//! What is heard, and in which order it is told.

use std::sync::atomic::Ordering;

use carport_core::codes;
use serde_json::{Value, json};

use crate::{Lab, all, event, kinds, next, push, sound, start, stop, until, utterance};

const SEGMENT: [&str; 3] = ["speech_started", "speech_stopped", "final"];

#[tokio::test]
async fn a_stream_is_told_in_order_and_its_end_before_the_reply() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let id = client.send("voice.transcribe_stream.start", json!({ "session_id": "a" })).await;
    let first = client.frame(|_| true).await;
    assert_eq!(first["id"], id, "nothing is told before the reply");
    assert_eq!(
        first["result"],
        json!({ "session_id": "a", "status": "listening", "provider": "local", "model": "counter",
                "sample_rate": 16000, "channels": 1, "binary": false,
                "limits": { "buffer_ms": 60000, "max_push_bytes": 1 << 20 } })
    );
    for piece in [utterance(600), utterance(300)].concat().chunks(3200) {
        push(&mut client, "a", piece).await.unwrap();
    }
    let id = client.send("voice.transcribe_stream.stop", json!({ "session_id": "a" })).await;
    let mut events = Vec::new();
    let reply = loop {
        let mut frame = client.frame(|it| it["method"] == "voice.event" || it["id"] == id).await;
        match frame.get("result") {
            Some(reply) => break reply.clone(),
            None => events.push(frame["params"]["event"].take()),
        }
    };
    let expected = [&["session_started"], &SEGMENT[..], &SEGMENT, &["session_stopped"]].concat();
    assert_eq!(kinds(&events), expected);
    let seqs: Vec<_> = events.iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (0..events.len() as u64).collect::<Vec<_>>());
    let last: Vec<_> = events.iter().filter(|it| it["type"] == "final").collect();
    assert_eq!(last[0]["text"], "w1 w2 w3 w4 w5 w6");
    assert_eq!((&last[0]["reason"], &last[1]["segment_id"]), (&json!("silence"), &json!(1)));
    let began = events.iter().find(|it| it["type"] == "speech_started").unwrap();
    let at = began["at_ms"].as_u64().unwrap();
    assert!((384..=416).contains(&at), "{at}");
    assert_eq!(reply["transcript"], "w1 w2 w3 w4 w5 w6 w1 w2 w3");
    assert_eq!(reply["segments"].as_array().unwrap().len(), 2);
    assert_eq!((&reply["audio_ms"], &reply["truncated"]), (&json!(2900), &json!(false)));
    assert_eq!(events.last().unwrap()["segments"], 2);
    lab.is_clean().await;
}

#[tokio::test]
async fn the_same_sound_in_any_format_is_the_same_text() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let shape = |ms: usize, rate: usize| {
        let at = move |n: usize| n * 1000 / rate;
        (0..ms * rate / 1000).map(move |n| if (400..1000).contains(&at(n)) { 0.5f32 } else { 0.0 })
    };
    let mulaw = |x: f32| if x > 0.0 { 0x8fu8 } else { 0xff };
    for (format, rate, channels) in [
        ("s16le", 8000, 1),
        ("s16le", 44_100, 2),
        ("f32le", 48_000, 2),
        ("f32le", 11_025, 1),
        ("mulaw", 8000, 1),
        ("mulaw", 16_000, 2),
    ] {
        let bytes: Vec<u8> = shape(1600, rate)
            .flat_map(|x| {
                let one = match format {
                    "s16le" => ((x * 32_767.0) as i16).to_le_bytes().to_vec(),
                    "f32le" => x.to_le_bytes().to_vec(),
                    _ => vec![mulaw(x)],
                };
                one.repeat(channels)
            })
            .collect();
        let source = json!({ "kind": "pcm_push", "sample_rate": rate, "channels": channels, "format": format });
        let params = json!({ "session_id": "f", "audio_source": source });
        client.raw("voice.transcribe_stream.start", params).await.unwrap();
        push(&mut client, "f", &bytes).await.unwrap();
        let reply = stop(&mut client, "f").await.unwrap();
        let text = reply["transcript"].as_str().unwrap();
        assert!(["w1 w2 w3 w4 w5", "w1 w2 w3 w4 w5 w6"].contains(&text), "{format} {rate}: {text}");
        assert_eq!(reply["audio_ms"], 1600, "{format} {rate}");
    }
}

#[tokio::test]
async fn partials_grow_and_what_stands_never_changes() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let options = json!({ "vad": { "partial_ms": 100, "eager_ms": 200 }, "words": true });
    start(&mut client, "p", options).await;
    push(&mut client, "p", &sound(400, 0.0)).await.unwrap();
    event(&mut client, "p", "session_started").await;
    for piece in [sound(4800, 0.5), sound(320, 0.0), sound(320, 0.0)].concat().chunks(160 * 32) {
        push(&mut client, "p", piece).await.unwrap();
        // The worker makes partials and looks ahead only while nothing waits.
        until(async || {
            let rows = client.raw("voice.sessions.list", json!({})).await.unwrap();
            rows[0]["buffered_ms"] == 0
        })
        .await;
    }
    stop(&mut client, "p").await.unwrap();
    let events = all(&mut client, "p").await;
    let of = |kind: &str| events.iter().filter(|it| it["type"] == kind).collect::<Vec<_>>();
    let mut stable = "";
    for partial in of("partial") {
        let text = partial["text"].as_str().unwrap();
        let now = partial["stable_text"].as_str().unwrap();
        assert!(text.starts_with(now) && now.starts_with(stable), "{partial}");
        stable = now;
    }
    assert!(of("partial").len() >= 2 && !stable.is_empty(), "{events:?}");
    let last = of("final")[0];
    assert_eq!(last["words"][0]["start_ms"], last["start_ms"]);
    if let Some(preflight) = of("preflight").first() {
        assert_eq!(preflight["text"], last["text"]);
    }
    start(&mut client, "q", json!({ "streaming": false, "vad": { "partial_ms": 100 } })).await;
    push(&mut client, "q", &utterance(800)).await.unwrap();
    stop(&mut client, "q").await.unwrap();
    let events = all(&mut client, "q").await;
    assert!(!events.iter().any(|it| it["type"] == "partial" || it["type"] == "preflight"));
}

#[tokio::test]
async fn whoever_waits_for_a_final_calls_off_the_partial_before_it() {
    for method in ["flush", "stop"] {
        let lab = Lab::start().await;
        let mut client = lab.host.client().await;
        start(&mut client, "q", json!({})).await;
        lab.knobs.decoding.shut();
        push(&mut client, "q", &[sound(400, 0.0), sound(800, 0.5)].concat()).await.unwrap();
        until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) == 1).await;
        let partial = lab.knobs.partials.lock().unwrap()[0].clone();
        assert!(!partial.is_cancelled());
        let params = json!({ "session_id": "q" });
        client.send(&format!("voice.transcribe_stream.{method}"), params).await;
        until(async || partial.is_cancelled()).await;
        lab.knobs.decoding.open();
        let before = loop {
            let it = next(&mut client, "q").await;
            if it["type"] == "final" || it["type"] == "partial" {
                break it;
            }
        };
        assert_eq!((&before["type"], &before["reason"]), (&json!("final"), &json!(method)));
    }
}

#[tokio::test]
async fn a_flush_ends_the_segment_and_silence_or_a_mark_is_an_empty_final() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, "a", json!({ "settled": true })).await;
    push(&mut client, "a", &sound(520, 0.5)).await.unwrap();
    event(&mut client, "a", "speech_started").await;
    let params = json!({ "session_id": "a" });
    until(async || {
        let reply = client.raw("voice.transcribe_stream.flush", params.clone()).await.unwrap();
        reply["segment_id"] == 0 || reply.get("segment_id").is_none()
    })
    .await;
    let last = event(&mut client, "a", "final").await;
    assert_eq!((&last["reason"], &last["text"]), (&json!("flush"), &json!("w1 w2 w3 w4 w5")));
    assert_eq!(event(&mut client, "a", "transcript").await["segment_id"], 0);
    lab.knobs.says.lock().unwrap().push_back("[BLANK_AUDIO]");
    push(&mut client, "a", &utterance(200)).await.unwrap();
    stop(&mut client, "a").await.unwrap();
    let events = all(&mut client, "a").await;
    assert_eq!(kinds(&events), [&SEGMENT[..], &["session_stopped"]].concat());
    assert_eq!(events.iter().find(|it| it["type"] == "final").unwrap()["text"], "");
    let error = client.raw("voice.transcribe_stream.flush", params).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
}

#[tokio::test]
async fn a_long_segment_is_cut_and_the_level_is_told() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let options = json!({ "emit_audio_meta": true, "vad": { "max_segment_ms": 2000 } });
    start(&mut client, "a", options).await;
    push(&mut client, "a", &[sound(3000, 1.0), sound(600, 0.0)].concat()).await.unwrap();
    stop(&mut client, "a").await.unwrap();
    let events = all(&mut client, "a").await;
    let reasons: Vec<_> = events.iter().filter_map(|it| it.get("reason")).collect();
    assert_eq!(reasons, [&json!("max_length"), &json!("silence"), &json!("stop")]);
    let meta: Vec<&Value> = events.iter().filter(|it| it["type"] == "audio_meta").collect();
    assert_eq!(meta.len(), 7);
    assert!(meta[0]["clipped"] == true && meta[0]["level_db"].as_f64().unwrap() > -1.0);
    assert!(meta[6]["level_db"].as_f64().unwrap() < meta[0]["level_db"].as_f64().unwrap());
}

#[tokio::test]
async fn speakers_are_told_apart_in_order_of_appearance() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, "a", json!({ "diarizer": true })).await;
    assert_eq!(event(&mut client, "a", "session_started").await["caps"]["diarizer"], true);
    let said =
        [sound(1200, 0.8), sound(600, 0.0), sound(1200, 0.2), sound(600, 0.0), sound(1200, 0.8)];
    push(&mut client, "a", &said.concat()).await.unwrap();
    let reply = stop(&mut client, "a").await.unwrap();
    let labels = |rows: &[Value]| -> Vec<String> {
        rows.iter().map(|it| it["speaker"]["label"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(labels(reply["segments"].as_array().unwrap()), ["S1", "S2", "S1"]);
    let events = all(&mut client, "a").await;
    let settled: Vec<_> = events.into_iter().filter(|it| it["type"] == "transcript").collect();
    assert_eq!(labels(&settled), ["S1", "S2", "S1"]);
}

#[tokio::test]
async fn a_speaker_who_is_known_late_is_corrected() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, "a", json!({ "diarizer": true })).await;
    // A word too short to be somebody new, and then more of the same voice.
    let said =
        [sound(1200, 0.2), sound(600, 0.0), sound(300, 0.8), sound(600, 0.0), sound(1200, 0.8)];
    push(&mut client, "a", &said.concat()).await.unwrap();
    let reply = stop(&mut client, "a").await.unwrap();
    let events = all(&mut client, "a").await;
    let told: Vec<_> = events
        .iter()
        .filter(|it| ["transcript", "speaker_corrected"].contains(&it["type"].as_str().unwrap()))
        .map(|it| json!([it["type"], it["segment_id"], it["speaker"]["label"]]))
        .collect();
    let expected = json!([
        ["transcript", 0, "S1"],
        ["transcript", 1, "S1"],
        ["transcript", 2, "S2"],
        ["speaker_corrected", 1, "S2"],
    ]);
    assert_eq!(json!(told), expected);
    let labels = reply["segments"].as_array().unwrap().iter().map(|it| &it["speaker"]["label"]);
    assert_eq!(labels.collect::<Vec<_>>(), ["S1", "S2", "S2"], "the reply has the last word");
}

#[tokio::test]
async fn what_a_provider_cannot_is_said_before_anything_starts() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let mut refused = async |options: Value| {
        let params = json!({ "session_id": "a", "options": options });
        client.raw("voice.transcribe_stream.start", params).await.unwrap_err()
    };
    let error = refused(json!({ "provider": "nobody" })).await;
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("options.provider")));
    assert_eq!(error.data.unwrap()["known"], json!(["local", "remote"]));
    let error = refused(json!({ "language": "fr" })).await;
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("options.language")));
    let unready = carport_voice_api::Unready { missing: "model".into(), remedy: "copy it".into() };
    *lab.knobs.unready.lock().unwrap() = Some(unready);
    let error = refused(json!({})).await;
    assert_eq!(
        (error.code, &error.data.unwrap()["reason"]),
        (codes::UNAVAILABLE, &json!("copy it"))
    );
    let rows = client.raw("voice.providers.list", json!({})).await.unwrap();
    let row = rows.as_array().unwrap().iter().find(|it| it["id"] == "local" && it["kind"] == "stt");
    assert_eq!(
        row.unwrap(),
        &json!({ "id": "local", "kind": "stt", "available": true, "description": "scripted local",
                 "ready": false, "reason": "copy it", "default": true, "streaming": true })
    );
    for (method, ready) in [("prepare_parakeet", false), ("prepare_diarizer", true)] {
        let reply = client.raw(&format!("voice.{method}"), json!({})).await.unwrap();
        assert_eq!(reply["ready"], ready, "{method}");
    }
    let reply = client.raw("voice.prepare", json!({ "what": "tts", "provider": "whole" })).await;
    assert_eq!(reply.unwrap()["status"], "ready");
    lab.is_clean().await;
}
