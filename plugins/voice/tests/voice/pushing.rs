//! What is taken and what is refused: odd sound, too much of it, other people's streams.

use carport_core::{codes, testing::TestHost};
use serde_json::{Value, json};

use crate::{Lab, event, push, sound, start, stop, utterance};

#[tokio::test]
async fn a_bad_push_takes_nothing_and_harms_nothing() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let source = json!({ "kind": "pcm_push", "channels": 2 });
    let params = json!({ "session_id": "a", "audio_source": source });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    assert_eq!(push(&mut client, "a", &[]).await.unwrap()["accepted_bytes"], 0);
    for odd in [1, 2, 3, 5, 4097] {
        let error = push(&mut client, "a", &vec![0; odd]).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("pcm_b64")), "{odd}");
    }
    let error = push(&mut client, "a", &vec![0; 10 << 20]).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("pcm_b64")));
    assert_eq!(error.data.unwrap()["limit"], 1 << 20);
    let error = push(&mut client, "a", &vec![0; (1 << 20) + 1]).await.unwrap_err();
    assert_eq!(error.code, codes::INVALID_PARAMS);
    let params = json!({ "session_id": "a", "pcm_b64": "no base64!" });
    let error = client.raw("voice.transcribe_stream.push", params).await.unwrap_err();
    assert_eq!(error.field(), Some("pcm_b64"));
    let reply = push(&mut client, "a", &vec![0; 1 << 20]).await.unwrap();
    assert_eq!(
        (&reply["accepted_bytes"], &reply["position_ms"]),
        (&json!(1 << 20), &json!(16_384))
    );
    assert_eq!(stop(&mut client, "a").await.unwrap()["audio_ms"], 16_384);
    lab.is_clean().await;
}

#[tokio::test]
async fn the_limit_of_a_push_is_exact_to_the_byte() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let source = json!({ "kind": "pcm_push", "format": "mulaw" });
    let params = json!({ "session_id": "a", "audio_source": source });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    // The base64 of 1 MiB is as long as that of two bytes more.
    for over in 1..=4 {
        let error = push(&mut client, "a", &vec![0xff; (1 << 20) + over]).await.unwrap_err();
        let data = error.data.clone().unwrap();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("pcm_b64")));
        let bounds = json!([1 << 20, (1 << 20) + over]);
        assert_eq!(json!([data["limit"], data["got"]]), bounds, "{error}");
    }
    stop(&mut client, "a").await.unwrap();
    let source = json!({ "kind": "pcm_push", "format": "mulaw", "sample_rate": 48_000 });
    let params = json!({ "session_id": "b", "audio_source": source });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    for under in [1, 0] {
        let pcm = vec![0xff; (1 << 20) - under];
        assert_eq!(push(&mut client, "b", &pcm).await.unwrap()["accepted_bytes"], pcm.len());
    }
}

#[tokio::test]
async fn ids_and_sources_are_checked() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    for (params, field) in [
        (json!({ "session_id": "" }), "session_id"),
        (json!({ "session_id": "a b" }), "session_id"),
        (json!({ "session_id": "x".repeat(65) }), "session_id"),
        (
            json!({ "session_id": "a", "audio_source": { "kind": "pcm_push", "sample_rate": 7999 } }),
            "audio_source.sample_rate",
        ),
        (
            json!({ "session_id": "a", "audio_source": { "kind": "pcm_push", "channels": 3 } }),
            "audio_source.channels",
        ),
        (
            json!({ "session_id": "a", "audio_source": { "kind": "file", "path": "../x.wav" } }),
            "audio_source.path",
        ),
    ] {
        let error = client.raw("voice.transcribe_stream.start", params).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
    let mic = json!({ "session_id": "m", "audio_source": { "kind": "mic" } });
    let error = client.raw("voice.transcribe_stream.start", mic.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    let error = lab.host.host().await.raw("voice.transcribe_stream.start", mic).await.unwrap_err();
    assert_eq!(
        (error.code, &error.data.unwrap()["missing"]),
        (codes::UNAVAILABLE, &json!("audio device"))
    );
}

#[tokio::test]
async fn one_id_on_two_connections_are_two_streams() {
    let lab = Lab::start().await;
    let (mut one, mut two) = (lab.host.client().await, lab.host.client().await);
    start(&mut one, "a", json!({})).await;
    let params = json!({ "session_id": "a" });
    let error = one.raw("voice.transcribe_stream.start", params.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
    for error in [push(&mut two, "a", &[]).await, stop(&mut two, "a").await] {
        assert_eq!(error.unwrap_err().code, codes::NOT_FOUND);
    }
    start(&mut two, "a", json!({})).await;
    push(&mut one, "a", &utterance(300)).await.unwrap();
    push(&mut two, "a", &utterance(500)).await.unwrap();
    let rows = one.raw("voice.sessions.list", json!({})).await.unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert!(rows[0].get("client_id").is_none() && rows[0]["source"] == "pcm_push");
    let rows = lab.host.host().await.raw("voice.sessions.list", json!({})).await.unwrap();
    let ids: Vec<&Value> = rows.as_array().unwrap().iter().map(|it| &it["client_id"]).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids[0].is_string(), "{rows}");
    assert_eq!(stop(&mut one, "a").await.unwrap()["transcript"], "w1 w2 w3");
    assert_eq!(stop(&mut two, "a").await.unwrap()["transcript"], "w1 w2 w3 w4 w5");
    assert_eq!(event(&mut one, "a", "final").await["text"], "w1 w2 w3");
    assert_eq!(event(&mut two, "a", "final").await["text"], "w1 w2 w3 w4 w5");
    assert_eq!(stop(&mut one, "a").await.unwrap_err().code, codes::NOT_FOUND);
    assert_eq!(push(&mut one, "a", &[]).await.unwrap_err().code, codes::NOT_FOUND);
    start(&mut one, "a", json!({})).await;
    stop(&mut one, "a").await.unwrap();
    lab.is_clean().await;
}

#[tokio::test]
async fn a_full_buffer_refuses_a_push_whole_and_the_stream_goes_on() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    lab.knobs.loading.shut();
    start(&mut client, "a", json!({})).await;
    for _ in 0..2 {
        push(&mut client, "a", &sound(30_000, 0.0)).await.unwrap();
    }
    let error = push(&mut client, "a", &sound(100, 0.0)).await.unwrap_err();
    assert_eq!(error.code, codes::OVERLOADED);
    let data = error.data.unwrap();
    assert_eq!((&data["buffered_ms"], &data["retryable"]), (&json!(60_000), &json!(true)));
    assert!((100..=200).contains(&data["retry_after_ms"].as_u64().unwrap()), "{data}");
    lab.knobs.loading.open();
    event(&mut client, "a", "session_started").await;
    crate::until(async || push(&mut client, "a", &utterance(300)).await.is_ok()).await;
    let reply = stop(&mut client, "a").await.unwrap();
    assert_eq!((&reply["transcript"], &reply["audio_ms"]), (&json!("w1 w2 w3"), &json!(61_300)));
    assert_eq!(reply["dropped_ms"], 0);
}

#[tokio::test]
async fn a_connection_sends_no_more_than_its_rate() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let source =
        json!({ "kind": "pcm_push", "sample_rate": 48_000, "channels": 2, "format": "f32le" });
    let params = json!({ "session_id": "a", "audio_source": source });
    lab.knobs.loading.shut();
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    let (mut taken, piece) = (0u64, vec![0; 1 << 20]);
    let error = loop {
        match push(&mut client, "a", &piece).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!((8..20).contains(&taken), "{taken}");
    assert_eq!(error.code, codes::OVERLOADED);
    let wait = error.data.unwrap()["retry_after_ms"].as_u64().unwrap();
    assert!((1..=500).contains(&wait), "{wait}");
    lab.knobs.loading.open();
    client.close().await;
    lab.is_clean().await;
}

#[tokio::test]
async fn an_operator_may_allow_more_streams() {
    let limits = json!({ "streams": 10, "streams_per_connection": 9 });
    let lab = Lab::with(TestHost::builder(), limits).await;
    let (mut one, mut two) = (lab.host.client().await, lab.host.client().await);
    for nth in 0..9 {
        start(&mut one, &format!("s{nth}"), json!({})).await;
    }
    let params = json!({ "session_id": "more" });
    let error = one.raw("voice.transcribe_stream.start", params.clone()).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(9)));
    assert!(error.message.contains("`voice.streams_per_connection`"), "{}", error.message);
    start(&mut two, "last", json!({})).await;
    let error = two.raw("voice.transcribe_stream.start", params).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::OVERLOADED, &json!(10)));
    assert!(error.message.contains("`voice.streams`"), "{}", error.message);
    for client in [one, two] {
        client.vanish();
    }
    lab.is_clean().await;
}

#[tokio::test]
async fn no_more_streams_than_the_limits() {
    let lab = Lab::start().await;
    let (mut one, mut two, mut three) =
        (lab.host.client().await, lab.host.client().await, lab.host.client().await);
    for id in ["a", "b", "c", "d"] {
        start(&mut one, id, json!({})).await;
        start(&mut two, id, json!({})).await;
    }
    let params = json!({ "session_id": "e" });
    let error = one.raw("voice.transcribe_stream.start", params.clone()).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(4)));
    let error = three.raw("voice.transcribe_stream.start", params.clone()).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::OVERLOADED, &json!(8)));
    assert_eq!(lab.count("streams").await, 8);
    stop(&mut two, "b").await.unwrap();
    three.raw("voice.transcribe_stream.start", params).await.unwrap();
    for client in [one, two, three] {
        client.vanish();
    }
    lab.is_clean().await;
}
