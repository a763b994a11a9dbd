//! Dialogues with the daemon, one a file under `tests/transcripts`: what a client sends and what must
//! come back.
//!
//! A line is an object. `{"as": "alice", "send": FRAME}` sends a frame on the connection named so
//! (`"text"` sends any text), `{"as": "alice", "expect": FRAME}` waits for one, `{"as": "alice",
//! "closed": 1008}` for the end. A connection is made when it is first named: `"connect"` says as what
//! (`stranger`, `client`, `host`, or an agent's id; `client` if absent). In an expected frame
//! `"$any"` is any value, `"$=name"` keeps it, and `"$name"`, also in a sent frame, is what was kept;
//! members that are not named may be there.

use std::{collections::BTreeMap, fs};

use carport_core::testing::{TestClient, TestHost};
use serde_json::Value;

use crate::golden::root;

type Kept = BTreeMap<String, Value>;

#[tokio::test]
async fn every_dialogue_goes_as_written() {
    let mut paths: Vec<_> = fs::read_dir(root().join("tests/transcripts"))
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
        .collect();
    paths.sort();
    assert!(paths.len() >= 5);
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        play(&name, &fs::read_to_string(&path).unwrap()).await;
    }
}

async fn play(name: &str, dialogue: &str) {
    let host = TestHost::start().await;
    let (mut clients, mut kept) = (BTreeMap::<String, TestClient>::new(), Kept::new());
    for (line, number) in dialogue.lines().zip(1..) {
        if line.trim().is_empty() || line.starts_with("//") {
            continue;
        }
        let step: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}:{number}: {error}"));
        let who = step["as"].as_str().unwrap_or("client").to_owned();
        if !clients.contains_key(&who) {
            let client = connect(&host, step["connect"].as_str().unwrap_or("client")).await;
            clients.insert(who.clone(), client);
        }
        let client = clients.get_mut(&who).unwrap();
        if let Some(text) = step["text"].as_str() {
            client.text(text).await;
        } else if let Some(frame) = step.get("send") {
            client.text(&filled(frame, &kept).to_string()).await;
        } else if let Some(expected) = step.get("expect") {
            let frame = client.frame(|frame| fits(expected, frame, &mut kept.clone())).await;
            assert!(fits(expected, &frame, &mut kept), "{name}:{number}");
        } else if let Some(code) = step.get("closed") {
            assert_eq!(
                client.closed().await.map(Value::from).as_ref(),
                Some(code),
                "{name}:{number}"
            );
        } else if step.get("connect").is_none() {
            panic!("{name}:{number}: neither sends nor expects");
        }
    }
}

async fn connect(host: &TestHost, what: &str) -> TestClient {
    match what {
        "stranger" => host.stranger().await,
        "client" => host.client().await,
        "host" => host.host().await,
        agent => host.agent(agent).await,
    }
}

/// A frame with what was kept in the place of its names.
fn filled(frame: &Value, kept: &Kept) -> Value {
    match frame {
        Value::String(text) => match text.strip_prefix('$').and_then(|name| kept.get(name)) {
            Some(value) => value.clone(),
            None => frame.clone(),
        },
        Value::Array(items) => items.iter().map(|it| filled(it, kept)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, it)| (key.clone(), filled(it, kept))).collect())
        }
        other => other.clone(),
    }
}

fn fits(expected: &Value, got: &Value, kept: &mut Kept) -> bool {
    match (expected, got) {
        (Value::String(text), _) if text == "$any" => !got.is_null(),
        (Value::String(text), _) if text.starts_with("$=") => {
            kept.insert(text[2..].to_owned(), got.clone());
            true
        }
        (Value::String(text), _) if text.starts_with('$') => kept.get(&text[1..]) == Some(got),
        (Value::Object(members), Value::Object(_)) => {
            members.iter().all(|(key, value)| match (value, got.get(key)) {
                (Value::Null, None) => true,
                (_, None) => false,
                (value, Some(got)) => fits(value, got, kept),
            })
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len()
                && expected.iter().zip(got).all(|(expected, got)| fits(expected, got, kept))
        }
        (expected, got) => expected == got,
    }
}
