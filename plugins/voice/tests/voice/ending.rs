//! How streams end: by themselves, by neglect, with their connection, with a provider that hangs or fails.

use std::{sync::atomic::Ordering, time::Duration};

use carport_core::{ManualClock, Time, codes, testing::TestHost};
use carport_voice_api::{Failure, FailureKind};
use serde_json::json;

use crate::{Lab, all, event, kinds, next, pass, push, sound, start, stop, until, utterance};

#[tokio::test]
async fn a_client_that_vanishes_while_it_speaks_leaves_nothing() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    for id in ["a", "b"] {
        start(&mut client, id, json!({ "provider": if id == "a" { "local" } else { "remote" } }))
            .await;
        push(&mut client, id, &sound(20_000, 0.5)).await.unwrap();
    }
    let params = json!({ "stream_id": "s", "text": "a.b.c.d." });
    client.raw("voice.tts_stream.start", params).await.unwrap();
    client.vanish();
    lab.host.emptied().await;
    lab.is_clean().await;
    assert_eq!(lab.count("threads_abandoned_total").await, 0);
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up_and_its_place_is_free() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    lab.knobs.decoding.shut();
    start(&mut client, "a", json!({})).await;
    push(&mut client, "a", &utterance(300)).await.unwrap();
    until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) == 1).await;
    client.vanish();
    lab.host.emptied().await;
    let mut other = lab.host.client().await;
    let rows = lab.host.host().await.raw("voice.sessions.list", json!({})).await.unwrap();
    assert_eq!(rows, json!([]), "the stream is gone at once");
    pass(Duration::from_secs(5)).await;
    until(async || lab.count("threads_abandoned_total").await == 1).await;
    assert_eq!(lab.count("threads").await, 1);
    // On a machine with one place for work, the hung thread would have it still.
    start(&mut other, "b", json!({ "provider": "remote" })).await;
    event(&mut other, "b", "session_started").await;
    lab.knobs.decoding.open();
    other.close().await;
    lab.is_clean().await;
}

#[tokio::test]
async fn a_stop_waits_ten_seconds_and_returns_what_is_there() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, "a", json!({})).await;
    push(&mut client, "a", &utterance(300)).await.unwrap();
    event(&mut client, "a", "final").await;
    lab.knobs.decoding.shut();
    push(&mut client, "a", &utterance(500)).await.unwrap();
    until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) == 1).await;
    let params = json!({ "session_id": "a" });
    let id = client.send("voice.transcribe_stream.stop", params.clone()).await;
    let error = push(&mut client, "a", &[]).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND, "it takes nothing while it stops");
    let error = client.raw("voice.transcribe_stream.start", params).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT, "its id is not free yet");
    pass(Duration::from_secs(10)).await;
    let reply = client.reply(id).await.unwrap();
    assert_eq!((&reply["truncated"], &reply["transcript"]), (&json!(true), &json!("w1 w2 w3")));
    let events = all(&mut client, "a").await;
    assert_eq!(kinds(&events).last(), Some(&"session_stopped"));
    start(&mut client, "a", json!({ "provider": "remote" })).await;
    lab.knobs.decoding.open();
    until(async || lab.count("threads").await == 1).await;
    let events = lab.host.client().await.raw("voice.sessions.list", json!({})).await.unwrap();
    assert_eq!(events, json!([]));
    assert_eq!(next(&mut client, "a").await["seq"], 0, "nothing of the former stream follows");
}

#[tokio::test]
async fn without_drain_a_stop_does_not_wait() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    lab.knobs.decoding.shut();
    start(&mut client, "a", json!({})).await;
    push(&mut client, "a", &utterance(300)).await.unwrap();
    event(&mut client, "a", "speech_started").await;
    let params = json!({ "session_id": "a", "drain": false });
    let reply = client.raw("voice.transcribe_stream.stop", params).await.unwrap();
    assert_eq!((&reply["truncated"], &reply["transcript"]), (&json!(true), &json!("")));
    lab.knobs.decoding.open();
    lab.is_clean().await;
}

#[tokio::test]
async fn a_failure_is_told_and_ends_the_stream() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let limit =
        Failure { retry_after_ms: Some(700), ..Failure::new(FailureKind::Limit, "slow down") };
    for (failure, code) in [
        (Failure::new(FailureKind::Failed, "no"), "provider_failed"),
        (Failure::new(FailureKind::Auth, "no"), "provider_auth"),
        (limit, "provider_limit"),
    ] {
        *lab.knobs.decode_fails.lock().unwrap() = Some(failure.clone());
        start(&mut client, "a", json!({})).await;
        push(&mut client, "a", &utterance(300)).await.unwrap();
        let events = all(&mut client, "a").await;
        let error = &events[events.len() - 2];
        assert_eq!((&error["code"], &error["fatal"]), (&json!(code), &json!(true)));
        assert_eq!(error.get("retry_after_ms").and_then(|it| it.as_u64()), failure.retry_after_ms);
        assert_eq!(events.last().unwrap()["reason"], "error");
        assert_eq!(stop(&mut client, "a").await.unwrap_err().code, codes::NOT_FOUND);
    }
    *lab.knobs.load_fails.lock().unwrap() = Some(Failure::new(FailureKind::Failed, "no file"));
    start(&mut client, "a", json!({})).await;
    assert_eq!(event(&mut client, "a", "error").await["code"], "load_failed");
    *lab.knobs.panics.lock().unwrap() = true;
    start(&mut client, "b", json!({})).await;
    push(&mut client, "b", &utterance(300)).await.unwrap();
    assert_eq!(event(&mut client, "b", "error").await["message"], "the provider panicked");
    lab.is_clean().await;
}

#[tokio::test]
async fn a_stream_without_sound_is_swept() {
    let clock = ManualClock::at(Time::default());
    // Shorter than a provider is taken to hang: time may jump while it is at work.
    let config = json!({ "idle_secs": 30 });
    let lab = Lab::with(TestHost::builder().clock(clock.clone()), config).await;
    let mut client = lab.host.client().await;
    start(&mut client, "a", json!({})).await;
    push(&mut client, "a", &sound(300, 0.5)).await.unwrap();
    event(&mut client, "a", "speech_started").await;
    clock.advance(chrono_secs(29));
    pass(Duration::from_secs(10)).await;
    push(&mut client, "a", &sound(300, 0.5)).await.unwrap();
    clock.advance(chrono_secs(29));
    pass(Duration::from_secs(10)).await;
    assert_eq!(
        client.raw("voice.sessions.list", json!({})).await.unwrap().as_array().unwrap().len(),
        1
    );
    clock.advance(chrono_secs(1));
    pass(Duration::from_secs(10)).await;
    let mut events = all(&mut client, "a").await;
    events.retain(|it| it["code"] != "provider_slow");
    assert_eq!(kinds(&events), ["speech_stopped", "final", "session_stopped"]);
    assert_eq!(events.last().unwrap()["reason"], "idle");
    lab.is_clean().await;
}

#[tokio::test]
async fn a_stop_joins_an_end_that_has_begun() {
    let clock = ManualClock::at(Time::default());
    let config = json!({ "idle_secs": 30 });
    let lab = Lab::with(TestHost::builder().clock(clock.clone()), config).await;
    let mut client = lab.host.client().await;
    lab.knobs.decoding.shut();
    start(&mut client, "a", json!({})).await;
    push(&mut client, "a", &utterance(300)).await.unwrap();
    until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) == 1).await;
    clock.advance(chrono_secs(20));
    push(&mut client, "a", &[]).await.unwrap();
    clock.advance(chrono_secs(10));
    until(async || {
        pass(Duration::from_secs(10)).await;
        let rows = client.raw("voice.sessions.list", json!({})).await.unwrap();
        rows[0]["status"] == "stopping"
    })
    .await;
    let params = json!({ "session_id": "a" });
    let id = client.send("voice.transcribe_stream.stop", params.clone()).await;
    let again = client.raw("voice.transcribe_stream.stop", params).await;
    assert_eq!(again.unwrap_err().code, codes::NOT_FOUND, "somebody stops it already");
    lab.knobs.decoding.open();
    assert_eq!(client.reply(id).await.unwrap()["transcript"], "w1 w2 w3");
    let events = all(&mut client, "a").await;
    assert_eq!(events.last().unwrap()["reason"], "idle");
    lab.is_clean().await;
}

#[tokio::test]
async fn a_decode_without_end_is_called_slow_and_then_given_up() {
    let clock = ManualClock::at(Time::default());
    let lab = Lab::of(TestHost::builder().clock(clock.clone())).await;
    let mut client = lab.host.client().await;
    lab.knobs.decoding.shut();
    start(&mut client, "a", json!({})).await;
    push(&mut client, "a", &utterance(300)).await.unwrap();
    until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) == 1).await;
    for _ in 0..2 {
        clock.advance(chrono_secs(6));
        pass(Duration::from_secs(10)).await;
        client.raw("voice.sessions.list", json!({})).await.unwrap();
    }
    clock.advance(chrono_secs(60));
    pass(Duration::from_secs(10)).await;
    let events = all(&mut client, "a").await;
    let told = kinds(&events);
    assert_eq!(told.iter().filter(|it| **it == "warning").count(), 1, "{told:?}");
    assert_eq!(told[told.len() - 2..], ["error", "session_stopped"]);
    lab.knobs.decoding.open();
    lab.is_clean().await;
}

fn chrono_secs(secs: i64) -> chrono::TimeDelta {
    chrono::TimeDelta::seconds(secs)
}

#[tokio::test]
async fn a_clean_end_of_the_host_ends_everything() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, "a", json!({})).await;
    push(&mut client, "a", &sound(5000, 0.5)).await.unwrap();
    event(&mut client, "a", "speech_started").await;
    lab.host.stop().await;
    until(async || lab.knobs.open.load(Ordering::SeqCst) == 0).await;
}
