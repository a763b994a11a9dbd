//! What is on disk, and what survives there.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use carport_core::{Durability, testing::TestHost};
use serde_json::{Value, json};

use crate::{add, bodies, bound, call, count, refused};

fn file(host: &TestHost) -> PathBuf {
    host.root().join("memory/agents/ada.jsonl")
}

fn lines(host: &TestHost) -> Vec<Value> {
    let text = fs::read_to_string(file(host)).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

async fn again(host: &TestHost) -> TestHost {
    TestHost::builder().on_root_of(host).start().await
}

#[tokio::test]
async fn a_graph_comes_back_as_it_was() {
    for durability in [Durability::Process, Durability::Interval, Durability::Record] {
        let host = TestHost::builder().settings(|it| it.durability = durability).start().await;
        let mut agent = host.agent("ada").await;
        for at in 0..10 {
            add(&mut agent, &format!("cache {at}"), "flush it").await;
        }
        call(&mut agent, "add_fact", json!({ "subject": "s", "body": "b", "fact_id": "x" })).await;
        call(&mut agent, "delete", json!({ "id": "x" })).await;
        let found = call(&mut agent, "query", json!({ "query": "cache 7" })).await;
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file(&host)), mode(host.root().join("memory/agents"))), (0o600, 0o700));
        assert_eq!(lines(&host).len(), 13);
        assert_eq!(lines(&host)[0], json!({ "v": 1 }));
        // As after a kill: nothing was closed.
        let mut agent = again(&host).await.agent("ada").await;
        assert_eq!(
            (
                count(&mut agent).await,
                call(&mut agent, "query", json!({ "query": "cache 7" })).await
            ),
            (10, found)
        );
    }
}

#[tokio::test]
async fn a_file_cut_at_any_byte_loses_at_most_its_last_line() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    for at in 0..3 {
        add(&mut agent, &format!("s{at}"), "b").await;
    }
    let whole = fs::read(file(&host)).unwrap();
    for length in (0..whole.len()).step_by(37).chain(whole.len() - 2..=whole.len()) {
        fs::write(file(&host), &whole[..length]).unwrap();
        let next = again(&host).await;
        let mut agent = next.agent("ada").await;
        let kept = whole[..length].iter().filter(|it| **it == b'\n').count().saturating_sub(1);
        assert_eq!(count(&mut agent).await, kept as u64, "cut at {length}");
        assert_eq!(add(&mut agent, "new", "n").await, kept as u64 + 1);
        assert_eq!(lines(&next).len(), kept + 2, "what was torn is gone from the file");
        assert_eq!(count(&mut again(&next).await.agent("ada").await).await, kept as u64 + 1);
    }
}

#[tokio::test]
async fn damaged_lines_are_left_out_told_and_set_aside_before_the_file_is_replaced() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    for at in 0..3 {
        add(&mut agent, &format!("s{at}"), "b").await;
    }
    let damage = b"nonsense\n\xff\xfe\x00\n{\"add\":{\"fact_id\":\n";
    let whole = fs::read(file(&host)).unwrap();
    let ends: Vec<_> = (1..=whole.len()).filter(|at| whole[at - 1] == b'\n').collect();
    // Before the first line, between others, as all there is.
    for (at, kept) in [(0, 3), (ends[1], 3), (whole.len(), 3), (usize::MAX, 0)] {
        let aside = host.root().join("memory/agents/ada.jsonl.damaged");
        let _ = fs::remove_file(&aside);
        let text = match whole.split_at_checked(at) {
            Some((before, after)) => [before, damage, after].concat(),
            None => damage.to_vec(),
        };
        fs::write(file(&host), &text).unwrap();
        let next = again(&host).await;
        let mut agent = next.agent("ada").await;
        assert_eq!(count(&mut agent).await, kept, "the good part is there");
        assert_eq!(call(&mut agent, "stats", json!({})).await["damaged_lines"], 3);
        assert_eq!(add(&mut agent, "new", "n").await, kept + 1);
        assert!(fs::read(file(&host)).unwrap().starts_with(&text), "what is there stays");
        assert!(!aside.exists());
        call(&mut agent, "consolidate", json!({})).await;
        assert_eq!(fs::read(&aside).unwrap(), damage);
        assert_eq!(lines(&next).len() as u64, kept + 2);
        let mut agent = again(&next).await.agent("ada").await;
        assert_eq!(count(&mut agent).await, kept + 1);
        assert_eq!(call(&mut agent, "stats", json!({})).await["damaged_lines"], 3);
    }
}

#[tokio::test]
async fn damage_that_cannot_be_set_aside_keeps_the_file_from_being_replaced() {
    let host = TestHost::start().await;
    let damaged = "{\"v\":1}\nnonsense\n";
    fs::create_dir_all(file(&host).parent().unwrap()).unwrap();
    fs::write(file(&host), damaged).unwrap();
    let aside = host.root().join("memory/agents/ada.jsonl.damaged");
    std::os::unix::fs::symlink("/dev/full", &aside).unwrap();
    let mut agent = host.agent("ada").await;
    // Not even the number of lines there can be told.
    assert_eq!(refused(&mut agent, "stats", json!({})).await.0, -32603);
    fs::remove_file(&aside).unwrap();
    assert_eq!(add(&mut agent, "s", "b").await, 1);
    fs::create_dir(&aside).unwrap();
    assert_eq!(refused(&mut agent, "consolidate", json!({})).await.0, -32603);
    assert!(fs::read_to_string(file(&host)).unwrap().starts_with(damaged));
    assert_eq!(add(&mut agent, "s", "c").await, 2);
    fs::remove_dir(&aside).unwrap();
    call(&mut agent, "consolidate", json!({})).await;
    assert_eq!(fs::read_to_string(&aside).unwrap(), "nonsense\n");
}

#[tokio::test]
async fn a_file_of_a_later_build_stops_that_graph_alone() {
    let host = TestHost::start().await;
    add(&mut host.agent("ada").await, "s", "b").await;
    let text = fs::read_to_string(file(&host)).unwrap();
    fs::write(file(&host), text.replace("{\"v\":1}", "{\"v\":2}")).unwrap();
    let host = again(&host).await;
    let mut agent = host.agent("ada").await;
    let error = agent.raw("memory.fact_count", json!({})).await.unwrap_err();
    assert_eq!(error.code, -32603);
    assert!(error.message.contains("ada.jsonl:1"), "{}", error.message);
    assert_eq!(
        refused(&mut agent, "add_fact", json!({ "subject": "s", "body": "b" })).await.0,
        -32603
    );
    assert_eq!(count(&mut host.agent("bob").await).await, 0, "the daemon runs on");
    fs::write(file(&host), text).unwrap();
    assert_eq!(count(&mut agent).await, 1, "once mended, it is loaded");
}

#[tokio::test]
async fn what_is_no_file_is_refused_in_the_place_of_one() {
    let host = TestHost::start().await;
    let directory = host.root().join("memory/agents");
    fs::create_dir_all(directory.join("dir.jsonl")).unwrap();
    std::os::unix::fs::symlink("/dev/full", directory.join("link.jsonl")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(directory.join("fifo.jsonl")).status();
    assert!(fifo.unwrap().success());
    for agent in ["dir", "link", "fifo"] {
        let mut agent = host.agent(agent).await;
        for (method, params) in
            [("fact_count", json!({})), ("add_fact", json!({ "subject": "s", "body": "b" }))]
        {
            assert_eq!(refused(&mut agent, method, params).await.0, -32603);
        }
    }
}

#[tokio::test]
async fn a_file_that_somebody_removed_is_made_anew_and_one_that_somebody_put_there_stays() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    let fact = |body: &str| json!({ "subject": "s", "body": body });
    add(&mut agent, "s", "one").await;
    for body in ["two", "three"] {
        match body {
            "two" => fs::remove_file(file(&host)).unwrap(),
            _ => fs::rename(file(&host), host.root().join("moved")).unwrap(),
        }
        add(&mut agent, "s", body).await;
    }
    assert_eq!(count(&mut again(&host).await.agent("ada").await).await, 3);
    // A backup that was put there while the graph was in use.
    let backup = host.root().join("backup");
    fs::write(&backup, "{\"v\":1}\n").unwrap();
    fs::rename(&backup, file(&host)).unwrap();
    assert_eq!(refused(&mut agent, "add_fact", fact("four")).await.0, -32603);
    assert_eq!(refused(&mut agent, "consolidate", json!({})).await.0, -32603);
    assert_eq!(fs::read_to_string(file(&host)).unwrap(), "{\"v\":1}\n");
    assert_eq!(count(&mut agent).await, 3, "nothing was done in memory alone");
    // And while one without a file was.
    let mut bob = host.agent("bob").await;
    assert_eq!(count(&mut bob).await, 0);
    let path = host.root().join("memory/agents/bob.jsonl");
    fs::copy(host.root().join("moved"), &path).unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(refused(&mut bob, "add_fact", fact("b")).await.0, -32603);
    assert_eq!(refused(&mut bob, "consolidate", json!({})).await.0, -32603);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn what_cannot_be_written_is_not_kept() {
    let host = TestHost::start().await;
    // A directory stands where the file would be, and a link where another would be.
    let directory = host.root().join("memory/agents");
    fs::create_dir_all(&directory).unwrap();
    std::os::unix::fs::symlink("/dev/full", directory.join("bob.jsonl")).unwrap();
    let mut bob = host.agent("bob").await;
    assert_eq!(
        refused(&mut bob, "fact_count", json!({})).await.0,
        -32603,
        "a link is not followed"
    );

    let mut agent = host.agent("ada").await;
    add(&mut agent, "s", "kept").await;
    let before = fs::read(file(&host)).unwrap();
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "in the way").unwrap();
    // The open file is written to still; a graph that has none cannot be.
    let mut carl = host.agent("carl").await;
    assert_eq!(
        refused(&mut carl, "add_fact", json!({ "subject": "s", "body": "b" })).await.0,
        -32603
    );
    fs::remove_file(&directory).unwrap();
    fs::create_dir_all(&directory).unwrap();
    fs::write(file(&host), before).unwrap();
    assert_eq!(add(&mut carl, "s", "b").await, 1);
}

#[tokio::test]
async fn a_log_that_has_outgrown_its_facts_is_rewritten() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    add(&mut agent, "other", "stays").await;
    for at in 0..1100 {
        let fact = json!({ "subject": "s", "body": format!("b{at}"), "fact_id": "a" });
        assert_eq!(call(&mut agent, "add_fact", fact).await, 2);
    }
    assert!(lines(&host).len() < 150, "{}", lines(&host).len());
    assert!(!file(&host).with_extension("jsonl.half").exists());
    let mut agent = again(&host).await.agent("ada").await;
    assert_eq!(
        (count(&mut agent).await, bodies(&mut agent, "b1099").await),
        (2, vec!["b1099".to_owned()])
    );
}

#[tokio::test]
async fn facts_of_another_daemon_are_imported_once() {
    let host = TestHost::start().await;
    let directory = host.root().join("memory/memory-namespaces");
    fs::create_dir_all(&directory).unwrap();
    let old = json!([{ "subject": "s", "text": "from before", "confidence": 0.5 }]).to_string();
    fs::write(directory.join("team.json"), &old).unwrap();
    let mut client = bound(&host, "team").await;
    assert_eq!(bodies(&mut client, "before").await, ["from before"]);
    let found = call(&mut client, "query", json!({ "query": "before" })).await;
    add(&mut client, "t", "new").await;
    let host = again(&host).await;
    let mut client = bound(&host, "team").await;
    assert_eq!(
        (
            count(&mut client).await,
            call(&mut client, "query", json!({ "query": "before" })).await[0]["fact_id"].clone()
        ),
        (2, found[0]["fact_id"].clone())
    );
    assert_eq!(fs::read_to_string(directory.join("team.json")).unwrap(), old);
}
