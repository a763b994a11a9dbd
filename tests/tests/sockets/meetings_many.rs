//! Many meetings at once: nobody hears of another's, and what is more than there is room for is refused.

use std::{collections::BTreeMap, fs};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    crash::next,
    daemon::{Daemon, Peer},
    meetings::{on_disk, shown, start},
    memory::bound,
    talk,
};

/// Meetings that are recorded at once, two of a connection.
const MEETINGS: usize = 10;
const ROOM: &str = "[meetings]\nlive = 10\n[voice]\nstreams = 10\n";

/// The recordings of two people, and words that each says and the other does not.
const PEOPLE: [(&str, &str); 2] =
    [("librivox_0880.wav", "young"), ("librivox_0890.wav", "selfish")];

/// Starts a meeting of this connection that hears a file.
async fn hear(peer: &mut Peer, id: &str, path: &str, diarize: bool) {
    let source = json!({ "kind": "file", "path": path });
    let options = json!({ "streaming": false, "diarizer": diarize });
    start(peer, json!({ "id": id, "audio_source": source, "options": options })).await;
}

/// Reads a connection until its two meetings are summed up; what it heard of them, by meeting. Whoever does not
/// read is hung up on, and its meetings end.
async fn until_over(mut peer: Peer) -> (Peer, BTreeMap<String, Vec<Value>>) {
    let mut heard = BTreeMap::<String, Vec<Value>>::new();
    let mut summaries = 0;
    while summaries < 2 {
        let mut frame = next(&mut peer).await.expect("the connection lasts");
        if frame["method"] == "meeting.event" {
            let event = frame["params"].take();
            if event["type"] == "status" {
                assert_eq!(
                    (&event["status"], &event["ended_by"]),
                    (&json!("ended"), &json!("end"))
                );
            }
            summaries += usize::from(event["type"] == "summary");
            heard.entry(event["meeting_id"].as_str().unwrap().into()).or_default().push(event);
        }
    }
    (peer, heard)
}

#[tokio::test]
async fn ten_meetings_at_once_share_nothing() {
    let daemon = Daemon::with_config(ROOM).await;
    let folder = daemon.path("voice/audio");
    fs::create_dir_all(&folder).unwrap();
    for (file, _) in PEOPLE {
        fs::copy(talk::sound().with_file_name(file), folder.join(file)).unwrap();
    }
    let mut peers = Vec::new();
    for at in 0..MEETINGS / 2 {
        let mut peer = bound(&daemon, &format!("team-{at}")).await;
        for (nth, (file, _)) in PEOPLE.iter().enumerate() {
            hear(&mut peer, &format!("m{at}-{nth}"), file, false).await;
        }
        peers.push(until_over(peer));
    }
    for (at, (mut peer, heard)) in join_all(peers).await.into_iter().enumerate() {
        assert_eq!(heard.len(), 2, "a connection hears of its own meetings: {heard:?}");
        for nth in 0..2 {
            let id = format!("m{at}-{nth}");
            let whole = shown(&daemon, &id).await;
            let segments: Vec<_> = heard[&id].iter().filter(|it| it["type"] == "segment").collect();
            let transcript = whole["transcript"].as_array().unwrap();
            let told: Vec<_> = segments.iter().map(|it| &it["segment"]).collect();
            assert_eq!(told, transcript.iter().collect::<Vec<_>>(), "{id}");
            let text = whole["transcript"].to_string();
            assert!(
                text.contains(PEOPLE[nth].1) && !text.contains(PEOPLE[1 - nth].1),
                "{id}: {text}"
            );
        }
        let facts =
            peer.call("memory.query", json!({ "query": "meeting", "k": 100 })).await.unwrap();
        let mut facts: Vec<_> =
            facts.as_array().unwrap().iter().map(|it| it["fact_id"].clone()).collect();
        facts.sort_by_key(Value::to_string);
        assert_eq!(facts, [json!(format!("meeting-m{at}-0")), json!(format!("meeting-m{at}-1"))]);
    }
    assert_eq!(on_disk(&daemon).len(), MEETINGS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: tests/run --long"]
async fn ten_talks_at_once_are_each_heard_right() {
    let daemon = Daemon::with_config(ROOM).await;
    let path = talk::lend(&daemon);
    let mut peers = Vec::new();
    for at in 0..MEETINGS / 2 {
        let mut peer = daemon.client().await;
        for nth in 0..2 {
            hear(&mut peer, &format!("m{at}-{nth}"), path, true).await;
        }
        peers.push(until_over(peer));
    }
    for (at, (_, heard)) in join_all(peers).await.into_iter().enumerate() {
        assert_eq!(heard.len(), 2, "a connection hears of its own meetings");
        for nth in 0..2 {
            let whole = shown(&daemon, &format!("m{at}-{nth}")).await;
            let transcript = whole["transcript"].as_array().unwrap();
            assert_eq!(talk::right_turns(transcript), (8, 8), "{transcript:#?}");
        }
    }
}

#[tokio::test]
async fn more_meetings_than_there_is_room_for_are_refused() {
    let daemon = Daemon::start(&[]).await;
    let mut peers = Vec::new();
    for at in 0..4 {
        let mut peer = daemon.client().await;
        for nth in 0..2 {
            start(&mut peer, json!({ "id": format!("m{at}-{nth}") })).await;
        }
        let third = peer.call("meeting.start", json!({ "id": "more" })).await.unwrap_err();
        assert_eq!(
            (&third["code"], &third["data"]["limit"]),
            (&json!(-32012), &json!(2)),
            "{third}"
        );
        peers.push(peer);
    }
    let mut host = daemon.host().await;
    let ninth = host.call("meeting.start", json!({ "id": "more" })).await.unwrap_err();
    assert_eq!((&ninth["code"], &ninth["data"]["limit"]), (&json!(-32009), &json!(8)), "{ninth}");
    assert_eq!(on_disk(&daemon).len(), 8, "nothing of what was refused is left");
    host.call("meeting.stop", json!({ "meeting_id": "m0-0" })).await.unwrap();
    host.call("meeting.start", json!({ "id": "more" })).await.unwrap();
}
