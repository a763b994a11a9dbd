//! Many meetings at once: nobody hears of another's, and what is more than there is room for is refused.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Peer},
    meetings::{on_disk, shown, start, told},
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

/// Waits until both meetings of a connection are over; the events that it heard, by meeting.
async fn until_over(peer: &mut Peer) -> BTreeMap<String, Vec<Value>> {
    let mut heard = BTreeMap::<String, Vec<Value>>::new();
    for _ in 0..2 {
        let status = told(peer, "status").await;
        assert_eq!((&status["status"], &status["ended_by"]), (&json!("ended"), &json!("end")));
    }
    for _ in 0..2 {
        told(peer, "summary").await;
    }
    for event in peer.take_aside(|it| it["method"] == "meeting.event") {
        let id = event["params"]["meeting_id"].as_str().unwrap().to_owned();
        heard.entry(id).or_default().push(event["params"].clone());
    }
    heard
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
        peers.push(peer);
    }
    for at in 0..MEETINGS {
        over(&daemon.path("meetings").join(format!("m{}-{}", at / 2, at % 2))).await;
    }
    for (at, peer) in peers.iter_mut().enumerate() {
        let heard = until_over(peer).await;
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
        peers.push(peer);
    }
    for at in 0..MEETINGS {
        let id = format!("m{}-{}", at / 2, at % 2);
        over(&daemon.path("meetings").join(&id)).await;
        let whole = shown(&daemon, &id).await;
        assert_eq!(talk::right_turns(whole["transcript"].as_array().unwrap()), (8, 8), "{id}");
    }
}

/// Waits for a meeting's end for as long as it takes the test runner to lose its patience.
async fn over(folder: &Path) {
    loop {
        let record = fs::read(folder.join("meeting.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        match record["status"].as_str() {
            Some("recording") => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            status => return assert_eq!(status, Some("ended"), "{record}"),
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
