//! The voice plugin with the models of this machine, on recordings.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::{
    codes,
    testing::{TestClient, TestHost},
};
use carport_voice::{Places, local_providers};
use carport_voice_api::{NewStream, VOICE};
use serde_json::{Value, json};

/// Bytes of a WAV header as the samples have it.
const HEADER: usize = 44;
/// Half a second of 16 kHz s16le.
const PUSH: usize = 16_000;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(sample(name)).unwrap()
}

fn facts(name: &str) -> Value {
    serde_json::from_slice(&read(name)).unwrap()
}

/// Words as they are compared: no case, no punctuation, titles in full.
fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('-', " ").replace("mr.", "mister");
    let letters = |word: &str| word.chars().filter(|it| it.is_alphanumeric()).collect::<String>();
    text.split_whitespace().map(letters).filter(|it| !it.is_empty()).collect()
}

/// Pushes a recording and stops; every event of the stream, and what the stop was answered with.
async fn hear(
    client: &mut TestClient,
    id: &str,
    name: &str,
    options: Value,
) -> (Vec<Value>, Value) {
    let params = json!({ "session_id": id, "options": options });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    for piece in read(name)[HEADER..].chunks(PUSH) {
        let params = json!({ "session_id": id, "pcm_b64": STANDARD.encode(piece) });
        client.raw("voice.transcribe_stream.push", params).await.unwrap();
        // The worker makes partials only when it has heard all that came.
        while buffered(client).await > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
    let stopped = client.raw("voice.transcribe_stream.stop", json!({ "session_id": id })).await;
    let mut events = Vec::new();
    while events.last().is_none_or(|it: &Value| it["type"] != "session_stopped") {
        let is_of = |it: &Value| it["method"] == "voice.event" && it["params"]["session_id"] == id;
        events.push(client.frame(is_of).await["params"]["event"].take());
    }
    (events, stopped.unwrap())
}

async fn buffered(client: &mut TestClient) -> u64 {
    let rows = client.raw("voice.sessions.list", json!({})).await.unwrap();
    rows[0]["buffered_ms"].as_u64().unwrap()
}

#[tokio::test]
async fn a_person_is_understood_while_she_speaks_and_at_the_end() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let (events, stopped) = hear(&mut client, "a", "librivox_0870.wav", json!({})).await;
    let said = facts("refs.json")["librivox_0870.wav"].as_str().unwrap().to_owned();
    assert_eq!(words(stopped["transcript"].as_str().unwrap()), words(&said));
    let of =
        |kind: &str| events.iter().filter(|it| it["type"] == kind).cloned().collect::<Vec<_>>();
    assert_eq!(of("session_started")[0]["model"], "moonshine-tiny-en");
    let partials = of("partial");
    assert!(!partials.is_empty(), "{events:?}");
    let mut stable = (Value::Null, String::new());
    for partial in &partials {
        let text = partial["text"].as_str().unwrap();
        let stands = partial["stable_text"].as_str().unwrap();
        assert!(text.starts_with(stands), "{partial}");
        if stable.0 == partial["segment_id"] {
            assert!(stands.starts_with(&stable.1), "{partial} after {}", stable.1);
        }
        stable = (partial["segment_id"].clone(), stands.to_owned());
    }
    let finals = of("final");
    let last = |of: &Value| {
        partials
            .iter()
            .rfind(|it| it["segment_id"] == of["segment_id"])
            .map(|it| it["stable_text"].clone())
    };
    for told in &finals {
        let stood = words(last(told).as_ref().and_then(Value::as_str).unwrap_or_default());
        let text = words(told["text"].as_str().unwrap());
        let kept = stood.iter().zip(&text).filter(|(a, b)| a == b).count();
        assert!(kept + 1 >= stood.len(), "{stood:?} became {text:?}");
    }
    let texts: Vec<_> = finals.iter().map(|it| it["text"].as_str().unwrap()).collect();
    assert_eq!(texts.join(" "), stopped["transcript"]);
    assert!(finals.iter().all(|it| it["confidence"].as_f64().is_some_and(|it| it > 0.3)));
    assert_eq!(of("speech_started").len(), finals.len());
}

#[tokio::test]
async fn an_overdriven_recording_is_still_understood() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let recording = read("librivox_0870.wav");
    let louder = |pair: &[u8; 2]| i16::from_le_bytes(*pair).saturating_mul(20).to_le_bytes();
    let sound: Vec<u8> = recording[HEADER..].as_chunks().0.iter().flat_map(louder).collect();
    let is_cut = |pair: &&[u8; 2]| i16::from_le_bytes(**pair).unsigned_abs() >= i16::MAX as u16;
    let cut = sound.as_chunks().0.iter().filter(is_cut).count();
    assert!(cut * 100 > sound.len() / 2, "{cut} samples are cut, less than one in a hundred");
    client.raw("voice.transcribe_stream.start", json!({ "session_id": "a" })).await.unwrap();
    let params = json!({ "session_id": "a", "pcm_b64": STANDARD.encode(&sound) });
    client.raw("voice.transcribe_stream.push", params).await.unwrap();
    let params = json!({ "session_id": "a" });
    let heard = client.raw("voice.transcribe_stream.stop", params).await.unwrap();
    let heard = words(heard["transcript"].as_str().unwrap());
    let said = words(facts("refs.json")["librivox_0870.wav"].as_str().unwrap());
    let missing = said.iter().filter(|it| !heard.contains(it)).count();
    assert!(missing * 4 <= said.len(), "{missing} of {} words: {heard:?}", said.len());
}

#[tokio::test]
async fn minutes_of_silence_and_hum_have_no_text() {
    nothing(5).await;
}

#[tokio::test]
#[ignore = "takes twenty seconds without optimization"]
async fn an_hour_of_silence_and_hum_has_no_text() {
    nothing(60).await;
}

async fn nothing(minutes: u64) {
    let host = TestHost::start().await;
    let stream = host
        .service(&VOICE)
        .open(NewStream { session_id: "quiet".into(), ..NewStream::default() })
        .unwrap();
    // Half a minute: silence, then a hum of 50 Hz at -60 dB.
    let hum = |n: usize| ((n as f32 * std::f32::consts::TAU * 50.0 / 16_000.0).sin() * 32.0) as i16;
    let sample = |n: usize| if n < 15 * 16_000 { 0 } else { hum(n) };
    let piece: Vec<u8> = (0..30 * 16_000).flat_map(|n| sample(n).to_le_bytes()).collect();
    for _ in 0..minutes * 2 {
        while stream.push(&[]).unwrap().buffered_ms > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        stream.push(&piece).unwrap();
    }
    let summary = stream.stop(true).await.unwrap();
    assert_eq!((&*summary.transcript, summary.audio_ms), ("", minutes * 60_000));
    assert!(!summary.truncated && summary.dropped_ms == 0, "{summary:?}");
}

#[tokio::test]
async fn three_people_are_told_apart() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let options = json!({ "diarizer": true, "streaming": false });
    let (events, stopped) = hear(&mut client, "m", "meeting_3spk.wav", options).await;
    let settled: Vec<_> = events.iter().filter(|it| it["type"] == "transcript").collect();
    let labels: Vec<_> =
        settled.iter().map(|it| it["speaker"]["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["S1", "S2", "S3", "S1", "S2", "S3", "S2", "S1"]);
    assert!(!events.iter().any(|it| it["type"] == "speaker_corrected"), "all were right at once");
    let turns = facts("meeting_3spk.json");
    let said = turns.as_array().unwrap().iter().flat_map(|it| words(it["text"].as_str().unwrap()));
    let said: Vec<_> = said.collect();
    let heard = words(stopped["transcript"].as_str().unwrap());
    let missing = said.iter().filter(|it| !heard.contains(it)).count();
    assert!(missing * 20 <= said.len(), "{missing} of {} words: {heard:?}", said.len());
}

#[tokio::test]
async fn what_is_spoken_is_understood() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let text = "The build finished without errors. Would you like me to send the summary to the \
                whole team?";
    let spoken = client.raw("synthesize", json!({ "text": text })).await.unwrap();
    assert_eq!((&spoken["sample_rate"], &spoken["provider"]), (&json!(24_000), &json!("local")));
    assert!(
        (4000..9000).contains(&spoken["duration_ms"].as_u64().unwrap()),
        "{}",
        spoken["duration_ms"]
    );
    let sound = json!({ "audio_b64": spoken["audio_b64"], "language": "en-GB" });
    let heard = client.raw("transcribe", sound).await.unwrap();
    assert_eq!(words(heard["text"].as_str().unwrap()), words(text));
    let flac = json!({ "audio_b64": STANDARD.encode(read("librivox_0880.flac")) });
    let heard = client.raw("transcribe", flac).await.unwrap();
    let said = facts("refs.json")["librivox_0880.wav"].as_str().unwrap().to_owned();
    let errors = words(&said)
        .iter()
        .filter(|it| !heard["text"].as_str().unwrap().to_lowercase().contains(*it))
        .count();
    // "ill-disposed" is heard as "ill-sposed".
    assert!(errors <= 1, "{heard}");
    for (method, params, field) in [
        ("transcribe", json!({ "audio_b64": "", "language": "fr" }), "language"),
        ("transcribe", json!({ "audio_b64": "", "model": "whisper" }), "model"),
        ("synthesize", json!({ "text": "x", "language": "de" }), "language"),
        ("synthesize", json!({ "text": "x", "voice": "nobody" }), "voice"),
        ("synthesize", json!({ "text": "x", "voice_instruction": "softly" }), "voice_instruction"),
    ] {
        let error = client.raw(method, params).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
    let params = json!({ "session_id": "f", "options": { "language": "fr" } });
    let error = client.raw("voice.transcribe_stream.start", params).await.unwrap_err();
    assert_eq!(error.field(), Some("options.language"));
}

#[tokio::test]
async fn models_are_prepared_and_say_where_they_are() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for (what, model, license) in [
        ("stt", "moonshine-tiny-en", "MIT"),
        ("tts", "hibari", "Apache-2.0"),
        ("diarizer", "speaker-ge2e", "Apache-2.0"),
    ] {
        let done = client.raw("voice.prepare", json!({ "what": what })).await.unwrap();
        assert_eq!((&done["ready"], &done["status"]), (&json!(true), &json!("ready")), "{done}");
        assert!(done["path"].as_str().unwrap().ends_with(model), "{done}");
        let facts = &done["model"];
        assert_eq!((&facts["id"], &facts["license"]), (&json!(model), &json!(license)));
        assert!(facts["bytes"].as_u64().unwrap() > 1_000_000, "{facts}");
    }
    let mut rows = client.raw("voice.providers.list", json!({})).await.unwrap();
    let rows = rows.as_array_mut().unwrap();
    // A build may lack some that could be had.
    rows.retain(|it| it["available"] == true);
    assert!(rows.iter().all(|it| it["ready"] == true && it["default"] == true));
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn missing_models_are_answered_with_the_remedy() {
    let host = TestHost::builder().plugin("voice", json!({ "local": false })).start().await;
    let empty = tempfile::tempdir().unwrap();
    let voice = host.service(&VOICE);
    let state_root = Some(empty.path().to_owned());
    for provider in local_providers(Places { state_root, ..Places::default() }) {
        voice.register(provider).unwrap();
    }
    let mut client = host.client().await;
    let sound = STANDARD.encode(read("librivox_0880.wav"));
    let diarizer = json!({ "session_id": "a", "options": { "diarizer": true } });
    for (method, params, model) in [
        ("transcribe", json!({ "audio_b64": sound }), "moonshine-tiny-en"),
        ("voice.transcribe_stream.start", diarizer, "moonshine-tiny-en"),
        ("synthesize", json!({ "text": "Hello." }), "hibari"),
        (
            "voice.enroll_speaker",
            json!({ "label": "a", "audio": { "audio_b64": sound } }),
            "speaker-ge2e",
        ),
    ] {
        let error = client.raw(method, params).await.unwrap_err();
        assert_eq!(error.code, codes::UNAVAILABLE, "{method}: {error}");
        let data = error.data.unwrap();
        assert_eq!(data["missing"], model);
        let place = empty.path().join("models/voice").join(model).display().to_string();
        let reason = data["reason"].as_str().unwrap();
        assert!(reason.contains(&place) && reason.contains("`voice.models`"), "{reason}");
    }
    let done = client.raw("voice.prepare_parakeet", json!({})).await.unwrap();
    assert_eq!((&done["ready"], &done["status"]), (&json!(false), &json!("missing")));
    assert!(done["path"].as_str().unwrap().starts_with(empty.path().to_str().unwrap()));
}

#[tokio::test]
async fn a_damaged_model_is_no_reason_to_take_another() {
    let place = tempfile::tempdir().unwrap();
    let hibari = place.path().join("hibari");
    std::fs::create_dir(&hibari).unwrap();
    std::fs::write(hibari.join("manifest.json"), "{").unwrap();
    let config = json!({ "models": [place.path()] });
    let host = TestHost::builder().plugin("voice", config).start().await;
    let mut client = host.client().await;
    let error = client.raw("synthesize", json!({ "text": "Hello." })).await.unwrap_err();
    assert_eq!(error.code, codes::UNAVAILABLE, "{error}");
    assert!(error.message.contains("is no manifest"), "{error}");
}

/// A copy of a model whose graphs are other bytes of the same length.
fn junk(place: &Path, model: &str) {
    let (from, to) = (Places::repository().join(model), place.join(model));
    std::fs::create_dir(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let mut bytes = std::fs::read(file.path()).unwrap();
        if file.path().extension().is_some_and(|it| it == "onnx") {
            bytes.iter_mut().step_by(7).for_each(|it| *it = !*it);
        }
        std::fs::write(to.join(file.file_name()), bytes).unwrap();
    }
}

#[tokio::test]
async fn a_graph_that_is_junk_is_never_read() {
    let place = tempfile::tempdir().unwrap();
    for model in ["moonshine-tiny-en", "hibari", "speaker-ge2e"] {
        junk(place.path(), model);
    }
    let config = json!({ "models": [place.path()] });
    let host = TestHost::builder().plugin("voice", config).start().await;
    let mut client = host.client().await;
    let sound = STANDARD.encode(read("librivox_0880.wav"));
    let print = json!({ "label": "a", "audio": { "audio_b64": sound } });
    for (method, params) in [
        ("transcribe", json!({ "audio_b64": sound })),
        ("synthesize", json!({ "text": "Hello." })),
        ("voice.enroll_speaker", print),
        ("voice.prepare", json!({ "what": "tts" })),
        ("voice.prepare_parakeet", json!({})),
        ("voice.prepare_diarizer", json!({})),
    ] {
        let told = match client.raw(method, params).await {
            Ok(reply) => reply["detail"].to_string(),
            Err(error) => error.message,
        };
        assert!(told.contains("SHA-256"), "{method}: {told}");
    }
    client.raw("voice.transcribe_stream.start", json!({ "session_id": "a" })).await.unwrap();
    let is_error =
        |it: &Value| it["method"] == "voice.event" && it["params"]["event"]["type"] == "error";
    let error = client.frame(is_error).await["params"]["event"].take();
    assert_eq!((&error["code"], &error["fatal"]), (&json!("load_failed"), &json!(true)));
    assert!(error["message"].as_str().unwrap().contains("SHA-256"), "{error}");
}
