//! With a current run, what actions did is recorded into it.

use carport_core::{RpcError, testing::TestHost};
use serde_json::{Value, json};

use crate::{call, echo, proposal, register, run, with};

#[tokio::test]
async fn turns_are_recorded_before_the_reply() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    register(&mut agent, &["good", "bad", "denied"]).await;
    let policy = json!({ "name": "p", "rule": "deny_tool", "target": "denied" });
    agent.raw("policy.register", policy).await.unwrap();
    let started = agent.raw("runs.start", json!({ "intent": "x" })).await.unwrap();
    let actions = json!([
        call("g", "good", json!({ "n": 1 })),
        with(call("r", "good", json!({ "v": "$g.output.tool" })), json!({})),
        call("d", "denied", json!({})),
        call("m", "missing", json!({})),
        with(call("b", "bad", json!({})), json!({ "dependencies": ["g", "r"] })),
        with(call("s", "good", json!({})), json!({ "dependencies": ["b"] })),
    ]);
    let mut runs = Vec::new();
    run(&mut agent, proposal(actions), |ask| {
        runs.push(ask.run_id.clone());
        match ask.tool.as_str() {
            "bad" => Err(RpcError::new(-32000, "no")),
            _ => echo(ask),
        }
    })
    .await;
    assert!(runs.iter().all(|it| json!(it) == started["run_id"]));
    let params = json!({ "run_id": started["run_id"] });
    let trace = agent.raw("runs.get_trace", params).await.unwrap();
    let turns: Vec<&Value> = trace["records"].as_array().unwrap()[1..].iter().collect();
    assert_eq!(turns.len(), 5, "skipped actions give none");
    let field = |name: &str| turns.iter().map(|it| it[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("tool"), ["good", "good", "denied", "missing", "bad"]);
    assert_eq!(turns[1]["parameters"], json!({ "v": "good" }), "as they were filled in");
    assert_eq!(turns[0]["output"]["tool"], "good");
    assert_eq!(
        field("policy_rejected"),
        [json!(null), json!(null), json!(true), json!(null), json!(null)]
    );
    assert_eq!(turns[4]["output"], json!({ "error": "no" }));
    // Without a current run nothing is recorded, and nothing is said of one.
    let complete = json!({ "run_id": started["run_id"], "outcome": {} });
    agent.raw("runs.complete", complete).await.unwrap();
    run(&mut agent, proposal(json!([call("g", "good", json!({}))])), |ask| {
        assert_eq!(ask.run_id, None);
        echo(ask)
    })
    .await;
}
