//! Sound that nobody should send and calls at the wrong time: nothing breaks and nothing is left.

use std::sync::atomic::Ordering;

use carport_core::{ManualClock, Time, codes, testing::TestHost};
use serde_json::json;

use crate::{
    Lab, all,
    binary::{ID, frame},
    event, kinds, pass, push, start, stop, until, utterance,
};

/// How much silence is pushed at once.
const PIECE: std::time::Duration = std::time::Duration::from_secs(30);

/// Of the silence, with one byte a sample.
const RATE: usize = 16_000;

#[tokio::test]
async fn an_hour_of_silence_says_nothing_and_what_follows_is_heard() {
    let minutes = 60;
    let clock = ManualClock::at(Time::default());
    let lab = Lab::of(TestHost::builder().clock(clock.clone())).await;
    let mut client = lab.host.client().await;
    let source = json!({ "kind": "pcm_push", "sample_rate": RATE, "format": "mulaw" });
    let params = json!({ "session_id": "a", "audio_source": source });
    client.raw("voice.transcribe_stream.start", params).await.unwrap();
    let quiet = vec![0xff; RATE * PIECE.as_secs() as usize];
    for nth in 1..=minutes * 60 / PIECE.as_secs() {
        let taken = push(&mut client, "a", &quiet).await.unwrap();
        assert_eq!(taken["position_ms"], nth * 1000 * PIECE.as_secs());
        until(async || {
            let rows = client.raw("voice.sessions.list", json!({})).await.unwrap();
            rows[0]["buffered_ms"] == 0
        })
        .await;
        // The sweeper looks meanwhile, and finds a stream that is in use.
        clock.advance(chrono::TimeDelta::from_std(PIECE).unwrap());
        pass(PIECE).await;
    }
    assert!(lab.knobs.decodes.lock().unwrap().is_empty(), "silence is not decoded");
    let word = [vec![0xff; 6400], vec![0x80; 9600], vec![0xff; 9600]].concat();
    push(&mut client, "a", &word).await.unwrap();
    let reply = stop(&mut client, "a").await.unwrap();
    let silent_ms = minutes * 60_000;
    let expected = json!([silent_ms + 1600, 0]);
    assert_eq!(json!([reply["audio_ms"], reply["dropped_ms"]]), expected);
    let events = all(&mut client, "a").await;
    let expected =
        ["session_started", "speech_started", "speech_stopped", "final", "session_stopped"];
    // Time jumps, maybe while the last piece is worked on.
    let jumped = |it: &serde_json::Value| it["code"] == "provider_slow";
    let events: Vec<_> = events.into_iter().filter(|it| !jumped(it)).collect();
    assert_eq!(kinds(&events), expected);
    let at = events.iter().find(|it| it["type"] == "speech_started").unwrap()["at_ms"].as_u64();
    assert!((380..=420).contains(&(at.unwrap() - silent_ms)), "{at:?}");
    let longest = lab.knobs.decodes.lock().unwrap().iter().map(|it| it.1).max().unwrap();
    assert!(longest < 2 * 16_000, "a decode of {longest} samples: the silence was kept");
    lab.is_clean().await;
}

/// A square wave of 100 Hz at full scale and beyond, between silences.
fn overdriven(format: &str, rate: usize, channels: usize) -> Vec<u8> {
    let sample = |n: usize| {
        let sign = if (n * 200 / rate).is_multiple_of(2) { 1.0 } else { -1.0 };
        let beyond = [f32::INFINITY, 4e4, f32::MAX, f32::INFINITY, f32::NAN][n % 5];
        let is_loud = (400..1000).contains(&(n * 1000 / rate));
        let value = if is_loud { sign * beyond } else { 0.0 };
        match format {
            // A cast cuts what is beyond, and makes 0 of what is no number.
            "s16le" => (value as i16).to_le_bytes().to_vec(),
            _ => value.to_le_bytes().to_vec(),
        }
    };
    (0..1600 * rate / 1000).flat_map(|n| sample(n).repeat(channels)).collect()
}

#[tokio::test]
async fn clipped_sound_and_numbers_that_are_none_are_heard_and_told() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    for (format, rate, channels) in
        [("s16le", 16_000, 1), ("s16le", 48_000, 2), ("f32le", 16_000, 1), ("f32le", 44_100, 2)]
    {
        let source = json!({
            "kind": "pcm_push", "sample_rate": rate, "channels": channels, "format": format,
        });
        let params = json!({
            "session_id": "a", "audio_source": source, "options": { "emit_audio_meta": true },
        });
        client.raw("voice.transcribe_stream.start", params).await.unwrap();
        push(&mut client, "a", &overdriven(format, rate, channels)).await.unwrap();
        let reply = stop(&mut client, "a").await.unwrap();
        let events = all(&mut client, "a").await;
        let levels: Vec<_> = events.iter().filter(|it| it["type"] == "audio_meta").collect();
        assert!(levels.iter().any(|it| it["clipped"] == true), "{format} {rate}: {levels:?}");
        // What is no number in JSON is null.
        let is_level = |db: Option<f64>| db.is_some_and(|db| (-100.0..=0.0).contains(&db));
        assert!(levels.iter().all(|it| is_level(it["level_db"].as_f64())), "{levels:?}");
        let words = reply["transcript"].as_str().unwrap().split(' ').count();
        assert!((4..=6).contains(&words), "{format} {rate}: {reply}");
    }
    lab.is_clean().await;
}

#[tokio::test]
async fn what_comes_after_a_stop_is_refused_and_harms_no_later_stream() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, ID, json!({})).await;
    push(&mut client, ID, &utterance(300)).await.unwrap();
    assert_eq!(stop(&mut client, ID).await.unwrap()["transcript"], "w1 w2 w3");
    all(&mut client, ID).await;
    let ignored = lab.count("frames_ignored_total").await;
    client.binary(frame(ID, 7, &utterance(500))).await;
    let error = push(&mut client, ID, &utterance(500)).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
    for method in ["flush", "stop"] {
        let method = format!("voice.transcribe_stream.{method}");
        let error = client.raw(&method, json!({ "session_id": ID })).await.unwrap_err();
        assert_eq!(error.code, codes::NOT_FOUND, "{method}");
    }
    assert_eq!(lab.count("frames_ignored_total").await, ignored + 1);
    assert!(!client.has_heard(|it| it["method"] == "voice.event").await);
    assert_eq!(lab.knobs.open.load(Ordering::SeqCst), 0);

    start(&mut client, ID, json!({})).await;
    let taken = push(&mut client, ID, &utterance(200)).await.unwrap();
    assert_eq!(taken["position_ms"], 1200, "it begins at its own beginning");
    assert_eq!(stop(&mut client, ID).await.unwrap()["transcript"], "w1 w2");
    let events = all(&mut client, ID).await;
    assert_eq!((&events[0]["type"], &events[0]["seq"]), (&json!("session_started"), &json!(0)));
    lab.is_clean().await;
}

#[tokio::test]
async fn of_two_starts_of_one_id_the_first_stands() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    let start = "voice.transcribe_stream.start";
    let stereo = json!({ "kind": "pcm_push", "channels": 2 });
    let first = client.send(start, json!({ "session_id": "a" })).await;
    let second = client.send(start, json!({ "session_id": "a", "audio_source": stereo })).await;
    assert_eq!(client.reply(first).await.unwrap()["channels"], 1);
    let error = client.reply(second).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT, "{error}");
    event(&mut client, "a", "session_started").await;
    assert_eq!((lab.count("streams").await, lab.count("threads").await), (1, 1));
    assert_eq!(lab.knobs.open.load(Ordering::SeqCst), 1, "one recogniser");
    // The second would take whole frames of two channels only.
    assert_eq!(push(&mut client, "a", &[0; 2]).await.unwrap()["accepted_bytes"], 2);
    push(&mut client, "a", &utterance(300)).await.unwrap();
    assert_eq!(stop(&mut client, "a").await.unwrap()["transcript"], "w1 w2 w3");
    let events = all(&mut client, "a").await;
    assert_eq!(events.iter().filter(|it| it["type"] == "session_stopped").count(), 1);
    lab.is_clean().await;
}
