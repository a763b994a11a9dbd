//! What streams take of memory while they are open and leave behind, by an allocator that counts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{alloc::System, sync::Arc, time::Duration};

use carport_core::{Result as Answer, testing::TestHost};
use carport_voice as _;
use carport_voice_api::{
    About, Activity, Cancel, Caps, Decoded, Decoder, Ear, Failure, Listen, NewStream, Pass,
    Provider, Recogniser, SpeechToText, Stream, Unready, VOICE, Voice,
};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Streams that are open at once.
const STREAMS: usize = 8;
/// A second of s16le at 16 kHz.
const SECOND: usize = 32_000;
/// What an open stream may take when no sound waits and nobody speaks.
const OWN: usize = 128 << 10;

/// Bytes that are allocated and not given back.
fn taken() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Says something about whatever is loud.
struct Loud;

impl SpeechToText for Loud {
    fn about(&self) -> About {
        About { id: "local".into(), description: "for this test".into(), streaming: true }
    }
    fn ready(&self) -> Result<(), Unready> {
        Ok(())
    }
    fn check(&self, _: &Listen) -> Answer<(String, Caps)> {
        Ok(("loud".into(), Caps::default()))
    }
    fn open(&self, _: &Listen, _: Ear) -> Result<Recogniser, Failure> {
        Ok(Recogniser::Segments { decoder: Box::new(Loud), activity: Box::new(Loud) })
    }
}

impl Decoder for Loud {
    fn decode(&mut self, samples: &[f32], _: Pass, _: &Cancel) -> Result<Decoded, Failure> {
        Ok(Decoded { text: format!("{} samples", samples.len()), ..Decoded::default() })
    }
}

impl Activity for Loud {
    fn speech(&mut self, frame: &[f32]) -> f32 {
        if frame[0].abs() > 0.1 { 0.9 } else { 0.0 }
    }
}

fn open(voice: &dyn Voice, nth: usize) -> Arc<dyn Stream> {
    let new = NewStream { session_id: format!("s{nth}"), ..NewStream::default() };
    let stream = voice.open(new).unwrap();
    stream.go_live();
    stream
}

/// Seconds of sound: silent, or as loud as it gets.
fn sound(seconds: usize, is_loud: bool) -> Vec<u8> {
    vec![if is_loud { 0x7f } else { 0 }; seconds * SECOND]
}

async fn until(mut holds: impl FnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < patience, "it never came about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until everything that was pushed is heard.
async fn heard(streams: &[Arc<dyn Stream>]) {
    for stream in streams {
        until(|| stream.push(&[]).unwrap().buffered_ms == 0).await;
    }
}

/// Opens as many as there may be, has them hear speech, and ends them in every way.
async fn round(voice: &dyn Voice) {
    let streams: Vec<_> = (0..STREAMS).map(|nth| open(voice, nth)).collect();
    for stream in &streams {
        let said = [sound(1, false), sound(2, true), sound(1, false), sound(1, true)].concat();
        stream.push(&said).unwrap();
    }
    for (nth, stream) in streams.iter().enumerate() {
        let summary = stream.stop(nth % 2 == 0).await.unwrap();
        assert!(nth % 2 == 1 || summary.segments.len() == 2, "{summary:?}");
    }
}

async fn threads(host: &TestHost) -> i64 {
    let reply = host.host().await.raw("host.metrics", json!({})).await.unwrap();
    let text = reply["text"].as_str().unwrap();
    let line = text.lines().find_map(|it| it.strip_prefix("carport_voice_threads "));
    line.unwrap().parse().unwrap()
}

async fn rest(host: &TestHost) {
    while threads(host).await > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// One test, for others would allocate beside it.
#[tokio::test]
async fn streams_take_what_their_sound_takes_and_leave_nothing() {
    let host = TestHost::builder().plugin("voice", json!({ "local": false })).start().await;
    let voice = host.service(&VOICE);
    voice.register(Provider::Stt(Arc::new(Loud))).unwrap();
    // What is made once is made now.
    for _ in 0..5 {
        round(&*voice).await;
    }
    rest(&host).await;
    let before = taken();
    for _ in 0..40 {
        round(&*voice).await;
    }
    rest(&host).await;
    let left = taken().saturating_sub(before);
    println!("{left} bytes left after {} streams", 40 * STREAMS);
    assert!(left < 64 << 10, "{left} bytes left after {} streams", 40 * STREAMS);

    let before = taken();
    let streams: Vec<_> = (0..STREAMS).map(|nth| open(&*voice, nth)).collect();
    let each = || taken().saturating_sub(before) / STREAMS;
    for half_minutes in 1..=10 {
        for stream in &streams {
            stream.push(&sound(30, false)).unwrap();
        }
        heard(&streams).await;
        let each = each();
        println!("{each} bytes a stream after {} s of silence", half_minutes * 30);
        assert!(each < OWN, "{each} bytes a stream after {} s of silence", half_minutes * 30);
    }
    // One of them has an hour of it.
    for half_minutes in 11..=120 {
        streams[0].push(&sound(30, false)).unwrap();
        heard(&streams[..1]).await;
        let each = each();
        assert!(each < OWN, "{each} bytes a stream after {} s of silence", half_minutes * 30);
    }
    for stream in streams {
        stream.stop(true).await.unwrap();
    }
    rest(&host).await;
    let left = taken().saturating_sub(before);
    assert!(left < 64 << 10, "{left} bytes left of {STREAMS} long streams");
}
