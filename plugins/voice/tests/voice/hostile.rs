//! Providers that break their promises: they panic wherever they can, never end, or never stop talking.

use std::sync::{Arc, Mutex, atomic::Ordering};

use carport_core::{ManualClock, Result as Answer, Time, codes, testing::TestHost};
use carport_voice_api::{
    About, Activity, Cancel, Caps, Decoded, Decoder, Ear, Failure, Heard, Listen, Listener, Pass,
    Provider, Recogniser, SpeechToText, Unready, VOICE,
};
use serde_json::{Value, json};

use crate::{Lab, all, event, foreign, kinds, pass, push, sound, start, stop, until, utterance};

/// Where a provider panics.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Where {
    Ready,
    Check,
    Open,
    Activity,
    Decode,
    Hear,
    Flush,
    Finish,
    Drop,
}

/// Panics in one place, and finds segments itself if that place is of a listener.
struct Mine(Mutex<Where>);

impl Mine {
    fn at(&self, place: Where) {
        assert!(*self.0.lock().unwrap_or_else(|it| it.into_inner()) != place, "boom");
    }
}

struct Part(Arc<Mine>);

impl SpeechToText for Part {
    fn about(&self) -> About {
        About { id: "mine".into(), ..About::default() }
    }
    fn ready(&self) -> Result<(), Unready> {
        self.0.at(Where::Ready);
        Ok(())
    }
    fn check(&self, _: &Listen) -> Answer<(String, Caps)> {
        self.0.at(Where::Check);
        Ok(("mine".into(), Caps::default()))
    }
    fn open(&self, _: &Listen, _: Ear) -> Result<Recogniser, Failure> {
        self.0.at(Where::Open);
        let part = || Box::new(Part(self.0.clone()));
        let place = *self.0.0.lock().unwrap();
        Ok(match place {
            Where::Hear | Where::Flush | Where::Finish => Recogniser::Stream(part()),
            _ => Recogniser::Segments { decoder: part(), activity: part() },
        })
    }
}

impl Decoder for Part {
    fn decode(&mut self, _: &[f32], _: Pass, _: &Cancel) -> Result<Decoded, Failure> {
        self.0.at(Where::Decode);
        Ok(Decoded::default())
    }
}

impl Activity for Part {
    fn speech(&mut self, frame: &[f32]) -> f32 {
        self.0.at(Where::Activity);
        if frame[0] > 0.1 { 0.9 } else { 0.0 }
    }
}

impl Listener for Part {
    fn hear(&mut self, _: &[f32]) -> Result<(), Failure> {
        self.0.at(Where::Hear);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), Failure> {
        self.0.at(Where::Flush);
        Ok(())
    }
    fn finish(&mut self) -> Result<(), Failure> {
        self.0.at(Where::Finish);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.at(Where::Drop);
        }
    }
}

#[tokio::test]
async fn a_panic_anywhere_costs_its_stream_and_nothing_else() {
    let lab = Lab::start().await;
    let mine = Arc::new(Mine(Mutex::new(Where::Ready)));
    // Never dropped, so that only recognisers are.
    let part = std::mem::ManuallyDrop::new(Arc::new(Part(mine.clone())));
    let provider: Arc<dyn SpeechToText> = Arc::clone(&part) as _;
    lab.host.service(&VOICE).register(Provider::Stt(provider)).unwrap();
    let mut client = lab.host.client().await;
    start(&mut client, "other", json!({})).await;
    for place in [
        Where::Ready,
        Where::Check,
        Where::Open,
        Where::Activity,
        Where::Decode,
        Where::Hear,
        Where::Flush,
        Where::Finish,
        Where::Drop,
    ] {
        *mine.0.lock().unwrap() = place;
        let params = json!({ "session_id": "a", "options": { "provider": "mine" } });
        let started = client.raw("voice.transcribe_stream.start", params).await;
        if [Where::Ready, Where::Check].contains(&place) {
            assert_eq!(started.unwrap_err().code, codes::INTERNAL, "{place:?}");
            continue;
        }
        started.unwrap();
        // Each of these may come when the stream is over already.
        let _ = push(&mut client, "a", &utterance(300)).await;
        if place == Where::Flush {
            let params = json!({ "session_id": "a" });
            client.raw("voice.transcribe_stream.flush", params).await.unwrap();
        }
        let _ = stop(&mut client, "a").await;
        let events = all(&mut client, "a").await;
        let told = kinds(&events);
        let is_told = place != Where::Drop;
        assert_eq!(told.contains(&"error"), is_told, "{place:?}: {told:?}");
        assert_eq!(told.last(), Some(&"session_stopped"));
    }
    // Whatever was held, places for work among it, is free again.
    push(&mut client, "other", &utterance(300)).await.unwrap();
    assert_eq!(stop(&mut client, "other").await.unwrap()["transcript"], "w1 w2 w3");
    lab.is_clean().await;
    assert_eq!(lab.count("threads_abandoned_total").await, 0);
}

#[tokio::test]
async fn a_provider_that_never_comes_to_its_end_is_not_waited_for_for_ever() {
    let clock = ManualClock::at(Time::default());
    let lab = Lab::of(TestHost::builder().clock(clock.clone())).await;
    let mut client = lab.host.client().await;
    start(&mut client, "r", json!({ "provider": "remote" })).await;
    event(&mut client, "r", "session_started").await;
    lab.knobs.ear()(foreign::partial(0, "so far"));
    // Nobody pushes any more, and the provider says nothing to its end.
    let sweep = async |secs: i64| {
        clock.advance(chrono::TimeDelta::seconds(secs));
        pass(std::time::Duration::from_secs(10)).await;
    };
    sweep(300).await;
    until(async || {
        let rows = lab.host.host().await.raw("voice.sessions.list", json!({})).await.unwrap();
        rows[0]["status"] == "stopping"
    })
    .await;
    let (mut told, mut sweeps) = (Vec::new(), 0);
    while told.last().is_none_or(|it: &Value| it["type"] != "session_stopped") {
        sweep(5).await;
        // The sweeper has its turn before time goes on.
        client.raw("voice.sessions.list", json!({})).await.unwrap();
        let is_event = |it: &Value| it["method"] == "voice.event";
        while client.has_heard(is_event).await {
            told.push(crate::next(&mut client, "r").await);
        }
        sweeps += 1;
        assert!(sweeps < 40, "{told:?}");
    }
    let told = kinds(&told);
    assert_eq!(told[told.len() - 3..], ["warning", "error", "session_stopped"], "{told:?}");
    lab.is_clean().await;
}

#[tokio::test]
async fn a_provider_that_never_stops_talking_is_ended() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, "r", json!({ "provider": "remote" })).await;
    event(&mut client, "r", "session_started").await;
    lab.knobs.decoding.shut();
    push(&mut client, "r", &sound(50, 0.0)).await.unwrap();
    until(async || lab.knobs.decoding.waiting.load(Ordering::SeqCst) == 1).await;
    let ear = lab.knobs.ear();
    for utterance in 0..100_000 {
        ear(foreign::last(utterance, "x"));
    }
    lab.knobs.decoding.open();
    let events = all(&mut client, "r").await;
    let told = kinds(&events);
    assert_eq!(told[told.len() - 2..], ["error", "session_stopped"]);
    let finals = told.iter().filter(|it| **it == "final").count();
    assert!((1000..10_000).contains(&finals), "{finals}");
    lab.is_clean().await;
}

#[tokio::test]
async fn times_beyond_all_bounds_are_brought_into_the_segment() {
    let lab = Lab::start().await;
    let mut client = lab.host.client().await;
    start(&mut client, "r", json!({ "provider": "remote", "words": true })).await;
    event(&mut client, "r", "session_started").await;
    push(&mut client, "r", &sound(1000, 0.2)).await.unwrap();
    until(async || lab.knobs.heard_samples.load(Ordering::SeqCst) == 16_000).await;
    let word = |start_ms, end_ms| carport_voice_api::Word {
        text: "x".into(),
        start_ms,
        end_ms,
        confidence: None,
    };
    for utterance in 0..2 {
        let words = vec![word(0, 100), word(u64::MAX, 5), word(3, u64::MAX)];
        let decoded = Decoded { text: "x x x".into(), words, ..Decoded::default() };
        let (start_ms, end_ms) = (500, u64::MAX);
        lab.knobs.ear()(Heard::Final { utterance, decoded, start_ms, end_ms });
        let last = event(&mut client, "r", "final").await;
        let words = last["words"].as_array().unwrap();
        let times: Vec<_> = words.iter().map(|it| json!([it["start_ms"], it["end_ms"]])).collect();
        assert_eq!(last["end_ms"], 1000, "no further than there is sound");
        assert_eq!(json!(times), json!([[500, 600], [1000, 1000], [503, 1000]]));
    }
    *lab.knobs.at_the_end.lock().unwrap() = vec![Heard::Ended];
    assert_eq!(stop(&mut client, "r").await.unwrap()["segments"].as_array().unwrap().len(), 2);
    assert_eq!(lab.knobs.open.load(Ordering::SeqCst), 0);
    lab.is_clean().await;
}
