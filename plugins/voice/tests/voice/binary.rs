//! Sound in binary frames.

use std::sync::atomic::Ordering;

use carport_core::testing::TestClient;
use serde_json::{Value, json};

use crate::{Lab, event, next, push, sound, start, stop, until, utterance};

pub(crate) const ID: &str = "0190c5e2a7b47cc08b1d2e3f40516273";

pub(crate) fn frame(id: &str, seq: u64, payload: &[u8]) -> Vec<u8> {
    let id = (0..32).step_by(2).map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap());
    let mut bytes = vec![1];
    bytes.extend(id);
    bytes.extend(seq.to_le_bytes());
    bytes.push(0);
    bytes.extend(payload);
    bytes
}

/// The next warning of a stream.
async fn warning(client: &mut TestClient) -> Value {
    event(client, ID, "warning").await
}

#[tokio::test]
async fn frames_are_pushes_in_the_order_of_the_socket() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    assert_eq!(start(&mut client, ID, json!({})).await["binary"], true);
    for (nth, piece) in utterance(600).chunks(3200).enumerate() {
        match nth % 2 {
            0 => client.binary(frame(ID, 70 + nth as u64 / 2, piece)).await,
            _ => drop(push(&mut client, ID, piece).await.unwrap()),
        }
    }
    let reply = stop(&mut client, ID).await.unwrap();
    assert_eq!(
        (&reply["transcript"], &reply["audio_ms"]),
        (&json!("w1 w2 w3 w4 w5 w6"), &json!(1600))
    );
    lab.is_clean().await;
}

#[tokio::test]
async fn late_frames_are_ignored_gaps_are_told_and_bad_ones_dropped() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, ID, json!({})).await;
    next(&mut client, ID).await;
    let piece = sound(100, 0.0);
    client.binary(frame(ID, 5, &piece)).await;
    client.binary(frame(ID, 5, &piece)).await;
    client.binary(frame(ID, 3, &piece)).await;
    assert_eq!(warning(&mut client).await["code"], "frames_ignored");
    client.binary(frame(ID, 8, &piece)).await;
    assert_eq!(warning(&mut client).await["code"], "clock_gap");
    client.binary(frame(ID, 9, &piece[1..])).await;
    client.binary(frame(ID, 10, &vec![0; (1 << 20) + 2])).await;
    assert_eq!(warning(&mut client).await["code"], "bad_frame");
    client.binary(frame(&ID.replace('0', "1"), 1, &piece)).await;
    client.binary(vec![1; 20]).await;
    client.binary(vec![5; 40]).await;
    let reply = stop(&mut client, ID).await.unwrap();
    assert_eq!(reply["audio_ms"], 200);
    assert_eq!(next(&mut client, ID).await["type"], "session_stopped", "one warning a second");
    assert!(lab.count("frames_ignored_total").await >= 3);
}

#[tokio::test]
async fn a_bad_frame_is_no_missing_one() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, ID, json!({})).await;
    let piece = sound(100, 0.0);
    for (seq, payload) in [(0, &piece[..]), (1, &piece[1..]), (2, &piece)] {
        client.binary(frame(ID, seq, payload)).await;
    }
    assert_eq!(stop(&mut client, ID).await.unwrap()["audio_ms"], 200);
    let events = crate::all(&mut client, ID).await;
    let codes: Vec<_> = events.iter().filter_map(|it| it.get("code")).collect();
    assert_eq!(codes, [&json!("bad_frame")]);
}

#[tokio::test]
async fn what_has_no_room_becomes_silence_and_is_told_once_a_second() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    lab.knobs.loading.shut();
    start(&mut client, ID, json!({})).await;
    until(async || lab.knobs.loading.waiting.load(Ordering::SeqCst) == 1).await;
    for seq in 0..3 {
        client.binary(frame(ID, seq, &sound(25_000, 0.0))).await;
    }
    client.binary(frame(ID, 3, &sound(20_000, 0.0))).await;
    let warned = warning(&mut client).await;
    assert_eq!((&warned["code"], &warned["dropped_ms"]), (&json!("overrun"), &json!(25_000)));
    let rows = client.raw("voice.sessions.list", json!({})).await.unwrap();
    assert_eq!((&rows[0]["audio_ms"], &rows[0]["buffered_ms"]), (&json!(95_000), &json!(50_000)));
    lab.knobs.loading.open();
    let reply = stop(&mut client, ID).await.unwrap();
    assert_eq!((&reply["audio_ms"], &reply["dropped_ms"]), (&json!(95_000), &json!(45_000)));
}

#[tokio::test]
async fn other_formats_take_no_frames_and_strangers_are_hung_up_on() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let source = json!({ "kind": "pcm_push", "format": "f32le" });
    let params = json!({ "session_id": ID, "audio_source": source });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    client.binary(frame(ID, 0, &sound(100, 0.0))).await;
    assert_eq!(warning(&mut client).await["code"], "bad_frame");
    let mut stranger = lab.host.stranger().await;
    stranger.binary(frame(ID, 0, &[])).await;
    assert_eq!(stranger.closed().await, Some(1008));
}
