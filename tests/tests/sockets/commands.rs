//! The command line against a real daemon: what it prints, and the codes it ends with.

use serde_json::{Value, json};

use crate::daemon::{Daemon, PATIENCE, binary, run_on};

fn out(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn parsed(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not JSON: {output:?}"))
}

#[tokio::test]
async fn a_call_prints_its_result_and_ends_with_a_code_that_says_what_happened() {
    let daemon = Daemon::start(&[]).await;
    let pong = daemon.run(&["call", "server.ping"]).await;
    assert_eq!(parsed(&pong), json!({ "ok": true }));
    for (args, code) in [
        (&["call", "no.such"][..], 5),
        (&["call", "host.metrics"], 4),
        (&["call", "--host", "host.metrics"], 0),
        (&["call", "host.events", "{\"limit\":0}"], 5),
        (&["call", "server.ping", "not json"], 2),
        (&["call"], 2),
        (&["nonsense"], 2),
    ] {
        let output = daemon.run(args).await;
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
    }
    let none = tempfile::tempdir().unwrap();
    let output = run_on(none.path(), &["call", "server.ping"]).await;
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("serve"), "it names the remedy");
}

#[tokio::test]
async fn flags_may_come_before_or_after_the_command() {
    let daemon = Daemon::start(&[]).await;
    for args in [&["--json", "plugins"][..], &["plugins", "--json"]] {
        let plugins = parsed(&daemon.run(args).await);
        assert!(plugins.to_string().contains("runs"), "{plugins}");
    }
    for args in
        [&["methods"][..], &["plugins"], &["token", "path"], &["config", "show"], &["doctor"]]
    {
        let output = daemon.run(args).await;
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert!(!output.stdout.is_empty());
        let mut with_json = args.to_vec();
        with_json.push("--json");
        parsed(&daemon.run(&with_json).await);
    }
    let methods = out(&daemon.run(&["methods"]).await);
    for name in ["session.auth", "runs.get_trace", "host.register_methods"] {
        assert!(methods.contains(name), "{name}: {methods}");
    }
}

#[tokio::test]
async fn runs_are_listed_shown_exported_and_removed() {
    let daemon = Daemon::start(&[]).await;
    let mut agent = daemon.agent("builder").await;
    let run = agent.call("runs.start", json!({ "intent": "fix the build" })).await.unwrap();
    let id = run["run_id"].as_str().unwrap();
    let turns = json!([{ "tool": "compile", "output": { "ok": true } }]);
    agent.call("runs.record_turns", json!({ "run_id": id, "turns": turns })).await.unwrap();
    agent
        .call("runs.complete", json!({ "run_id": id, "outcome": { "status": "success" } }))
        .await
        .unwrap();
    let list = daemon.run(&["runs", "list", "--agent", "builder"]).await;
    assert!(list.status.success(), "{list:?}");
    assert!(out(&list).contains("fix the build"), "{}", out(&list));
    let show = daemon.run(&["runs", "show", id]).await;
    assert!(show.status.success() && out(&show).contains("compile"), "{show:?}");
    let tail = daemon.run(&["runs", "tail", id]).await;
    assert!(tail.status.success() && out(&tail).contains("compile"), "{tail:?}");
    let lines = daemon.run(&["runs", "export", id]).await;
    let records: Vec<Value> =
        out(&lines).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = records.iter().map(|it| it["record"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "turn", "ended"]);
    let file = daemon.path("traces.json");
    let path = file.to_str().unwrap();
    let export = daemon.run(&["runs", "export", id, "--format", "otlp-json", "-o", path]).await;
    assert!(export.status.success() && out(&export).contains(path), "{export:?}");
    let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let spans = &document["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans.as_array().unwrap().len(), 2);
    let gone = daemon.run(&["runs", "delete", id, "--json"]).await;
    assert_eq!(parsed(&gone), json!({ "run_id": id, "deleted": true }));
    let none =
        daemon.run(&["runs", "export", id, "-o", daemon.path("none").to_str().unwrap()]).await;
    assert_eq!(none.status.code(), Some(5), "{none:?}");
    assert!(!daemon.path("none").exists(), "no half of a file is left");
}

#[tokio::test]
async fn approvals_are_listed_and_decided() {
    let daemon = Daemon::start(&[]).await;
    let mut asker = daemon.client().await;
    let asked = asker.call("host.request_approval", json!({ "title": "deploy it" })).await.unwrap();
    let id = asked["id"].as_str().unwrap();
    let list = daemon.run(&["approvals", "list"]).await;
    assert!(out(&list).contains("deploy it"), "{list:?}");
    let yes = daemon.run(&["approvals", "approve", id]).await;
    assert!(yes.status.success(), "{yes:?}");
    let no = daemon.run(&["approvals", "deny", id]).await;
    assert_eq!(no.status.code(), Some(5), "{no:?}");
    let all = asker.call("host.approvals", json!({ "status": "all" })).await.unwrap();
    assert_eq!(all["approvals"][0]["status"], "approved");
}

#[tokio::test]
async fn an_agent_token_is_shown_and_stays() {
    let root = tempfile::tempdir().unwrap();
    let show = async || run_on(root.path(), &["token", "agent", "builder"]).await;
    let (first, second) = (show().await, show().await);
    assert!(first.status.success(), "{first:?}");
    assert_eq!(out(&first), out(&second));
    let bad = run_on(root.path(), &["token", "agent", "../x"]).await;
    assert_eq!(bad.status.code(), Some(2), "{bad:?}");
    let none = run_on(root.path(), &["token", "show"]).await;
    assert!(!none.status.success(), "no daemon ever minted one: {none:?}");
}

#[tokio::test]
async fn the_demo_keeps_what_it_promises() {
    let mut demo = tokio::process::Command::new(binary());
    demo.args(["demo", "--files", "4", "--json"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let ended = tokio::time::timeout(PATIENCE, demo.kill_on_drop(true).output()).await;
    let output = ended.expect("it ends in time").unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = parsed(&output);
    assert_eq!((&report["equal"], &report["differences"]), (&json!(true), &json!([])));
    let supervised = &report["supervised"];
    let pids = supervised["pids"].as_array().unwrap();
    assert!(pids.len() == 2 && pids[0] != pids[1], "{supervised}");
    assert_eq!(supervised["chats"].as_array().unwrap().len(), 2);
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} is left");
    }
}
