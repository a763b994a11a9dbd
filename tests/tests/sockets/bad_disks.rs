//! Disks that fill up and directories that cannot be written to: real ones, in a mount namespace that dies
//! with its daemon.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, Peer, until},
    memory::bound,
};

/// Runs shell commands where the daemon sees its files.
fn inside(daemon: &Daemon, commands: &str) {
    let mut enter = Command::new("nsenter");
    enter.arg(format!("--mount=/proc/{}/ns/mnt", daemon.pid()));
    if !rustix::process::getuid().is_root() {
        enter.args([&format!("--user=/proc/{}/ns/user", daemon.pid()), "--preserve-credentials"]);
    }
    let done = enter.args(["sh", "-euc", commands]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Writes until the disk is full; the file that did it.
pub(crate) fn fill(daemon: &Daemon) -> PathBuf {
    let path = daemon.path("filler");
    let mut size = 64 << 10;
    let mut filler = fs::File::create(&path).unwrap();
    while size > 0 {
        match std::io::Write::write_all(&mut filler, &vec![0; size]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) => panic!("{error}"),
        }
    }
    path
}

fn refused(reply: Result<Value, Value>) {
    let error = reply.unwrap_err();
    assert_eq!((&error["code"], &error["data"]["retryable"]), (&json!(-32603), &json!(true)));
}

async fn start(agent: &mut Peer) -> Value {
    let params = json!({ "intent": "survive" });
    agent.call("runs.start", params).await.unwrap()["run_id"].clone()
}

fn turn(run_id: &Value, n: usize) -> Value {
    json!({ "run_id": run_id, "turns": [{ "tool": "t", "output": { "n": n, "text": "x".repeat(4000) } }] })
}

async fn outputs(host: &mut Peer, run_id: &Value) -> Vec<u64> {
    let trace = host.call("runs.get_trace", json!({ "run_id": run_id })).await.unwrap();
    let records = trace["records"].as_array().unwrap().iter();
    assert!(trace.get("unreadable").is_none(), "no line is half a record");
    records.filter_map(|it| it["output"]["n"].as_u64()).collect()
}

fn lines(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count()
}

#[tokio::test]
async fn on_a_full_disk_nothing_acknowledged_is_lost_and_work_goes_on_once_there_is_room() {
    let daemon = Daemon::mounted("tmpfs", "size=2m,mode=700", &[]).await;
    let (mut agent, mut host) = (daemon.agent("builder").await, daemon.host().await);
    let mut leaver = daemon.agent("leaver").await;
    let (run_id, left) = (start(&mut agent).await, start(&mut leaver).await);
    let mut kept = Vec::new();
    for n in 0..10 {
        agent.call("runs.record_turns", turn(&run_id, n)).await.unwrap();
        kept.push(n as u64);
    }
    let filler = fill(&daemon);
    // A page that is begun may still take a turn.
    let mut full = 10;
    while agent.call("runs.record_turns", turn(&run_id, full)).await.is_ok() {
        kept.push(full as u64);
        full += 1;
        assert!(full < 20, "the disk is full");
    }
    refused(agent.call("runs.record_turns", turn(&run_id, full)).await);
    refused(agent.call("runs.start", json!({ "intent": "x", "idempotency_key": "k" })).await);
    let trace = json!({ "run_id": "k" });
    assert_eq!(host.call("runs.get_trace", trace).await.unwrap()["not_found"], true);
    assert_eq!(outputs(&mut host, &run_id).await, kept, "reads go on");
    // Whoever leaves now has a run that cannot be ended yet: its last page has no room for a line.
    let small = json!({ "run_id": left, "turns": [{}] });
    while leaver.call("runs.record_turns", small.clone()).await.is_ok() {}
    drop(leaver);
    until("the run is left open", || daemon.log().contains("could not be ended yet")).await;
    fs::remove_file(filler).unwrap();
    agent.call("runs.record_turns", turn(&run_id, 100)).await.unwrap();
    kept.push(100);
    assert_eq!(outputs(&mut host, &run_id).await, kept);
    let complete = json!({ "run_id": run_id, "outcome": {} });
    agent.call("runs.complete", complete).await.unwrap();
    let file = daemon.path(&format!("runs/builder/{}.jsonl", run_id.as_str().unwrap()));
    assert_eq!(lines(&file), kept.len() + 2);
    loop {
        let list = host.call("runs.list", json!({ "agent_id": "leaver" })).await.unwrap();
        if list["runs"][0]["reason"] == "disconnect" {
            assert_eq!(list["runs"][0]["run_id"], left);
            break;
        }
        // An end wakes whoever ends what was left open.
        let run_id = start(&mut agent).await;
        agent.call("runs.complete", json!({ "run_id": run_id, "outcome": {} })).await.unwrap();
    }
}

#[tokio::test]
async fn in_a_directory_that_turns_read_only_open_runs_go_on_and_new_ones_are_refused() {
    let daemon = Daemon::mounted("tmpfs", "size=8m,mode=700", &[]).await;
    let (mut agent, mut host) = (daemon.agent("builder").await, daemon.host().await);
    let run_id = start(&mut agent).await;
    let runs = daemon.root.path().join("runs");
    let runs = runs.display();
    inside(&daemon, &format!("mount --bind {runs} {runs}; mount -o remount,bind,ro {runs}"));
    refused(agent.call("runs.start", json!({ "intent": "x" })).await);
    agent.call("runs.record_turns", turn(&run_id, 0)).await.unwrap();
    agent.call("runs.complete", json!({ "run_id": run_id, "outcome": {} })).await.unwrap();
    assert_eq!(outputs(&mut host, &run_id).await, [0]);
    refused(host.call("runs.delete", json!({ "run_id": run_id })).await);
    assert_eq!(outputs(&mut host, &run_id).await, [0], "a removal that failed removed nothing");
    inside(&daemon, &format!("umount {runs}"));
    start(&mut agent).await;
    host.call("runs.delete", json!({ "run_id": run_id })).await.unwrap();
}

#[tokio::test]
async fn on_a_full_disk_a_fact_is_refused_and_the_memory_stays_as_it_was() {
    let daemon = Daemon::mounted("tmpfs", "size=2m,mode=700", &[]).await;
    let mut peer = bound(&daemon, "alps").await;
    let fact = |n: usize| json!({ "subject": format!("s{n}"), "body": "x".repeat(4000), "fact_id": format!("f{n}") });
    for n in 0..10 {
        assert_eq!(peer.call("memory.add_fact", fact(n)).await.unwrap(), n + 1);
    }
    let export = json!({ "path": "before.json" });
    assert_eq!(peer.call("memory.persist", export.clone()).await.unwrap(), 10);
    let exported = daemon.read("memory/exports/before.json");
    let mut small = bound(&daemon, "small").await;
    let few = json!({ "path": "few.json" });
    small.call("memory.add_fact", json!({ "subject": "s", "body": "b" })).await.unwrap();
    assert_eq!(small.call("memory.persist", few.clone()).await.unwrap(), 1);
    let few_exported = daemon.read("memory/exports/few.json");
    let filler = fill(&daemon);
    // A page that is begun may still take a fact.
    let mut kept = 10;
    while peer.call("memory.add_fact", fact(kept)).await.is_ok() {
        kept += 1;
        assert!(kept < 20, "the disk is full");
    }
    refused(peer.call("memory.add_fact", fact(kept)).await);
    let known = json!({ "subject": "s0", "body": "x".repeat(5000), "fact_id": "f0" });
    refused(peer.call("memory.add_fact", known).await);
    refused(peer.call("memory.persist", export).await);
    refused(peer.call("memory.load", json!({ "path": "before.json" })).await);
    assert_eq!(daemon.read("memory/exports/before.json"), exported, "the old export is whole");
    // What fits a buffer meets the disk at its end only.
    refused(small.call("memory.persist", few).await);
    assert_eq!(daemon.read("memory/exports/few.json"), few_exported);
    refused(peer.call("memory.consolidate", json!({})).await);
    for directory in ["memory/exports", "memory/memory-namespaces"] {
        let names = fs::read_dir(daemon.path(directory)).unwrap().map(|it| it.unwrap().file_name());
        let names: Vec<_> = names.map(|it| it.into_string().unwrap()).collect();
        assert!(!names.iter().any(|it| it.contains("half")), "nothing takes up room: {names:?}");
    }
    // As before: what was refused is not there, what was there is.
    assert_eq!(peer.call("memory.fact_count", json!({})).await.unwrap(), kept);
    let found = peer.call("memory.query", json!({ "query": format!("s{kept}") })).await.unwrap();
    assert_eq!(found, json!([]));
    let first = peer.call("memory.get", json!({ "id": "f0" })).await.unwrap();
    assert_eq!(first["body"].as_str().unwrap().len(), 4000);
    fs::remove_file(filler).unwrap();
    assert_eq!(peer.call("memory.add_fact", fact(100)).await.unwrap(), kept + 1);
    assert_eq!(lines(&daemon.path("memory/memory-namespaces/alps.jsonl")), kept + 2);
    assert_eq!(peer.call("memory.load", json!({ "path": "before.json" })).await.unwrap(), 10);
}
