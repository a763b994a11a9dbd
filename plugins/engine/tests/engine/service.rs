//! The service for other plugins: runtimes of their own, with tools written in Rust.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_core::{Guarded, Identity, codes, testing::TestHost};
use carport_engine_api::{ENGINE, EngineRuntime, HostTool, Scope, ToolCall};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::{call, error_of, journals, statuses, with};

/// Doubles `n`; hangs on `hang`, panics on `panic`, fails on `fail`.
#[derive(Default)]
struct Double {
    calls: Guarded<Vec<ToolCall>>,
    begun: Notify,
}

#[async_trait]
impl HostTool for Double {
    fn schema(&self) -> Value {
        json!({ "name": "double", "parameters": { "type": "object", "required": ["n"] } })
    }

    async fn call(&self, parameters: Map<String, Value>, call: ToolCall) -> Result<Value, String> {
        self.calls.lock().push(call);
        self.begun.notify_one();
        match parameters["n"].as_str() {
            Some("hang") => std::future::pending().await,
            Some("panic") => panic!("inside"),
            Some("fail") => Err("it failed".into()),
            _ => Ok(json!(parameters["n"].as_i64().unwrap_or(0) * 2)),
        }
    }
}

async fn opened(host: &TestHost, name: &str) -> (Arc<dyn EngineRuntime>, Arc<Double>) {
    let engine = host.service(&ENGINE);
    let runtime = engine.open(name, Identity::agent("remote")).await.unwrap();
    let tool = Arc::new(Double::default());
    runtime.register(tool.clone()).unwrap();
    (runtime, tool)
}

fn proposal(actions: Value) -> Value {
    json!({ "id": "p1", "actions": actions })
}

#[tokio::test]
async fn a_plugin_executes_with_its_own_tools() {
    let host = TestHost::start().await;
    let (runtime, tool) = opened(&host, "plugin-a2a").await;
    assert_eq!(runtime.tools()[0]["name"], "double");
    let actions = json!([
        call("a", "double", json!({ "n": 21 })),
        with(call("b", "double", json!({ "n": "$a.output" })), json!({ "timeout_ms": 500 })),
        { "id": "w", "type": "state_write", "parameters": { "key": "k", "value": 1 } },
    ]);
    let scope = Scope { caller_id: Some("peer".into()), tenant_id: Some("t".into()), claims: None };
    let result = runtime.execute(proposal(actions), Some(scope)).await.unwrap();
    assert_eq!(statuses(&result), ["succeeded"; 3]);
    assert_eq!(result["results"][1]["output"], 84);
    let second = ToolCall {
        proposal_id: "p1".into(),
        action_id: "b".into(),
        attempt: 1,
        timeout: Duration::from_millis(500),
    };
    assert_eq!(tool.calls.lock()[1], second);
    // No connection sees any of it.
    let mut client = host.client().await;
    assert_eq!(client.raw("tools.list", json!({})).await.unwrap()["count"], 0);
    assert_eq!(client.raw("state.keys", json!({ "tenant_id": "t" })).await.unwrap(), json!([]));
    assert!(runtime.unregister("double") && !runtime.unregister("double"));
    client.close().await;
    host.stop().await;
    drop(runtime);
    assert!(host.root().join("journals/plugin-a2a.jsonl").is_file());
    assert!(journals(&host).contains("\"caller\":\"peer\""));
}

#[tokio::test]
async fn what_a_tool_does_badly_is_its_actions_failure() {
    let host = TestHost::start().await;
    let (runtime, _) = opened(&host, "plugin-x").await;
    let skip =
        |n: &str| with(call(n, "double", json!({ "n": n })), json!({ "failure_behavior": "skip" }));
    let actions = json!([skip("panic"), skip("fail"), call("misfit", "double", json!({}))]);
    let result = runtime.execute(proposal(actions), None).await.unwrap();
    assert_eq!(statuses(&result), ["skipped", "skipped", "rejected"]);
    assert_eq!(error_of(&result, 1), "it failed");
    assert!(!error_of(&result, 0).contains("inside.") && error_of(&result, 0).contains("log"));
    let bad = runtime.execute(json!({ "actions": [{}] }), None).await.unwrap_err();
    assert_eq!(bad.code, codes::INVALID_PARAMS);
    let deploy = proposal(json!([call("d", "deploy", json!({}))]));
    let refused = runtime.execute(deploy, None).await.unwrap();
    assert!(error_of(&refused, 0).contains("permission"), "the same gates");
}

#[tokio::test]
async fn a_running_proposal_is_cancelled_by_its_id() {
    let host = TestHost::start().await;
    let (runtime, tool) = opened(&host, "plugin-x").await;
    let actions = json!([
        { "id": "w", "type": "state_write", "parameters": { "key": "k", "value": 1 } },
        with(call("h", "double", json!({ "n": "hang" })), json!({ "dependencies": ["w"] })),
        with(call("l", "double", json!({ "n": 1 })), json!({ "dependencies": ["h"] })),
    ]);
    assert!(!runtime.cancel("p1"));
    let executing = runtime.execute(proposal(actions), None);
    let cancelling = async {
        tool.begun.notified().await;
        assert!(runtime.cancel("p1"));
    };
    let (result, ()) = tokio::join!(executing, cancelling);
    let result = result.unwrap();
    assert_eq!(statuses(&result), ["succeeded", "failed", "skipped"]);
    assert_eq!(result["results"][0]["rolled_back"], true);
    assert!(error_of(&result, 1).contains("cancelled"));
    assert!(!runtime.cancel("p1"));
}

#[tokio::test]
async fn a_name_is_open_once() {
    let host = TestHost::start().await;
    let engine = host.service(&ENGINE);
    let first = engine.open("mine", Identity::Client).await.unwrap();
    let second = engine.open("mine", Identity::Client).await.err().unwrap();
    assert_eq!(second.code, codes::CONFLICT);
    let bad = engine.open("", Identity::Client).await.err().unwrap();
    assert_eq!(bad.code, codes::INVALID_PARAMS);
    drop(first);
    // It ends in the background.
    while engine.open("mine", Identity::Client).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// Fails, and hangs when it is tried again.
#[derive(Default)]
struct Second(Notify);

#[async_trait]
impl HostTool for Second {
    fn schema(&self) -> Value {
        json!({ "name": "second" })
    }

    async fn call(&self, _: Map<String, Value>, call: ToolCall) -> Result<Value, String> {
        if call.attempt == 1 {
            return Err("not yet".into());
        }
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_is_stopped_says_at_which_attempt() {
    let host = TestHost::start().await;
    let (runtime, _) = opened(&host, "plugin-x").await;
    let tool = Arc::new(Second::default());
    runtime.register(tool.clone()).unwrap();
    let retries = json!({ "failure_behavior": "retry" });
    let actions = json!([with(call("s", "second", json!({})), retries)]);
    let executing = runtime.execute(proposal(actions), None);
    let cancelling = async {
        tool.0.notified().await;
        runtime.cancel("p1");
    };
    let (result, ()) = tokio::join!(executing, cancelling);
    assert_eq!(result.unwrap()["results"][0]["attempts"], 2);
}

#[tokio::test]
async fn a_plugin_takes_those_basic_tools_that_it_names() {
    let host = TestHost::start().await;
    let runtime = host.service(&ENGINE).open("basics", Identity::Client).await.unwrap();
    let names = ["calculate", "list_dir", "no_such_tool"].map(str::to_owned);
    runtime.register_basics(&names).await.unwrap();
    let tools = runtime.tools();
    let found: Vec<_> = tools.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(found, ["calculate", "list_dir"]);
    let actions = json!([call("a", "calculate", json!({ "expression": "6 * 7" }))]);
    let result = runtime.execute(proposal(actions), None).await.unwrap();
    assert_eq!(statuses(&result), ["succeeded"]);
}
