//! Meetings with the real voice and the real memory, on recordings that are heard faster than they sound.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use carport_core::{
    Clock, Time,
    testing::{TestClient, TestHost, TestHostBuilder},
};
use serde_json::{Value, json};

use crate::golden::root;

/// Bytes of a WAV header as the samples have it.
const HEADER: usize = 44;
/// Half a second of 16 kHz s16le.
const PUSH: usize = 16_000;

fn sample(name: &str) -> String {
    let path = root().join("plugins/voice/tests/samples").join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

fn facts(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(sample(name)).unwrap()).unwrap()
}

fn builder(meetings: Value, mut voice: Value) -> TestHostBuilder {
    voice["audio_roots"] = json!([sample("")]);
    TestHost::builder().plugin("voice", voice).plugin("meetings", meetings)
}

async fn call(client: &mut TestClient, method: &str, params: Value) -> Value {
    let reply = client.raw(method, params.clone()).await;
    reply.unwrap_or_else(|error| panic!("{method} {params}: {error} {:?}", error.data))
}

/// Starts a meeting that hears a recording.
async fn hear(client: &mut TestClient, id: &str, name: &str, options: Value) -> Value {
    let source = json!({ "kind": "file", "path": sample(name) });
    let params = json!({ "id": id, "audio_source": source, "options": options });
    call(client, "meeting.start", params).await
}

/// Waits until a meeting has its summary.
async fn over(client: &mut TestClient, id: &str) -> Value {
    let patience = std::time::Instant::now() + Duration::from_secs(100);
    loop {
        let got = call(client, "meeting.get", json!({ "meeting_id": id })).await;
        if got["summary"] != Value::Null {
            return got;
        }
        assert!(std::time::Instant::now() < patience, "it does not end: {got}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace('-', " ");
    let letters = |word: &str| word.chars().filter(|it| it.is_alphanumeric()).collect::<String>();
    text.split_whitespace().map(letters).filter(|it| !it.is_empty()).collect()
}

/// Ids and bodies of what the memory finds.
async fn recalled(client: &mut TestClient, query: &str, kind: &str) -> Vec<(String, String)> {
    let params = json!({ "query": query, "k": 20, "kinds": [kind] });
    let found = call(client, "memory.query", params).await;
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    found.as_array().unwrap().iter().map(|it| (text(it, "fact_id"), text(it, "body"))).collect()
}

#[tokio::test]
async fn three_people_meet_and_everything_is_there_afterwards() {
    let host = builder(json!({ "summary": "extractive" }), json!({})).start().await;
    let mut ann = host.agent("ann").await;
    let began = std::time::Instant::now();
    hear(&mut ann, "m1", "meeting_3spk.wav", json!({ "diarizer": true, "streaming": false })).await;
    let got = over(&mut ann, "m1").await;
    let took = began.elapsed();
    assert_eq!((&got["status"], &got["ended_by"]), (&json!("ended"), &json!("end")));
    // Eight turns, each by who spoke it: labels and speakers are the same but for their names.
    let (said, heard) = (facts("meeting_3spk.json"), &got["transcript"]);
    let (said, heard) = (said.as_array().unwrap(), heard.as_array().unwrap());
    assert_eq!((said.len(), heard.len()), (8, 8), "{got}");
    let (mut labels, mut people) = (BTreeMap::new(), BTreeMap::new());
    for (turn, segment) in said.iter().zip(heard) {
        let (person, label) = (&turn["speaker"], &segment["speaker"]);
        assert_eq!(labels.entry(label.to_string()).or_insert(person), &person, "{segment}");
        assert_eq!(people.entry(person.to_string()).or_insert(label), &label, "{segment}");
        let ms = |name: &str| turn[name].as_f64().unwrap() * 1000.0;
        let off = segment["start_ms"].as_f64().unwrap() - ms("start");
        assert!(off.abs() < 500.0, "{turn}: {segment}");
        let text = words(segment["text"].as_str().unwrap());
        let missing = words(turn["text"].as_str().unwrap()).into_iter();
        let missing: Vec<_> = missing.filter(|it| !text.contains(it)).collect();
        assert!(missing.len() <= 2, "{missing:?} not in {segment}");
    }
    assert_eq!(got["participants"].as_array().unwrap().len(), 3);
    println!("35 s of talk took {took:?}");

    // Found in the memory, as turns and as the fact of the summary, in the order of speech.
    let turns = recalled(&mut ann, "the release moves to Friday", "conversation").await;
    assert!(turns[0].0 == "meeting:m1:2" && turns[0].1.contains("release"), "{turns:?}");
    let fact = recalled(&mut ann, "meeting m1", "meeting").await;
    assert_eq!(fact[0].0, "meeting-m1");
    let summary = got["summary"].as_str().unwrap();
    assert!(summary.contains("## Decisions\n\n- S3: We agreed to move the release"), "{summary}");
    assert!(recalled(&mut host.agent("bo").await, "release", "conversation").await.is_empty());

    // All of it is on disk, and goes with the meeting.
    let next = builder(json!({}), json!({})).on_root_of(&host).start().await;
    let mut ann = next.agent("ann").await;
    assert_eq!(call(&mut ann, "meeting.get", json!({ "meeting_id": "m1" })).await, got);
    assert_eq!(recalled(&mut ann, "release", "conversation").await.len(), 1);
    call(&mut ann, "meeting.delete", json!({ "meeting_id": "m1" })).await;
    let last = builder(json!({}), json!({})).on_root_of(&next).start().await;
    let mut ann = last.agent("ann").await;
    assert!(recalled(&mut ann, "release", "conversation").await.is_empty());
    assert!(recalled(&mut ann, "meeting m1", "meeting").await.is_empty());
}

/// Sound that is pushed, piece by piece.
async fn push(client: &mut TestClient, stream: &str, name: &str) {
    let sound = std::fs::read(sample(name)).unwrap();
    for (seq, piece) in sound[HEADER..].chunks(PUSH).enumerate() {
        let id: Vec<u8> = (0..16)
            .map(|at| u8::from_str_radix(&stream[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let mut frame = vec![1];
        frame.extend(id);
        frame.extend((seq as u64).to_le_bytes());
        frame.push(0);
        frame.extend(piece);
        client.binary(frame).await;
    }
}

/// A clock that a test sets.
struct Hands(Mutex<Time>);

impl Clock for Hands {
    fn now(&self) -> Time {
        *self.0.lock().unwrap()
    }
}

fn time(text: &str) -> Time {
    serde_json::from_value(json!(text)).unwrap()
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_loses_no_word() {
    let clock = Arc::new(Hands(Mutex::new(time("2026-05-02T09:00:00Z"))));
    let host = builder(json!({}), json!({})).clock(clock.clone()).start().await;
    let (mut client, mut other) = (host.client().await, host.client().await);
    let started = call(&mut client, "meeting.start", json!({ "id": "m1" })).await;
    let stream = started["voice_session_id"].as_str().unwrap();
    // Nobody but the meeting stops its stream.
    let params = json!({ "session_id": stream });
    let error = client.raw("voice.transcribe_stream.stop", params.clone()).await.unwrap_err();
    assert_eq!(error.code, -32008);
    let rows = call(&mut client, "voice.sessions.list", json!({})).await;
    assert_eq!(rows[0]["session_id"], *stream);
    *clock.0.lock().unwrap() = time("2026-05-02T09:01:00Z");
    push(&mut client, stream, "librivox_0880.wav").await;
    // Every frame was taken when this is answered: frames and calls are handled in their order.
    let rows = call(&mut client, "voice.sessions.list", json!({})).await;
    let pushed = rows[0]["audio_ms"].as_u64().unwrap();
    assert!(pushed > 2900, "{rows}");
    client.vanish();
    let got = over(&mut other, "m1").await;
    assert_eq!((&got["status"], &got["ended_by"]), (&json!("ended"), &json!("disconnect")));
    let text: Vec<_> = got["transcript"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["text"].as_str().unwrap())
        .collect();
    let said = facts("refs.json")["librivox_0880.wav"].as_str().unwrap().to_owned();
    let heard = words(&text.join(" "));
    let missing = words(&said).into_iter().filter(|it| !heard.contains(it)).count();
    assert!(missing <= 1, "{heard:?}");
    // The first half second was over a minute after the start.
    let start = got["transcript"][0]["start_ms"].as_u64().unwrap();
    assert!((59_500..60_500).contains(&start), "{got}");
}

#[tokio::test]
#[ignore = "takes half a minute without optimization"]
async fn ten_meetings_at_once_keep_apart() {
    let limits = json!({ "live": 10, "keep_on_disconnect": true, "summary": "extractive" });
    let host = builder(limits, json!({ "streams": 10 })).start().await;
    for nth in 0..10 {
        let mut client = host.agent(&format!("a{nth}")).await;
        let options = json!({ "streaming": false });
        hear(&mut client, &format!("m{nth}"), "librivox_0880.wav", options).await;
        // What hears a file goes on without its client.
        client.vanish();
    }
    let mut late = host.host().await;
    let error = late.raw("meeting.start", json!({})).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (-32009, &json!(10)));
    let said = facts("refs.json")["librivox_0880.wav"].as_str().unwrap().to_owned();
    for nth in 0..10 {
        let id = format!("m{nth}");
        let got = over(&mut late, &id).await;
        assert_eq!(got["ended_by"], "end");
        let texts = got["transcript"].as_array().unwrap();
        let heard = words(&texts.iter().map(|it| it["text"].as_str().unwrap()).collect::<String>());
        let missing = words(&said).into_iter().filter(|it| !heard.contains(it)).count();
        assert!(missing <= 1, "{heard:?}");
        let mut agent = host.agent(&format!("a{nth}")).await;
        let listed = call(&mut agent, "meeting.list", json!({})).await;
        assert_eq!(listed["meetings"].as_array().unwrap().len(), 1, "another's is not seen");
        let turns = recalled(&mut agent, &said, "conversation").await;
        assert_eq!(turns.len(), texts.len(), "each agent remembers its own");
        assert!(turns.iter().all(|it| it.0.starts_with(&format!("meeting:{id}:"))));
    }
}
