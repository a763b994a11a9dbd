//! The voice as other plugins use it.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use carport_core::{ManualClock, Time, codes, testing::TestHost};
use carport_voice_api::{
    AudioSource, Event, NewStream, Numbered, Provider, SpeechOptions, StreamOptions, VOICE,
    VadOptions,
};
use serde_json::json;

use crate::{Lab, pass, script::Segments, sound, until, utterance};

pub(crate) fn new(
    owner: Option<Arc<carport_core::Session>>,
    told: &Arc<Mutex<Vec<Numbered>>>,
) -> NewStream {
    let told = told.clone();
    NewStream {
        owner,
        session_id: "m".into(),
        source: AudioSource::default(),
        options: StreamOptions {
            settled: Some(true),
            vad: Some(VadOptions { end_ms: Some(200), ..VadOptions::default() }),
            ..StreamOptions::default()
        },
        sink: Some(Arc::new(move |event: &Numbered| told.lock().unwrap().push(event.clone()))),
        ..NewStream::default()
    }
}

#[tokio::test]
async fn a_stream_without_an_owner_tells_its_sink_and_outlives_connections() {
    let lab = Lab::start().await;
    let (voice, told) = (lab.host.service(&VOICE), Arc::<Mutex<Vec<Numbered>>>::default());
    let client = lab.host.client().await;
    let stream = voice.open(new(None, &told)).unwrap();
    client.close().await;
    stream.push(&utterance(300)).unwrap();
    let summary = stream.stop(true).await.unwrap();
    assert_eq!((&*summary.transcript, summary.audio_ms), ("w1 w2 w3", 1300));
    let told = told.lock().unwrap().clone();
    let seqs: Vec<_> = told.iter().map(|it| it.seq.unwrap()).collect();
    assert_eq!(seqs, (0..told.len() as u64).collect::<Vec<_>>());
    assert!(told.iter().any(|it| matches!(it.event, Event::Transcript { .. })));
    assert!(matches!(told.last().unwrap().event, Event::SessionStopped { segments: 1, .. }));
    assert_eq!(stream.push(&[]).unwrap_err().code, codes::NOT_FOUND);
    drop(stream);
    lab.is_clean().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_ends_its_stream_and_delays_no_sink() {
    let lab = Lab::start().await;
    let agent = lab.host.agent("deaf").await;
    let (voice, told) = (lab.host.service(&VOICE), Arc::default());
    let owner = lab.host.session_of("deaf");
    let stream = voice.open(new(Some(owner.clone()), &told)).unwrap();
    stream.go_live();
    let word = [sound(96, 0.5), sound(256, 0.0)].concat();
    let said = word.repeat(80);
    // Each word is four events that must not be lost; the outbox takes 1024 frames.
    for _ in 0..10 {
        until(async || stream.push(&said).is_ok()).await;
    }
    let finals = || {
        let told = told.lock().unwrap();
        told.iter().filter(|it| matches!(it.event, Event::Final { .. })).count()
    };
    until(async || finals() == 10 * 80).await;
    pass(Duration::from_secs(10)).await;
    let stopped =
        || matches!(told.lock().unwrap().last().unwrap().event, Event::SessionStopped { .. });
    until(async || stopped()).await;
    let told = told.lock().unwrap();
    let error = &told[told.len() - 2].event;
    assert!(
        matches!(
            error,
            Event::Error { code: carport_voice_api::ErrorCode::SlowReader, fatal: true, .. }
        ),
        "{error:?}"
    );
    drop((stream, agent, owner));
}

#[tokio::test]
async fn making_runs_ten_seconds_ahead_and_ends_when_nobody_listens() {
    let lab = Lab::start().await;
    let voice = lab.host.service(&VOICE);
    lab.knobs.chunk_ms.store(900, Ordering::SeqCst);
    let mut speech = voice.speak("a.".repeat(40), SpeechOptions::default()).unwrap();
    let spoken = || lab.knobs.spoken_ms.load(Ordering::SeqCst);
    // Eleven chunks lie ahead, one is in the channel, one waits for each of the two, and one is made.
    until(async || spoken() >= 11 * 900).await;
    let first = speech.chunks.recv().await.unwrap().unwrap();
    assert_eq!((first.duration_ms, first.is_final), (900, false));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(spoken() <= 16 * 900, "{}", spoken());
    drop(speech);
    lab.is_clean().await;
    assert!(spoken() <= 16 * 900);
    lab.knobs.chunk_ms.store(20, Ordering::SeqCst);
    let mut speech = voice.speak("a. b.".into(), SpeechOptions::default()).unwrap();
    let mut last = 0;
    while let Some(chunk) = speech.chunks.recv().await {
        last += usize::from(chunk.unwrap().is_final);
    }
    assert_eq!(last, 1);
    lab.is_clean().await;
}

#[tokio::test]
async fn a_provider_is_registered_once() {
    let lab = Lab::start().await;
    let voice = lab.host.service(&VOICE);
    let again = voice.register(Provider::Stt(Arc::new(Segments("local", lab.knobs.clone()))));
    assert_eq!(again.unwrap_err().code, codes::CONFLICT);
    voice.register(Provider::Stt(Arc::new(Segments("more", lab.knobs.clone())))).unwrap();
    assert_eq!(voice.providers().iter().filter(|it| it.id == "more").count(), 1);
}

#[tokio::test]
async fn a_build_without_providers_says_so() {
    let bare = json!({ "local": false });
    let host = TestHost::builder().plugin("voice", bare).start().await;
    let mut client = host.client().await;
    for (method, params) in [
        ("voice.transcribe_stream.start", json!({ "session_id": "a" })),
        (
            "voice.transcribe_stream.start",
            json!({ "session_id": "a", "options": { "diarizer": true } }),
        ),
        ("voice.tts_stream.start", json!({ "stream_id": "s", "text": "x" })),
        ("transcribe", json!({ "audio_b64": "" })),
        ("synthesize", json!({ "text": "x" })),
        ("voice.prepare_parakeet", json!({})),
        ("voice.prepare_diarizer", json!({})),
    ] {
        let error = client.raw(method, params).await.unwrap_err();
        assert_eq!(error.code, codes::UNAVAILABLE, "{method}");
        assert_eq!(error.data.unwrap()["missing"], "provider", "{method}");
    }
    let rows = client.raw("voice.providers.list", json!({})).await.unwrap();
    assert!(rows.as_array().unwrap().iter().all(|it| it["available"] == false), "{rows}");
    let mut stranger = host.stranger().await;
    let error = stranger.raw("voice.sessions.list", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_AUTHENTICATED);
}

#[tokio::test]
async fn speech_of_everybody_is_bounded_and_none_stands_still() {
    let clock = ManualClock::at(Time::default());
    let lab = Lab::of(TestHost::builder().clock(clock.clone())).await;
    let voice = lab.host.service(&VOICE);
    let mut client = lab.host.client().await;
    lab.knobs.speaking.shut();
    let mut speeches: Vec<_> =
        (0..16).map(|_| voice.speak("a. b.".into(), SpeechOptions::default()).unwrap()).collect();
    let error = voice.speak("a.".into(), SpeechOptions::default()).unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::OVERLOADED, &json!(16)));
    let params = json!({ "stream_id": "s", "text": "a." });
    let error = client.raw("voice.tts_stream.start", params.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::OVERLOADED);
    drop(speeches.pop());
    until(async || client.raw("voice.tts_stream.start", params.clone()).await.is_ok()).await;
    clock.advance(chrono::TimeDelta::seconds(60));
    pass(Duration::from_secs(10)).await;
    for speech in &mut speeches {
        let mut last = speech.chunks.recv().await.unwrap();
        while last.is_ok() {
            last = speech.chunks.recv().await.unwrap();
        }
        assert!(last.unwrap_err().message.contains("60 s"));
    }
    lab.knobs.speaking.open();
    client.vanish();
    lab.is_clean().await;
}

#[tokio::test]
async fn a_refused_start_makes_nothing() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    lab.knobs.speaking.shut();
    for (id, fits) in
        [("a", true), ("a", false), ("b", true), ("c", true), ("d", true), ("e", false)]
    {
        let params = json!({ "stream_id": id, "text": "a. b." });
        assert_eq!(client.raw("voice.tts_stream.start", params).await.is_ok(), fits, "{id}");
    }
    assert_eq!(lab.count("speeches").await, 4);
    lab.knobs.speaking.open();
    client.vanish();
    lab.is_clean().await;
}

#[tokio::test]
async fn a_shutdown_ends_all_speech() {
    let lab = Lab::start().await;
    let voice = lab.host.service(&VOICE);
    let mut client = lab.host.client().await;
    let params = json!({ "stream_id": "s", "text": "a. b." });
    lab.knobs.speaking.shut();
    client.raw("voice.tts_stream.start", params).await.unwrap();
    let mut speech = voice.speak("a. b.".into(), SpeechOptions::default()).unwrap();
    let stopped = lab.host.stop();
    tokio::time::timeout(Duration::from_secs(10), stopped).await.unwrap();
    while speech.chunks.recv().await.is_some() {}
    lab.knobs.speaking.open();
}
