//! What stands for a call: caches, and rate limits.

use std::sync::Arc;

use carport_core::{ManualClock, RpcError, Time, testing::TestHost};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{call, error_of, finish, proposal, run, statuses, with};

fn clock() -> Arc<ManualClock> {
    ManualClock::at(Time::default())
}

/// How often the tool was called, and what came back.
async fn count(client: &mut carport_core::testing::TestClient, params: Value) -> (usize, Value) {
    let mut calls = 0;
    let result = run(client, params, |_| {
        calls += 1;
        Ok(json!(calls))
    })
    .await;
    (calls, result)
}

#[tokio::test]
async fn a_result_stands_for_calls_until_its_time_is_over() {
    let clock = clock();
    let host = TestHost::builder().clock(clock.clone()).start().await;
    let mut client = host.client().await;
    let tool = json!([{ "name": "t", "idempotent": true, "cache_ttl_secs": 60 }]);
    client.raw("tools.register", tool.clone()).await.unwrap();
    let effects = json!({ "expected_effects": { "k": 1 } });
    let ask =
        |n: Value| proposal(json!([with(call("a", "t", json!({ "n": n })), effects.clone())]));
    assert_eq!(count(&mut client, ask(json!(1))).await.0, 1);
    let (calls, result) = count(&mut client, ask(json!(1.0))).await;
    assert_eq!((calls, &result["results"][0]["cached"]), (0, &json!(true)));
    assert_eq!(result["results"][0]["state_changes"], json!({ "k": 1 }), "effects all the same");
    assert_eq!(
        (&result["cost"]["tool_calls"], &result["results"][0]["attempts"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(count(&mut client, ask(json!(2))).await.0, 1, "other parameters");
    let mut scoped = ask(json!(1));
    scoped["scope"] = json!({ "tenantId": "x" });
    assert_eq!(count(&mut client, scoped).await.0, 1, "another tenant");
    clock.advance(TimeDelta::seconds(60));
    assert_eq!(count(&mut client, ask(json!(1))).await.0, 1, "too old");
    client.raw("tools.register", tool).await.unwrap();
    assert_eq!(count(&mut client, ask(json!(1))).await.0, 1, "the tool changed");
}

#[tokio::test]
async fn an_idempotent_action_is_not_repeated() {
    let clock = clock();
    let host = TestHost::builder().clock(clock.clone()).start().await;
    let mut client = crate::client_with(&host, &["t"]).await;
    let params = proposal(json!([
        with(call("once", "t", json!({})), json!({ "idempotent": true })),
        call("always", "t", json!({})),
    ]));
    assert_eq!(count(&mut client, params.clone()).await.0, 2);
    let (calls, result) = count(&mut client, params.clone()).await;
    assert_eq!((calls, &result["results"][0]["cached"]), (1, &json!(true)));
    let mut other = params.clone();
    other["proposal"]["id"] = json!("p2");
    assert_eq!(count(&mut client, other).await.0, 2, "another proposal");
    clock.advance(TimeDelta::minutes(10));
    assert_eq!(count(&mut client, params).await.0, 2);
}

#[tokio::test]
async fn only_successes_are_kept() {
    let host = TestHost::start().await;
    let mut client = crate::client_with(&host, &["t"]).await;
    let params = proposal(json!([with(call("a", "t", json!({})), json!({ "idempotent": true }))]));
    let failed = run(&mut client, params.clone(), |_| Err(RpcError::new(-32000, "no"))).await;
    assert_eq!(statuses(&failed), ["failed"]);
    assert_eq!(count(&mut client, params).await.0, 1);
}

#[tokio::test]
async fn a_tool_is_not_called_more_often_than_it_says() {
    let clock = clock();
    let host = TestHost::builder().clock(clock.clone()).start().await;
    let mut client = host.client().await;
    let limit = json!({ "max_calls": 2, "interval_secs": 10 });
    client.raw("tools.register", json!([{ "name": "t", "rate_limit": limit }])).await.unwrap();
    let three = || {
        let actions: Vec<_> = (0..3).map(|n| call(&format!("a{n}"), "t", json!({}))).collect();
        proposal(json!(actions))
    };
    let (calls, result) = count(&mut client, three()).await;
    assert_eq!(
        (calls, statuses(&result)),
        (2, vec!["succeeded".into(), "succeeded".into(), "rejected".into()])
    );
    assert!(error_of(&result, 2).contains("try again in 10"), "{}", error_of(&result, 2));
    clock.advance(TimeDelta::seconds(10));
    assert_eq!(count(&mut client, three()).await.0, 2);
    // Attempts count.
    clock.advance(TimeDelta::seconds(10));
    let retry = json!({ "failure_behavior": "retry", "max_retries": 5 });
    let params = proposal(json!([with(call("a", "t", json!({})), retry)]));
    let mut attempts = 0;
    let result = run(&mut client, params, |_| {
        attempts += 1;
        Err(RpcError::new(-32000, "no"))
    })
    .await;
    assert_eq!((attempts, statuses(&result)), (2, vec!["failed".into()]));
    assert!(error_of(&result, 0).contains("not tried again"));
}

#[tokio::test]
async fn a_call_that_was_not_made_is_not_counted() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let limit = json!({ "max_calls": 1, "interval_secs": 60 });
    let tool = json!([{ "name": "t", "rate_limit": limit, "parameters": { "required": ["n"] } }]);
    client.raw("tools.register", tool).await.unwrap();
    let misfit = proposal(json!([call("a", "t", json!({}))]));
    assert_eq!(count(&mut client, misfit).await.0, 0);
    let fits = proposal(json!([call("a", "t", json!({ "n": 1 }))]));
    assert_eq!(count(&mut client, fits).await.0, 1);
}

/// What a tool said before it changed does not stand for what it says now.
#[tokio::test]
async fn a_result_of_a_tool_that_changed_meanwhile_is_not_kept() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let tool = json!([{ "name": "t", "idempotent": true, "cache_ttl_secs": 60 }]);
    client.raw("tools.register", tool.clone()).await.unwrap();
    let actions = proposal(json!([call("a", "t", json!({}))]));
    let id = client.send("proposal.submit", actions.clone()).await;
    let asked = client.frame(|it| it["method"] == "tools.execute").await["id"].take();
    client.raw("tools.register", tool).await.unwrap();
    client.answer(&asked, json!("old")).await;
    finish(&mut client, id, |_| panic!("it was called")).await.unwrap();
    let result = run(&mut client, actions, |_| Ok(json!("new"))).await;
    assert_eq!(result["results"][0]["output"], "new");
}
