//! The meetings plugin on real frames and real files, with a voice that says what a test tells it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crashing;
mod ending;
mod following;
mod hanging;
mod reading;
mod remembering;
mod script;
mod starting;
mod summing;
mod telling;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use carport_core::{
    Clock, Time,
    testing::{TestClient, TestHost, TestHostBuilder},
};
use carport_inference_api::INFERENCE;
use carport_meetings as _;
use carport_memory_api::MEMORY;
use carport_voice_api::VOICE;
use serde_json::{Value, json};

use crate::script::{Model, Notebook, Script};

/// A host with everything scripted.
struct Lab {
    host: TestHost,
    voice: Arc<Script>,
    memory: Arc<Notebook>,
    model: Arc<Model>,
}

impl Lab {
    async fn start() -> Self {
        Self::with(json!({ "summary": "extractive" })).await
    }

    /// With this configuration of the plugin.
    async fn with(config: Value) -> Self {
        Self::of(TestHost::builder(), config).await
    }

    async fn of(builder: TestHostBuilder, config: Value) -> Self {
        let (voice, memory, model) =
            (Arc::new(Script::default()), Arc::new(Notebook::default()), Arc::<Model>::default());
        let builder = builder.plugin("meetings", config).config(|config| {
            config.provide(&VOICE, voice.clone() as _);
            config.provide(&MEMORY, memory.clone() as _);
            config.provide(&INFERENCE, model.clone() as _);
        });
        Self { host: builder.start().await, voice, memory, model }
    }

    /// The daemon after a kill: the tasks of this one write no more, and its files stay as they are.
    async fn killed(&self) -> Self {
        // Whoever is dead writes nothing more, and a record follows the transcript that it is about.
        let mut host = self.host.host().await;
        let told = call(&mut host, "get", json!({ "meeting_id": "m1" })).await;
        let speakers = |of: &Value| of["participants"].as_array().map(Vec::len);
        let written = || serde_json::from_str::<Value>(&self.file("m1", "meeting.json")).unwrap();
        while speakers(&written()) != speakers(&told) {
            tokio::task::yield_now().await;
        }
        Self::of(TestHost::builder().on_root_of(&self.host), json!({ "summary": "extractive" }))
            .await
    }

    /// What the file of a meeting holds.
    fn file(&self, id: &str, name: &str) -> String {
        std::fs::read_to_string(self.host.root().join("meetings").join(id).join(name)).unwrap()
    }

    fn has_file(&self, path: &str) -> bool {
        self.host.root().join("meetings").join(path).exists()
    }
}

/// A clock whose time a test sets.
struct Hands(Mutex<Time>);

impl Clock for Hands {
    fn now(&self) -> Time {
        *self.0.lock().unwrap()
    }
}

impl Hands {
    fn at(minute: u32) -> Self {
        Self(Mutex::new(minutes(minute)))
    }

    fn set(&self, minute: u32) {
        *self.0.lock().unwrap() = minutes(minute);
    }
}

fn minutes(past: u32) -> Time {
    serde_json::from_value(json!(format!("2026-05-02T09:{past:02}:00Z"))).unwrap()
}

/// Calls `meeting.{method}` and expects it to work.
async fn call(client: &mut TestClient, method: &str, params: Value) -> Value {
    let reply = client.raw(&format!("meeting.{method}"), params.clone()).await;
    reply.unwrap_or_else(|error| panic!("{method} {params}: {error} {:?}", error.data))
}

/// Calls `meeting.{method}` and expects this code; the field that the error names.
async fn refused(client: &mut TestClient, method: &str, params: Value) -> (i32, Option<String>) {
    let error = client.raw(&format!("meeting.{method}"), params).await.unwrap_err();
    (error.code, error.field().map(str::to_owned))
}

/// Starts a meeting and returns its first stream.
async fn begin(client: &mut TestClient, id: &str) -> String {
    let started = call(client, "start", json!({ "id": id })).await;
    started["voice_session_id"].as_str().unwrap().to_owned()
}

/// Waits until a meeting has so many segments.
async fn heard(client: &mut TestClient, id: &str, segments: u64) -> Value {
    loop {
        let got = call(client, "get", json!({ "meeting_id": id })).await;
        if got["segments"].as_u64().unwrap() >= segments {
            return got;
        }
        tokio::task::yield_now().await;
    }
}

/// Numbers, speakers and texts of a transcript.
fn lines(transcript: &Value) -> Vec<(u64, String, String)> {
    let line = |it: &Value| {
        let text = |name: &str| it[name].as_str().unwrap().to_owned();
        (it["n"].as_u64().unwrap(), text("speaker"), text("text"))
    };
    transcript.as_array().unwrap().iter().map(line).collect()
}

/// The next event of a meeting.
async fn event(client: &mut TestClient) -> Value {
    client.notification("meeting.event").await
}

/// Waits for something that another task does.
async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(std::time::Instant::now() < patience, "it never came about");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
