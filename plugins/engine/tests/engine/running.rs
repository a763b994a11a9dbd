//! With a current run, what actions did is recorded into it.

use std::sync::Arc;

use async_trait::async_trait;
use carport_core::{Guarded, RpcError, Session, testing::TestHost};
use carport_runs_api::{ObservedTurn, RUNS, Runs};
use serde_json::{Value, json};

use crate::{call, echo, proposal, register, run, with};

/// A recorder with one run that is current on every connection.
#[derive(Default)]
struct Recorder {
    turns: Guarded<Vec<Value>>,
    batches: Guarded<Vec<usize>>,
    ended: Guarded<bool>,
}

#[async_trait]
impl Runs for Recorder {
    fn current(&self, _: &Session) -> Option<String> {
        (!*self.ended.lock()).then(|| "run-7".to_owned())
    }

    async fn observe(&self, _: &Session, run_id: &str, turns: Vec<ObservedTurn>) {
        assert_eq!(run_id, "run-7");
        self.batches.lock().push(turns.len());
        self.turns.lock().extend(turns.iter().map(|turn| json!(turn)));
    }
}

async fn recorded() -> (TestHost, Arc<Recorder>) {
    let recorder = Arc::new(Recorder::default());
    let service = recorder.clone() as Arc<dyn Runs>;
    let host = TestHost::builder().config(|it| it.provide(&RUNS, service)).start().await;
    (host, recorder)
}

#[tokio::test]
async fn turns_are_recorded_before_the_reply() {
    let (host, recorder) = recorded().await;
    let mut client = host.client().await;
    register(&mut client, &["good", "bad", "denied"]).await;
    let policy = json!({ "name": "p", "rule": "deny_tool", "target": "denied" });
    client.raw("policy.register", policy).await.unwrap();
    let actions = json!([
        call("g", "good", json!({ "n": 1 })),
        call("r", "good", json!({ "v": "$g.output.tool" })),
        call("d", "denied", json!({})),
        call("m", "missing", json!({})),
        with(call("b", "bad", json!({})), json!({ "dependencies": ["g", "r"] })),
        with(call("s", "good", json!({})), json!({ "dependencies": ["b"] })),
    ]);
    let mut runs = Vec::new();
    run(&mut client, proposal(actions), |ask| {
        runs.push(ask.run_id.clone());
        match ask.tool.as_str() {
            "bad" => Err(RpcError::new(-32000, "no")),
            _ => echo(ask),
        }
    })
    .await;
    assert!(runs.iter().all(|it| it.as_deref() == Some("run-7")));
    let turns = recorder.turns.lock().clone();
    assert_eq!(turns.len(), 5, "skipped actions give none");
    let field = |name: &str| turns.iter().map(|it| it[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("tool"), ["good", "good", "denied", "missing", "bad"]);
    assert_eq!(turns[1]["parameters"], json!({ "v": "good" }), "as they were filled in");
    assert_eq!(turns[0]["output"]["tool"], "good");
    let null = Value::Null;
    let refused = [null.clone(), null.clone(), json!(true), null.clone(), null];
    assert_eq!(field("policy_rejected"), refused);
    assert_eq!(turns[4]["output"], json!({ "error": "no" }));
    let deploy = proposal(json!([call("d", "deploy", json!({}))]));
    run(&mut client, deploy, echo).await;
    assert_eq!(recorder.turns.lock().last().unwrap()["policy_rejected"], true);
}

#[tokio::test]
async fn a_large_proposal_is_recorded_in_batches() {
    let (host, recorder) = recorded().await;
    let mut client = host.client().await;
    let read = |n: usize| json!({ "id": format!("r{n}"), "type": "state_read", "parameters": { "key": "k" } });
    run(&mut client, proposal(json!((0..600).map(read).collect::<Vec<_>>())), echo).await;
    assert_eq!(*recorder.batches.lock(), [256, 256, 88]);
}

#[tokio::test]
async fn without_a_run_nothing_is_recorded() {
    let (host, recorder) = recorded().await;
    *recorder.ended.lock() = true;
    let mut client = host.client().await;
    register(&mut client, &["good"]).await;
    run(&mut client, proposal(json!([call("g", "good", json!({}))])), |ask| {
        assert_eq!(ask.run_id, None);
        echo(ask)
    })
    .await;
    assert!(recorder.turns.lock().is_empty());
}
