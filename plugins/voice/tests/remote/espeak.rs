//! A program that speaks, in whose place a test puts its own.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::testing::{TestClient, TestHost};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{host, settled};

/// A WAV header of 22050 Hz, as printf takes it.
const HEADER: &str = r"RIFF\377\377\377\177WAVEfmt \020\0\0\0\001\0\001\0\042\126\0\0\104\254\0\0\002\0\020\0data\377\377\377\177";

/// A host whose espeak is this script.
async fn lab(directory: &Path, script: &str, timeout_secs: u64) -> (TestHost, TestClient) {
    let program = directory.join("espeak");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
    let settings = json!({ "kind": "espeak", "program": program, "timeout_secs": timeout_secs });
    let host = host(json!({ "robot": settings })).await;
    let client = host.client().await;
    (host, client)
}

async fn speak(client: &mut TestClient, text: &str) {
    let options = json!({ "provider": "robot", "format": "pcm", "voice_id": "en+f3" });
    let params = json!({ "stream_id": "t", "text": text, "options": options });
    client.raw("voice.tts_stream.start", params).await.unwrap();
}

async fn event(client: &mut TestClient, kind: &str) -> Value {
    let is_of = |it: &Value| it["params"]["event"]["type"] == kind;
    client.frame(is_of).await["params"]["event"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_goes_in_and_its_sound_comes_out() {
    let directory = TempDir::new().unwrap();
    let at = directory.path().display();
    let script = format!("echo \"$@\" >{at}/args; printf '{HEADER}'; tee {at}/text");
    let (host, mut client) = lab(directory.path(), &script, 1).await;
    // The text itself is the sound here: it has to be passed on whole.
    let text = "ab".repeat(8000);
    speak(&mut client, &text).await;
    let mut sound = Vec::new();
    loop {
        let chunk = event(&mut client, "tts_chunk").await;
        sound.extend(STANDARD.decode(chunk["audio_b64"].as_str().unwrap()).unwrap());
        if chunk["is_final"] == true {
            break;
        }
    }
    assert_eq!(sound.len(), text.len());
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!(read("text"), text);
    assert_eq!(read("args"), "--stdin --stdout -s 175 -v en+f3\n");
    settled(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_fails_is_a_provider_that_failed() {
    let sound = format!("printf '{HEADER}'; head -c 4000 /dev/zero");
    for script in [
        "exit 1".to_owned(),
        "echo no sound here, only some text that goes on for a while".into(),
        "exec sleep 60".into(),
        format!("printf '{HEADER}'"),
        format!("{sound}; exit 3"),
        format!("{sound}; exec sleep 60"),
        format!("{sound}; printf x"),
    ] {
        let directory = TempDir::new().unwrap();
        let (host, mut client) = lab(directory.path(), &script, 1).await;
        speak(&mut client, "Hello.").await;
        assert_eq!(event(&mut client, "tts_error").await["code"], "provider_failed", "{script}");
        settled(&host).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_the_program() {
    let directory = TempDir::new().unwrap();
    let at = directory.path().display();
    let script =
        format!("echo $$ >{at}/pid; printf '{HEADER}'; head -c 4000 /dev/zero; exec sleep 60");
    let (host, mut client) = lab(directory.path(), &script, 60).await;
    speak(&mut client, "Hello.").await;
    event(&mut client, "tts_chunk").await;
    let pid = std::fs::read_to_string(directory.path().join("pid")).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    client.raw("voice.tts_stream.cancel", json!({ "stream_id": "t" })).await.unwrap();
    settled(&host).await;
    let patience = std::time::Instant::now() + Duration::from_secs(5);
    while process.exists() {
        assert!(std::time::Instant::now() < patience, "the program lives on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_named() {
    let settings = json!({ "kind": "espeak", "program": "no-such-espeak" });
    let host = host(json!({ "robot": settings })).await;
    let mut client = host.client().await;
    let options = json!({ "provider": "robot" });
    let params = json!({ "stream_id": "t", "text": "Hello.", "options": options });
    let error = client.raw("voice.tts_stream.start", params).await.unwrap_err();
    assert_eq!(error.code, -32013);
    assert!(error.to_string().contains("no-such-espeak"), "{error}");
}
