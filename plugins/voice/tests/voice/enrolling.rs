//! Voices that are known by name.

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::{codes, testing::TestHost};
use serde_json::{Value, json};

use crate::{Lab, event, push, sound, start, stop};

fn sample(ms: usize, amplitude: f32) -> Value {
    json!({ "pcm_b64": STANDARD.encode(sound(ms, amplitude)), "sample_rate": 16000, "channels": 1 })
}

#[tokio::test]
async fn a_voice_is_known_by_name_and_its_print_stays_here() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let params = json!({ "label": "Ann Ü", "audio": sample(4000, 0.8) });
    let reply = client.raw("voice.enroll_speaker", params.clone()).await.unwrap();
    assert_eq!(
        reply,
        json!({ "enrolled": true, "label": "Ann Ü", "voiced_ms": 4000, "samples": 1 })
    );
    let reply = client.raw("voice.enroll_speaker", params).await.unwrap();
    assert_eq!(reply["samples"], 2);
    start(&mut client, "a", json!({ "enrolled": true })).await;
    let said = [sound(900, 0.2), sound(600, 0.0), sound(900, 0.8)].concat();
    push(&mut client, "a", &said).await.unwrap();
    let reply = stop(&mut client, "a").await.unwrap();
    let speakers: Vec<_> =
        reply["segments"].as_array().unwrap().iter().map(|it| &it["speaker"]).collect();
    assert_eq!(speakers[0], &json!({ "label": "S1", "enrolled": false }));
    assert_eq!(speakers[1], &json!({ "label": "Ann Ü", "enrolled": true, "score": 1.0 }));
    event(&mut client, "a", "transcript").await;
    let list = client.raw("voice.list_enrollments", json!({})).await.unwrap();
    assert_eq!(list["labels"], json!(["Ann Ü"]));
    let row = list["enrollments"][0].as_object().unwrap();
    assert_eq!(row.keys().collect::<Vec<_>>(), ["created_at", "label", "samples", "voiced_ms"]);
    assert_eq!(row["voiced_ms"], 8000);
    let later = Lab::of(TestHost::builder().on_root_of(&lab.host)).await;
    let mut client = later.host.client().await;
    let list = client.raw("voice.list_enrollments", json!({})).await.unwrap();
    assert_eq!(list["enrollments"][0]["samples"], 2, "it survives a restart");
    let removed = client.raw("voice.remove_enrollment", json!({ "label": "Ann Ü" })).await.unwrap();
    assert_eq!(removed, json!({ "removed": true }));
    let removed = client.raw("voice.remove_enrollment", json!({ "label": "Ann Ü" })).await.unwrap();
    assert_eq!(removed, json!({ "removed": false }));
    let directory = lab.host.root().join("voice/enrollments");
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 0);
}

#[tokio::test]
async fn too_little_voice_too_many_samples_and_agents_are_refused() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let mut enroll = async |audio: Value| {
        client.raw("voice.enroll_speaker", json!({ "label": "x", "audio": audio })).await
    };
    for (ms, limit) in [(2900, 3000), (60_100, 60_000)] {
        let error = enroll(sample(ms, 0.5)).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("audio")));
        let data = error.data.unwrap();
        assert_eq!((&data["voiced_ms"], &data["limit"]), (&json!(ms), &json!(limit)));
    }
    let error = enroll(json!({ "path": "../x.wav" })).await.unwrap_err();
    assert_eq!(error.field(), Some("audio.path"));
    for _ in 0..8 {
        enroll(sample(3000, 0.5)).await.unwrap();
    }
    let error = enroll(sample(3000, 0.5)).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(8)));
    let mut agent = lab.host.agent("a").await;
    for (method, params) in [
        ("voice.enroll_speaker", json!({ "label": "x", "audio": sample(3000, 0.5) })),
        ("voice.remove_enrollment", json!({ "label": "x" })),
    ] {
        assert_eq!(agent.raw(method, params).await.unwrap_err().code, codes::FORBIDDEN, "{method}");
    }
    lab.is_clean().await;
}
