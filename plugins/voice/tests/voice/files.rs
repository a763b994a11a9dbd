//! Whole files: `transcribe`, `synthesize`, and files as the source of a stream.

use std::{
    path::PathBuf,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::{codes, testing::TestHost};
use serde_json::json;

use crate::{Lab, all, kinds, until, utterance};

/// The sound as a WAV file.
fn wav(pcm: &[u8]) -> Vec<u8> {
    let samples = pcm.as_chunks().0.iter().map(|it| f32::from(i16::from_le_bytes(*it)) / 32_768.0);
    carport_voice_audio::wav(&samples.collect::<Vec<_>>(), 16_000).unwrap()
}

fn put(lab: &Lab, name: &str, pcm: &[u8]) -> PathBuf {
    let path = lab.host.root().join("voice/audio").join(name);
    std::fs::write(&path, wav(pcm)).unwrap();
    path
}

#[tokio::test]
async fn a_file_is_transcribed_from_base64_or_a_path() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let pcm = [utterance(300), utterance(500)].concat();
    put(&lab, "x.wav", &pcm);
    let expected = json!({ "text": "w1 w2 w3 w1 w2 w3 w4 w5", "language": "en", "duration_ms": 2800,
                           "model_used": "counter", "provider": "local" });
    for params in [
        json!({ "audio_path": "x.wav" }),
        json!({ "audio_path": "/no/such", "audio_b64": STANDARD.encode(wav(&pcm)) }),
    ] {
        assert_eq!(client.raw("transcribe", params).await.unwrap(), expected);
    }
    let params = json!({ "audio_path": "x.wav", "timestamps": true });
    let reply = client.raw("transcribe", params).await.unwrap();
    assert_eq!(reply["segments"].as_array().unwrap().len(), 2);
    let words = reply["words"].as_array().unwrap();
    assert_eq!((words.len(), &words[3]["start_ms"]), (8, &reply["segments"][1]["start_ms"]));
    lab.is_clean().await;
}

#[tokio::test]
async fn what_cannot_be_transcribed_is_named() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    for (params, field) in [
        (json!({}), "audio_path"),
        (json!({ "audio_path": "../x.wav" }), "audio_path"),
        (json!({ "audio_path": "/etc/passwd" }), "audio_path"),
        (json!({ "audio_path": "nothing.wav" }), "audio_path"),
        (json!({ "audio_b64": "%" }), "audio_b64"),
        (json!({ "audio_b64": STANDARD.encode("no sound at all") }), "audio_b64"),
        (json!({ "audio_b64": "", "language": "fr" }), "language"),
        (json!({ "audio_b64": "", "provider": "nobody" }), "provider"),
    ] {
        let error = client.raw("transcribe", params.clone()).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{params}");
    }
    lab.is_clean().await;
}

#[tokio::test]
async fn two_whole_files_are_worked_on_at_once() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    put(&lab, "x.wav", &utterance(300));
    lab.knobs.decoding.shut();
    let params = json!({ "audio_path": "x.wav" });
    let one = client.send("transcribe", params.clone()).await;
    let two = client.send("transcribe", params.clone()).await;
    let error = client.raw("transcribe", params).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::OVERLOADED, &json!(2)));
    until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) >= 1).await;
    lab.knobs.decoding.open();
    for id in [one, two] {
        assert_eq!(client.reply(id).await.unwrap()["text"], "w1 w2 w3");
    }
    lab.is_clean().await;
}

#[tokio::test]
async fn speech_becomes_a_file() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let reply = client.raw("synthesize", json!({ "text": "One. Two." })).await.unwrap();
    let path = PathBuf::from(reply["audio_path"].as_str().unwrap());
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(reply["audio_b64"], STANDARD.encode(&bytes));
    assert_eq!((&bytes[..4], bytes.len()), (&b"RIFF"[..], 44 + 2 * 640));
    assert_eq!((&reply["media_type"], &reply["duration_ms"]), (&json!("audio/wav"), &json!(40)));
    assert!(path.starts_with(lab.host.root().join("voice/audio")));
    let old = put(&lab, "out.pcm", &[]);
    let params = json!({ "text": "One.", "output_path": "out.pcm", "format": "pcm" });
    let reply = client.raw("synthesize", params.clone()).await.unwrap();
    assert!(reply.get("audio_b64").is_none());
    assert_eq!(std::fs::read(old).unwrap().len(), 640);
    for (member, value, field) in [
        ("output_path", json!("../out.wav"), "output_path"),
        ("output_path", json!("/tmp/out.wav"), "output_path"),
        ("format", json!("mp3"), "format"),
        ("voice", json!("nobody"), "voice"),
        ("voice_instruction", json!("whisper"), "voice_instruction"),
        ("reference_audio_path", json!("out.pcm"), "reference_audio_path"),
        ("speed", json!(9), "speed"),
    ] {
        let mut params = params.clone();
        params[member] = value;
        let error = client.raw("synthesize", params).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{member}");
    }
    let params = json!({ "text": "x", "provider": "whole", "voice_instruction": "whisper" });
    assert_eq!(client.raw("synthesize", params).await.unwrap()["provider"], "whole");
    lab.is_clean().await;
}

#[tokio::test]
async fn a_file_as_source_ends_by_itself() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    put(&lab, "x.wav", &[utterance(300), utterance(500)].concat());
    let source = json!({ "kind": "file", "path": "x.wav" });
    let params = json!({ "session_id": "a", "audio_source": source });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    let error = crate::push(&mut client, "a", &[0, 0]).await.unwrap_err();
    assert!([codes::CONFLICT, codes::NOT_FOUND].contains(&error.code), "{error}");
    let events = all(&mut client, "a").await;
    assert_eq!(kinds(&events).len(), 1 + 2 * 3 + 1);
    let last = events.last().unwrap();
    assert_eq!((&last["reason"], &last["audio_ms"]), (&json!("end"), &json!(2800)));
    lab.is_clean().await;
}

#[tokio::test]
async fn a_file_may_be_read_as_fast_as_it_sounds_from_a_root_that_is_open() {
    let open = tempfile::tempdir().unwrap();
    let config = json!({ "audio_roots": [open.path()] });
    let lab = Lab::with(TestHost::builder(), config).await;
    let mut client = lab.host.client().await;
    let path = open.path().join("x.wav");
    std::fs::write(&path, wav(&utterance(100)[..16_000])).unwrap();
    let source = json!({ "kind": "file", "path": path, "realtime": true });
    let params = json!({ "session_id": "a", "audio_source": source });
    let began = Instant::now();
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    assert_eq!(all(&mut client, "a").await.last().unwrap()["audio_ms"], 500);
    assert!(began.elapsed() >= Duration::from_millis(500));
    lab.is_clean().await;
}

#[tokio::test]
async fn a_file_that_nobody_waits_for_is_not_heard_to_its_end() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    put(&lab, "x.wav", &utterance(900).repeat(6));
    lab.knobs.decoding.shut();
    let params = json!({ "audio_path": "x.wav" });
    client.send("transcribe", params.clone()).await;
    client.send("transcribe", params).await;
    until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) >= 1).await;
    client.vanish();
    // Both places for such calls are free once the calls have ended.
    let mut other = lab.host.client().await;
    let params = json!({ "audio_b64": "", "provider": "nobody" });
    until(async || {
        let error = other.raw("transcribe", params.clone()).await.unwrap_err();
        error.code == codes::INVALID_PARAMS
    })
    .await;
    let begun = lab.knobs.decodes.lock().unwrap().len();
    lab.knobs.decoding.open();
    lab.is_clean().await;
    assert_eq!(lab.knobs.decodes.lock().unwrap().len(), begun, "no segment was begun after");
}

#[tokio::test]
async fn a_long_file_keeps_no_stream_waiting() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    put(&lab, "x.wav", &utterance(200).repeat(150));
    lab.knobs.decoding.shut();
    let long = client.send("transcribe", json!({ "audio_path": "x.wav" })).await;
    until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) >= 1).await;
    crate::start(&mut client, "a", json!({ "streaming": false })).await;
    crate::push(&mut client, "a", &utterance(900)).await.unwrap();
    lab.knobs.decoding.open();
    crate::event(&mut client, "a", "final").await;
    assert!(client.reply(long).await.is_ok());
    let decodes = lab.knobs.decodes.lock().unwrap().clone();
    let longest = decodes.iter().map(|it| it.1).max().unwrap();
    let place = decodes.iter().position(|it| it.1 == longest).unwrap();
    assert!(place < decodes.len() / 2, "the stream was {place} of {}", decodes.len());
    crate::stop(&mut client, "a").await.unwrap();
    lab.is_clean().await;
}
