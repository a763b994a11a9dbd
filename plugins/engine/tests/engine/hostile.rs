//! Bad input and bad manners: nothing hangs, nothing grows, and the others are not disturbed.

use std::time::Duration;

use carport_core::{codes, testing::TestHost};
use carport_engine::ExecuteTool;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{call, client_with, echo, error_of, finish, journals, proposal, run, statuses, with};

#[tokio::test]
async fn too_many_actions_are_refused_and_many_are_run() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let many = |count: usize| {
        let actions = (0..count).map(|n| call(&format!("a{n}"), "t", json!({ "n": n })));
        proposal(json!(actions.collect::<Vec<_>>()))
    };
    let error = client.raw("proposal.submit", many(10_000)).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("proposal.actions")));
    assert_eq!(error.data.unwrap()["limit"], 1000);
    let result = run(&mut client, many(1000), |_| Ok(json!(1))).await;
    assert_eq!(result["cost"]["actions_executed"], 1000);
}

#[tokio::test]
async fn a_tool_that_answers_twice_is_heard_once() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let id = client.send("proposal.submit", proposal(json!([call("a", "t", json!({}))]))).await;
    let (asked, _) = client.asked::<ExecuteTool>().await;
    client.answer(&asked, json!("first")).await;
    client.answer(&asked, json!("second")).await;
    client.answer(&json!("cb-999"), json!("invented")).await;
    let result = client.reply(id).await.unwrap();
    assert_eq!(result["results"][0]["output"], "first");
}

#[tokio::test]
async fn an_error_without_a_code_is_an_error() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    for error in [json!({ "message": "only words" }), json!("text"), json!(7), json!({ "code": 1 })]
    {
        let id = client.send("proposal.submit", proposal(json!([call("a", "t", json!({}))]))).await;
        let (asked, _) = client.asked::<ExecuteTool>().await;
        client.text(&json!({ "jsonrpc": "2.0", "id": asked, "error": error }).to_string()).await;
        let result = client.reply(id).await.unwrap();
        assert_eq!(statuses(&result), ["failed"], "{error}");
        assert!(!error_of(&result, 0).is_empty());
    }
}

/// What ran must be heard of, so that a huge output is left out rather than the reply.
#[tokio::test]
async fn a_huge_result_does_not_lose_the_reply() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let actions: Vec<_> = (0..4).map(|n| call(&format!("a{n}"), "t", json!({}))).collect();
    let result =
        run(&mut client, proposal(json!(actions)), |_| Ok(json!("x".repeat(5 << 20)))).await;
    assert_eq!(statuses(&result), ["succeeded"; 4]);
    assert!(result["results"][0]["output"].is_string());
    assert_eq!(result["results"][3]["output"], Value::Null);
    assert!(error_of(&result, 3).contains("left out"));
    assert!(result.to_string().len() < 9 << 20);
}

#[tokio::test]
async fn an_output_that_explodes_is_stopped() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let many: Vec<_> = (0..20).map(|_| json!("$a.output")).collect();
    let actions = json!([call("a", "t", json!({})), call("b", "t", json!({ "many": many }))]);
    let result = run(&mut client, proposal(actions), |_| Ok(json!("x".repeat(1 << 20)))).await;
    assert_eq!(statuses(&result), ["succeeded", "rejected"]);
}

/// Rule 10 of section 2: open calls end, nothing further starts, and the journal says so.
#[tokio::test]
async fn a_connection_that_dies_ends_its_proposal() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let skip = json!({ "failure_behavior": "skip" });
    let actions = json!([
        with(call("a", "t", json!({})), skip.clone()),
        with(call("b", "t", json!({})), json!({ "dependencies": ["a"] })),
        call("c", "t", json!({ "x": "$a.output" })),
    ]);
    client.send("proposal.submit", proposal(actions)).await;
    client.asked::<ExecuteTool>().await;
    client.vanish();
    timeout(Duration::from_secs(5), host.emptied()).await.unwrap();
    let text = journals(&host);
    let completed = text.lines().find(|it| it.contains("proposal_completed")).unwrap();
    assert!(completed.contains("\"stopped\":\"the connection ended\""), "{text}");
    assert!(!text.contains("action_succeeded"));
}

#[tokio::test]
async fn what_waits_for_a_supervisor_ends_with_its_connection() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let mut supervisor = host.client().await;
    supervisor.raw("supervision.subscribe", json!({})).await.unwrap();
    client.send("proposal.submit", proposal(json!([call("a", "t", json!({}))]))).await;
    supervisor.notification("supervision.intent").await;
    client.vanish();
    host.emptied_but(&supervisor).await;
    let pending = supervisor.raw("supervision.pending", json!({})).await.unwrap();
    assert_eq!(pending["intents"], json!([]));
}

#[tokio::test]
async fn a_tool_registered_twice_in_one_call_is_the_last() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let tools =
        json!([{ "name": "t", "description": "one" }, { "name": "t", "description": "two" }]);
    assert_eq!(client.raw("tools.register", tools).await.unwrap(), 2);
    let list = client.raw("tools.list", json!({})).await.unwrap();
    assert_eq!((&list["count"], &list["tools"][0]["description"]), (&json!(1), &json!("two")));
}

/// A tool that is taken away while its call waits is not found; one that runs goes on.
#[tokio::test]
async fn a_tool_may_go_while_a_proposal_runs() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let actions = json!([
        call("a", "t", json!({})),
        with(call("b", "t", json!({})), json!({ "dependencies": ["a"] })),
    ]);
    let id = client.send("proposal.submit", proposal(actions)).await;
    let (asked, _) = client.asked::<ExecuteTool>().await;
    client.raw("tools.unregister", json!({ "name": "t" })).await.unwrap();
    client.answer(&asked, json!(1)).await;
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(statuses(&result), ["succeeded", "rejected"]);
}

#[tokio::test]
async fn a_key_that_an_output_decides_has_bounds() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    for key in [json!("tenant:x"), json!("x".repeat(513)), json!(""), json!(7)] {
        let write = json!({ "key": "$a.output", "value": 1 });
        let actions = json!([
            call("a", "t", json!({})),
            { "id": "w", "type": "state_write", "parameters": write },
        ]);
        let result = run(&mut client, proposal(actions), |_| Ok(key.clone())).await;
        assert_eq!(statuses(&result), ["succeeded", "rejected"], "{key}");
    }
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!([]));
}

/// Effects that do not fit fail the action after its tool ran, and change nothing.
#[tokio::test]
async fn effects_beyond_the_bounds_fail() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let large = json!({ "expected_effects": { "k": "x".repeat((1 << 20) + 1) } });
    let actions = json!([with(call("a", "t", json!({})), large)]);
    let result = run(&mut client, proposal(actions), echo).await;
    assert_eq!(statuses(&result), ["failed"]);
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!([]));
}

#[tokio::test]
async fn verify_reports_what_submit_refuses() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let circle = json!([
        with(call("a", "t", json!({})), json!({ "dependencies": ["b"] })),
        with(call("b", "t", json!({})), json!({ "dependencies": ["a"] })),
        call("b", "missing", json!({})),
    ]);
    let found = client.raw("verify", proposal(circle)).await.unwrap();
    assert_eq!(found["valid"], false);
    let tiers = found["issues"].as_array().unwrap();
    assert!(tiers.len() >= 2 && tiers.iter().all(|it| it["severity"] == "error"));
    client.raw("state.set", json!({ "key": "k", "value": 1 })).await.unwrap();
    let needs = json!([with(call("a", "t", json!({})), json!({ "state_dependencies": ["k"] }))]);
    let found = client.raw("verify", proposal(needs.clone())).await.unwrap();
    assert_eq!((&found["valid"], &found["simulated_state"]), (&json!(true), &json!({ "k": 1 })));
    let mut params = proposal(needs);
    params["initial_state"] = json!({});
    assert_eq!(client.raw("verify", params).await.unwrap()["valid"], false);
}

/// Equal input and seed give equal bytes; the seed is echoed and fixed when absent.
#[tokio::test]
async fn trials_repeat() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let retry = json!({ "failure_behavior": "retry", "max_retries": 1 });
    let params = |config: Value| {
        let actions = json!([{ "type": "tool_call", "tool": "t" }, with(call("b", "t", json!({})), retry.clone())]);
        with(proposal(actions), json!({ "tool_success_rates": { "t": 0.7 }, "config": config }))
    };
    let once = client.raw("verify.monte_carlo", params(json!({ "trials": 500, "seed": 7 }))).await;
    let again = client.raw("verify.monte_carlo", params(json!({ "trials": 500, "seed": 7 }))).await;
    assert_eq!(once.as_ref().unwrap().to_string(), again.unwrap().to_string());
    let once = once.unwrap();
    assert_eq!(
        (&once["seed"], &once["trials"], &once["p_goal_reached"]),
        (&json!(7), &json!(500), &json!(null))
    );
    assert_eq!(once["rate_provenance"]["t"]["source"], "caller");
    let absent =
        client.raw("verify.monte_carlo", proposal(json!([call("a", "t", json!({}))]))).await;
    assert_eq!(absent.unwrap()["trials"], 1000);
    for (config, field) in [
        (json!({ "trials": 0 }), "config.trials"),
        (json!({ "trials": 100_001 }), "config.trials"),
        (json!({ "default_success_rate": 1.5 }), "config.default_success_rate"),
    ] {
        let error = client.raw("verify.monte_carlo", params(config)).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
    let circle = json!([
        with(call("a", "t", json!({})), json!({ "dependencies": ["b"] })),
        call("b", "t", json!({ "x": "$a.output" }))
    ]);
    let error = client.raw("verify.monte_carlo", proposal(circle)).await.unwrap_err();
    assert_eq!(error.code, codes::INVALID_PARAMS);
}

/// What one proposal holds at once has a bound over all its actions.
#[tokio::test]
async fn outputs_of_a_proposal_have_a_bound_together() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let mebibyte = json!({ "key": "k", "value": "x".repeat((1 << 20) - 2) });
    client.raw("state.set", mebibyte).await.unwrap();
    let read = |n: usize| {
        json!({ "id": format!("r{n}"), "type": "state_read", "parameters": { "key": "k" },
            "failure_behavior": "skip" })
    };
    let actions: Vec<_> = (0..66).map(read).collect();
    let result = run(&mut client, proposal(json!(actions)), echo).await;
    let statuses = statuses(&result);
    assert_eq!(statuses.iter().filter(|it| *it == "succeeded").count(), 64);
    let over = statuses.iter().position(|it| it == "skipped").unwrap();
    assert!(error_of(&result, over).contains("67108864 bytes"));
}
