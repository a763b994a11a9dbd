//! A provider that finds segments itself: late and doubled finals, a hanging end, a failure in the middle.

use std::{sync::atomic::Ordering, time::Duration};

use carport_voice_api::{Decoded, Ear, Failure, FailureKind, Heard};
use serde_json::json;

use crate::{Lab, all, event, kinds, next, pass, push, sound, start, stop, until};

pub(crate) fn partial(utterance: u64, text: &str) -> Heard {
    let start_ms = utterance * 1000;
    Heard::Partial { utterance, text: text.into(), start_ms, end_ms: start_ms + 100 }
}

pub(crate) fn last(utterance: u64, text: &str) -> Heard {
    let start_ms = utterance * 1000;
    let decoded = Decoded { text: text.into(), ..Decoded::default() };
    Heard::Final { utterance, decoded, start_ms, end_ms: start_ms + 500 }
}

async fn open(lab: &Lab) -> (carport_core::testing::TestClient, Ear) {
    let mut client = lab.host.client().await;
    start(&mut client, "r", json!({ "provider": "remote", "settled": true })).await;
    event(&mut client, "r", "session_started").await;
    let ear = lab.knobs.ear();
    (client, ear)
}

#[tokio::test]
async fn its_finals_are_brought_into_order_and_phantoms_are_dropped() {
    let lab = Lab::start().await;
    let (mut client, ear) = open(&lab).await;
    push(&mut client, "r", &sound(4000, 0.2)).await.unwrap();
    until(async || lab.knobs.heard_samples.load(Ordering::SeqCst) == 64_000).await;
    for heard in [
        partial(1, "turn"),
        partial(1, "turn left"),
        last(1, "Turn left."),
        last(1, "Turn left again."),
        partial(1, "late"),
        last(0, "older"),
        last(2, "Now."),
    ] {
        ear(heard);
    }
    *lab.knobs.at_the_end.lock().unwrap() = vec![partial(3, "and so"), Heard::Ended];
    let reply = stop(&mut client, "r").await.unwrap();
    assert_eq!(reply["transcript"], "Turn left. Now. and so");
    assert_eq!(reply["speech_ms"], 500 + 500 + 100);
    let events = all(&mut client, "r").await;
    let segment = ["speech_started", "speech_stopped", "final", "transcript"];
    let expected = [&segment[..], &segment, &segment, &["session_stopped"]].concat();
    assert_eq!(kinds(&events), expected);
    ear(last(9, "after the end"));
    start(&mut client, "r", json!({ "provider": "remote" })).await;
    ear(last(9, "after the end"));
    assert_eq!(next(&mut client, "r").await["type"], "session_started");
    *lab.knobs.at_the_end.lock().unwrap() = vec![Heard::Ended];
    assert_eq!(stop(&mut client, "r").await.unwrap()["transcript"], "");
    lab.is_clean().await;
}

#[tokio::test]
async fn an_end_that_never_comes_is_not_waited_for() {
    let lab = Lab::start().await;
    let (mut client, ear) = open(&lab).await;
    ear(last(0, "One."));
    event(&mut client, "r", "transcript").await;
    let id = client.send("voice.transcribe_stream.stop", json!({ "session_id": "r" })).await;
    client.raw("voice.sessions.list", json!({})).await.unwrap();
    pass(Duration::from_secs(10)).await;
    let reply = client.reply(id).await.unwrap();
    assert_eq!((&reply["transcript"], &reply["truncated"]), (&json!("One."), &json!(true)));
    lab.is_clean().await;
    assert_eq!(lab.count("threads_abandoned_total").await, 0, "it only waited for its provider");
}

#[tokio::test]
async fn a_break_in_the_middle_is_told() {
    let lab = Lab::start().await;
    for (heard, code) in [
        (Heard::Failed(Failure::new(FailureKind::Auth, "401")), "provider_auth"),
        (Heard::Failed(Failure::new(FailureKind::Failed, "closed")), "provider_failed"),
        (Heard::Ended, "provider_failed"),
    ] {
        let (mut client, ear) = open(&lab).await;
        ear(partial(0, "half of"));
        ear(heard);
        assert_eq!(event(&mut client, "r", "error").await["code"], code);
        assert_eq!(next(&mut client, "r").await["reason"], "error");
    }
    lab.is_clean().await;
}

#[tokio::test]
async fn a_flush_reaches_it_after_the_sound_before() {
    let lab = Lab::start().await;
    let (mut client, _ear) = open(&lab).await;
    push(&mut client, "r", &sound(500, 0.2)).await.unwrap();
    client.raw("voice.transcribe_stream.flush", json!({ "session_id": "r" })).await.unwrap();
    until(async || lab.knobs.flushes.load(Ordering::SeqCst) == 1).await;
    assert_eq!(lab.knobs.heard_samples.load(Ordering::SeqCst), 8000);
}

#[tokio::test]
async fn whose_voice_it_is_comes_from_the_sound_of_the_stream() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, "r", json!({ "provider": "remote", "diarizer": true })).await;
    event(&mut client, "r", "session_started").await;
    let said = [sound(2000, 0.8), sound(2000, 0.2), sound(2000, 0.8)].concat();
    push(&mut client, "r", &said).await.unwrap();
    until(async || lab.knobs.heard_samples.load(Ordering::SeqCst) == 96_000).await;
    let ear = lab.knobs.ear();
    for (utterance, label) in [(0, "S1"), (2, "S2"), (4, "S1")] {
        let start_ms = utterance * 1000;
        let decoded = Decoded { text: "x".into(), ..Decoded::default() };
        ear(Heard::Final { utterance, decoded, start_ms, end_ms: start_ms + 2000 });
        let settled = event(&mut client, "r", "transcript").await;
        assert_eq!(settled["speaker"]["label"], label, "{settled}");
    }
    ear(Heard::Partial { utterance: 5, text: "y".into(), start_ms: 2000, end_ms: 4000 });
    assert_eq!(event(&mut client, "r", "partial").await["speaker"]["label"], "S2");
}
