//! whisper.cpp in the process: with a model without weights, with files that are none, and with a real one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::testing::{TestClient, TestHost};
use carport_voice as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A model without weights: it loads, and what it hears means nothing.
const EMPTY: &str = "for-tests-ggml-tiny.bin";
/// Names a real model file.
const MODEL: &str = "CARPORT_WHISPER_MODEL";

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

async fn host(model: &Path) -> TestHost {
    let whisper = json!({ "kind": "whisper", "model": model, "timeout_secs": 600 });
    let config = json!({ "local": false, "providers": { "whisper": whisper } });
    TestHost::builder().plugin("voice", config).start().await
}

async fn row(client: &mut TestClient) -> Value {
    client.raw("voice.providers.list", json!({})).await.unwrap()[0].clone()
}

fn recording(name: &str) -> String {
    STANDARD.encode(std::fs::read(sample(name)).unwrap())
}

async fn transcribe(client: &mut TestClient, name: &str, more: Value) -> Result<Value, String> {
    let mut params = json!({ "audio_b64": recording(name), "provider": "whisper" });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.raw("transcribe", params).await.map_err(|error| format!("{error:?}"))
}

#[tokio::test]
async fn a_file_that_is_no_model_is_told_with_the_remedy() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let whole = std::fs::read(sample(EMPTY)).unwrap();
    // A form of weights at which the library would end the process.
    let mut odd = whole.clone();
    odd[44] = 4;
    let mut foreign = whole.clone();
    foreign[0] = b'x';
    for (name, bytes) in [("odd", &odd), ("foreign", &foreign), ("empty", &Vec::new())] {
        std::fs::write(at(name), bytes).unwrap();
    }
    for name in ["odd", "foreign", "empty", "missing", "."] {
        let host = host(&at(name)).await;
        let mut client = host.client().await;
        let row = row(&mut client).await;
        assert_eq!(row["ready"], false, "{name}: {row}");
        let why = transcribe(&mut client, "librivox_0880.wav", json!({})).await.unwrap_err();
        for told in [row["reason"].as_str().unwrap(), &why] {
            assert!(told.contains("ggml-base.en.bin"), "{told}");
            assert!(told.contains("voice.providers.whisper.model"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_never_loaded() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("cut.bin");
    let whole = std::fs::read(sample(EMPTY)).unwrap();
    for length in [whole.len() - 1, 300_000, 70_000, 1000, 60] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let host = host(&path).await;
        let mut client = host.client().await;
        let why = transcribe(&mut client, "librivox_0880.wav", json!({})).await.unwrap_err();
        assert!(why.contains("it ends too early"), "{length}: {why}");
    }
}

#[tokio::test]
async fn what_the_model_does_not_know_is_refused_before_it_is_loaded() {
    let host = host(&sample(EMPTY)).await;
    let mut client = host.client().await;
    let row = row(&mut client).await;
    assert_eq!((&row["id"], &row["ready"]), (&json!("whisper"), &json!(true)), "{row}");
    for (field, value) in [
        ("model", "whisper-1"),
        ("language", "xx"),
        ("language", "english"),
        ("language", "d\u{0}e"),
        ("language", ""),
    ] {
        let why = transcribe(&mut client, "librivox_0880.wav", json!({ field: value })).await;
        assert!(why.as_ref().unwrap_err().contains(field), "{value}: {why:?}");
    }
}

/// Without weights the text means nothing, but all of the way is gone: load, segments, language, prompt, times.
#[tokio::test]
async fn a_model_is_loaded_and_run() {
    let host = host(&sample(EMPTY)).await;
    let mut client = host.client().await;
    let ready = client.raw("voice.prepare", json!({ "what": "stt", "provider": "whisper" })).await;
    assert_eq!(ready.unwrap()["ready"], true);
    // The longest word that a prompt may hold, and letters that a cut would split.
    let prompt = format!("{}\u{0}é", "a".repeat(4090));
    let more = json!({
        "language": "en-GB", "prompt": prompt, "timestamps": true, "model": "for-tests-ggml-tiny"
    });
    let heard = transcribe(&mut client, "librivox_0880.wav", more).await.unwrap();
    assert_eq!(heard["model_used"], "for-tests-ggml-tiny");
    assert!(heard["duration_ms"].as_u64().unwrap() > 2900, "{heard}");
}

/// Words as they are compared: no case, no punctuation, titles in full.
fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('-', " ").replace("mr.", "mister");
    let letters = |word: &str| word.chars().filter(|it| it.is_alphanumeric()).collect::<String>();
    text.split_whitespace().map(letters).filter(|it| !it.is_empty()).collect()
}

#[tokio::test]
#[ignore = "needs a model file: set CARPORT_WHISPER_MODEL to one, such as ggml-tiny.en.bin"]
async fn a_real_model_understands_a_person() {
    let path = PathBuf::from(std::env::var_os(MODEL).unwrap());
    let host = host(&path).await;
    let mut client = host.client().await;
    let refs: Value = serde_json::from_slice(&std::fs::read(sample("refs.json")).unwrap()).unwrap();
    // `librivox_0880` swallows a syllable, and models write what they hear.
    for name in ["librivox_0870.wav", "librivox_0890.wav"] {
        let said = &refs[name];
        let more = json!({ "timestamps": true, "prompt": "Mister John Dashwood" });
        let heard = transcribe(&mut client, name, more).await.unwrap();
        assert_eq!(words(heard["text"].as_str().unwrap()), words(said.as_str().unwrap()));
        assert_eq!(heard["language"], "en");
        let words = heard["words"].as_array().unwrap();
        let times = words.iter().flat_map(|it| [&it["start_ms"], &it["end_ms"]]);
        let times: Vec<u64> = times.map(|it| it.as_u64().unwrap()).collect();
        assert!(times.is_sorted(), "{name}: {words:?}");
        assert!(times.last() <= heard["duration_ms"].as_u64().as_ref(), "{name}: {words:?}");
        let sure = words.iter().map(|it| it["confidence"].as_f64().unwrap()).sum::<f64>();
        assert!(sure / words.len() as f64 > 0.5, "{name}: {words:?}");
    }
}
