//! Meetings of real daemons: the talk of three from its sound to its subtitles, and starts that are refused.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::{
    daemon::{Daemon, Peer, binary, command, until},
    memory::bound,
    subtitles, talk,
};

/// How long a talk may take to be heard on a busy machine.
const HEARING: Duration = Duration::from_secs(150);

pub(crate) fn out(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn parsed(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not JSON: {output:?}"))
}

/// A meeting with all of its transcript, as a command shows it.
pub(crate) async fn shown(daemon: &Daemon, id: &str) -> Value {
    parsed(&daemon.run(&["meetings", "show", id, "--json"]).await)
}

/// Records the talk by a command, with more flags.
async fn record(daemon: &Daemon, more: &[&str]) -> std::process::Output {
    let sound = talk::sound();
    let args = ["meetings", "record", "--diarize", "--from", sound.to_str().unwrap()];
    let mut recording = command(&binary(), daemon.root.path(), &[&args, more].concat());
    let recording = recording.stdin(Stdio::null()).kill_on_drop(true).output();
    timeout(HEARING, recording).await.expect("it ends in time").unwrap()
}

/// The talk is whole, everywhere that it is to be.
async fn check(daemon: &Daemon, id: &str) {
    let whole = shown(daemon, id).await;
    assert_eq!(
        (&whole["meeting"]["status"], &whole["meeting"]["ended_by"]),
        (&json!("ended"), &json!("stop"))
    );
    let transcript = whole["transcript"].as_array().unwrap();
    assert_eq!(talk::right_turns(transcript), (8, 8), "{transcript:#?}");
    let summary = whole["summary"].as_str().unwrap();
    assert!(summary.contains("## Summary") && summary.contains("Friday"), "{summary}");
    assert!(daemon.read(&format!("meetings/{id}/summary.md")).ends_with(summary));

    let mut peer = bound(daemon, "team").await;
    let found = peer.call("memory.query", json!({ "query": "release Friday" })).await.unwrap();
    assert_eq!(found[0]["fact_id"], format!("meeting-{id}"), "{found}");
    assert!(found[0]["body"].as_str().unwrap().contains("Friday"), "{found}");
    let context = peer.call("memory.build_context", json!({ "query": "release" })).await.unwrap();
    let last = transcript[7]["text"].as_str().unwrap();
    assert!(context.as_str().unwrap().contains(&format!(": {last}")), "{context}");
    let stats = peer.call("memory.stats", json!({})).await.unwrap();
    assert_eq!(stats["turns"], 8, "{stats}");

    let export =
        async |format| out(&daemon.run(&["meetings", "export", id, "--format", format]).await);
    for cues in [subtitles::web_vtt(&export("vtt").await), subtitles::subrip(&export("srt").await)]
    {
        let cues = cues.unwrap();
        assert_eq!(cues.len(), transcript.len());
        for (cue, segment) in cues.iter().zip(transcript) {
            let said = (json!(cue.voice), json!(cue.text), json!(cue.start_ms), json!(cue.end_ms));
            let [speaker, text, start, end] =
                ["speaker", "text", "start_ms", "end_ms"].map(|it| segment[it].clone());
            assert_eq!(said, (speaker, text, start, end));
        }
    }
    let document = export("md").await;
    assert!(
        document.starts_with("# Weekly\n") && document.contains("\n## Transcript\n"),
        "{document}"
    );
}

#[tokio::test]
async fn a_talk_of_three_is_recorded_remembered_summed_up_and_exported() {
    let daemon = Daemon::start(&[]).await;
    let more = ["--id", "talk", "--title", "Weekly", "--namespace", "team"];
    let recorded = record(&daemon, &more).await;
    assert!(recorded.status.success(), "{recorded:?}");
    let text = out(&recorded);
    assert!(text.contains("S1") && text.contains("S2") && text.contains("S3"), "{text}");
    assert!(text.contains("## Summary"), "{text}");
    assert!(err(&recorded).contains("meeting talk: ended, 8 segments in 0:0"), "{recorded:?}");
    check(&daemon, "talk").await;
}

#[tokio::test]
#[ignore = "long: tests/run --long"]
async fn a_talk_of_three_is_heard_as_it_is_said() {
    let daemon = Daemon::start(&[]).await;
    let began = Instant::now();
    let more = ["--id", "talk", "--title", "Weekly", "--namespace", "team", "--real-time"];
    let reading = async {
        let transcript = daemon.path("meetings/talk/transcript.jsonl");
        let lines = || fs::read_to_string(&transcript).map_or(0, |it| it.lines().count());
        until("the first turn is on disk", || lines() > 0).await;
        began.elapsed()
    };
    let (recorded, first) = tokio::join!(record(&daemon, &more), reading);
    assert!(recorded.status.success(), "{recorded:?}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(34_000), "it is as long as it sounds: {took:?}");
    assert!(
        first < Duration::from_secs(12),
        "the first turn was on disk while others spoke: {first:?}"
    );
    eprintln!("the first turn was on disk after {first:.1?}, all was over after {took:.1?}");
    check(&daemon, "talk").await;
}

/// Starts a meeting and follows it.
pub(crate) async fn start(peer: &mut Peer, params: Value) -> Value {
    let started = peer.call("meeting.start", params).await.unwrap();
    peer.call("meeting.subscribe", json!({ "meeting_id": started["id"] })).await.unwrap();
    started
}

/// Waits for what a meeting says of this kind; the notification's parameters.
pub(crate) async fn told(peer: &mut Peer, kind: &str) -> Value {
    let event = |it: &Value| it["method"] == "meeting.event" && it["params"]["type"] == kind;
    peer.frame(event).await["params"].take()
}

/// Names of what lies in the daemon's folder of meetings.
pub(crate) fn on_disk(daemon: &Daemon) -> Vec<String> {
    let Ok(entries) = fs::read_dir(daemon.path("meetings")) else { return Vec::new() };
    let name = |it: std::io::Result<fs::DirEntry>| it.unwrap().file_name().into_string().unwrap();
    entries.map(name).collect()
}

#[tokio::test]
async fn of_two_starts_of_one_id_one_is_a_meeting() {
    let daemon = Daemon::start(&[]).await;
    let mut peers = [daemon.client().await, daemon.client().await, daemon.host().await];
    let mut sent = Vec::new();
    for peer in &mut peers {
        sent.push(peer.send("meeting.start", json!({ "id": "one" })).await);
    }
    let mut begun = Vec::new();
    for (peer, id) in peers.iter_mut().zip(sent) {
        begun.push(peer.reply(id).await);
    }
    let errors: Vec<_> = begun.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!(errors.len(), 2, "{begun:?}");
    assert!(errors.iter().all(|it| it["code"] == -32008), "{errors:?}");
    let starter = begun.iter().position(|it| it.is_ok()).unwrap();
    peers[starter].call("meeting.stop", json!({ "meeting_id": "one" })).await.unwrap();
    // What is only on disk has its name, too.
    let again = peers[0].call("meeting.start", json!({ "id": "one" })).await.unwrap_err();
    assert_eq!(again["code"], -32008);
    assert!(again["message"].as_str().unwrap().contains("choose another id"), "{again}");
    assert_eq!(on_disk(&daemon), ["one"]);
}

#[tokio::test]
async fn what_cannot_begin_leaves_nothing_behind() {
    let daemon = Daemon::start(&[]).await;
    let mut peer = daemon.client().await;
    let lent = talk::lend(&daemon);
    for id in ["", ".", "..", "../x", "a/b", "-a", ".a", "ü", "a b", "a\u{0}", &"x".repeat(65)] {
        let error = peer.call("meeting.start", json!({ "id": id })).await.unwrap_err();
        assert_eq!(
            (&error["code"], &error["data"]["field"]),
            (&json!(-32602), &json!("id")),
            "{id}: {error}"
        );
        for method in ["get", "stop", "subscribe", "delete"] {
            let error = peer.call(&format!("meeting.{method}"), json!({ "meeting_id": id })).await;
            let error = error.unwrap_err();
            assert_eq!(error["data"]["field"], "meeting_id", "{method} {id}: {error}");
        }
    }
    let file = |path: &str| json!({ "kind": "file", "path": path });
    let source = |name: &str, path: &str| json!({ "source": name, "audio_source": file(path) });
    for (what, params) in [
        ("no such file", json!({ "id": "x", "audio_source": file("nothing.wav") })),
        ("a way out", json!({ "id": "x", "audio_source": file("../../config.toml") })),
        (
            "one of two",
            json!({ "id": "x", "sources": [source("a", lent), source("b", "nothing.wav")] }),
        ),
        ("one name twice", json!({ "id": "x", "sources": [source("a", lent), source("a", lent)] })),
        ("no sources", json!({ "id": "x", "sources": [] })),
        ("both", json!({ "id": "x", "audio_source": file(lent), "sources": [source("a", lent)] })),
        ("no provider", json!({ "id": "x", "options": { "provider": "nobody" } })),
    ] {
        let error = peer.call("meeting.start", params).await.unwrap_err();
        let code = error["code"].as_i64().unwrap();
        assert!([-32602, -32007, -32013].contains(&code), "{what}: {error}");
        assert_eq!(on_disk(&daemon), [""; 0], "{what}");
        let streams = peer.call("voice.sessions.list", json!({})).await.unwrap();
        assert_eq!(streams, json!([]), "{what}: no stream is left");
    }
    // The name is free still.
    peer.call("meeting.start", json!({ "id": "x" })).await.unwrap();
}

#[tokio::test]
async fn nobody_feels_around_the_disk_with_roots() {
    let listed = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for root in [&listed, &elsewhere] {
        let other = Daemon::start(&[]).await;
        let mut peer = other.client().await;
        start(&mut peer, json!({ "id": "old", "title": "Of another" })).await;
        peer.call("meeting.stop", json!({ "meeting_id": "old" })).await.unwrap();
        copy(&other.path("meetings/old"), &root.path().join("old"));
    }
    let config = |more: &str| format!("[meetings]\nroots = [{:?}]\n{more}", listed.path());
    let daemon = Daemon::with_config(&config("")).await;
    let mut peer = daemon.client().await;
    let all = peer.call("meeting.list", json!({ "root": listed.path() })).await.unwrap();
    assert_eq!(all["meetings"][0]["title"], "Of another");
    let got = peer.call("meeting.get", json!({ "meeting_id": "old", "root": listed.path() })).await;
    assert_eq!(got.unwrap()["id"], "old");
    let own = daemon.path("meetings");
    let link = daemon.path("link");
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    for root in ["", own.to_str().unwrap()] {
        let none = peer.call("meeting.list", json!({ "root": root })).await.unwrap();
        assert_eq!(none["meetings"], json!([]));
    }
    let way_out = listed.path().join("..").join(elsewhere.path().file_name().unwrap());
    let roots: [PathBuf; 6] =
        ["/".into(), "meetings".into(), "..".into(), elsewhere.path().into(), link, way_out];
    for root in &roots {
        for (method, params) in [
            ("meeting.list", json!({ "root": root })),
            ("meeting.get", json!({ "root": root, "meeting_id": "old" })),
        ] {
            let error = peer.call(method, params).await.unwrap_err();
            assert_eq!(
                (&error["code"], &error["data"]["field"]),
                (&json!(-32602), &json!("root")),
                "{error}"
            );
        }
    }
    let daemon = Daemon::with_config(&config("foreign_root = \"empty\"\n")).await;
    let mut peer = daemon.client().await;
    for root in &roots {
        let none = peer.call("meeting.list", json!({ "root": root })).await.unwrap();
        assert_eq!(none, json!({ "meetings": [] }));
        let error = peer.call("meeting.get", json!({ "root": root, "meeting_id": "old" })).await;
        assert_eq!(error.unwrap_err()["code"], -32007);
    }
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Whoever vanishes leaves a meeting that is over, with what was said in it.
#[tokio::test]
async fn a_meeting_ends_with_the_connection_that_started_it() {
    let daemon = Daemon::start(&[]).await;
    let mut gone = bound(&daemon, "team").await;
    start(&mut gone, json!({ "id": "m" })).await;
    let said = json!([{ "text": "We decided to ship on Friday.", "speaker": "Ann" }]);
    gone.call("meeting.append", json!({ "meeting_id": "m", "segments": said })).await.unwrap();
    let mut other = bound(&daemon, "team").await;
    let error = other.call("meeting.stop", json!({ "meeting_id": "m" })).await.unwrap_err();
    assert_eq!(error["code"], -32002, "{error}");
    other.call("meeting.subscribe", json!({ "meeting_id": "m" })).await.unwrap();
    // Without a closing handshake.
    drop(gone);
    let status = told(&mut other, "status").await;
    assert_eq!((&status["status"], &status["ended_by"]), (&json!("ended"), &json!("disconnect")));
    let summary = told(&mut other, "summary").await;
    assert!(summary["summary"].as_str().unwrap().contains("ship on Friday"), "{summary}");
    let whole = shown(&daemon, "m").await;
    assert_eq!(whole["transcript"][0]["speaker"], "Ann");
    assert_eq!(whole["summary"], summary["summary"]);
    let found = other.call("memory.query", json!({ "query": "Friday" })).await.unwrap();
    assert_eq!(found[0]["fact_id"], "meeting-m", "{found}");
    let streams = other.call("voice.sessions.list", json!({})).await.unwrap();
    assert_eq!(streams, json!([]));
}
