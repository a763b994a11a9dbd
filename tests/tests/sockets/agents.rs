//! Agents of a real daemon: trees of processes that it starts, ends and never leaves behind.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Peer, until};

/// A parent, a child, and a grandchild that left the session and lost its parents. Each start leaves a
/// line behind.
const TREE: &str = "echo $$ >> starts; (setsid sleep 1000 &); sleep 1000 & wait";

/// In the environment of everything that an agent of this suite starts.
const MARK: &str = "SUITE_ROOT";

/// An agent that runs a shell script.
pub(crate) fn shell(daemon: &Daemon, id: &str, script: &str) -> Value {
    json!({
        "id": id, "command": "/bin/sh", "args": ["-c", script], "restart": "never",
        "stop_grace_secs": 0.2, "env": { MARK: daemon.root.path().display().to_string() },
    })
}

/// Every process of this state root's agents.
pub(crate) fn alive(root: &Path) -> Vec<u32> {
    let wanted = format!("{MARK}={}", root.display());
    let all = fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|it| it == wanted.as_bytes())
    })
    .collect()
}

/// One agent as `agents.list` shows it.
pub(crate) async fn shown(host: &mut Peer, id: &str) -> Value {
    let all = host.call("agents.list", json!({})).await.unwrap();
    let found = all.as_array().unwrap().iter().find(|it| it["spec"]["id"] == id);
    found.cloned().unwrap_or_default()
}

/// Waits until an agent has this status; what it is then.
pub(crate) async fn wait(host: &mut Peer, id: &str, status: &str) -> Value {
    let wait = json!({ "id": id, "targets": [status], "timeout_secs": 15 });
    host.call("agents.wait", wait).await.unwrap()
}

fn starts(daemon: &Daemon, id: &str) -> usize {
    daemon.read(&format!("agents/{id}/starts")).lines().count()
}

/// How many agents start with the daemon, and how many do not.
const AUTO: usize = 10;
const IDLE: usize = 10;

fn ids() -> impl Iterator<Item = (String, bool)> {
    let auto = (0..AUTO).map(|number| (format!("auto-{number}"), true));
    auto.chain((0..IDLE).map(|number| (format!("idle-{number}"), false)))
}

/// Daemons are killed with twenty trees up. Nothing of them lives a second later, and the next daemon
/// starts those that start with it, once each, and nothing else.
async fn rounds(count: usize) {
    let mut daemon = Daemon::start(&[]).await;
    let mut host = daemon.host().await;
    for (id, auto) in ids() {
        let mut spec = shell(&daemon, &id, TREE);
        spec["auto_start"] = json!(auto);
        host.call("agents.upsert", spec).await.unwrap();
    }
    let mut slowest = Duration::ZERO;
    for round in 0..count {
        for (id, _) in ids() {
            host.call("agents.start", json!({ "id": id })).await.unwrap();
        }
        let root = daemon.root.path().to_owned();
        until("all trees are up", || alive(&root).len() == 3 * (AUTO + IDLE)).await;
        let killed = Instant::now();
        daemon.crash().await;
        until("nothing lives", || alive(&root).is_empty()).await;
        slowest = slowest.max(killed.elapsed());
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
        host = daemon.host().await;
        for (id, _) in ids().filter(|(_, auto)| *auto) {
            let running = wait(&mut host, &id, "running").await;
            assert_eq!(running["restart_count"], 0);
        }
        until("all that start by themselves are up", || alive(&root).len() == 3 * AUTO).await;
        for (id, auto) in ids() {
            let shown = shown(&mut host, &id).await;
            let (status, more) = if auto { ("running", round + 2) } else { ("stopped", 1) };
            assert_eq!(shown["status"], status, "{id}");
            assert!(shown.get("blocked_by_pid").is_none(), "{shown}");
            let expected = if auto { more } else { round + more };
            assert_eq!(starts(&daemon, &id), expected, "{id} in round {round}");
        }
    }
    eprintln!("{count} daemons killed; the last process was dead after {slowest:?} at most");
}

#[tokio::test]
async fn a_killed_daemon_leaves_nothing_behind_and_the_next_one_starts_what_starts_with_it() {
    rounds(1).await;
}

#[tokio::test]
#[ignore = "long: tests/run --long"]
async fn fifty_killed_daemons_leave_nothing_behind() {
    rounds(50).await;
}

#[tokio::test]
async fn a_term_signal_ends_all_agents_at_once_and_takes_their_tokens() {
    let mut daemon = Daemon::start(&[]).await;
    let mut host = daemon.host().await;
    let script = "trap '' TERM; (setsid sleep 1000 &); while :; do sleep 1000; done";
    for number in 0..5 {
        let mut spec = shell(&daemon, &format!("agent-{number}"), script);
        spec["stop_grace_secs"] = json!(1);
        host.call("agents.upsert", spec).await.unwrap();
        host.call("agents.start", json!({ "id": format!("agent-{number}") })).await.unwrap();
    }
    let root = daemon.root.path().to_owned();
    until("all trees are up", || alive(&root).len() == 15).await;
    drop(host);
    let asked = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.ended().await, Some(0));
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    assert_eq!(alive(&root), Vec::<u32>::new());
    let left: Vec<_> = fs::read_dir(root.join("run/agents")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_a_second_claim_changes_nothing() {
    let daemon = Daemon::start(&[]).await;
    let mut host = daemon.host().await;
    for id in ["helper", "other"] {
        host.call("agents.upsert", shell(&daemon, id, "true")).await.unwrap();
    }
    let token = |id: &str| daemon.read(&format!("run/agents/{id}.token")).trim().to_owned();
    let mut answers = Vec::new();
    for (id, token) in [
        ("helper", token("other")),
        ("helper", daemon.read("run/auth-token").trim().to_owned()),
        ("nobody", token("helper")),
    ] {
        let proof = json!({ "agent_id": id, "token": token });
        let error = daemon.stranger().await.call("session.auth", proof).await.unwrap_err();
        assert_eq!(error["code"], -32001, "{error}");
        let words = error["message"].as_str().unwrap().split(" (").next().unwrap().to_owned();
        answers.push(words);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    let proof = json!({ "agent_id": "helper", "token": token("helper") });
    let first = daemon.known(proof.clone()).await;
    let mut second = daemon.client().await;
    let error = second.call("session.auth", proof.clone()).await.unwrap_err();
    assert_eq!(error["code"], -32008);
    assert!(error["message"].as_str().unwrap().contains("already attached"), "{error}");
    second.call("agents.list", json!({})).await.unwrap();
    assert_eq!(shown(&mut host, "helper").await["attached"], true);
    drop(first);
    while second.call("session.auth", proof.clone()).await.is_err() {}
    let all = [host.call("agents.list", json!({})).await.unwrap().to_string(), daemon.log()];
    assert!(all.iter().all(|it| !it.contains(&token("helper"))), "a token is shown");
}

/// A daemon whose agent is a daemon too, which holds a port; both it and its shim are killed. The next
/// daemon meets the one that holds the port.
async fn orphaned(daemon: &mut Daemon) -> (u32, std::net::SocketAddr) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let inner = daemon.path("inner").display().to_string();
    let mut spec = shell(daemon, "holder", "");
    spec["command"] = json!(crate::daemon::binary());
    spec["args"] = json!(["serve", "--state-root", inner, "--bind", address.to_string()]);
    spec["auto_start"] = json!(true);
    let mut host = daemon.host().await;
    host.call("agents.upsert", spec).await.unwrap();
    host.call("agents.start", json!({ "id": "holder" })).await.unwrap();
    until("the port is held", || daemon.path("inner/run/endpoint.json").exists()).await;
    let record: Value = serde_json::from_str(&daemon.read("run/agents/holder.json")).unwrap();
    daemon.signal("STOP");
    kill(record["shim_pid"].as_u64().unwrap());
    daemon.crash().await;
    std::net::TcpStream::connect(address).unwrap();
    (u32::try_from(record["pid"].as_u64().unwrap()).unwrap(), address)
}

fn kill(pid: u64) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Waits until the agent that runs now holds the port.
async fn holds(daemon: &Daemon, running: &Value, address: std::net::SocketAddr) {
    let inner = || serde_json::from_str::<Value>(&daemon.read("inner/run/endpoint.json"));
    until("the port is held again", || inner().is_ok_and(|it| it["pid"] == running["pid"])).await;
    std::net::TcpStream::connect(address).unwrap();
}

#[tokio::test]
async fn an_agent_waits_for_a_process_of_an_earlier_daemon_that_holds_its_port() {
    let mut daemon = Daemon::start(&[]).await;
    let (stale, address) = orphaned(&mut daemon).await;
    daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    let mut host = daemon.host().await;
    let blocked = wait(&mut host, "holder", "backoff").await;
    assert_eq!(blocked["blocked_by_pid"], stale);
    assert!(blocked.get("pid").is_none() && blocked["next_start_at"].is_i64(), "{blocked}");
    assert!(blocked["reason"].as_str().unwrap().contains(&stale.to_string()), "{blocked}");
    kill(stale.into());
    let running = wait(&mut host, "holder", "running").await;
    assert_eq!((&running["restart_count"], running.get("blocked_by_pid")), (&json!(0), None));
    holds(&daemon, &running, address).await;
}

#[tokio::test]
async fn an_agent_takes_the_place_of_a_process_of_an_earlier_daemon_if_that_is_to_be_killed() {
    let mut daemon = Daemon::with_config("[agents]\non_survivor = \"kill\"\n").await;
    let (stale, address) = orphaned(&mut daemon).await;
    daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    let running = wait(&mut daemon.host().await, "holder", "running").await;
    assert_ne!(running["pid"], stale);
    holds(&daemon, &running, address).await;
    assert!(!alive(daemon.root.path()).contains(&stale));
}
