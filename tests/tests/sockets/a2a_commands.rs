//! `carport a2a` against real daemons: one that is asked, and one that is its peer.

use std::{fs, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use crate::{
    daemon::{Daemon, PATIENCE, binary, command, run_on},
    meetings::{err, out, parsed},
};

/// A daemon that answers as conformance tests ask for.
async fn obedient(args: &[&str]) -> Daemon {
    Daemon::start(&[&["--a2a-test-executor"], args].concat()).await
}

/// A daemon that may call agents of this machine.
async fn asking() -> Daemon {
    Daemon::with_config("[a2a]\nallow = [\"127.0.0.1\"]\n").await
}

/// Where a daemon's listener is, as `--status` says.
async fn listener(daemon: &Daemon) -> String {
    let status = parsed(&daemon.run(&["a2a", "serve", "--status", "--json"]).await);
    status["public_url"].as_str().expect("it listens").to_owned()
}

#[tokio::test]
async fn a_listener_is_started_shown_and_stopped() {
    let daemon = obedient(&[]).await;
    let serve = async |words: &[&str]| daemon.run(&[&["a2a", "serve"], words].concat()).await;
    assert!(out(&serve(&["--status"]).await).contains("`carport a2a serve` starts one"));
    assert_eq!(parsed(&serve(&["--status", "--json"]).await), json!({ "running": false }));
    let none = serve(&["--stop"]).await;
    assert_eq!(none.status.code(), Some(5));
    assert!(err(&none).contains("no A2A listener is running"), "{none:?}");
    for (bind, why) in [("127.0.0.1", "`bind`: must be `host:port`"), ("0.0.0.0:0", "loopback")] {
        let refused = serve(&["--bind", bind]).await;
        assert_eq!(refused.status.code(), Some(5), "{refused:?}");
        assert!(err(&refused).contains(why), "{refused:?}");
    }

    let started = out(&serve(&["--name", "Clerk"]).await);
    let url = listener(&daemon).await;
    assert!(started.starts_with(&format!("listening {url}\n")), "{started}");
    assert!(
        started.contains(&format!("card      {url}/.well-known/agent-card.json\n")),
        "{started}"
    );
    let again = serve(&[]).await;
    assert_eq!(again.status.code(), Some(5));
    assert!(err(&again).contains("stop it first"), "{again:?}");

    let card = out(&run_on(daemon.root.path(), &["a2a", "card", &url]).await);
    assert!(card.starts_with("Clerk 0."), "{card}");
    for line in [
        format!("interface    {url}/  JSONRPC 1.0\n"),
        format!("interface    {url}/  JSONRPC 0.3\n"),
        format!("interface    {url}  HTTP+JSON 1.0\n"),
        "can          streaming, push notifications, extended card".into(),
        "security     none asked for\n".into(),
    ] {
        assert!(card.contains(&line), "{line}: {card}");
    }
    assert!(card.contains("SKILL") && card.contains("read_file"), "{card}");
    let whole = parsed(
        &daemon
            .run(&["a2a", "card", &format!("{url}/.well-known/agent-card.json"), "--json"])
            .await,
    );
    assert_eq!(whole["supportedInterfaces"][0]["protocolVersion"], "1.0");
    let own = daemon.run(&["a2a", "card"]).await;
    assert!(out(&own).contains(&format!("interface    {url}/  JSONRPC 1.0\n")), "{own:?}");
    assert!(err(&own).contains(&url), "{own:?}");

    assert_eq!(out(&serve(&["--stop"]).await), "stopped; tasks go on\n");
    let own = out(&daemon.run(&["a2a", "card"]).await);
    assert!(own.contains("urn:carport:a2a:jsonrpc-websocket:1 1.0"), "{own}");
    let gone = daemon.run(&["a2a", "card", &url]).await;
    assert_eq!(gone.status.code(), Some(1));
    assert!(err(&gone).contains("no agent answers at"), "{gone:?}");
}

#[tokio::test]
async fn this_daemon_is_sent_messages_and_keeps_their_tasks() {
    let daemon = obedient(&[]).await;
    let run = async |words: &[&str]| daemon.run(&[&["a2a"], words].concat()).await;
    assert!(out(&run(&["tasks", "list"]).await).contains("no tasks"));

    let done = run(&["send", ".", "tck-complete-task", "--wait"]).await;
    assert!(done.status.success(), "{done:?}");
    let lines = out(&done);
    let lines: Vec<_> = lines.lines().collect();
    assert!(lines[0].starts_with("task ") && lines[0].contains("  context "), "{lines:?}");
    assert_eq!(lines[1..], ["completed  Hello from TCK"]);
    let answer = run(&["send", ".", "tck-message-response"]).await;
    assert_eq!(out(&answer), "Direct message response\n");
    let streamed = run(&["send", ".", "tck-artifact-data", "--stream"]).await;
    assert!(streamed.status.success(), "{streamed:?}");
    let shown = out(&streamed);
    assert!(
        shown.contains("{\"count\":42,\"key\":\"value\"}")
            || shown.contains("{\"key\":\"value\",\"count\":42}"),
        "{shown}"
    );
    assert!(shown.ends_with("\ncompleted\n"), "{shown}");

    let refused = run(&["send", ".", "tck-reject-task", "--wait"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("was rejected by the agent: rejected"), "{refused:?}");

    let asked = run(&["send", ".", "tck-input-required", "--wait", "--json"]).await;
    assert!(asked.status.success(), "{asked:?}");
    let task = parsed(&asked)["task"].clone();
    let id = task["id"].as_str().unwrap();
    let more = run(&["send", ".", "tck-complete-task", "--task", id, "--stream"]).await;
    assert!(more.status.success(), "{more:?}");
    assert!(
        out(&more).contains(id) && out(&more).contains("completed  Hello from TCK"),
        "{more:?}"
    );
    let over = run(&["send", ".", "more", "--task", id]).await;
    assert_eq!(over.status.code(), Some(5), "{over:?}");
    let show = out(&run(&["tasks", "show", id]).await);
    assert!(
        show.contains(
            "user  tck-input-required\nagent  Input is needed\nuser  tck-complete-task\n"
        ),
        "{show}"
    );

    let list = out(&run(&["tasks", "list"]).await);
    assert_eq!(list.lines().count(), 5, "a header and four tasks: {list}");
    assert!(list.starts_with("TASK") && list.contains("rejected"), "{list}");
    let completed =
        parsed(&run(&["tasks", "list", "--state", "completed", "--limit", "2", "--json"]).await);
    assert_eq!(completed.as_array().unwrap().len(), 2);
    assert_eq!(completed[0]["id"], id, "the newest first");
    let context = task["contextId"].as_str().unwrap();
    let one = parsed(&run(&["tasks", "list", "--context", context, "--json"]).await);
    assert_eq!(one.as_array().unwrap().len(), 1);

    for words in
        [&["show", "nothing"][..], &["cancel", "nothing"], &["follow", "nothing"], &["cancel", id]]
    {
        let failed = run(&[&["tasks"], words].concat()).await;
        assert_eq!(failed.status.code(), Some(5), "{failed:?}");
        assert_eq!(err(&failed).lines().count(), 1, "{failed:?}");
    }
    let missing = run(&["tasks", "show", "nothing", "--json"]).await;
    let error: Value = serde_json::from_slice(&missing.stderr).unwrap();
    assert_eq!(error["error"]["data"][0]["reason"], "TASK_NOT_FOUND");
}

#[tokio::test]
async fn a_task_that_works_is_followed_and_cancelled() {
    let daemon = obedient(&[]).await;
    let sent = daemon.run(&["a2a", "send", ".", "test-resubscribe-message-id", "--json"]).await;
    let id = parsed(&sent)["task"]["id"].as_str().unwrap().to_owned();
    let mut following = command(&binary(), daemon.root.path(), &["a2a", "tasks", "follow", &id]);
    let following = following.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut following = following.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut heard = async || timeout(PATIENCE, lines.next_line()).await.expect("in time").unwrap();
    assert!(heard().await.unwrap().starts_with(&format!("task {id}")));
    let cancelled = daemon.run(&["a2a", "tasks", "cancel", &id]).await;
    assert_eq!(out(&cancelled), format!("{id}: cancelled\n"), "{cancelled:?}");
    while let Some(line) = heard().await {
        assert!(["submitted", "working", "canceled"].contains(&line.as_str()), "{line}");
    }
    let ended = timeout(PATIENCE, following.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(err(&ended).contains(&format!("task {id} was cancelled")), "{ended:?}");
}

#[tokio::test]
async fn a_peer_is_added_and_asked_by_its_name() {
    let peer = obedient(&["--a2a-bind", "127.0.0.1:0"]).await;
    let url = listener(&peer).await;
    let daemon = asking().await;
    let run = async |words: &[&str]| daemon.run(&[&["a2a"], words].concat()).await;
    assert!(out(&run(&["peers", "list"]).await).contains("no peers"));
    let added = out(&run(&["peers", "add", &format!("{url}/"), "--label", "the other"]).await);
    assert_eq!(added, format!("peer_127_0_0_1  {url}  the other\n"));
    let again = run(&["peers", "add", &url]).await;
    assert_eq!(again.status.code(), Some(5), "{again:?}");
    let name = "peer_127_0_0_1";
    assert_eq!(out(&run(&["peers", "show", name]).await), added);
    let list = parsed(&run(&["peers", "list", "--json"]).await);
    assert_eq!(list, json!([{ "slug": name, "url": url, "label": "the other" }]));
    assert!(out(&run(&["card", name]).await).contains("JSONRPC 1.0"));

    let sent = run(&["send", name, "tck-artifact-file", "--wait"]).await;
    assert!(sent.status.success(), "{sent:?}");
    assert!(out(&sent).contains("[output.txt, text/plain, 3 bytes]\ncompleted"), "{sent:?}");
    let json = parsed(&run(&["send", name, "tck-complete-task", "--wait", "--json"]).await);
    assert_eq!(
        (&json["version"], &json["task"]["status"]["state"]),
        (&json!("1.0"), &json!("TASK_STATE_COMPLETED"))
    );
    let streamed = run(&["send", name, "tck-stream-001", "--stream"]).await;
    assert!(streamed.status.success(), "{streamed:?}");
    let text = out(&streamed);
    let lines: Vec<_> = text.lines().skip_while(|it| *it != "working").collect();
    assert!(
        lines.len() == 3
            && lines[1].ends_with("  Stream hello from TCK")
            && lines[2] == "completed",
        "{text}"
    );
    let events = run(&["send", &url, "tck-stream-artifact-chunked", "--stream", "--json"]).await;
    let events: Vec<Value> =
        out(&events).lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(events[0]["task"]["id"].is_string(), "{events:?}");
    assert!(events.iter().any(|it| it["artifactUpdate"]["append"] == true), "{events:?}");

    // The peer's tasks are this caller's there, and nobody's here.
    let there = parsed(&run(&["tasks", "--at", name, "list", "--json"]).await);
    assert_eq!(there.as_array().unwrap().len(), 4, "{there}");
    let id = there[0]["id"].as_str().unwrap();
    assert!(out(&run(&["tasks", "show", id, "--at", &url]).await).contains("completed"));
    assert_eq!(run(&["tasks", "cancel", id, "--at", name]).await.status.code(), Some(5));
    assert_eq!(run(&["tasks", "show", id]).await.status.code(), Some(5));
    let long = parsed(&run(&["send", name, "test-resubscribe-message-id", "--json"]).await);
    let long = long["task"]["id"].as_str().unwrap();
    let follow = ["tasks", "follow", long, "--at", name];
    let cancel = ["tasks", "cancel", long, "--at", name];
    let (followed, cancelled) = tokio::join!(run(&follow), run(&cancel));
    assert!(cancelled.status.success(), "{cancelled:?}");
    // Whoever comes after the end is told that there is nothing to follow.
    assert!([Some(1), Some(5)].contains(&followed.status.code()), "{followed:?}");

    assert_eq!(
        out(&run(&["peers", "remove", name, "other"]).await),
        format!("{name}: removed\nother: there was none\n")
    );
}

#[tokio::test]
async fn a_peer_that_asks_for_a_token_gets_it_from_where_it_is_kept() {
    let peer = obedient(&[]).await;
    let started = peer.run(&["a2a", "serve", "--auth", "bearer"]).await;
    assert!(started.status.success(), "{started:?}");
    let url = listener(&peer).await;
    let daemon = asking().await;
    let run = async |words: &[&str]| daemon.run(&[&["a2a"], words].concat()).await;
    assert!(out(&run(&["card", &url]).await).contains("security     Bearer token\n"));
    let token = peer.read("run/auth-token").trim().to_owned();
    let from = format!("file:{}", peer.path("run/auth-token").display());
    for mode in ["--wait", "--stream"] {
        let sent = run(&["send", &url, "tck-complete-task", mode, "--token-from", &from]).await;
        assert!(out(&sent).ends_with("completed  Hello from TCK\n"), "{mode}: {sent:?}");
    }
    let denied = run(&["send", &url, "tck-complete-task", "--stream"]).await;
    assert_eq!(denied.status.code(), Some(4));
    assert!(err(&denied).contains("`--token-from`"), "{denied:?}");
    assert_eq!(run(&["send", &url, "tck-complete-task"]).await.status.code(), Some(5));

    let mut by_variable =
        command(&binary(), daemon.root.path(), &["a2a", "tasks", "list", "--json", "--at", &url]);
    by_variable.args(["--token-from", "env:PEER_TOKEN"]).env("PEER_TOKEN", &token);
    let list = by_variable.stdin(Stdio::null()).output().await.unwrap();
    assert_eq!(parsed(&list).as_array().unwrap().len(), 2, "{list:?}");
    let literal = run(&["tasks", "list", "--at", &url, "--token-from", &token]).await;
    assert_eq!(literal.status.code(), Some(2));
    assert!(!err(&literal).contains(&token), "a token is not repeated");
    assert!(!daemon.log().contains(&token) && !peer.log().contains(&token));
}

#[tokio::test]
async fn what_cannot_be_asked_says_why() {
    let nowhere = tempfile::tempdir().unwrap();
    for words in
        [&["serve"][..], &["send", ".", "hello"], &["tasks", "list"], &["peers", "list"], &["card"]]
    {
        let failed = run_on(nowhere.path(), &[&["a2a"], words].concat()).await;
        assert_eq!(failed.status.code(), Some(3), "{failed:?}");
        assert!(err(&failed).contains("`carport serve`"), "{failed:?}");
    }
    let daemon = Daemon::start(&[]).await;
    let file = daemon.path("config.toml");
    fs::write(&file, "no JSON").unwrap();
    let file = format!("@{}", file.display());
    for (words, code, why) in [
        (vec!["send", "nobody", "hello"], 1, "no such peer `nobody`; `carport a2a peers list`"),
        (vec!["card", "nobody"], 1, "no such peer `nobody`"),
        (vec!["peers", "show", "nobody"], 1, "no such peer `nobody`"),
        (vec!["send", "ftp://a.example", "hello"], 2, "http:// or https://"),
        (vec!["send", "."], 2, "`--file` or `--data`"),
        (vec!["send", ".", "--data", &file], 2, "is no JSON"),
        (vec!["send", "http://127.0.0.1:9", "hello"], 5, "`a2a.allow`"),
        (vec!["send", "https://a.example", "hello"], 5, "`--allow-untrusted`"),
        (vec!["peers", "add", "https://a.example"], 5, "`--allow-untrusted`"),
        (vec!["peers", "add", "http://10.0.0.1"], 5, "`a2a.allow`"),
        (vec!["send", "http://127.0.0.1:9/", "hello", "--stream"], 1, "no agent answers at"),
        (vec!["card", "http://127.0.0.1:9"], 1, "no agent answers at"),
        (vec!["send", ".", "hello", "--context", "c", "--task", "gone"], 5, "Task not found"),
    ] {
        let failed = daemon.run(&[&["a2a"], &words[..]].concat()).await;
        assert_eq!(failed.status.code(), Some(code), "{failed:?}");
        assert!(err(&failed).contains(why), "{why}: {failed:?}");
        assert_eq!(err(&failed).lines().count(), 1, "{failed:?}");
    }
}
