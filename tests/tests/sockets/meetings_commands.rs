//! `carport meetings` against a real daemon: what it prints, what it refuses, and how it ends when it is told to.

use std::{fs, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    daemon::{Daemon, PATIENCE, binary, command},
    meetings::{err, out, parsed, shown, start},
    subtitles, talk,
};

/// A meeting of two texts that is over.
async fn over(daemon: &Daemon, id: &str) {
    let mut peer = daemon.client().await;
    start(&mut peer, json!({ "id": id, "title": "Plan <b>" })).await;
    let said = json!([
        { "text": "We decided to --> ship & test.", "speaker": "S1", "start_ms": 0, "end_ms": 2000 },
        { "text": "Ann will write the notes.", "speaker": "S2", "start_ms": 2000, "end_ms": 61_500 },
    ]);
    peer.call("meeting.append", json!({ "meeting_id": id, "segments": said })).await.unwrap();
    peer.call("meeting.stop", json!({ "meeting_id": id })).await.unwrap();
}

#[tokio::test]
async fn meetings_are_listed_shown_named_exported_and_removed() {
    let daemon = Daemon::start(&[]).await;
    let run = async |words: &[&str]| daemon.run(&[&["meetings"], words].concat()).await;
    assert!(out(&run(&["list"]).await).contains("no meetings"));
    assert_eq!(parsed(&run(&["list", "--json"]).await), json!([]));
    for id in ["first", "second"] {
        over(&daemon, id).await;
    }
    let list = out(&run(&["list"]).await);
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[0].starts_with("MEETING") && lines[0].contains("SEGMENTS"), "{list}");
    assert!(lines[1].starts_with("second") && lines[2].starts_with("first"), "{list}");
    assert!(lines[1].contains("ended") && lines[1].contains("Plan <b>"), "{list}");
    let newest = parsed(&run(&["list", "--limit", "1", "--json"]).await);
    assert_eq!((newest.as_array().unwrap().len(), &newest[0]["id"]), (1, &json!("second")));

    let named = run(&["name", "first", "S1", "Ann"]).await;
    assert_eq!(out(&named), "S1 is shown as Ann: 1 segment\n", "{named:?}");
    assert_eq!(run(&["name", "first", "S9", "Bo"]).await.status.code(), Some(5));
    let show = out(&run(&["show", "first"]).await);
    for part in [
        "Plan <b>\n",
        "2 segments",
        "Ann 0:00:02, S2 0:00:59",
        "## Decisions",
        "00:00.0 Ann We decided",
    ] {
        assert!(show.contains(part), "{part}: {show}");
    }
    assert_eq!(shown(&daemon, "first").await["transcript"][1]["speaker"], "S2");

    let vtt = out(&run(&["export", "first", "--format", "vtt"]).await);
    let cues = subtitles::web_vtt(&vtt).unwrap();
    assert_eq!((&*cues[0].voice, &*cues[0].text), ("Ann", "We decided to --> ship & test."));
    assert!(subtitles::subrip(&out(&run(&["export", "first", "--format", "srt"]).await)).is_ok());
    let file = daemon.path("a meeting.vtt");
    let path = file.to_str().unwrap();
    let wrote = parsed(&run(&["export", "first", "--format", "vtt", "-o", path, "--json"]).await);
    assert_eq!((&wrote["file"], &wrote["bytes"]), (&json!(path), &json!(vtt.len())));
    assert_eq!(fs::read_to_string(&file).unwrap(), vtt);
    assert_eq!(run(&["export", "first", "-o", "/no/such/dir/f"]).await.status.code(), Some(1));
    assert_eq!(run(&["export", "nothing", "-o", path]).await.status.code(), Some(5));
    assert_eq!(fs::read_to_string(&file).unwrap(), vtt, "a file is not touched in vain");

    for words in [
        &["show", "nothing"][..],
        &["stop", "nothing"],
        &["show", "../x"],
        &["show", "nothing", "--follow"],
    ] {
        let failed = run(words).await;
        assert_eq!(failed.status.code(), Some(5), "{failed:?}");
        assert!(
            err(&failed).starts_with("error: ") && err(&failed).lines().count() == 1,
            "{failed:?}"
        );
    }
    let gone = run(&["delete", "first", "nothing"]).await;
    assert_eq!(out(&gone), "first: removed\nnothing: there was none\n", "{gone:?}");
    assert!(!daemon.path("meetings/first").exists());
}

#[tokio::test]
async fn a_command_that_cannot_record_says_why() {
    let daemon = Daemon::start(&[]).await;
    over(&daemon, "taken").await;
    let sound = talk::sound();
    let sound = sound.to_str().unwrap();
    let text = daemon.path("config.toml");
    fs::write(&text, "# no sound\n").unwrap();
    for (words, code, why) in [
        (vec!["--from", "/no/such.wav"], 1, "/no/such.wav: "),
        (vec!["--from", text.to_str().unwrap()], 1, "WAV, MP3, FLAC or Ogg Vorbis"),
        (vec!["--from", sound, sound, sound, sound, sound], 2, "at most 4 sources"),
        (vec!["--from", sound, "--speaker", "A", "--speaker", "B"], 2, "2 speakers for 1 file"),
        (vec!["--from", sound, "--id", "taken"], 5, "choose another id"),
        (vec!["--from", sound, "--id", "a/b"], 5, "`id`"),
        (vec!["--from", sound, "--provider", "nobody"], 5, "nobody"),
    ] {
        let failed = daemon.run(&[&["meetings", "record"], &words[..]].concat()).await;
        assert_eq!(failed.status.code(), Some(code), "{failed:?}");
        assert!(err(&failed).contains(why), "{why}: {failed:?}");
    }
    let list = parsed(&daemon.run(&["meetings", "list", "--json"]).await);
    assert_eq!(list.as_array().unwrap().len(), 1, "nothing else began");
}

/// A command that goes on, and its lines.
struct Running {
    child: Child,
    lines: Lines<BufReader<Box<dyn AsyncRead + Unpin>>>,
}

impl Running {
    fn start(daemon: &Daemon, words: &[&str]) -> Self {
        let mut command: Command = command(&binary(), daemon.root.path(), words);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().unwrap();
        let out: Box<dyn AsyncRead + Unpin> = Box::new(child.stdout.take().unwrap());
        Self { child, lines: BufReader::new(out).lines() }
    }

    /// Records the talk no faster than it sounds.
    fn recording(daemon: &Daemon, id: &str) -> Self {
        let sound = talk::sound();
        let from =
            ["meetings", "record", "--real-time", "--json", "--from", sound.to_str().unwrap()];
        Self::start(daemon, &[&from[..], &["--id", id]].concat())
    }

    /// The next event of this kind.
    async fn told(&mut self, kind: &str) -> Value {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time");
            let event: Value = serde_json::from_str(&line.unwrap().expect("a line")).unwrap();
            if event["type"] == kind {
                return event;
            }
        }
    }

    fn interrupt(&self) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Its exit code, and what it wrote to standard error.
    async fn ended(self) -> (Option<i32>, String) {
        let output =
            timeout(PATIENCE, self.child.wait_with_output()).await.expect("an end in time");
        let output = output.unwrap();
        (output.status.code(), err(&output))
    }
}

#[tokio::test]
async fn an_interrupted_recording_keeps_what_was_said() {
    let daemon = Daemon::start(&[]).await;
    let mut recording = Running::recording(&daemon, "m");
    recording.told("meeting").await;
    let mut following = Running::start(&daemon, &["meetings", "show", "m", "--follow", "--json"]);
    let first = recording.told("segment").await;
    recording.interrupt();
    assert_eq!(recording.told("status").await["ended_by"], "stop");
    assert_eq!(recording.ended().await.0, Some(130));
    let whole = shown(&daemon, "m").await;
    assert_eq!(
        (&whole["meeting"]["status"], &whole["meeting"]["ended_by"]),
        (&json!("ended"), &json!("stop"))
    );
    assert_eq!(whole["transcript"][0], first["segment"]);
    assert!(whole["summary"].as_str().is_some_and(|it| !it.is_empty()), "{whole}");
    assert_eq!(following.told("segment").await["segment"], first["segment"]);
    assert_eq!(following.told("status").await["status"], "ended");
    assert_eq!(following.ended().await.0, Some(0));
}

#[tokio::test]
async fn a_recording_whose_meeting_or_daemon_ends_says_where_the_rest_is() {
    let mut daemon = Daemon::start(&[]).await;
    let mut recording = Running::recording(&daemon, "m1");
    recording.told("meeting").await;
    let stopped = daemon.run(&["meetings", "stop", "m1", "--no-summary"]).await;
    assert!(stopped.status.success(), "{stopped:?}");
    let (code, why) = recording.ended().await;
    assert_eq!(code, Some(5), "{why}");
    assert!(why.contains("was over before all was heard"), "{why}");

    let mut recording = Running::recording(&daemon, "m2");
    recording.told("meeting").await;
    let mut following = Running::start(&daemon, &["meetings", "show", "m2", "--follow", "--json"]);
    following.told("meeting").await;
    daemon.crash().await;
    for running in [recording, following] {
        let (code, why) = running.ended().await;
        assert_eq!(code, Some(3), "{why}");
        assert!(why.contains("`carport meetings show m2` has what was said"), "{why}");
    }
}
