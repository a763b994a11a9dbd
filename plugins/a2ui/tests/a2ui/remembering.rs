//! What a patch has shown goes to the memory, if there is one.

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{ManualClock, Result, Session, Time, testing::TestHost};
use carport_memory_api::{
    ContextRequest, Event, GraphRef, MEMORY, Memory, NewFact, Question, Recalled, Turn,
};
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{call, components, create, text};

/// A memory that hands on what it is given to keep.
struct Open(mpsc::Sender<(GraphRef, NewFact)>);

#[async_trait]
impl Memory for Open {
    fn graph(&self, _: &Session) -> Result<GraphRef> {
        Ok(GraphRef::Shared)
    }

    async fn add(&self, graph: &GraphRef, fact: NewFact) -> Result<usize> {
        self.0.send((graph.clone(), fact)).await.unwrap();
        Ok(1)
    }

    async fn query(&self, _: &GraphRef, _: Question) -> Result<Vec<Recalled>> {
        Ok(Vec::new())
    }

    async fn build_context(&self, _: &GraphRef, _: ContextRequest) -> Result<String> {
        Ok(String::new())
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

#[tokio::test]
async fn a_patch_that_helped_becomes_a_fact() {
    let (kept, mut facts) = mpsc::channel(8);
    let memory = Arc::new(Open(kept));
    let clock = ManualClock::at(Time::default());
    let host = TestHost::builder()
        .clock(clock.clone())
        .config(|config| config.provide(&MEMORY, memory as Arc<dyn Memory>))
        .start()
        .await;
    let mut client = host.client().await;
    create(&mut client, "s").await;
    let row = json!({ "id": "root", "component": "Row", "children": ["a"] });
    call(&mut client, "a2ui.apply", components("s", json!([row, text("a")]))).await;
    let report = |revision: u64, findings: Value| {
        json!({ "surfaceId": "s", "revision": revision, "clientId": "r", "findings": findings,
            "viewport": { "width": 375, "height": 600 } })
    };
    let wide = json!([{ "code": "overflow_x", "componentId": "root", "data": { "px": 40 } }]);
    call(&mut client, "a2ui.render_report", report(2, wide.clone())).await;
    clock.advance(TimeDelta::milliseconds(500));
    let patched = call(&mut client, "a2ui.render_report", report(2, wide)).await;
    let revision = patched["decision"]["revision"].as_u64().unwrap();
    assert!(facts.try_recv().is_err(), "nothing is known yet");
    call(&mut client, "a2ui.render_report", report(revision, json!([]))).await;
    let (graph, fact) = facts.recv().await.unwrap();
    assert_eq!(graph, GraphRef::Namespace("a2ui".into()));
    assert_eq!(fact.body, "`stack_row` mends `overflow_x` of Row");
    assert_eq!(fact.fact_id.as_deref(), Some("a2ui-stack_row-overflow_x-Row"));
}
