//! The service for other plugins: the runtime of a connection, with which others are to work.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use carport_core::{
    codes,
    testing::{TestClient, TestHost},
};
use carport_engine::ExecuteTool;
use carport_engine_api::{ENGINE, EngineRuntime, HostTool, Scope, ToolCall};
use serde_json::{Map, Value, json};

use crate::{call, error_of, events, journals, register, statuses};

/// A connection with the tools `t` and `denied`, and its runtime as another plugin has it.
async fn lent(host: &TestHost) -> (TestClient, Arc<dyn EngineRuntime>) {
    let mut client = host.agent("lender").await;
    register(&mut client, &["t", "denied"]).await;
    let policy = json!({ "name": "no", "rule": "deny_tool", "target": "denied" });
    client.raw("policy.register", policy).await.unwrap();
    let session = host.session_of("lender");
    (client, host.service(&ENGINE).of_session(&session).await.unwrap())
}

fn proposal(actions: Value) -> Value {
    json!({ "id": "p1", "actions": actions })
}

#[tokio::test]
async fn its_tools_policies_and_state_are_those_of_the_connection() {
    let host = TestHost::start().await;
    let (mut client, runtime) = lent(&host).await;
    let names: Vec<_> = runtime.tools().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["denied", "t"]);
    client.raw("state.set", json!({ "key": "k", "value": 7 })).await.unwrap();
    let actions = json!([
        { "id": "s", "type": "state_read", "parameters": { "key": "k" } },
        call("a", "t", json!({ "n": 1 })),
        call("d", "denied", json!({})),
    ]);
    let scope = Scope { caller_id: Some("peer:ann".into()), ..Scope::default() };
    let executing = runtime.execute(proposal(actions), Some(scope));
    let answering = async {
        let (id, ask) = client.asked::<ExecuteTool>().await;
        assert_eq!((ask.tool.as_str(), &ask.parameters["n"]), ("t", &json!(1)));
        client.answer(&id, json!("done")).await;
    };
    let (result, ()) = tokio::join!(executing, answering);
    let result = result.unwrap();
    assert_eq!(statuses(&result), ["succeeded", "succeeded", "rejected"]);
    assert_eq!(
        (&result["results"][0]["output"], &result["results"][1]["output"]),
        (&json!(7), &json!("done"))
    );
    assert!(error_of(&result, 2).contains("policy 'no'"));
    let scopes = events(&mut client, "session_scope").await;
    assert_eq!(scopes[0]["data"]["caller"], "peer:ann", "the connection's journal says who asked");
    drop(runtime);
    assert_eq!(client.raw("tools.list", json!({})).await.unwrap()["count"], 2, "it goes on");
}

#[tokio::test]
async fn a_proposal_that_is_dropped_takes_its_call_back_from_the_client() {
    let host = TestHost::start().await;
    let (mut client, runtime) = lent(&host).await;
    let executing = tokio::spawn(async move {
        runtime.execute(proposal(json!([call("a", "t", json!({}))])), None).await
    });
    let (_, ask) = client.asked::<ExecuteTool>().await;
    executing.abort();
    let cancel = client.notification("tools.cancel").await;
    assert_eq!(
        (&cancel["request_id"], &cancel["reason"]),
        (&json!(ask.request_id), &json!("given up"))
    );
}

/// Counts its calls.
#[derive(Default)]
struct Counts(AtomicUsize);

#[async_trait]
impl HostTool for Counts {
    fn schema(&self) -> Value {
        json!({ "name": "count" })
    }

    async fn call(&self, _: Map<String, Value>, _: ToolCall) -> Result<Value, String> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Value::Null)
    }
}

#[tokio::test]
async fn with_the_connection_it_ends_and_executes_nothing_more() {
    let host = TestHost::start().await;
    let (mut client, runtime) = lent(&host).await;
    let counts = Arc::new(Counts::default());
    runtime.register(counts.clone()).unwrap();
    let session = host.session_of("lender");
    let second = json!({ "id": "b", "type": "tool_call", "tool": "count", "dependencies": ["a"] });
    let actions = json!([call("a", "t", json!({})), second]);
    let executing = runtime.execute(proposal(actions), None);
    let leaving = async {
        client.asked::<ExecuteTool>().await;
        client.vanish();
    };
    let (result, ()) = tokio::join!(executing, leaving);
    let result = result.unwrap();
    assert_eq!(statuses(&result), ["failed", "skipped"]);
    assert!(error_of(&result, 0).contains("the connection ended"));
    host.emptied().await;
    let late = runtime.execute(proposal(json!([call("c", "count", json!({}))])), None).await;
    assert_eq!(late.unwrap_err().code, codes::GONE);
    assert_eq!(counts.0.load(Ordering::Relaxed), 0);
    let again = host.service(&ENGINE).of_session(&session).await.err().unwrap();
    assert_eq!(again.code, codes::GONE);
    assert!(journals(&host).contains("stopped: the connection ended"));
}
