//! Which graph a connection uses.

use carport_core::testing::{TOKEN, TestHost};
use serde_json::json;

use crate::{add, bodies, bound, call, count, refused};

#[tokio::test]
async fn nobody_reads_another_graph() {
    let host = TestHost::start().await;
    let mut clients = [
        host.client().await,
        host.client().await,
        host.agent("builder").await,
        host.agent("tester").await,
        bound(&host, "one").await,
        bound(&host, "two").await,
    ];
    for (at, client) in clients.iter_mut().enumerate() {
        assert_eq!(add(client, "cache", &format!("of {at}")).await, 1);
    }
    for (at, client) in clients.iter_mut().enumerate() {
        assert_eq!(bodies(client, "cache").await, [format!("of {at}")]);
    }
}

#[tokio::test]
async fn who_shares_a_graph_sees_what_was_acknowledged() {
    let host = TestHost::start().await;
    let (mut one, mut two) = (bound(&host, "team/a").await, bound(&host, "team/a").await);
    let agent = json!({ "agent_id": "builder", "token": TOKEN, "memory_namespace": "team/a" });
    let mut three = host.proven(agent).await;
    add(&mut one, "cache", "flush").await;
    assert_eq!((count(&mut two).await, count(&mut three).await), (1, 1));
    three.close().await;
    // The agent's own is another one than the namespace's.
    assert_eq!(count(&mut host.agent("builder").await).await, 0);
}

#[tokio::test]
async fn a_graph_outlives_its_connections_unless_it_is_theirs_alone() {
    let host = TestHost::start().await;
    for at in 0..2 {
        let (mut client, mut agent) = (host.client().await, host.agent("builder").await);
        assert_eq!(count(&mut agent).await, at);
        assert_eq!(count(&mut client).await, 0);
        add(&mut agent, "s", &format!("b{at}")).await;
        add(&mut client, "s", &format!("b{at}")).await;
        client.close().await;
        agent.close().await;
        host.emptied().await;
    }
}

#[tokio::test]
async fn unbound_connections_may_share_one_graph() {
    let section = json!({ "unbound": "shared" });
    let host = TestHost::builder().plugin("memory", section).start().await;
    let (mut one, mut two) = (host.client().await, host.client().await);
    add(&mut one, "cache", "flush").await;
    assert_eq!(count(&mut two).await, 1);
    assert!(host.root().join("memory/shared.jsonl").is_file());
    call(&mut one, "persist", json!({ "path": "x.json" })).await;
    assert_eq!(refused(&mut one, "load", json!({ "path": "x.json" })).await.0, -32011);
    assert_eq!(call(&mut host.host().await, "load", json!({ "path": "x.json" })).await, 1);

    let section = json!({ "unbound": "shared", "shared_load": true });
    let host = TestHost::builder().plugin("memory", section).on_root_of(&host).start().await;
    assert_eq!(call(&mut host.client().await, "load", json!({ "path": "x.json" })).await, 1);
}

#[tokio::test]
async fn agents_may_be_kept_to_namespaces_of_their_own() {
    let section = json!({ "agent_namespaces": "own" });
    let host = TestHost::builder().plugin("memory", section).start().await;
    let agent = |namespace: &str| json!({ "agent_id": "ada", "token": TOKEN, "memory_namespace": namespace });
    for (namespace, is_allowed) in
        [("ada/notes", true), ("adam/notes", false), ("ada", false), ("bob/x", false)]
    {
        let mut client = host.proven(agent(namespace)).await;
        let reply = client.raw("memory.fact_count", json!({})).await;
        assert_eq!(
            reply.map_err(|it| it.code),
            if is_allowed { Ok(json!(0)) } else { Err(-32002) }
        );
        client.close().await;
        host.emptied().await;
    }
    assert_eq!(count(&mut bound(&host, "bob/x").await).await, 0, "clients are no agents");
}

#[tokio::test]
async fn a_namespace_has_a_name_that_a_file_can_have() {
    let host = TestHost::start().await;
    for (namespace, is_good) in
        [("a\nb", false), (&*"Ü".repeat(50), false), ("../../etc", true), ("A", true)]
    {
        let proof = json!({ "token": TOKEN, "memory_namespace": namespace });
        let reply = host.stranger().await.raw("session.auth", proof).await;
        let error = reply.err().map(|it| (it.code, it.field().map(str::to_owned)));
        let expected = (-32602, Some("memory_namespace".to_owned()));
        assert_eq!(error, (!is_good).then_some(expected), "{namespace:?}");
    }
    add(&mut bound(&host, "../../etc").await, "s", "b").await;
    add(&mut bound(&host, "A").await, "s", "b").await;
    let files = std::fs::read_dir(host.root().join("memory/memory-namespaces")).unwrap();
    let mut names: Vec<_> =
        files.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["%2e.%2f..%2fetc.jsonl", "%41.jsonl"]);
}

#[tokio::test]
async fn a_connection_is_told_which_graph_it_uses_and_how_full() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    for kind in ["pattern", "constraint"] {
        let fact = json!({ "subject": "s", "body": "b", "kind": kind });
        call(&mut agent, "add_fact", fact).await;
    }
    let fact = json!({ "subject": "s", "body": "b", "tenant_id": "acme" });
    call(&mut agent, "add_fact", fact).await;
    let stats = call(&mut agent, "stats", json!({})).await;
    assert!(stats["bytes"].as_u64().unwrap() > 0);
    let file = std::fs::metadata(host.root().join("memory/agents/ada.jsonl")).unwrap();
    let expected = json!({
        "graph": "agent", "name": "ada", "fact_count": 2, "facts_in_all": 3, "turns": 0,
        "knowledge": 0, "procedural": 0, "constraints": 1, "bytes": stats["bytes"],
        "max_facts": 100_000, "max_bytes": 256 * 1024 * 1024, "terms": 2, "file_bytes": file.len(),
        "damaged_lines": 0,
    });
    assert_eq!(stats, expected);
    let of_acme = call(&mut agent, "stats", json!({ "tenant_id": "acme" })).await;
    assert_eq!(of_acme["fact_count"], 3);
    let stats = call(&mut bound(&host, "n").await, "stats", json!({})).await;
    assert_eq!((&stats["graph"], &stats["name"]), (&json!("namespace"), &json!("n")));
    let stats = call(&mut host.client().await, "stats", json!({})).await;
    assert_eq!((&stats["graph"], &stats["max_facts"]), (&json!("session"), &json!(10_000)));
    assert_eq!(stats.get("file_bytes"), None, "it has none");
}
