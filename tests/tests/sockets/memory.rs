//! The memory of real daemons: who sees what, what survives an end, and where files may lie.

use std::{fs, os::unix::fs::symlink, process::Stdio, sync::Arc};

use serde_json::{Value, json};

use crate::daemon::{Daemon, Peer, binary, command, until};

/// A connection that works on the memory of a namespace.
pub(crate) async fn bound(daemon: &Daemon, namespace: &str) -> Peer {
    let token = daemon.read("run/auth-token");
    daemon.known(json!({ "token": token.trim(), "memory_namespace": namespace })).await
}

/// Keeps a fact; how many there are then.
async fn add(peer: &mut Peer, subject: &str, body: &str) -> u64 {
    let fact = json!({ "subject": subject, "body": body });
    peer.call("memory.add_fact", fact).await.unwrap().as_u64().unwrap()
}

async fn query(peer: &mut Peer, query: &str) -> Value {
    peer.call("memory.query", json!({ "query": query, "k": 100 })).await.unwrap()
}

async fn count(peer: &mut Peer) -> u64 {
    peer.call("memory.fact_count", json!({})).await.unwrap().as_u64().unwrap()
}

#[tokio::test]
async fn a_restart_keeps_the_facts_and_the_order_in_which_they_answer() {
    let mut daemon = Daemon::start(&[]).await;
    let mut peer = bound(&daemon, "alps").await;
    let words = ["ridge", "glacier", "summit", "hut", "route", "storm", "rope"];
    for at in 0..60 {
        let word = |step: usize| words[(at * step + at / 7) % words.len()];
        let fact = json!({
            "subject": format!("{} {}", word(1), at % 9),
            "body": format!("the {} near the {} is number {at}", word(2), word(3)),
            "tags": [word(5)],
            "fact_id": format!("f{at}"),
        });
        peer.call("memory.add_fact", fact).await.unwrap();
    }
    peer.call("memory.delete", json!({ "id": "f7" })).await.unwrap();
    let questions = ["glacier", "summit near the ridge", "storm 3", "rope hut", "number 41"];
    let mut before = Vec::new();
    for question in questions {
        before.push(query(&mut peer, question).await);
    }
    assert!(before.iter().all(|found| found.as_array().unwrap().len() > 1), "there is an order");
    for is_crash in [false, true] {
        match is_crash {
            true => daemon.crash().await,
            false => {
                daemon.signal("TERM");
                assert_eq!(daemon.ended().await, Some(0));
            }
        }
        daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
        let mut peer = bound(&daemon, "alps").await;
        assert_eq!(count(&mut peer).await, 59);
        for (question, before) in questions.iter().zip(&before) {
            assert_eq!(&query(&mut peer, question).await, before, "{question}");
        }
    }
}

#[tokio::test]
async fn namespaces_agents_and_connections_do_not_see_each_other() {
    let daemon = Daemon::start(&[]).await;
    let mut peers = [
        bound(&daemon, "a").await,
        bound(&daemon, "A").await,
        bound(&daemon, "../a").await,
        daemon.agent("a").await,
        daemon.client().await,
        daemon.client().await,
    ];
    for (at, peer) in peers.iter_mut().enumerate() {
        assert_eq!(add(peer, "secret", &format!("of {at}")).await, 1);
    }
    for (at, peer) in peers.iter_mut().enumerate() {
        let found = query(peer, "secret").await;
        assert_eq!(found.as_array().unwrap().len(), 1);
        assert_eq!(found[0]["body"], format!("of {at}"));
        let context = peer.call("memory.build_context", json!({ "query": "secret" })).await;
        let context = context.unwrap();
        let others = (0..6).filter(|it| context.as_str().unwrap().contains(&format!("of {it}")));
        assert_eq!(others.collect::<Vec<_>>(), [at]);
        let id = found[0]["fact_id"].clone();
        assert_eq!(peer.call("memory.get", json!({ "id": id })).await.unwrap()["fact_id"], id);
    }
    // A file is how one hands facts to another.
    let path = json!({ "path": "handed/over.json" });
    assert_eq!(peers[0].call("memory.persist", path.clone()).await.unwrap(), 1);
    assert_eq!(peers[1].call("memory.load", path).await.unwrap(), 1);
    assert_eq!(query(&mut peers[1], "secret").await, query(&mut peers[0], "secret").await);
    assert_eq!(query(&mut peers[2], "secret").await[0]["body"], "of 2");
}

#[tokio::test]
async fn two_sessions_write_at_once_and_both_see_everything() {
    let daemon = Daemon::start(&[]).await;
    let mut peers = [bound(&daemon, "both").await, daemon.unix_stranger().await];
    let token = daemon.read("run/auth-token");
    let proof = json!({ "token": token.trim(), "memory_namespace": "both" });
    peers[1].call("session.auth", proof).await.unwrap();
    // Everything is on its way before the first answer is read.
    let mut sent = Vec::new();
    for at in 0..200 {
        for (writer, peer) in peers.iter_mut().enumerate() {
            // The same subject and body from both is one fact.
            let body = if at % 10 == 0 { json!("common") } else { json!(format!("of {writer}")) };
            let fact = json!({ "subject": format!("s{at}"), "body": body });
            sent.push((writer, peer.send("memory.add_fact", fact).await));
        }
    }
    let mut counts = Vec::new();
    for (writer, id) in sent {
        counts.push(peers[writer].reply(id).await.unwrap().as_u64().unwrap());
    }
    assert_eq!(counts.iter().max(), Some(&380));
    for peer in &mut peers {
        assert_eq!(count(peer).await, 380);
        assert_eq!(query(peer, "s11").await.as_array().unwrap().len(), 2);
        assert_eq!(query(peer, "s10").await.as_array().unwrap().len(), 1);
    }
    let lines = daemon.read("memory/memory-namespaces/both.jsonl");
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
}

#[tokio::test]
async fn paths_that_lead_out_of_the_exports_are_refused() {
    let daemon = Daemon::start(&[]).await;
    let mut peer = bound(&daemon, "a").await;
    add(&mut peer, "s", "b").await;
    peer.call("memory.persist", json!({ "path": "good.json" })).await.unwrap();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.json");
    fs::write(&secret, r#"[{"subject":"stolen","body":"b"}]"#).unwrap();
    let exports = daemon.path("memory/exports");
    symlink(outside.path(), exports.join("away")).unwrap();
    symlink(&secret, exports.join("secret.json")).unwrap();
    let absolute = secret.to_str().unwrap();
    let paths = [
        "../shared.jsonl",
        "../memory-namespaces/a.jsonl",
        "x/../../agents/a.jsonl",
        "..",
        absolute,
        "away/secret.json",
        "away/new.json",
        "secret.json",
    ];
    for path in paths {
        for method in ["memory.persist", "memory.load"] {
            let error = peer.call(method, json!({ "path": path })).await.unwrap_err();
            assert_eq!(error["code"], -32602, "{method} {path}: {error}");
            assert_eq!(error["data"]["field"], "path", "{method} {path}: {error}");
            assert!(error["message"].as_str().unwrap().contains("rejected path"), "{error}");
        }
    }
    assert!(!outside.path().join("new.json").exists());
    assert!(fs::read_to_string(&secret).unwrap().contains("stolen"), "it was not written over");
    assert_eq!(query(&mut peer, "stolen").await, json!([]));
    assert_eq!(count(&mut peer).await, 1);
}

/// A graph's own file that is a link is neither read nor written through.
#[tokio::test]
async fn a_link_in_the_place_of_a_graph_is_refused() {
    let daemon = Daemon::start(&[]).await;
    add(&mut bound(&daemon, "real").await, "s", "b").await;
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target.jsonl");
    fs::write(&target, "{\"v\":1}\n").unwrap();
    symlink(&target, daemon.path("memory/memory-namespaces/linked.jsonl")).unwrap();
    let mut peer = bound(&daemon, "linked").await;
    let fact = json!({ "subject": "s", "body": "b" });
    assert_eq!(peer.call("memory.add_fact", fact).await.unwrap_err()["code"], -32603);
    assert_eq!(fs::read_to_string(&target).unwrap(), "{\"v\":1}\n");
    assert_eq!(count(&mut bound(&daemon, "real").await).await, 1);
}

#[tokio::test]
async fn a_torn_end_is_cut_and_other_damage_is_told_while_the_good_part_is_there() {
    let mut daemon = Daemon::start(&[]).await;
    let mut peer = bound(&daemon, "hurt").await;
    for at in 0..20 {
        add(&mut peer, &format!("s{at}"), "b").await;
    }
    add(&mut bound(&daemon, "whole").await, "s", "b").await;
    daemon.crash().await;
    let path = daemon.path("memory/memory-namespaces/hurt.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    // The last line lost its end.
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    let mut peer = bound(&daemon, "hurt").await;
    assert_eq!(count(&mut peer).await, 19);
    until("it is reported", || daemon.log().contains("a torn last line was cut off")).await;
    assert_eq!(add(&mut peer, "after", "b").await, 20);
    daemon.crash().await;
    let mended = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = mended.lines().collect();
    assert_eq!(lines.len(), 21);
    lines[4] = r#"{"add":{"fact_id":"#;
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    let mut peer = bound(&daemon, "hurt").await;
    assert_eq!(count(&mut peer).await, 19, "the good part");
    let stats = daemon.run(&["memory", "stats", "--namespace", "hurt"]).await;
    assert!(out(&stats).contains("damaged: 1 line of its file"), "{stats:?}");
    assert!(daemon.log().contains("hurt.jsonl:5: "), "{}", daemon.log());
    assert_eq!(count(&mut bound(&daemon, "whole").await).await, 1);
    assert_eq!(add(&mut peer, "later", "b").await, 20);
    assert!(fs::read_to_string(&path).unwrap().contains(lines[4]), "it stays as long as the file");
    peer.call("memory.consolidate", json!({})).await.unwrap();
    assert!(fs::read_to_string(&path).unwrap().lines().all(|line| line != lines[4]));
    let aside = daemon.read("memory/memory-namespaces/hurt.jsonl.damaged");
    assert_eq!(aside, format!("{}\n", lines[4]));
}

fn parsed(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("not JSON: {output:?}"))
}

fn out(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn facts_are_kept_found_shown_handed_on_and_removed_by_commands() {
    let daemon = Daemon::start(&[]).await;
    let scoped = async |words: &[&str]| {
        let mut args = vec!["memory", "--namespace", "alps"];
        args.extend(words);
        daemon.run(&args).await
    };
    let added = scoped(&[
        "add",
        "mount everest",
        "8849 m",
        "--kind",
        "geo",
        "--tag",
        "peak",
        "--tag",
        "asia",
        "--confidence",
        "high",
        "--id",
        "everest",
        "--json",
    ]);
    assert_eq!(parsed(&added.await), json!({ "fact_count": 1 }));
    assert!(out(&scoped(&["add", "k2", "8611 m"]).await).contains("2 facts"));
    let found = scoped(&["query", "how", "tall", "is", "mount", "everest", "-k", "1"]).await;
    let text = out(&found);
    assert!(
        text.contains("SCORE") && text.contains("everest") && text.contains("8849 m"),
        "{text}"
    );
    assert!(!text.contains("k2"), "{text}");
    let found = parsed(&scoped(&["query", "k2", "--json"]).await);
    assert!(found[0]["score"].as_f64().unwrap() > 0.5, "{found}");
    assert_eq!(parsed(&scoped(&["query", "k2", "--kind", "geo", "--json"]).await), json!([]));
    assert!(out(&scoped(&["query", "lake"]).await).contains("nothing is known"));
    let shown = out(&scoped(&["show", "everest"]).await);
    for part in ["mount everest", "geo", "peak, asia", "0.9", "cli", "8849 m"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = parsed(&scoped(&["show", "everest", "--json"]).await);
    assert_eq!((&shown["tags"], &shown["uses"]), (&json!(["peak", "asia"]), &json!(0)));
    assert_eq!(scoped(&["show", "nobody"]).await.status.code(), Some(5));
    let context = out(&scoped(&["context", "everest"]).await);
    assert!(context.starts_with("## Facts\n- mount everest: 8849 m\n"), "{context}");
    let context = parsed(&scoped(&["context", "--json"]).await)["context"].clone();
    assert_eq!(context, "## Facts\n- mount everest: 8849 m\n- k2: 8611 m");
    assert!(out(&scoped(&["delete", "everest", "nobody"]).await).contains("there was none"));
    let stats = parsed(&scoped(&["stats", "--json"]).await);
    assert_eq!((&stats["fact_count"], &stats["terms"]), (&json!(1), &json!(3)));
    let file = fs::metadata(daemon.path("memory/memory-namespaces/alps.jsonl")).unwrap();
    assert_eq!(stats["file_bytes"], file.len());
    let stats = out(&scoped(&["stats"]).await);
    assert!(stats.starts_with("the memory of namespace alps\nfacts   1;"), "{stats}");
}

#[tokio::test]
async fn facts_are_handed_on_in_files_anywhere_and_none_is_replaced_unasked() {
    let daemon = Daemon::start(&[]).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("facts with a blank.json");
    let file = file.to_str().unwrap();
    let run = async |words: &[&str]| daemon.run(&[&["memory"], words].concat()).await;
    for body in ["one", "two"] {
        assert!(run(&["add", "s", body, "--namespace", "a"]).await.status.success());
    }
    assert!(run(&["add", "s", "own", "--namespace", "a", "--tenant", "t"]).await.status.success());
    let wrote = parsed(&run(&["export", file, "--namespace", "a", "--json"]).await);
    assert_eq!(wrote, json!({ "file": file, "facts": 3 }));
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(out(&run(&["export", "--namespace", "a"]).await), text);
    assert_eq!(parsed(&run(&["export", "-", "--namespace", "a"]).await)[1]["body"], "two");
    assert_eq!(run(&["export", "/no/such/dir/f", "--namespace", "a"]).await.status.code(), Some(1));

    // Where nothing is, nothing is lost.
    let new = out(&run(&["import", file, "--namespace", "b"]).await);
    assert_eq!(new, "3 facts in the memory of namespace b\n");
    assert!(run(&["add", "s", "more", "--namespace", "b"]).await.status.success());
    for json in [&["--json"][..], &[]] {
        let refused = run(&[&["import", file, "--namespace", "b"], json].concat()).await;
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let why = String::from_utf8_lossy(&refused.stderr);
        assert!(why.contains("4 facts of the memory of namespace b"), "{why}");
        assert!(why.contains("--replace") && why.contains("carport memory export"), "{why}");
    }
    let of_t = run(&["import", file, "--namespace", "b", "--tenant", "t"]).await;
    assert!(String::from_utf8_lossy(&of_t.stderr).contains("1 fact of tenant t"), "{of_t:?}");
    let done = run(&["import", file, "--namespace", "b", "--replace", "--json"]).await;
    assert_eq!(parsed(&done), json!({ "facts": 3, "replaced": 4 }));

    assert_eq!(run(&["import", "/no/such/file", "--namespace", "c"]).await.status.code(), Some(1));
    let mut piped = command(&binary(), daemon.root.path(), &["memory", "import", "-"]);
    piped.args(["--namespace", "c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut piping = piped.spawn().unwrap();
    let mut input = piping.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, text.as_bytes()).await.unwrap();
    drop(input);
    assert!(piping.wait().await.unwrap().success());
    assert_eq!(out(&run(&["export", "--namespace", "c"]).await), text);
    let left: Vec<_> = fs::read_dir(daemon.path("memory/exports")).unwrap().collect();
    assert!(left.is_empty(), "what was between is gone: {left:?}");
    // A daemon of another state root cannot be handed a file.
    let url = format!("unix:{}", daemon.path("run/carport.sock").display());
    let root = tempfile::tempdir().unwrap();
    let mut far = command(&binary(), root.path(), &["memory", "export", "--namespace", "a"]);
    far.args(["--url", &url]).env("CARPORT_TOKEN", daemon.read("run/auth-token").trim());
    let far = far.output().await.unwrap();
    assert_eq!(far.status.code(), Some(2), "{far:?}");
    assert!(String::from_utf8_lossy(&far.stderr).contains("--state-root"), "{far:?}");
}

/// What a command prints that asks as the agent `ada`, once the daemon has seen the end of the one before:
/// an agent has one connection.
async fn as_ada(daemon: &Daemon, words: &[&str]) -> Value {
    loop {
        let output = daemon.run(&[&["memory", "--agent", "ada", "--json"], words].concat()).await;
        match String::from_utf8_lossy(&output.stderr).contains("already attached") {
            true => {}
            false => return parsed(&output),
        }
    }
}

#[tokio::test]
async fn a_command_says_whose_memory_it_means() {
    let daemon = Daemon::start(&[]).await;
    // What ends with the command would be lost.
    let nobodys = daemon.run(&["memory", "add", "s", "b"]).await;
    assert_eq!(nobodys.status.code(), Some(2), "{nobodys:?}");
    assert!(String::from_utf8_lossy(&nobodys.stderr).contains("--namespace"), "{nobodys:?}");
    let untold = daemon.run(&["memory", "stats", "--agent", "ada"]).await;
    assert_eq!(untold.status.code(), Some(4), "an agent without a token: {untold:?}");
    daemon.run(&["token", "agent", "ada"]).await;
    let mut add = command(&binary(), daemon.root.path(), &["memory", "add", "s", "-"]);
    add.args(["--agent", "ada", "--tenant", "acme"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut adding = add.spawn().unwrap();
    let mut input = adding.stdin.take().unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut input, b"two\nlines\n").await.unwrap();
    drop(input);
    assert!(adding.wait().await.unwrap().success());
    let found = as_ada(&daemon, &["query", "lines", "--tenant", "acme"]).await;
    assert_eq!(found[0]["body"], "two\nlines");
    assert_eq!(as_ada(&daemon, &["query", "lines"]).await, json!([]), "it is the tenant's");
    assert_eq!(as_ada(&daemon, &["stats"]).await["name"], "ada");
    let long = "x".repeat(257);
    let wrong = daemon.run(&["memory", "stats", "--namespace", &long]).await;
    assert_eq!(wrong.status.code(), Some(5), "not a matter of tokens: {wrong:?}");
    let root = Arc::new(tempfile::tempdir().unwrap());
    fs::write(root.path().join("config.toml"), "[memory]\nunbound = \"shared\"\n").unwrap();
    let shared = Daemon::start_on(root, &[]).await;
    assert!(shared.run(&["memory", "add", "s", "b"]).await.status.success());
    let file = shared.path("f");
    let file = file.to_str().unwrap();
    assert!(shared.run(&["memory", "export", file]).await.status.success());
    let load = shared.run(&["memory", "import", file, "--replace"]).await;
    assert_eq!(load.status.code(), Some(5), "only the host empties what all share: {load:?}");
    let load = shared.run(&["memory", "import", file, "--replace", "--host"]).await;
    assert!(load.status.success(), "{load:?}");
}
