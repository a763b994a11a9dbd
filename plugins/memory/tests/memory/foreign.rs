//! A memory of the embedder's own: the methods run on it, as far as it goes.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use carport_core::{Guarded, Result, Session, codes, testing::TestHost};
use carport_memory_api::{
    ContextRequest, Entry, Event, GraphRef, MEMORY, Memory, NewFact, Question, Recalled, Turn,
};
use serde_json::json;

use crate::{add, bodies, bound, call, refused};

/// Facts in a list per namespace, found by whole words. It leaves `fact_count` out, as a memory may.
#[derive(Default)]
struct Lists {
    facts: Guarded<BTreeMap<GraphRef, Vec<NewFact>>>,
}

impl Lists {
    fn seen(&self, graph: &GraphRef, tenant: Option<&str>) -> Vec<NewFact> {
        let facts = self.facts.lock().get(graph).cloned().unwrap_or_default();
        let sees = |it: &NewFact| it.tenant_id.is_none() || it.tenant_id.as_deref() == tenant;
        facts.into_iter().filter(sees).collect()
    }
}

#[async_trait]
impl Memory for Lists {
    fn graph(&self, session: &Session) -> Result<GraphRef> {
        let name = session.memory_namespace().map(|it| it.to_string());
        Ok(name.map_or(GraphRef::Shared, GraphRef::Namespace))
    }

    async fn add(&self, graph: &GraphRef, fact: NewFact) -> Result<usize> {
        let tenant = fact.tenant_id.clone();
        self.facts.lock().entry(graph.clone()).or_default().push(fact);
        Ok(self.seen(graph, tenant.as_deref()).len())
    }

    async fn query(&self, graph: &GraphRef, question: Question) -> Result<Vec<Recalled>> {
        let words: Vec<_> = question.text.split(' ').collect();
        let answers = |it: &NewFact| words.iter().any(|word| it.subject == *word);
        let found = self.seen(graph, question.tenant_id.as_deref()).into_iter().filter(answers);
        let recalled = found.map(|it| Recalled {
            fact_id: it.fact_id.unwrap_or_else(|| "own".into()).into(),
            subject: it.subject,
            body: it.body,
            kind: it.kind,
            confidence: it.confidence,
            tags: it.tags,
            source: it.source,
            score: 1.0,
        });
        Ok(recalled.take(question.k).collect())
    }

    async fn build_context(&self, graph: &GraphRef, request: ContextRequest) -> Result<String> {
        let facts = self.seen(graph, request.tenant_id.as_deref());
        let lines: Vec<_> = facts.iter().map(|it| format!("{}: {}", it.subject, it.body)).collect();
        let agent = request.agent_id.unwrap_or_default();
        Ok(format!("{agent}|{}|{:?}|{}", lines.join(";"), request.window, request.fast))
    }

    async fn ingest(&self, _: &GraphRef, _: Turn) -> Result<()> {
        Ok(())
    }

    async fn forget(&self, _: &GraphRef, _: &str, _: &str) -> Result<bool> {
        Ok(false)
    }

    fn observe(&self, _: &Session, _: Event) {}

    async fn credit(&self, _: &GraphRef, _: Option<&str>, _: &[String], _: bool) -> Result<()> {
        Ok(())
    }
}

async fn host_with(lists: Arc<Lists>) -> TestHost {
    let memory: Arc<dyn Memory> = lists;
    TestHost::builder().config(|it| it.provide(&MEMORY, memory)).start().await
}

#[tokio::test]
async fn methods_run_on_an_embedders_memory() {
    let lists = Arc::new(Lists::default());
    let host = host_with(lists.clone()).await;
    let (mut one, mut two) = (bound(&host, "one").await, host.agent("ada").await);
    assert_eq!(add(&mut one, "zebra", "striped").await, 1);
    let saved = call(
        &mut one,
        "save_procedural",
        json!({ "subject": "zebra", "body": "feed it", "tenant_id": "acme", "is_constraint": true }),
    )
    .await;
    assert_eq!((&saved["kind"], &saved["fact_count"]), (&json!("procedural"), &json!(2)));
    let kept = lists.facts.lock()[&GraphRef::Namespace("one".into())][1].clone();
    assert_eq!(kept.fact_id.as_deref(), saved["id"].as_str());
    assert_eq!((kept.entry, kept.is_constraint), (Some(Entry::Procedural), true));
    let saved =
        call(&mut one, "save_knowledge", json!({ "id": "k1", "subject": "z", "body": "b" }));
    assert_eq!(saved.await, json!({ "id": "k1", "kind": "knowledge", "fact_count": 2 }));

    assert_eq!(bodies(&mut one, "a zebra").await, ["striped"]);
    let asked = json!({ "query": "zebra", "k": 1, "tenant_id": "acme" });
    assert_eq!(call(&mut one, "query", asked).await.as_array().unwrap().len(), 1);
    let asked = json!({ "query": "", "model_context_window": 8000 });
    let context = call(&mut one, "build_context", asked).await;
    assert_eq!(context, "|zebra: striped;z: b|Some(8000)|false");
    let context = call(&mut two, "build_context_fast", json!({ "query": "" })).await;
    assert_eq!(context, "ada||None|true");

    // What is out of bounds does not reach it.
    assert_eq!(
        refused(&mut one, "add_fact", json!({ "subject": "", "body": "b" })).await.0,
        -32602
    );
    assert_eq!(refused(&mut one, "query", json!({ "query": "x", "k": 0 })).await.0, -32602);
    assert!(!host.root().join("memory").exists(), "the plugin's own graphs are not made");
}

#[tokio::test]
async fn what_it_cannot_do_says_so_and_what_helps() {
    let host = host_with(Arc::default()).await;
    let mut client = host.host().await;
    for (method, params) in [
        ("get", json!({ "id": "x" })),
        ("stats", json!({})),
        ("persist", json!({ "path": "x.json" })),
        ("load", json!({ "path": "x.json" })),
        ("update_status", json!({ "body": "b" })),
        ("maintain", json!({})),
        ("intervene", json!({})),
        ("evaluate", json!({ "cases": [] })),
        ("delete", json!({ "id": "x" })),
        ("consolidate", json!({})),
        ("utility_get", json!({})),
        ("utility_set", json!({})),
    ] {
        let error = client.raw(&format!("memory.{method}"), params).await.unwrap_err();
        let data = error.data.unwrap();
        assert_eq!(error.code, codes::UNAVAILABLE, "{method}");
        assert_eq!(data["missing"], "graphs of the memory plugin", "{method}");
        assert!(data["remedy"].as_str().unwrap().contains("start it without one"), "{method}");
    }
    let error = client.raw("memory.fact_count", json!({})).await.unwrap_err();
    let missing = error.data.unwrap()["missing"].clone();
    assert_eq!((error.code, missing), (codes::UNAVAILABLE, json!("memory.fact_count")));
    assert_eq!(add(&mut client, "s", "b").await, 1);
}

#[tokio::test]
async fn an_embedders_memory_needs_no_state_root() {
    let memory: Arc<dyn Memory> = Arc::<Lists>::default();
    let rootless = TestHost::builder().config(|it| {
        it.state_root = None;
        it.provide(&MEMORY, memory);
    });
    assert_eq!(add(&mut rootless.start().await.client().await, "s", "b").await, 1);
}
