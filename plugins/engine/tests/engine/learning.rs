//! What a memory is told of failures.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use carport_core::{Guarded, Identity, Result, RpcError, Session, testing::TestHost};
use carport_engine::{AskReplan, ExecuteTool};
use carport_engine_api::{ENGINE, Observed as Seen};
use carport_memory_api::{
    ContextRequest, Event, GraphRef, MEMORY, Memory, NewFact, Observed, Question, Recalled, Turn,
};
use serde_json::{Value, json};

use crate::{call, client_with, finish, proposal, run, statuses, with};

/// A memory that hears and does nothing else.
#[derive(Default)]
struct Ears {
    heard: Guarded<Vec<(String, Event)>>,
    panics: AtomicBool,
}

fn nothing<T>() -> Result<T> {
    Err(RpcError::internal("it only hears"))
}

#[async_trait]
impl Memory for Ears {
    fn graph(&self, _: &Session) -> Result<GraphRef> {
        nothing()
    }

    async fn add(&self, _: &GraphRef, _: NewFact) -> Result<usize> {
        nothing()
    }

    async fn query(&self, _: &GraphRef, _: Question) -> Result<Vec<Recalled>> {
        nothing()
    }

    async fn build_context(&self, _: &GraphRef, _: ContextRequest) -> Result<String> {
        nothing()
    }

    async fn ingest(&self, _: &GraphRef, _: Turn) -> Result<()> {
        nothing()
    }

    async fn forget(&self, _: &GraphRef, _: &str, _: &str) -> Result<bool> {
        nothing()
    }

    fn observe(&self, session: &Session, event: Event) {
        assert!(!self.panics.load(Ordering::Relaxed), "it cannot bear more");
        self.heard.lock().push((session.id().to_owned(), event));
    }

    async fn credit(&self, _: &GraphRef, _: Option<&str>, _: &[String], _: bool) -> Result<()> {
        nothing()
    }
}

impl Ears {
    /// What was heard since this was asked last.
    fn take(&self) -> Vec<Observed> {
        let heard = std::mem::take(&mut *self.heard.lock());
        heard.into_iter().map(|(_, event)| event.observed).collect()
    }
}

async fn heard_by(ears: &Arc<Ears>) -> TestHost {
    let memory: Arc<dyn Memory> = ears.clone();
    TestHost::builder().config(|it| it.provide(&MEMORY, memory)).start().await
}

fn failed(tool: &str, error: &str) -> Observed {
    Observed::ActionFailed { tool: tool.into(), error: error.into() }
}

/// Fails with the parameter `error`; without one it succeeds.
fn tool(ask: &ExecuteTool) -> Result<Value> {
    match ask.parameters.get("error") {
        Some(error) => Err(RpcError::new(-32000, error.as_str().unwrap())),
        None => Ok(json!(1)),
    }
}

#[tokio::test]
async fn a_failure_is_told_once_and_without_secrets() {
    let ears = Arc::new(Ears::default());
    let host = heard_by(&ears).await;
    let mut client = client_with(&host, &["shell"]).await;
    let id = crate::id_of(&mut client).await;
    for (behavior, status) in [("abort", "failed"), ("skip", "skipped")] {
        for tenant in [None, Some("acme")] {
            let failing = call("a", "shell", json!({ "error": "Bearer abcdef is wrong" }));
            let mut params = proposal(json!([
                with(failing, json!({ "failure_behavior": behavior })),
                with(call("b", "shell", json!({})), json!({ "dependencies": ["a"] })),
                call("c", "missing", json!({})),
            ]));
            params["scope"] = json!({ "tenantId": tenant });
            let result = run(&mut client, params, tool).await;
            assert_eq!(statuses(&result)[0], status);
            let (of, event) = ears.heard.lock().last().unwrap().clone();
            assert_eq!((&of, event.tenant_id.as_deref()), (&id, tenant));
            let heard = ears.take();
            let [Observed::ActionFailed { tool, error }] = &heard[..] else { panic!("{heard:?}") };
            assert_eq!(tool, "shell");
            assert!(error.contains("is wrong") && !error.contains("abcdef"), "{error}");
        }
    }
    run(&mut client, proposal(json!([call("a", "shell", json!({}))])), tool).await;
    assert_eq!(ears.take(), [], "it went well");
}

#[tokio::test]
async fn retries_are_told_when_the_last_one_failed() {
    let ears = Arc::new(Ears::default());
    let host = heard_by(&ears).await;
    let mut client = client_with(&host, &["shell"]).await;
    let retried = json!({ "failure_behavior": "retry", "max_retries": 1 });
    let params = proposal(json!([with(call("a", "shell", json!({})), retried)]));
    let mut calls = 0;
    let result = run(&mut client, params.clone(), |_| {
        calls += 1;
        if calls == 2 { Ok(json!(1)) } else { Err(RpcError::new(-32000, "busy")) }
    });
    assert_eq!(statuses(&result.await), ["succeeded"]);
    assert_eq!(ears.take(), [], "it went well in the end");
    let result = run(&mut client, params, |_| Err(RpcError::new(-32000, "busy"))).await;
    assert_eq!(statuses(&result), ["failed"]);
    let used_up = Observed::RetriesUsedUp { tool: "shell".into(), error: "busy".into() };
    assert_eq!(ears.take(), [used_up, failed("shell", "busy")]);
}

#[tokio::test]
async fn replans_are_told_when_the_last_one_failed() {
    let ears = Arc::new(Ears::default());
    let host = heard_by(&ears).await;
    let mut client = client_with(&host, &["shell"]).await;
    client.raw("replan.set_config", json!({ "max_replans": 1 })).await.unwrap();
    let of = |error: &str| json!({ "id": "p", "source": "planner", "actions": [call("a", "shell", json!({ "error": error }))] });
    for (correction, is_used_up) in [(Some(of("second")), true), (None, false)] {
        let id = client.send("proposal.submit", json!({ "proposal": of("first") })).await;
        let (asked, ask) = client.asked::<ExecuteTool>().await;
        client.answer_error(&asked, &tool(&ask).unwrap_err()).await;
        let (asked, _) = client.asked::<AskReplan>().await;
        client.answer(&asked, json!({ "proposal": correction })).await;
        finish(&mut client, id, tool).await.unwrap();
        let mut expected = vec![failed("shell", "first")];
        if is_used_up {
            expected.push(failed("shell", "second"));
            let (source, reason) = ("planner".into(), "second".into());
            expected.push(Observed::ReplansUsedUp { source, reason });
        }
        assert_eq!(ears.take(), expected);
    }
}

#[tokio::test]
async fn a_goal_is_told_until_it_is_met_on_evidence() {
    let ears = Arc::new(Ears::default());
    let host = heard_by(&ears).await;
    let _agent = host.agent("ada").await;
    let (engine, session) = (host.service(&ENGINE), host.session_of("ada"));
    for (met, grounded, reason, told) in [
        (false, true, Some("two tests fail"), Some("not met: two tests fail")),
        (false, false, None, Some("not met")),
        (true, false, None, Some("met without evidence")),
        (true, true, Some("all pass"), None),
    ] {
        let reason = reason.map(str::to_owned);
        let goal = Seen::Goal { goal: "green".into(), iteration: 1, met, grounded, reason };
        engine.observe(&session, goal).await.unwrap();
        let open =
            |reason: &str| Observed::GoalOpen { goal: "green".into(), reason: reason.into() };
        assert_eq!(ears.take(), told.map(open).into_iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_memory_that_fails_costs_a_proposal_nothing() {
    let ears = Arc::new(Ears::default());
    let host = heard_by(&ears).await;
    let mut client = client_with(&host, &["shell"]).await;
    ears.panics.store(true, Ordering::Relaxed);
    let params = proposal(json!([call("a", "shell", json!({ "error": "no" }))]));
    let result = run(&mut client, params, tool).await;
    assert_eq!(
        (statuses(&result), crate::error_of(&result, 0)),
        (vec!["failed".into()], "no".into())
    );
}

#[tokio::test]
async fn a_runtime_without_a_connection_has_no_memory() {
    let ears = Arc::new(Ears::default());
    let host = heard_by(&ears).await;
    let runtime = host.service(&ENGINE).open("plugin-x", Identity::agent("x")).await.unwrap();
    let action =
        json!({ "id": "x", "type": "assertion", "parameters": { "key": "k", "value": 1 } });
    let result = runtime.execute(json!({ "actions": [action] }), None).await.unwrap();
    assert_eq!(statuses(&result), ["failed"]);
    assert_eq!(ears.take(), []);
}
