//! Submitting: order, references, failures, retries, rollback, cost.

use std::time::Duration;

use carport_core::{RpcError, codes, testing::TestHost};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{call, client_with, echo, error_of, events, finish, proposal, run, statuses, with};

#[tokio::test]
async fn an_empty_proposal_succeeds() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let result = run(&mut client, proposal(json!([])), echo).await;
    assert_eq!(result["results"], json!([]));
    assert_eq!((&result["proposal_id"], &result["replans"]), (&json!("p1"), &json!(0)));
    assert_eq!(result.get("original_proposal_id"), None);
}

#[tokio::test]
async fn an_output_becomes_a_parameter() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["read_file", "summarize"]).await;
    let actions = json!([
        call("a1", "read_file", json!({ "path": "notes.txt" })),
        call(
            "a2",
            "summarize",
            json!({ "text": "$a1.output.content", "say": "<${a1.output.n}>", "home": "$HOME" })
        ),
    ]);
    let mut asked = Vec::new();
    let result = run(&mut client, proposal(actions), |ask| {
        asked.push(ask.clone());
        Ok(json!({ "content": ["x", 1], "n": 7 }))
    })
    .await;
    assert_eq!(statuses(&result), ["succeeded", "succeeded"]);
    assert_eq!(asked[1].parameters["text"], json!(["x", 1]));
    assert_eq!(asked[1].parameters["say"], "<7>");
    assert_eq!(asked[1].parameters["home"], "$HOME");
    assert_eq!((asked[0].attempt, asked[0].proposal_id.as_str()), (1, "p1"));
    assert!(asked[0].request_id.starts_with("cb-") && asked[0].session_id.starts_with("c-"));
    assert_eq!(asked[0].timeout_ms, None);
    let cost = &result["cost"];
    assert_eq!((&cost["actions_executed"], &cost["tool_calls"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn a_part_that_is_not_there_rejects() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["read_x", "use_x"]).await;
    let actions = json!([
        call("a", "read_x", json!({})),
        call("b", "use_x", json!({ "v": "$a.output.none" })),
        call("c", "use_x", json!({ "v": "$b.output" })),
    ]);
    let result = run(&mut client, proposal(actions), |_| Ok(json!({ "some": 1 }))).await;
    assert_eq!(statuses(&result), ["succeeded", "rejected", "rejected"]);
    assert!(error_of(&result, 1).contains("none"));
    assert!(error_of(&result, 2).contains("dependency 'b'"));
    assert_eq!(result["cost"]["actions_rejected"], 2);
}

/// Invariant 1: the graph decides, not the listing.
#[tokio::test]
async fn the_order_of_levels_does_not_depend_on_the_listing() {
    let host = TestHost::start().await;
    let actions = [
        with(call("c", "t", json!({})), json!({ "dependencies": ["b"] })),
        with(call("b", "t", json!({})), json!({ "state_dependencies": ["k"] })),
        with(call("a", "t", json!({})), json!({ "expected_effects": { "k": 1 } })),
        call("d", "t", json!({})),
    ];
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let mut client = client_with(&host, &["t"]).await;
        let listed: Vec<_> = order.iter().map(|at| actions[*at].clone()).collect();
        let mut asked = Vec::new();
        let result = run(&mut client, proposal(json!(listed)), |ask| {
            asked.push(ask.action_id.clone());
            Ok(json!(null))
        })
        .await;
        assert!(statuses(&result).iter().all(|it| it == "succeeded"), "{result}");
        asked[..2].sort();
        assert_eq!(asked, ["a", "d", "b", "c"], "{order:?}");
        let params = with(proposal(json!(listed)), json!({ "initial_state": {} }));
        let verified = client.raw("verify", params).await.unwrap();
        let mut levels = verified["execution_levels"].clone();
        levels[0].as_array_mut().unwrap().sort_by_key(ToString::to_string);
        assert_eq!(levels, json!([["a", "d"], ["b"], ["c"]]));
    }
}

#[tokio::test]
async fn calls_of_one_level_are_all_out_before_any_is_answered() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let actions: Vec<_> = (0..40).map(|n| call(&format!("a{n}"), "t", json!({}))).collect();
    let id = client.send("proposal.submit", proposal(json!(actions))).await;
    let mut open = Vec::new();
    for _ in 0..32 {
        open.push(client.frame(|it| it["method"] == "tools.execute").await["id"].take());
    }
    assert!(!client.has_heard(|it| it["method"] == "tools.execute").await, "32 at once");
    // The client may call anything, this too, before it answers.
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!([]));
    for id in open {
        client.answer(&id, json!(1)).await;
    }
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(result["cost"]["tool_calls"], 40);
}

/// Invariant 4: after an abort the state is as before.
#[tokio::test]
async fn an_abort_takes_back_what_was_written() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["good", "bad", "late"]).await;
    client.raw("state.set", json!({ "key": "k", "value": "before" })).await.unwrap();
    let write = json!({ "key": "k", "value": "during" });
    let actions = json!([
        { "id": "w", "type": "state_write", "parameters": write },
        with(call("g", "good", json!({})), json!({ "expected_effects": { "n": 1 } })),
        with(call("b", "bad", json!({})), json!({ "dependencies": ["w", "g"] })),
        with(call("l", "late", json!({})), json!({ "dependencies": ["b"] })),
    ]);
    let result = run(&mut client, proposal(actions), |ask| match ask.tool.as_str() {
        "bad" => Err(RpcError::new(-32000, "no such luck")),
        _ => Ok(json!("fine")),
    })
    .await;
    assert_eq!(statuses(&result), ["succeeded", "succeeded", "failed", "skipped"]);
    assert_eq!(error_of(&result, 2), "no such luck");
    assert_eq!(error_of(&result, 3), "skipped due to earlier abort");
    for at in [0, 1] {
        let row = &result["results"][at];
        assert_eq!((&row["rolled_back"], &row["state_changes"]), (&json!(true), &json!({})));
    }
    let snapshot = client.raw("state.snapshot", json!({})).await.unwrap();
    assert_eq!(snapshot, json!({ "k": "before" }));
    // Invariant 2: the cost fits the results.
    let cost = &result["cost"];
    assert_eq!(cost["actions_executed"], 3);
    assert_eq!(cost["actions_skipped"], 1);
    assert_eq!(cost["tool_calls"], 2);
}

#[tokio::test]
async fn a_rollback_leaves_alone_what_others_wrote_since() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["bad"]).await;
    let actions = json!([
        { "id": "w", "type": "state_write", "parameters": { "key": "k", "value": 1 } },
        { "id": "v", "type": "state_write", "parameters": { "key": "l", "value": 1 } },
        with(call("b", "bad", json!({})), json!({ "dependencies": ["w", "v"] })),
    ]);
    let id = client.send("proposal.submit", proposal(actions)).await;
    let mut asked = client.frame(|it| it["method"] == "tools.execute").await;
    client.raw("state.set", json!({ "key": "k", "value": "mine" })).await.unwrap();
    client.answer_error(&asked["id"].take(), &RpcError::new(-32000, "no")).await;
    finish(&mut client, id, echo).await.unwrap();
    let snapshot = client.raw("state.snapshot", json!({})).await.unwrap();
    assert_eq!(snapshot, json!({ "k": "mine" }));
}

#[tokio::test]
async fn a_skipped_failure_lets_the_others_go_on() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["bad", "good"]).await;
    let actions = json!([
        with(call("b", "bad", json!({})), json!({ "failure_behavior": "skip" })),
        with(call("n", "good", json!({})), json!({ "dependencies": ["b"] })),
        with(call("g", "good", json!({})), json!({ "expected_effects": { "done": true } })),
    ]);
    let result = run(&mut client, proposal(actions), |ask| match ask.tool.as_str() {
        "bad" => Err(RpcError::new(-32000, "no")),
        _ => Ok(json!(1)),
    })
    .await;
    assert_eq!(statuses(&result), ["skipped", "rejected", "succeeded"]);
    assert_eq!(error_of(&result, 0), "no");
    assert_eq!(result["results"][2]["state_changes"], json!({ "done": true }));
    assert_eq!(client.raw("state.get", json!({ "key": "done" })).await.unwrap(), true);
}

/// Invariant 10: n + 1 attempts, numbered from 1, with growing pauses.
#[tokio::test(start_paused = true)]
async fn a_retry_tries_as_often_as_it_says() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["bad"]).await;
    let retry = json!({ "failure_behavior": "retry", "max_retries": 3 });
    let (mut attempts, mut times) = (Vec::new(), Vec::new());
    let actions = json!([with(call("b", "bad", json!({})), retry)]);
    let result = run(&mut client, proposal(actions), |ask| {
        attempts.push(ask.attempt);
        times.push(Instant::now());
        Err(RpcError::new(-32000, "never"))
    })
    .await;
    assert_eq!(attempts, [1, 2, 3, 4]);
    let pauses: Vec<_> = times.windows(2).map(|it| it[1] - it[0]).collect();
    for (pause, least) in pauses.iter().zip([50, 100, 200]) {
        let least = Duration::from_millis(least);
        assert!(*pause >= least && *pause < least + Duration::from_millis(40), "{pauses:?}");
    }
    assert_eq!(statuses(&result), ["failed"]);
    assert_eq!(
        (&result["results"][0]["attempts"], &result["cost"]["retries"]),
        (&json!(4), &json!(3))
    );
    assert_eq!(result["cost"]["tool_calls"], 1);
}

/// A rejection does not abort, whatever the action says about failures.
#[tokio::test]
async fn a_rejection_stops_only_those_who_need_it() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["good"]).await;
    let actions = json!([
        with(call("x", "missing", json!({})), json!({ "failure_behavior": "abort" })),
        with(call("y", "good", json!({})), json!({ "dependencies": ["x"] })),
        call("z", "good", json!({})),
        with(call("s", "good", json!({})), json!({ "state_dependencies": ["nowhere"] })),
        with(
            call("p", "good", json!({})),
            json!({ "preconditions": [
            { "key": "k", "operator": "gt", "value": 3, "description": "enough of them" },
        ] })
        ),
    ]);
    let result = run(&mut client, proposal(actions), echo).await;
    assert_eq!(statuses(&result), ["rejected", "rejected", "succeeded", "rejected", "rejected"]);
    assert_eq!(error_of(&result, 0), "tool 'missing' is not registered");
    assert_eq!(error_of(&result, 3), "state dependency 'nowhere' not found");
    assert!(error_of(&result, 4).contains("enough of them"));
}

#[tokio::test]
async fn actions_on_state_read_write_and_assert() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let actions = json!([
        { "id": "w", "type": "state_write", "parameters": { "key": "n", "value": 2 } },
        { "id": "r", "type": "state_read", "parameters": { "key": "n" } },
        { "id": "a", "type": "assertion", "parameters": { "key": "n", "operator": "gte", "expected": 2.0, "value": 9 } },
        { "id": "m", "type": "state_read", "parameters": { "key": "missing" } },
        { "id": "f", "type": "assertion", "parameters": { "key": "n", "value": 3 },
          "failure_behavior": "skip" },
    ]);
    let result = run(&mut client, proposal(actions), echo).await;
    let outputs: Vec<_> =
        result["results"].as_array().unwrap().iter().map(|it| it["output"].clone()).collect();
    assert_eq!(outputs, [json!("written: n"), json!(2), json!(true), Value::Null, Value::Null]);
    assert_eq!(statuses(&result)[4], "skipped");
    assert_eq!(result["results"][0]["state_changes"], json!({ "n": 2 }));
    assert_eq!(result["cost"]["tool_calls"], 0);
}

#[tokio::test]
async fn a_scope_sees_its_own_tenant_only() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    client.raw("state.set", json!({ "key": "k", "value": "nobody's" })).await.unwrap();
    let set = json!({ "key": "k", "value": "a's", "tenant_id": "a" });
    client.raw("state.set", set).await.unwrap();
    let mut params = proposal(json!([
        { "id": "r", "type": "state_read", "parameters": { "key": "k" } },
        { "id": "w", "type": "state_write", "parameters": { "key": "new", "value": 1 } },
    ]));
    params["scope"] = json!({ "tenantId": "a", "callerId": "me", "claims": { "role": "hunter2" } });
    let result = run(&mut client, params, echo).await;
    assert_eq!(result["results"][0]["output"], "a's");
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!(["k"]));
    let keys = client.raw("state.keys", json!({ "tenant_id": "a" })).await.unwrap();
    assert_eq!(keys, json!(["k", "new"]));
    let scope = events(&mut client, "session_scope").await;
    assert_eq!(
        (&scope[0]["data"]["caller"], &scope[0]["data"]["tenant"]),
        (&json!("me"), &json!("a"))
    );
    assert_eq!(scope[0]["data"]["claims_digest"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn what_is_wrong_with_a_proposal_is_named_and_nothing_runs() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let t = |id: &str| call(id, "t", json!({}));
    for (actions, field) in [
        (json!([{ "id": "a", "type": "nonsense" }]), "proposal.actions[0].type"),
        (json!([t("a"), t("a")]), "proposal.actions[1].id"),
        (
            json!([with(t("a"), json!({ "dependencies": ["b"] }))]),
            "proposal.actions[0].dependencies[0]",
        ),
        (json!([{ "id": "a", "type": "tool_call" }]), "proposal.actions[0].tool"),
        (json!([{ "id": "a", "type": "state_read" }]), "proposal.actions[0].parameters.key"),
        (json!([with(t("a"), json!({ "timeout_ms": 0 }))]), "proposal.actions[0].timeout_ms"),
        (json!([with(t("a"), json!({ "max_retries": 21 }))]), "proposal.actions[0].max_retries"),
        (json!([{ "id": "a b", "type": "tool_call", "tool": "t" }]), "proposal.actions[0].id"),
        (
            json!([{ "id": "w", "type": "state_write", "parameters": { "key": "tenant:x" } }]),
            "proposal.actions[0].parameters.key",
        ),
        (json!(7), "proposal.actions"),
    ] {
        let error = client.raw("proposal.submit", proposal(actions)).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{error}");
    }
    let circle = json!([
        with(t("a"), json!({ "dependencies": ["b"] })),
        call("b", "t", json!({ "x": "$a.output" })),
    ]);
    let error = client.raw("proposal.submit", proposal(circle)).await.unwrap_err();
    let mut ids = error.data.unwrap()["actions"].as_array().unwrap().clone();
    ids.sort_by_key(ToString::to_string);
    assert_eq!(ids, ["a", "b"]);
    let mut params = proposal(json!([t("a")]));
    params["session_id"] = json!("ps-none");
    let error = client.raw("proposal.submit", params.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
    params["session_id"] = json!(null);
    params["scope"] = json!({ "tenantId": "" });
    let error = client.raw("proposal.submit", params).await.unwrap_err();
    assert_eq!(error.field(), Some("scope.tenantId"));
    assert_eq!(client.raw("events.count", json!({})).await.unwrap(), 0);
}

/// Ids and times that are not given are made.
#[tokio::test]
async fn what_is_not_given_is_filled_in() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let action = json!({ "type": "state_read", "parameters": { "key": "k" } });
    let params = json!({ "proposal": { "actions": [action, action] } });
    let result = run(&mut client, params, echo).await;
    assert_eq!(result["proposal_id"].as_str().unwrap().len(), 12);
    assert_ne!(result["results"][0]["action_id"], result["results"][1]["action_id"]);
}

/// A later level starts sooner where nothing that is not done can matter to it.
#[tokio::test]
async fn readiness_comes_before_levels_where_it_cannot_matter() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["slow", "fast", "next"]).await;
    let actions = |slow: Value| {
        json!([
            with(call("s", "slow", json!({})), slow),
            call("f", "fast", json!({})),
            with(
                call("n", "next", json!({})),
                json!({ "dependencies": ["f"], "failure_behavior": "skip" }),
            ),
        ])
    };
    let skips = proposal(actions(json!({ "failure_behavior": "skip" })));
    let id = client.send("proposal.submit", skips).await;
    let slow = client.frame(|it| it["params"]["tool"] == "slow").await["id"].take();
    let fast = client.frame(|it| it["params"]["tool"] == "fast").await["id"].take();
    client.answer(&fast, json!(1)).await;
    let next = client.frame(|it| it["params"]["tool"] == "next").await["id"].take();
    client.answer(&next, json!(1)).await;
    client.answer(&slow, json!(1)).await;
    finish(&mut client, id, echo).await.unwrap();
    // An action that may end the proposal holds the later level up.
    let id = client.send("proposal.submit", proposal(actions(json!({})))).await;
    let slow = client.frame(|it| it["params"]["tool"] == "slow").await["id"].take();
    let fast = client.frame(|it| it["params"]["tool"] == "fast").await["id"].take();
    client.answer(&fast, json!(1)).await;
    client.raw("state.keys", json!({})).await.unwrap();
    assert!(!client.has_heard(|it| it["params"]["tool"] == "next").await);
    client.answer_error(&slow, &RpcError::new(-32000, "no")).await;
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(statuses(&result), ["failed", "succeeded", "skipped"]);
}

/// The reply to what is journaled leaves after the journal reached its file.
#[tokio::test]
async fn the_file_has_what_the_reply_tells_of() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    run(&mut client, proposal(json!([call("a", "t", json!({}))])), echo).await;
    assert!(crate::journals(&host).contains("proposal_completed"));
}

#[tokio::test]
async fn an_assertion_is_tried_again_too() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let holds = json!({ "id": "a", "type": "assertion", "failure_behavior": "retry",
        "max_retries": 2, "parameters": { "key": "k", "expected": 1 } });
    let result = run(&mut client, proposal(json!([holds])), echo).await;
    assert_eq!(
        (statuses(&result), &result["results"][0]["attempts"]),
        (vec!["failed".into()], &json!(3))
    );
    assert_eq!(events(&mut client, "action_retried").await.len(), 2);
    // What another writes in a pause counts.
    let id = client.send("proposal.submit", proposal(json!([holds]))).await;
    while events(&mut client, "action_retried").await.len() < 3 {
        tokio::task::yield_now().await;
    }
    client.raw("state.set", json!({ "key": "k", "value": 1 })).await.unwrap();
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(statuses(&result), ["succeeded"]);
}

#[tokio::test]
async fn of_many_actions_none_starts_early() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["slow", "fast", "next"]).await;
    let skips = json!({ "failure_behavior": "skip" });
    let mut actions = vec![
        with(call("s", "slow", json!({})), skips.clone()),
        call("f", "fast", json!({})),
        with(with(call("n", "next", json!({})), json!({ "dependencies": ["f"] })), skips),
    ];
    let read = |n: usize| json!({ "id": format!("r{n}"), "type": "state_read", "parameters": { "key": "k" } });
    actions.extend((3..65).map(read));
    let id = client.send("proposal.submit", proposal(json!(actions))).await;
    let slow = client.frame(|it| it["params"]["tool"] == "slow").await["id"].take();
    let fast = client.frame(|it| it["params"]["tool"] == "fast").await["id"].take();
    client.answer(&fast, json!(1)).await;
    client.raw("state.keys", json!({})).await.unwrap();
    while events(&mut client, "action_succeeded").await.len() < 63 {
        tokio::task::yield_now().await;
    }
    client.raw("state.keys", json!({})).await.unwrap();
    assert!(!client.has_heard(|it| it["params"]["tool"] == "next").await);
    client.answer(&slow, json!(1)).await;
    finish(&mut client, id, echo).await.unwrap();
}
