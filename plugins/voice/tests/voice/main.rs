//! The voice plugin on real frames, with providers that do what a test says.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad;
mod binary;
mod ending;
mod enrolling;
mod files;
mod foreign;
mod hearing;
mod hostile;
mod pushing;
mod script;
mod service;
mod speaking;
mod terms;
mod turning;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use carport_core::testing::{TestClient, TestHost, TestHostBuilder};
use carport_voice as _;
use carport_voice_api::{Provider, VOICE};
use serde_json::{Value, json};

use crate::script::{Knobs, Prints, Remote, Segments, Speaker};

/// A host with the scripted providers.
struct Lab {
    host: TestHost,
    knobs: Arc<Knobs>,
}

impl Lab {
    async fn start() -> Self {
        Self::of(TestHost::builder()).await
    }

    async fn of(builder: TestHostBuilder) -> Self {
        Self::with(builder, json!({})).await
    }

    /// With this configuration of the plugin.
    async fn with(builder: TestHostBuilder, mut config: Value) -> Self {
        // Scripted providers take the place of the machine's models.
        config["local"] = false.into();
        let host = builder.plugin("voice", config).start().await;
        let knobs = Arc::new(Knobs::default());
        let speaker = |id, streaming, clones| {
            let knobs = knobs.clone();
            Provider::Tts(Arc::new(Speaker { id, streaming, clones, knobs }))
        };
        let voice = host.service(&VOICE);
        for provider in [
            Provider::Stt(Arc::new(Segments("local", knobs.clone()))),
            Provider::Stt(Arc::new(Remote(knobs.clone()))),
            speaker("local", true, false),
            speaker("whole", false, true),
            Provider::Speakers(Arc::new(Prints)),
        ] {
            voice.register(provider).unwrap();
        }
        Self { host, knobs }
    }

    /// What a metric of the plugin shows.
    async fn count(&self, name: &str) -> i64 {
        let reply = self.host.host().await.raw("host.metrics", json!({})).await.unwrap();
        let text = reply["text"].as_str().unwrap().to_owned();
        let line = text.lines().find_map(|it| it.strip_prefix(&format!("carport_voice_{name} ")));
        line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
    }

    /// Waits until no stream, speech, thread or recogniser is left.
    async fn is_clean(&self) {
        for name in ["streams", "speeches", "threads"] {
            until(async || self.count(name).await == 0).await;
        }
        let open = || self.knobs.open.load(std::sync::atomic::Ordering::SeqCst);
        until(async || open() == 0).await;
    }
}

/// Waits for something that another thread does.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(std::time::Instant::now() < patience, "it never came about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets time pass at once, and goes on with real time.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// So much s16le sound at 16 kHz; 0 is silence.
fn sound(ms: usize, amplitude: f32) -> Vec<u8> {
    let sample = (amplitude * 32_767.0) as i16;
    std::iter::repeat_n(sample.to_le_bytes(), ms * 16).flatten().collect()
}

/// Speech between silences: one segment.
fn utterance(speech_ms: usize) -> Vec<u8> {
    [sound(400, 0.0), sound(speech_ms, 0.5), sound(600, 0.0)].concat()
}

async fn start(client: &mut TestClient, id: &str, options: Value) -> Value {
    let params = json!({ "session_id": id, "options": options });
    client.raw("voice.transcribe_stream.start", params).await.unwrap()
}

async fn push(client: &mut TestClient, id: &str, pcm: &[u8]) -> carport_core::Result<Value> {
    let params = json!({ "session_id": id, "pcm_b64": STANDARD.encode(pcm) });
    client.raw("voice.transcribe_stream.push", params).await
}

async fn stop(client: &mut TestClient, id: &str) -> carport_core::Result<Value> {
    client.raw("voice.transcribe_stream.stop", json!({ "session_id": id })).await
}

/// The next event of a stream.
async fn next(client: &mut TestClient, id: &str) -> Value {
    let is_of = |it: &Value| it["method"] == "voice.event" && it["params"]["session_id"] == id;
    client.frame(is_of).await["params"]["event"].take()
}

/// The next event of this type; those before it are dropped.
async fn event(client: &mut TestClient, id: &str, kind: &str) -> Value {
    loop {
        let event = next(client, id).await;
        if event["type"] == kind {
            return event;
        }
    }
}

/// Every event up to the end of a stream.
async fn all(client: &mut TestClient, id: &str) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        events.push(next(client, id).await);
        if events.last().unwrap()["type"] == "session_stopped" {
            return events;
        }
    }
}

/// The types of events, without those that may be dropped.
fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|it| it["type"].as_str().unwrap());
    kinds.filter(|it| !["partial", "preflight", "audio_meta"].contains(it)).collect()
}
