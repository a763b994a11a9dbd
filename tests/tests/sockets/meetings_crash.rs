//! Daemons killed in the middle of meetings: afterwards each is there as interrupted, with every segment that
//! anybody saw or was told of, and a stop sums it up.

use std::{collections::BTreeMap, fs};

use futures_util::SinkExt;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    crash::next,
    daemon::{Daemon, Peer},
    meetings::{out, shown, start, told},
    talk,
};

/// Segments as somebody knows them, by their numbers.
type Segments = BTreeMap<u64, Value>;

fn take(seen: &mut Segments, segment: &Value) {
    seen.insert(segment["n"].as_u64().unwrap(), segment.clone());
}

#[tokio::test]
async fn a_talk_that_the_daemon_did_not_survive_is_interrupted_with_what_was_seen() {
    let mut daemon = Daemon::start(&[]).await;
    let path = talk::lend(&daemon);
    let mut starter = daemon.client().await;
    let source = json!({ "kind": "file", "path": path, "realtime": false });
    let options = json!({ "diarizer": true });
    let params =
        json!({ "id": "talk", "title": "Weekly", "audio_source": source, "options": options });
    start(&mut starter, params).await;
    let mut follower = daemon.client().await;
    let so_far = follower.call("meeting.subscribe", json!({ "meeting_id": "talk" })).await.unwrap();
    let mut seen = Segments::new();
    so_far["transcript"].as_array().unwrap().iter().for_each(|it| take(&mut seen, it));
    while seen.len() < 3 {
        take(&mut seen, &told(&mut follower, "segment").await["segment"]);
    }
    daemon.crash().await;
    let file = daemon.path("meetings/talk/transcript.jsonl");
    // The kill is as it may be in the worst moment: the last line lost its end.
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{whole}{{\"n\":99,\"sour")).unwrap();
    daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    assert!(daemon.log().contains("torn"), "{}", daemon.log());
    assert_eq!(fs::read_to_string(&file).unwrap(), whole, "it is cut, and nothing else changed");

    let list = daemon.run(&["meetings", "list"]).await;
    assert!(out(&list).contains("interrupted"), "{list:?}");
    let cut_off = shown(&daemon, "talk").await;
    let meeting = &cut_off["meeting"];
    assert_eq!(
        (&meeting["status"], &meeting["ended_by"]),
        (&json!("interrupted"), &json!("crash"))
    );
    assert_eq!((&cut_off["summary"], &meeting["summary"]), (&Value::Null, &Value::Null));
    let transcript = cut_off["transcript"].as_array().unwrap();
    for (n, segment) in &seen {
        assert_eq!(&transcript[*n as usize], segment, "what was seen is there");
    }
    assert!(transcript.len() < 8, "there was something to interrupt");

    let stopped = daemon.run(&["meetings", "stop", "talk"]).await;
    assert!(stopped.status.success() && out(&stopped).contains("## Summary"), "{stopped:?}");
    let over = shown(&daemon, "talk").await;
    assert_eq!(
        (&over["meeting"]["status"], &over["meeting"]["ended_by"]),
        (&json!("ended"), &json!("crash"))
    );
    assert_eq!(over["transcript"], cut_off["transcript"]);
    assert!(daemon.path("meetings/talk/summary.md").exists());
    let again = daemon.run(&["meetings", "stop", "talk"]).await;
    assert_eq!(again.status.code(), Some(5), "{again:?}");
}

/// Meetings that are written to at a time.
const MEETINGS: usize = 4;
/// Calls of a meeting that are on their way.
const IN_FLIGHT: u64 = 6;

/// What the writer of a meeting knows: texts that were acknowledged, and those that were sent.
#[derive(Debug, Default)]
struct Known {
    sent: Vec<String>,
    acknowledged: usize,
}

/// Writes to a meeting as fast as it may until the daemon dies. Every third call has three texts.
async fn write_until_the_end(mut peer: Peer, id: String) -> Known {
    let (mut known, mut sizes, mut calls) = (Known::default(), Vec::new(), 0u64);
    loop {
        while calls < sizes.len() as u64 + IN_FLIGHT {
            let size = if calls.is_multiple_of(3) { 3 } else { 1 };
            let first = known.sent.len();
            let texts =
                (first..first + size).map(|at| format!("text {at}{}", " x".repeat(at % 450)));
            let texts: Vec<_> = texts.collect();
            let segments: Vec<_> = texts.iter().map(|it| json!({ "text": it })).collect();
            let params = json!({ "meeting_id": id, "segments": segments });
            let frame = json!({ "jsonrpc": "2.0", "id": calls, "method": "meeting.append", "params": params });
            known.sent.extend(texts);
            if peer.socket.send(Message::text(frame.to_string())).await.is_err() {
                return known;
            }
            calls += 1;
        }
        let Some(reply) = next(&mut peer).await else { return known };
        if let Some(appended) = reply["result"]["appended"].as_u64() {
            known.acknowledged += appended as usize;
            sizes.push(appended);
        } else {
            assert!(reply.get("error").is_none(), "{reply}");
        }
    }
}

/// Follows a meeting until the daemon dies. Kills are counted in the segments that are seen.
async fn follow_until_the_end(
    id: String,
    mut peer: Peer,
    mut cursor: u64,
    count: watch::Sender<usize>,
) -> (String, Segments) {
    let mut seen = Segments::new();
    while let Some(frame) = next(&mut peer).await {
        let event = &frame["params"];
        cursor += 1;
        assert_eq!(event["cursor"], cursor, "a gap or a double");
        if event["type"] == "segment" {
            take(&mut seen, &event["segment"]);
            count.send_modify(|it| *it += 1);
        }
    }
    (id, seen)
}

/// What all rounds came to.
#[derive(Debug, Default)]
struct Summary {
    kills: usize,
    acknowledged: usize,
    /// Texts on disk whose acknowledgement the kill cut off.
    unacknowledged: usize,
    seen: usize,
}

async fn round(daemon: &mut Daemon, nth: usize, until: usize, all: &mut Summary) {
    let (mut writers, mut followers) = (JoinSet::new(), JoinSet::new());
    let (count, mut counted) = watch::channel(0);
    let ids: Vec<_> = (0..MEETINGS).map(|at| format!("m{nth}-{at}")).collect();
    for id in &ids {
        let mut writer = daemon.client().await;
        writer.call("meeting.start", json!({ "id": id })).await.unwrap();
        let mut follower = daemon.client().await;
        let empty = follower.call("meeting.subscribe", json!({ "meeting_id": id })).await.unwrap();
        let cursor = empty["cursor"].as_u64().unwrap();
        followers.spawn(follow_until_the_end(id.clone(), follower, cursor, count.clone()));
        let id = id.clone();
        writers.spawn(async move { (id.clone(), write_until_the_end(writer, id).await) });
    }
    counted.wait_for(|it| *it >= until).await.unwrap();
    daemon.crash().await;
    let known: BTreeMap<_, _> = writers.join_all().await.into_iter().collect();
    let seen = followers.join_all().await;
    *daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    let mut host = daemon.host().await;
    let mut found = BTreeMap::new();
    for (id, known) in &known {
        let mut transcript = Vec::new();
        let mut from = json!(0);
        while !from.is_null() {
            let params = json!({ "meeting_id": id, "from": from, "limit": 5000 });
            let mut page = host.call("meeting.get", params).await.unwrap();
            assert_eq!(page["status"], "interrupted");
            transcript.append(page["transcript"].as_array_mut().unwrap());
            from = page["next"].take();
        }
        assert!(transcript.len() >= known.acknowledged, "{id}: an acknowledged text is lost");
        assert!(transcript.len() <= known.sent.len(), "{id}: a text was invented");
        for (n, (segment, sent)) in transcript.iter().zip(&known.sent).enumerate() {
            assert_eq!((&segment["n"], &segment["text"]), (&json!(n), &json!(sent)), "{id}");
        }
        let file = daemon.read(&format!("meetings/{id}/transcript.jsonl"));
        assert_eq!(file.lines().count(), transcript.len(), "every line reads");
        all.acknowledged += known.acknowledged;
        all.unacknowledged += transcript.len() - known.acknowledged;
        found.insert(id.clone(), transcript);
    }
    for (id, seen) in &seen {
        let is_there = |(n, segment): (&u64, &Value)| found[id].get(*n as usize) == Some(segment);
        assert!(seen.iter().all(is_there), "{id}: a segment that was seen is not there");
        all.seen += seen.len();
    }
    all.kills += 1;
    // One of them ends as an operator ends it.
    let stopped = host.call("meeting.stop", json!({ "meeting_id": ids[0] })).await.unwrap();
    assert_eq!(stopped["status"], "ended");
    for id in &ids {
        let gone = host.call("meeting.delete", json!({ "meeting_id": id })).await.unwrap();
        assert_eq!(gone["deleted"], true);
    }
}

/// The moments of death come from a seed, which a failure prints.
async fn rounds(kills: usize) {
    let seed = std::env::var("CARPORT_CRASH_SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("CARPORT_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut daemon = Daemon::start(&[]).await;
    let mut all = Summary::default();
    for nth in 0..kills {
        round(&mut daemon, nth, random.random_range(1..1500), &mut all).await;
    }
    eprintln!("{all:?}");
    assert!(all.kills == kills && all.acknowledged > 0 && all.seen > 0, "nothing was at stake");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_said_survives_a_few_kills() {
    rounds(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: tests/run --long"]
async fn what_was_said_survives_two_hundred_kills() {
    rounds(200).await;
}
