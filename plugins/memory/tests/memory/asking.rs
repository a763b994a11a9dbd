//! Questions, contexts and what usefulness changes.

use carport_core::{Time, testing::TestHost};
use carport_memory_api::{ContextRequest, GraphRef, MEMORY, NewFact, Question, Turn};
use serde_json::json;

use crate::{add, bodies, call};

#[tokio::test]
async fn a_query_changes_nothing() {
    let mut client = TestHost::start().await.client().await;
    for body in ["flush it", "warm it", "cold it"] {
        add(&mut client, "cache", body).await;
    }
    let first = call(&mut client, "query", json!({ "query": "cache" })).await;
    for _ in 0..3 {
        assert_eq!(call(&mut client, "query", json!({ "query": "cache" })).await, first);
    }
}

#[tokio::test]
async fn a_large_graph_is_asked_off_the_connection() {
    let mut client = TestHost::start().await.client().await;
    for at in 0..600 {
        add(&mut client, &format!("subject {at}"), &format!("body number {at}")).await;
    }
    assert_eq!(bodies(&mut client, "number 417").await[0], "body number 417");
}

#[tokio::test]
async fn an_agent_is_named_in_its_context() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    let ask = json!({ "query": "cache", "model_context_window": 8000 });
    assert_eq!(call(&mut agent, "build_context", ask.clone()).await, "");
    add(&mut agent, "cache", "flush it").await;
    for method in ["build_context", "build_context_fast"] {
        let context = call(&mut agent, method, ask.clone()).await;
        assert_eq!(context, "## Identity\nagent: ada\n\n## Facts\n- cache: flush it");
    }
}

#[tokio::test]
async fn usefulness_is_set_for_a_graph_and_forgotten_with_it() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    let default = json!({ "utility_weight": 0.0, "utility_exploration": 1.0 });
    assert_eq!(call(&mut agent, "utility_get", json!({})).await, default);
    let set = json!({ "utility_weight": 7, "utility_exploration": "nonsense" });
    let applied = json!({ "utility_weight": 1.0, "utility_exploration": 0.0 });
    assert_eq!(call(&mut agent, "utility_set", set).await, applied);
    let partly = json!({ "utility_exploration": "0.5" });
    let applied = json!({ "utility_weight": 1.0, "utility_exploration": 0.5 });
    assert_eq!(call(&mut agent, "utility_set", partly).await, applied);
    assert_eq!(call(&mut agent, "utility_get", json!({})).await, applied);
    let host = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(call(&mut host.agent("ada").await, "utility_get", json!({})).await, default);
}

#[tokio::test]
async fn what_a_tenant_was_shown_is_credited() {
    let host = TestHost::start().await;
    let memory = host.service(&MEMORY);
    let mut agent = host.agent("ada").await;
    let graph = GraphRef::Agent("ada".into());
    for (id, tenant) in [("both", None), ("both", Some("red")), ("all", None)] {
        let (fact_id, tenant_id) = (Some(id.into()), tenant.map(str::to_owned));
        memory.add(&graph, NewFact { fact_id, tenant_id, ..NewFact::new("s", "b") }).await.unwrap();
    }
    memory.credit(&graph, Some("red"), &["both".into(), "all".into()], true).await.unwrap();
    for (id, tenant, wins) in [("both", Some("red"), 1), ("both", None, 0), ("all", None, 1)] {
        let asked = json!({ "id": id, "tenant_id": tenant });
        assert_eq!(call(&mut agent, "get", asked).await["wins"], wins, "{id} {tenant:?}");
    }
}

#[tokio::test]
async fn other_plugins_use_the_same_graphs() {
    let host = TestHost::start().await;
    let memory = host.service(&MEMORY);
    let mut agent = host.agent("ada").await;
    let graph = memory.graph(&host.session_of("ada")).unwrap();
    assert_eq!(graph, GraphRef::Agent("ada".into()));
    let fact = NewFact {
        source: "meeting-1".into(),
        fact_id: Some("m1".into()),
        ..NewFact::new("zebra", "striped")
    };
    assert_eq!(memory.add(&graph, fact).await.unwrap(), 1);
    assert_eq!(bodies(&mut agent, "zebra").await, ["striped"]);

    let turn = |text: &str| Turn {
        key: "t1".into(),
        speaker: "Bo".into(),
        text: text.into(),
        at: Time::default(),
        origin: "meeting-1".into(),
    };
    memory.ingest(&graph, turn("a girafe met a zebra")).await.unwrap();
    memory.ingest(&graph, turn("a giraffe met a zebra")).await.unwrap();
    assert_eq!(bodies(&mut agent, "giraffe").await, ["striped"], "turns lead to facts");
    let asked = json!({ "query": "giraffe", "kinds": ["Conversation"] });
    let found = call(&mut agent, "query", asked).await;
    assert_eq!((found.as_array().unwrap().len(), &found[0]["subject"]), (1, &json!("Bo")));
    let context = memory.build_context(&graph, ContextRequest::default()).await.unwrap();
    assert!(context.ends_with("## Conversation\nBo: a giraffe met a zebra"), "{context}");
    assert_eq!(call(&mut agent, "fact_count", json!({})).await, 1);

    memory.credit(&graph, None, &["m1".into(), "gone".into()], true).await.unwrap();
    let question = Question { text: "zebra".into(), k: 1, kinds: None, tenant_id: None };
    assert_eq!(&*memory.query(&graph, question).await.unwrap()[0].fact_id, "m1");
    assert!(!memory.forget(&graph, "meeting-2", "m1").await.unwrap());
    assert!(memory.forget(&graph, "meeting-1", "m1").await.unwrap());
    assert_eq!(call(&mut agent, "fact_count", json!({})).await, 0);

    // All of it is on disk.
    let text = std::fs::read_to_string(host.root().join("memory/agents/ada.jsonl")).unwrap();
    let kinds: Vec<_> =
        text.lines().map(|line| line[2..].split('"').next().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["v", "add", "turn", "turn", "use", "del"]);
}
