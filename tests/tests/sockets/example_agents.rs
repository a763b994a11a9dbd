//! Supervised agents through the command line, on the real daemon: the example agents of this repository.

use std::{fs, path::Path, process::Output, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    time::timeout,
};

use crate::daemon::{Daemon, PATIENCE, binary, command, program, until};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn parsed(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not JSON: {output:?}"))
}

/// Runs `carport agents` with these words, which has to end with this code.
async fn agents(daemon: &Daemon, words: &[&str], code: i32) -> Output {
    let words: Vec<_> = ["agents"].iter().chain(words).copied().collect();
    let output = daemon.run(&words).await;
    assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
    output
}

/// One turn with the agent `clerk`.
async fn chat(daemon: &Daemon, prompt: &str, code: i32) -> Output {
    agents(daemon, &["chat", "clerk", prompt], code).await
}

fn is_alive(pid: &Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// What a person would try with an example agent, from the first line to the last.
async fn whole_life(program: &[&str]) {
    let daemon = Daemon::start(&[]).await;
    let add: Vec<_> = ["add", "clerk"].iter().chain(program).copied().collect();
    agents(&daemon, &add, 0).await;
    agents(&daemon, &["start", "clerk"], 0).await;
    let attached = parsed(&agents(&daemon, &["wait", "clerk", "--attached", "--json"], 0).await);
    assert_eq!((&attached["status"], &attached["attached"]), (&json!("running"), &json!(true)));

    let sum = chat(&daemon, "calc (2 + 3) * 7", 0).await;
    assert_eq!(out(&sum), "35\n");
    assert!(said(&sum).contains("calc"), "what it does is on standard error: {sum:?}");
    assert_eq!(out(&chat(&daemon, "one two\nthree", 0).await), "2 lines, 3 words, 13 characters\n");
    let wrong = chat(&daemon, "calc 1/0", 1).await;
    assert!(said(&wrong).contains("not a whole number"), "{wrong:?}");
    approvals(&daemon).await;
    cancelled(&daemon).await;
    recorded(&daemon).await;
    killed(&daemon, &attached["pid"]).await;
    stopped(&daemon).await;
}

/// Without a person nothing is deleted; with a yes it is.
async fn approvals(daemon: &Daemon) {
    let file = daemon.path("agents/clerk/notes.txt");
    fs::write(&file, "x").unwrap();
    assert_eq!(out(&chat(daemon, "delete notes.txt", 0).await), "notes.txt stays\n");
    assert!(file.exists());
    let outside = ["chat", "clerk", "--approve", "yes", "delete ../../config.toml"];
    assert!(said(&agents(daemon, &outside, 1).await).contains("own directory"));
    let yes = ["chat", "clerk", "--approve", "yes", "delete notes.txt"];
    assert_eq!(out(&agents(daemon, &yes, 0).await), "notes.txt is deleted\n");
    assert!(!file.exists());
}

/// Ctrl-C ends the turn, not the agent.
async fn cancelled(daemon: &Daemon) {
    let mut chat =
        command(&binary(), daemon.root.path(), &["agents", "chat", "clerk", "tick 9999"]);
    chat.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut chat = chat.spawn().unwrap();
    let mut stdout = BufReader::new(chat.stdout.take().unwrap());
    let mut first = Vec::new();
    timeout(PATIENCE, stdout.read_until(b' ', &mut first)).await.expect("a token comes").unwrap();
    assert_eq!(first, b"1 ", "a token is printed before the answer is whole");
    let pid = chat.id().unwrap().to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.unwrap().success());
    let ended = timeout(PATIENCE, chat.wait()).await.expect("it ends in time").unwrap();
    assert_eq!(ended.code(), Some(130));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with('\n') && rest.len() < 1000, "{rest}");
}

/// Every chat was a run, and says how it ended.
async fn recorded(daemon: &Daemon) {
    let host = &mut daemon.host().await;
    let runs = loop {
        let list = host.call("runs.list", json!({ "agent_id": "clerk" })).await.unwrap();
        let runs = list["runs"].as_array().unwrap().clone();
        // The run of the turn that was called off ends just after it.
        if runs.iter().all(|run| run["status"] == "completed") {
            break runs;
        }
    };
    let outcomes: Vec<_> =
        runs.iter().rev().map(|run| run["outcome_status"].as_str().unwrap()).collect();
    let ends = ["success", "success", "failure", "success", "failure", "success", "partial"];
    assert_eq!(outcomes, ends);
    let first = &runs.last().unwrap()["run_id"];
    let trace = host.call("runs.get_trace", json!({ "run_id": first })).await.unwrap();
    let turn = &trace["records"][1];
    assert_eq!(turn["parameters"], json!({ "expression": "(2 + 3) * 7" }));
    assert_eq!((&turn["tool"], &turn["output"]["text"]), (&json!("calc"), &json!("35")));
}

/// Whoever is killed comes back and is attached again.
async fn killed(daemon: &Daemon, pid: &Value) {
    let mut watcher = daemon.client().await;
    watcher.call("agents.subscribe", json!({})).await.unwrap();
    let sent = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    assert!(sent.unwrap().success());
    let again = |frame: &Value| {
        let agent = &frame["params"]["agent"];
        agent["attached"] == true && agent["pid"].is_u64() && agent["pid"] != *pid
    };
    let changed = watcher.frame(again).await;
    assert_eq!(changed["params"]["agent"]["restart_count"], 1);
    assert_eq!(out(&chat(daemon, "calc 6*7", 0).await), "42\n");
}

async fn stopped(daemon: &Daemon) {
    let list = parsed(&agents(daemon, &["list", "--json"], 0).await);
    let pid = &list[0]["pid"];
    assert!(is_alive(pid));
    let stop = parsed(&agents(daemon, &["stop", "clerk", "--json"], 0).await);
    assert_eq!((&stop["status"], stop.get("pid")), (&json!("stopped"), None));
    assert!(!is_alive(pid), "the process is gone when the reply is there");
    let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
    until("the shim is gone too", || fs::read_to_string(&children).unwrap().is_empty()).await;
    assert!(out(&agents(daemon, &["logs", "clerk"], 0).await).contains("attached as clerk"));
}

#[tokio::test]
async fn the_rust_agent_lives_its_whole_life_under_supervision() {
    whole_life(&["--command", program("example-agent").to_str().unwrap()]).await;
}

#[tokio::test]
async fn the_python_agent_lives_its_whole_life_under_supervision() {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/agents/python/agent.py");
    let agent = agent.canonicalize().unwrap();
    whole_life(&["--interpreter", "python3", "--arg", agent.to_str().unwrap()]).await;
}

#[tokio::test]
async fn a_conversation_takes_a_turn_for_each_line_and_ends_with_what_went_wrong() {
    let daemon = Daemon::start(&[]).await;
    let agent = program("example-agent");
    let add = ["add", "clerk", "--command", agent.to_str().unwrap(), "--start"];
    agents(&daemon, &add, 0).await;
    agents(&daemon, &["wait", "clerk", "--attached"], 0).await;
    for (lines, answers, code) in [
        ("calc 1+1\n\ncalc 3*3\n", "2\n9\n", 0),
        ("calc 1+1\ncalc 1/0\ncalc 2+2", "2\n4\n", 1),
        ("", "", 0),
    ] {
        let mut talk = command(&binary(), daemon.root.path(), &["agents", "chat", "clerk"]);
        talk.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut talk = talk.kill_on_drop(true).spawn().unwrap();
        talk.stdin.take().unwrap().write_all(lines.as_bytes()).await.unwrap();
        let ended = timeout(PATIENCE, talk.wait_with_output()).await.expect("it ends").unwrap();
        assert_eq!((out(&ended).as_str(), ended.status.code()), (answers, Some(code)), "{ended:?}");
    }
    let json = out(&agents(&daemon, &["chat", "clerk", "calc 2*2", "--json"], 0).await);
    let events: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["tool_call", "token", "done"]);
    assert!(events.iter().zip(1..).all(|(event, seq)| event["seq"] == seq));
}

#[tokio::test]
async fn whoever_cannot_be_started_or_reached_is_told_why_and_what_to_do() {
    let daemon = Daemon::start(&[]).await;
    let empty = agents(&daemon, &["list"], 0).await;
    assert!(out(&empty).contains("agents add"), "{empty:?}");
    let scratch = daemon.path("program");
    fs::write(&scratch, "").unwrap();
    let refused = agents(&daemon, &["add", "x", "--command", scratch.to_str().unwrap()], 5).await;
    assert!(said(&refused).contains("C4"), "{refused:?}");
    let unknown = agents(&daemon, &["chat", "x", "hello"], 5).await;
    assert!(said(&unknown).contains("agents list"), "{unknown:?}");
    agents(&daemon, &["wait", "x"], 5).await;

    // One that runs and never says who it is.
    let script = "echo begun; echo 'no module named x' >&2; exec sleep 1000";
    let spec = json!({ "command": "/bin/sh", "args": ["-c", script], "note": "kept" });
    let file = daemon.path("spec.json");
    fs::write(&file, spec.to_string()).unwrap();
    agents(&daemon, &["add", "mute", "--file", file.to_str().unwrap(), "--start"], 0).await;
    let absent = agents(&daemon, &["chat", "mute", "hello", "--json"], 5).await;
    let error: Value = serde_json::from_slice(&absent.stderr).unwrap();
    assert_eq!(error["error"]["code"], -32010);
    assert!(error["error"]["data"]["remedy"].as_str().unwrap().contains("doctor mute"));
    let late = agents(&daemon, &["wait", "mute", "--attached", "--timeout", "0.1"], 1).await;
    assert!(said(&late).contains("`running`"), "{late:?}");
    until("it has spoken", || daemon.read("logs/mute.stderr.log").contains("no module")).await;
    let doctor = agents(&daemon, &["doctor", "mute"], 1).await;
    for word in ["session.auth", "no module named x", "agents logs mute"] {
        assert!(out(&doctor).contains(word), "{word}: {}", out(&doctor));
    }
    let logs = parsed(&agents(&daemon, &["logs", "mute", "--json", "--stream", "stdout"], 0).await);
    assert_eq!((&logs["stdout"], &logs["stderr"]), (&json!(["begun"]), &json!([])));
    let listed = parsed(&agents(&daemon, &["list", "--json"], 0).await);
    assert_eq!(
        (&listed[0]["spec"]["id"], &listed[0]["spec"]["note"]),
        (&json!("mute"), &json!("kept"))
    );
    agents(&daemon, &["health"], 0).await;
    agents(&daemon, &["remove", "mute", "--purge"], 0).await;
    assert!(!daemon.path("logs/mute.stderr.log").exists());

    // One that ends at once, until it is given up.
    let fails = ["add", "fails", "--command", "/bin/sh", "--arg", "-c", "--arg", "exit 3"];
    let fails: Vec<_> = fails.iter().chain(&["--max-restarts", "1"]).copied().collect();
    agents(&daemon, &fails, 0).await;
    agents(&daemon, &["start", "fails"], 0).await;
    let given_up = agents(&daemon, &["wait", "fails", "--until", "stopped"], 1).await;
    assert!(said(&given_up).contains("gave up"), "{given_up:?}");
    agents(&daemon, &["wait", "fails", "--until", "errored"], 0).await;
    assert!(out(&agents(&daemon, &["doctor"], 1).await).contains("given up"));
}

#[tokio::test]
async fn an_agent_is_installed_from_a_manifest_that_its_publisher_signed() {
    let daemon = Daemon::start(&[]).await;
    let manifest = format!(
        "[agent]\nid = \"clerk\"\nname = \"Clerk\"\n\n[transport]\nkind = \"external_process\"\n\
         command = \"{}\"\nauto_start = true\n",
        program("example-agent").display()
    );
    let (file, key) = (daemon.path("clerk.toml"), daemon.path("key"));
    fs::write(&file, manifest).unwrap();
    let (path, key) = (file.to_str().unwrap(), key.to_str().unwrap());
    let unsigned = agents(&daemon, &["verify", path], 1).await;
    assert!(said(&unsigned).contains("agents sign"), "{unsigned:?}");
    let key_id = out(&agents(&daemon, &["keygen", key], 0).await);
    agents(&daemon, &["keygen", key], 1).await;
    agents(&daemon, &["sign", path, "--key", key], 0).await;
    let verified = out(&agents(&daemon, &["verify", path], 0).await);
    assert!(verified.contains(key_id.trim()), "{verified}");
    let installed = parsed(&agents(&daemon, &["install", path, "--json"], 0).await);
    assert_eq!(installed["report"]["signature"], "verified");
    assert_eq!(installed["agent"]["status"], "running", "it says auto_start");
    agents(&daemon, &["wait", "clerk", "--attached"], 0).await;
    assert_eq!(out(&chat(&daemon, "calc 5*5", 0).await), "25\n");
    let changed = fs::read_to_string(&file).unwrap().replace("Clerk", "Clerks");
    fs::write(&file, changed).unwrap();
    let failed = agents(&daemon, &["verify", path], 1).await;
    assert!(said(&failed).contains("does not hold"), "{failed:?}");
    let installed = agents(&daemon, &["install", path], 0).await;
    assert!(out(&installed).contains("failed"), "{installed:?}");
}

#[tokio::test]
async fn a_log_is_followed_line_by_line_until_ctrl_c() {
    let daemon = Daemon::start(&[]).await;
    let script = "echo begun; until [ -e go ]; do sleep 0.05; done; echo gone >&2; exec sleep 1000";
    let add = ["add", "mute", "--command", "/bin/sh", "--arg", "-c", "--arg", script, "--start"];
    agents(&daemon, &add, 0).await;
    until("it has begun", || daemon.read("logs/mute.stdout.log").contains("begun")).await;
    let words = ["agents", "logs", "mute", "-f", "--json"];
    let mut follow = command(&binary(), daemon.root.path(), &words);
    follow.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut follow = follow.spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("a line comes").unwrap();
        serde_json::from_str::<Value>(&line.expect("it goes on")).unwrap()
    };
    assert_eq!(next().await, json!({ "stream": "stdout", "line": "begun" }));
    fs::write(daemon.path("agents/mute/go"), "").unwrap();
    assert_eq!(next().await, json!({ "stream": "stderr", "line": "gone" }));
    let pid = follow.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ended = timeout(PATIENCE, follow.wait()).await.expect("it ends in time").unwrap();
    assert_eq!(ended.code(), Some(130));
}
