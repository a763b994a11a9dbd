//! ElevenLabs: the WebSocket of a stream, and its speech.

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::testing::TestClient;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    Lab, push,
    server::{Act, Socket, answer, refusal},
    stop,
};

/// What a service says of its trouble, which may be anything and is told to nobody.
const WORDS: &str = "words of the service";

async fn say(socket: &mut Socket, kind: &str, text: &str) {
    let message = json!({ "message_type": kind, "text": text, "error": text });
    let _ = socket.send(Message::text(message.to_string())).await;
}

/// Takes sound up to a commit; how many samples came.
async fn commit(socket: &mut Socket) -> usize {
    let mut samples = 0;
    loop {
        let message = socket.next().await.unwrap().unwrap();
        let message: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!(message["message_type"], "input_audio_chunk");
        assert_eq!(message["sample_rate"], 16_000);
        samples += STANDARD.decode(message["audio_base_64"].as_str().unwrap()).unwrap().len() / 2;
        if message["commit"] == true {
            return samples;
        }
    }
}

/// A stream that the service is ready for.
async fn open(lab: &mut Lab) -> (TestClient, Socket) {
    lab.server.plan(Act::Socket);
    let mut client = lab.host.client().await;
    let options = json!({ "provider": "cloud", "language": "en" });
    let params = json!({ "session_id": "s", "options": options });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    let mut socket = lab.server.socket().await;
    say(&mut socket, "session_started", "").await;
    assert_eq!(lab.event(&mut client, "session_started").await["model"], "scribe_v2_realtime");
    (client, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn partials_finals_a_flush_and_a_stop_become_segments() {
    let mut lab = Lab::start("elevenlabs").await;
    let (mut client, mut socket) = open(&mut lab).await;
    let line = lab.server.last().line;
    assert!(line.starts_with("GET /v1/speech-to-text/realtime?model_id=scribe_v2_realtime&"));
    assert!(line.contains("audio_format=pcm_16000") && line.contains("language_code=en"), "{line}");
    push(&mut client, &[0; 32_000]).await;
    client.raw("voice.transcribe_stream.flush", json!({ "session_id": "s" })).await.unwrap();
    assert_eq!(commit(&mut socket).await, 16_000);
    say(&mut socket, "partial_transcript", "Turn").await;
    say(&mut socket, "something_new", "").await;
    say(&mut socket, "committed_transcript", "Turn left.").await;
    let last = lab.event(&mut client, "final").await;
    assert_eq!((&last["text"], &last["reason"]), (&json!("Turn left."), &json!("provider")));
    assert_eq!((&last["start_ms"], &last["end_ms"]), (&json!(0), &json!(1000)));
    push(&mut client, &[0; 32_000]).await;
    let id = client.send("voice.transcribe_stream.stop", json!({ "session_id": "s" })).await;
    assert_eq!(commit(&mut socket).await, 16_000);
    // One that the service ended by itself, then the one that it was told to end.
    say(&mut socket, "committed_transcript", "And").await;
    say(&mut socket, "committed_transcript", "stop.").await;
    assert_eq!(client.reply(id).await.unwrap()["transcript"], "Turn left. And stop.");
    // The stream is over: this is told to nobody.
    say(&mut socket, "committed_transcript", "Phantom.").await;
    lab.event(&mut client, "session_stopped").await;
    lab.is_clean().await;
    assert!(!lab.told.lock().unwrap().contains("Phantom"));
}

#[tokio::test(flavor = "multi_thread")]
async fn words_come_with_a_second_message_and_are_not_waited_for_long() {
    let mut lab = Lab::start("elevenlabs").await;
    lab.server.plan(Act::Socket);
    let mut client = lab.host.client().await;
    let options = json!({ "provider": "cloud", "words": true });
    let params = json!({ "session_id": "s", "options": options });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    let mut socket = lab.server.socket().await;
    say(&mut socket, "session_started", "").await;
    assert_eq!(lab.event(&mut client, "session_started").await["caps"]["words"], true);
    assert!(lab.server.last().line.contains("include_timestamps=true"));
    push(&mut client, &[0; 64_000]).await;
    client.raw("voice.transcribe_stream.flush", json!({ "session_id": "s" })).await.unwrap();
    assert_eq!(commit(&mut socket).await, 32_000);
    say(&mut socket, "committed_transcript", "Go on.").await;
    let word = json!({ "text": "Go", "start": 0.5, "end": 0.75, "type": "word", "logprob": 0.0 });
    let blank = json!({ "text": " ", "start": 0.75, "end": 0.8, "type": "spacing" });
    let timed = json!({
        "message_type": "committed_transcript_with_timestamps",
        "text": "Go on.", "language_code": "en", "words": [word, blank],
    });
    let _ = socket.send(Message::text(timed.to_string())).await;
    let last = lab.event(&mut client, "final").await;
    let words = json!([{ "text": "Go", "start_ms": 500, "end_ms": 750, "confidence": 1.0 }]);
    assert_eq!((&last["text"], &last["words"]), (&json!("Go on."), &words));
    // One whose words never come, and one of which they come too late.
    say(&mut socket, "committed_transcript", "And stop.").await;
    let last = lab.event(&mut client, "final").await;
    assert_eq!((&last["text"], last.get("words")), (&json!("And stop."), None));
    let _ = socket.send(Message::text(timed.to_string())).await;
    say(&mut socket, "partial_transcript", "Next").await;
    assert_eq!(lab.event(&mut client, "partial").await["text"], "Next");
    client.vanish();
    lab.is_clean().await;
    let told = lab.told.lock().unwrap();
    assert_eq!(told.matches("Go on.").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_ends_without_text() {
    let mut lab = Lab::start("elevenlabs").await;
    let (mut client, mut socket) = open(&mut lab).await;
    push(&mut client, &[0; 3200]).await;
    let told = async {
        commit(&mut socket).await;
        say(&mut socket, "insufficient_audio_activity", "").await;
    };
    let (reply, ()) = tokio::join!(stop(&mut client), told);
    assert_eq!((&reply["transcript"], &reply["segments"]), (&json!(""), &json!([])));
    lab.is_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_refused_says_how() {
    let mut lab = Lab::start("elevenlabs").await;
    let spent = answer(401, "application/json", r#"{"detail": {"status": "quota_exceeded"}}"#);
    for (act, code, wait) in [
        (refusal(401, &[]), "provider_auth", Value::Null),
        (spent, "provider_limit", Value::Null),
        (refusal(429, &[("retry-after", "3")]), "provider_limit", json!(3000)),
        (refusal(503, &[]), "load_failed", Value::Null),
        (answer(200, "text/html", "<html>"), "load_failed", Value::Null),
        (Act::Hang, "load_failed", Value::Null),
    ] {
        lab.server.plan(act);
        let mut client = lab.host.client().await;
        let error = lab.listen(&mut client, json!({})).await;
        assert_eq!((&error["code"], &error["retry_after_ms"]), (&json!(code), &wait), "{error}");
    }
    for (kind, code) in [
        ("auth_error", "provider_auth"),
        ("quota_exceeded", "provider_limit"),
        ("nonsense", "load_failed"),
    ] {
        lab.server.plan(Act::Socket);
        let mut client = lab.host.client().await;
        let params = json!({ "session_id": "s", "options": { "provider": "cloud" } });
        client.raw("voice.transcribe_stream.start", params).await.unwrap();
        let mut socket = lab.server.socket().await;
        say(&mut socket, kind, WORDS).await;
        drop(socket);
        assert_eq!(lab.error(&mut client, "error").await.0, code);
    }
    lab.is_clean().await;
}

/// How a service goes wrong in the middle of a stream.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Message(&'static str),
    Garbage,
    Bytes,
    Close,
    Gone,
    Silence,
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_in_the_middle_ends_the_stream_with_its_code() {
    let mut lab = Lab::start("elevenlabs").await;
    for (trouble, code) in [
        (Trouble::Message("rate_limited"), "provider_limit"),
        (Trouble::Message("quota_exceeded"), "provider_limit"),
        (Trouble::Message("auth_error"), "provider_auth"),
        (Trouble::Message("transcriber_error"), "provider_failed"),
        (Trouble::Garbage, "provider_failed"),
        (Trouble::Bytes, "provider_failed"),
        (Trouble::Close, "provider_failed"),
        (Trouble::Gone, "provider_failed"),
        (Trouble::Silence, "provider_failed"),
    ] {
        let (mut client, mut socket) = open(&mut lab).await;
        push(&mut client, &[0; 3200]).await;
        say(&mut socket, "partial_transcript", "half of").await;
        lab.event(&mut client, "partial").await;
        match trouble {
            Trouble::Message(kind) => say(&mut socket, kind, WORDS).await,
            Trouble::Garbage => socket.send(Message::text("{[")).await.unwrap(),
            Trouble::Bytes => socket.send(Message::binary(vec![1])).await.unwrap(),
            Trouble::Close => socket.close(None).await.unwrap(),
            Trouble::Gone => drop(socket),
            // An answer is due, and none comes.
            Trouble::Silence => {
                let flush = json!({ "session_id": "s" });
                client.raw("voice.transcribe_stream.flush", flush).await.unwrap();
                commit(&mut socket).await;
            }
        }
        assert_eq!(lab.error(&mut client, "error").await.0, code, "{trouble:?}");
        let segment = lab.event(&mut client, "session_stopped").await;
        assert_eq!(segment["reason"], "error");
    }
    lab.is_clean().await;
    assert!(!lab.told.lock().unwrap().contains(WORDS));
}

#[tokio::test(flavor = "multi_thread")]
async fn speech_is_asked_for_in_its_format() {
    let lab = Lab::start("elevenlabs").await;
    let mut client = lab.host.client().await;
    lab.server.plan(answer(200, "audio/pcm", vec![0; 8000]));
    lab.speak(&mut client, "Hello there.").await;
    assert_eq!(lab.sound(&mut client).await, vec![0; 8000]);
    let request = lab.server.last();
    let path =
        "POST /v1/text-to-speech/21m00Tcm4TlvDq8ikWAM/stream?output_format=pcm_24000 HTTP/1.1";
    assert_eq!(request.line, path);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        (&body["text"], &body["model_id"]),
        (&json!("Hello there."), &json!("eleven_flash_v2_5"))
    );
    for (options, field) in [
        (json!({ "provider": "cloud", "voice_id": "../x" }), "options.voice_id"),
        (json!({ "provider": "cloud", "speed": 2.0 }), "options.speed"),
    ] {
        let params = json!({ "stream_id": "u", "text": "x", "options": options });
        let error = client.raw("voice.tts_stream.start", params).await.unwrap_err();
        assert_eq!(error.field(), Some(field));
    }
    lab.is_clean().await;
}
