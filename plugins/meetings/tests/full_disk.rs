//! A transcript that finds no room: in a process of its own, for the limit is the process's.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "meetings/script.rs"]
#[allow(dead_code, reason = "shared with the suite beside this")]
mod script;

use std::{fs, sync::Arc};

use carport_core::testing::TestHost;
use carport_meetings as _;
use carport_memory_api::MEMORY;
use carport_voice_api::VOICE;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::script::{Notebook, Script};

/// `SIGXFSZ`, which ends a process that does not listen.
const TOO_LARGE: i32 = 25;

#[tokio::test]
async fn a_transcript_that_cannot_be_written_ends_the_meeting() {
    let _listens = signal(SignalKind::from_raw(TOO_LARGE)).unwrap();
    let voice = Arc::new(Script::default());
    let builder = TestHost::builder().config(|config| {
        config.provide(&VOICE, voice.clone() as _);
        config.provide(&MEMORY, Arc::new(Notebook::default()) as _);
    });
    let host = builder.start().await;
    let mut client = host.client().await;
    let started = client.raw("meeting.start", json!({ "id": "m1" })).await.unwrap();
    let stream = started["voice_session_id"].as_str().unwrap();
    // Longer than the record, which has to find room.
    voice.says(stream, 0, "S1", &"kept ".repeat(800));
    let path = host.root().join("meetings/m1/transcript.jsonl");
    let got = async |client: &mut carport_core::testing::TestClient| {
        client.raw("meeting.get", json!({ "meeting_id": "m1" })).await.unwrap()
    };
    while got(&mut client).await["segments"] != 1 {
        tokio::task::yield_now().await;
    }
    let length = fs::metadata(&path).unwrap().len();
    let before = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: Some(length + 10), ..before }).unwrap();
    voice.says(stream, 1, "S1", "This finds no room on the disk.");
    let event = client.notification("meeting.event").await;
    setrlimit(Resource::Fsize, before).unwrap();
    assert_eq!((&event["type"], &event["status"]), (&json!("status"), &json!("failed")));
    assert_eq!(event["ended_by"], "write_error");
    let meeting = got(&mut client).await;
    assert_eq!((&meeting["status"], &meeting["segments"]), (&json!("failed"), &json!(1)));
    assert!(!voice.is_open(stream));
    assert_eq!(fs::metadata(&path).unwrap().len(), length, "no half line is left");
}
