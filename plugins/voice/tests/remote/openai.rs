//! A service that speaks OpenAI's audio format.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    Lab, push, recording,
    server::{Act, answer, refusal},
    settled, stop,
};

fn heard(text: &str) -> Act {
    answer(200, "application/json", json!({ "text": text }).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_sent_whole_and_comes_back_as_text() {
    let lab = Lab::start("openai-http").await;
    let mut client = lab.host.client().await;
    let words = json!([{ "word": "go", "start": 0.25, "end": 0.5 }]);
    let verbose = json!({ "text": " Go. ", "language": "english", "words": words });
    for _ in 0..8 {
        lab.server.plan(answer(200, "application/json", verbose.to_string()));
    }
    let options = json!({ "words": true, "language": "en", "prompt": "Carport" });
    assert_eq!(lab.listen(&mut client, options).await["model"], "whisper-1");
    push(&mut client, &recording()).await;
    let reply = stop(&mut client).await;
    assert!(reply["transcript"].as_str().unwrap().starts_with("Go."), "{reply}");
    let last = lab.event(&mut client, "final").await;
    let word = &last["words"][0];
    let since = |at: &str| word[at].as_u64().unwrap() - last["start_ms"].as_u64().unwrap();
    assert_eq!((since("start_ms"), since("end_ms")), (250, 500));
    let request = lab.server.last();
    assert_eq!(request.line, "POST /v1/audio/transcriptions HTTP/1.1");
    let text = request.text();
    for part in ["whisper-1", "verbose_json", "timestamp_granularities[]", "Carport", "RIFF"] {
        assert!(text.contains(part), "{part}");
    }
    lab.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_ends_a_stream_with_its_own_code() {
    let lab = Lab::start("openai-http").await;
    let long = vec![b'x'; (1 << 20) + 1];
    for (act, code, wait) in [
        (refusal(401, &[]), "provider_auth", Value::Null),
        (refusal(403, &[]), "provider_auth", Value::Null),
        (refusal(429, &[("retry-after", "7")]), "provider_limit", json!(7000)),
        (refusal(402, &[]), "provider_limit", Value::Null),
        (refusal(500, &[]), "provider_failed", Value::Null),
        (refusal(302, &[("location", "/elsewhere")]), "provider_failed", Value::Null),
        (answer(200, "text/html", "<html>"), "provider_failed", Value::Null),
        (answer(200, "application/json", "{\"no\": 1}"), "provider_failed", Value::Null),
        (answer(200, "application/json", long), "provider_failed", Value::Null),
        (Act::Torn(b"{\"text\": \"ha".to_vec()), "provider_failed", Value::Null),
        (Act::Stuck(b"{\"text\": \"ha".to_vec()), "provider_failed", Value::Null),
        (Act::Hang, "provider_failed", Value::Null),
    ] {
        let mut client = lab.host.client().await;
        lab.server.plan(act);
        lab.listen(&mut client, json!({})).await;
        push(&mut client, &recording()).await;
        client.raw("voice.transcribe_stream.flush", json!({ "session_id": "s" })).await.ok();
        assert_eq!(lab.error(&mut client, "error").await, (code.to_owned(), wait));
        assert_eq!(lab.next(&mut client).await["reason"], "error");
    }
    let seen = lab.server.seen.lock().unwrap().clone();
    assert!(seen.iter().all(|it| !it.line.contains("elsewhere")));
    lab.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_heard_and_a_limit_is_an_answer_with_its_wait() {
    let lab = Lab::start("openai-http").await;
    let mut client = lab.host.client().await;
    let wav =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/librivox_0880.wav"));
    let params = json!({ "audio_b64": STANDARD.encode(wav.unwrap()), "provider": "cloud" });
    (0..8).for_each(|_| lab.server.plan(heard("well")));
    let reply = client.raw("transcribe", params.clone()).await.unwrap();
    assert!(reply["text"].as_str().unwrap().starts_with("well"), "{reply}");
    let lab = Lab::start("openai-http").await;
    let mut client = lab.host.client().await;
    lab.server.plan(refusal(429, &[("retry-after", "2")]));
    let error = client.raw("transcribe", params).await.unwrap_err();
    let text = serde_json::to_string(&error).unwrap();
    assert!(text.contains("2000"), "{text}");
    lab.told.lock().unwrap().push_str(&text);
    lab.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_comes_as_it_was_sent() {
    let lab = Lab::start("openai-http").await;
    let mut client = lab.host.client().await;
    let pcm: Vec<u8> = (0..9000i16).flat_map(i16::to_le_bytes).collect();
    lab.server.plan(answer(200, "audio/pcm", pcm.clone()));
    lab.speak(&mut client, "Hello there.").await;
    assert_eq!(lab.event(&mut client, "tts_started").await["sample_rate"], 24_000);
    let sound = lab.sound(&mut client).await;
    let sample = |bytes: &[u8]| i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
    assert_eq!(sound.len(), pcm.len());
    // Samples were floats on their way, which may round the last bit.
    assert!(sound.chunks(2).zip(pcm.chunks(2)).all(|(a, b)| (sample(a) - sample(b)).abs() <= 1));
    let request: Value = serde_json::from_slice(&lab.server.last().body).unwrap();
    let expected = json!({
        "model": "tts-1", "voice": "alloy", "input": "Hello there.", "response_format": "pcm",
        "speed": 1.0,
    });
    assert_eq!(request, expected);
    lab.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_that_goes_wrong_says_how() {
    let lab = Lab::start("openai-http").await;
    for (act, code) in [
        (refusal(401, &[]), "provider_auth"),
        (refusal(429, &[("retry-after", "7")]), "provider_limit"),
        (refusal(307, &[("location", "/elsewhere")]), "provider_failed"),
        (answer(200, "application/json", "{}"), "provider_failed"),
        (answer(200, "audio/pcm", ""), "provider_failed"),
        (answer(200, "audio/pcm", vec![0; 4001]), "provider_failed"),
        (Act::Torn(vec![0; 4000]), "provider_failed"),
        (Act::Stuck(vec![0; 4000]), "provider_failed"),
        (Act::Hang, "provider_failed"),
    ] {
        let mut client = lab.host.client().await;
        lab.server.plan(act);
        lab.speak(&mut client, "Hello.").await;
        assert_eq!(lab.error(&mut client, "tts_error").await.0, code);
    }
    let seen = lab.server.seen.lock().unwrap().clone();
    assert!(seen.iter().all(|it| !it.line.contains("elsewhere")));
    lab.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_does_not_wait_for_a_server_that_hangs() {
    let lab = Lab::patient("openai-http", 60).await;
    let mut client = lab.host.client().await;
    lab.server.plan(Act::Stuck(vec![0; 4000]));
    lab.speak(&mut client, "Hello.").await;
    lab.event(&mut client, "tts_chunk").await;
    client.raw("voice.tts_stream.cancel", json!({ "stream_id": "t" })).await.unwrap();
    lab.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_it_says_where_one_is_missing() {
    let cloud = json!({ "kind": "openai-http", "key": "file:/nowhere/key" });
    let host = crate::host(json!({ "cloud": cloud })).await;
    let mut client = host.client().await;
    let params = json!({ "session_id": "s", "options": { "provider": "cloud" } });
    let error = client.raw("voice.transcribe_stream.start", params).await.unwrap_err();
    assert_eq!(error.code, -32013);
    assert!(serde_json::to_string(&error).unwrap().contains("/nowhere/key"));
    let rows = client.raw("voice.providers.list", json!({})).await.unwrap();
    assert!(rows.as_array().unwrap().iter().all(|it| it["ready"] == false), "{rows}");
    settled(&host).await;
}
