//! Tools: registering, schemas, time limits, cancellation, the basic ones.

use std::time::Duration;

use carport_core::{RpcError, codes, testing::TestHost};
use carport_engine::{ExecuteTool, ToolCancel};
use serde_json::json;
use tokio::time::Instant;

use crate::{call, client_with, echo, error_of, finish, id_of, proposal, run, statuses, with};

#[tokio::test]
async fn tools_are_registered_listed_and_forgotten() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let tools = json!([{ "name": "b" }, { "name": "a", "cache_ttl_secs": 5, "returns": {} }]);
    assert_eq!(client.raw("tools.register", tools).await.unwrap(), 2);
    let list = client.raw("tools.list", json!({})).await.unwrap();
    let rows = json!([
        { "name": "a", "description": "", "parameters": {}, "returns": {}, "idempotent": false, "cache_ttl_secs": 5 },
        { "name": "b", "description": "", "parameters": {}, "idempotent": false },
    ]);
    assert_eq!(list, json!({ "tools": rows, "count": 2 }));
    client.raw("tools.register", json!([{ "name": "b", "description": "again" }])).await.unwrap();
    let list = client.raw("tools.list", json!({})).await.unwrap();
    assert_eq!((&list["count"], &list["tools"][1]["description"]), (&json!(2), &json!("again")));
    let gone = client.raw("tools.unregister", json!({ "name": "a" })).await.unwrap();
    assert_eq!(gone, json!({ "unregistered": "a", "removed": 1 }));
    let gone = client.raw("tools.unregister", json!({ "name": "a" })).await.unwrap();
    assert_eq!(gone["removed"], 0);
    assert_eq!(client.raw("tools.unregister", json!({})).await.unwrap_err().field(), Some("name"));
    assert_eq!(client.raw("tools.register", json!([])).await.unwrap(), 0);
    let other = host.client().await.raw("tools.list", json!({})).await.unwrap();
    assert_eq!(other["count"], 0, "another connection sees none of it");
}

#[tokio::test]
async fn a_batch_of_tools_is_taken_whole_or_not_at_all() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for (tools, field) in [
        (
            json!([{ "name": "a" }, { "name": "b", "parameters": { "type": "nothing" } }]),
            "[1].parameters",
        ),
        (json!([{ "name": "a" }, { "name": "" }]), "[1].name"),
        (json!([{ "name": "a" }, {}]), "[1].name"),
        (json!({ "tools": [] }), "params"),
    ] {
        let error = client.raw("tools.register", tools).await.unwrap_err();
        assert_eq!(error.code, codes::INVALID_PARAMS);
        assert!(error.field().unwrap().starts_with(field), "{error:?}");
    }
    let many: Vec<_> = (0..512).map(|n| json!({ "name": format!("t{n}") })).collect();
    assert_eq!(client.raw("tools.register", json!(many)).await.unwrap(), 512);
    let error = client.raw("tools.register", json!([{ "name": "more" }])).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(512)));
}

#[tokio::test]
async fn a_session_is_initialised_whole_or_not_at_all() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let deny = json!({ "name": "p", "rule": "deny_tool", "target": "t" });
    let good = json!({ "tools": [{ "name": "t" }], "policies": [deny] });
    let ready = client.raw("session.init", good).await.unwrap();
    assert_eq!((&ready["tools_registered"], &ready["policies_registered"]), (&json!(1), &json!(1)));
    assert_eq!(ready["session_id"], json!(id_of(&mut client).await));
    let bad = json!({ "name": "q", "rule": "deny_tool" });
    let params = json!({ "tools": [{ "name": "u" }], "policies": [deny, bad] });
    let error = client.raw("session.init", params).await.unwrap_err();
    assert_eq!(error.field(), Some("policies[1].target"));
    let params = json!({ "tools": [{ "name": "u" }], "policies": [
        { "name": "q", "rule": "deny_tool", "target": "t", "session_id": "none" }] });
    assert_eq!(client.raw("session.init", params).await.unwrap_err().code, codes::NOT_FOUND);
    assert_eq!(client.raw("tools.list", json!({})).await.unwrap()["count"], 1);
    let policies = client.raw("policy.list", json!({})).await.unwrap();
    assert_eq!(policies["policies"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn parameters_and_results_are_held_to_the_schemas() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let tool = json!([{ "name": "t",
        "parameters": { "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] },
        "returns": { "type": "object", "required": ["ok"] } }]);
    client.raw("tools.register", tool).await.unwrap();
    let skip = json!({ "failure_behavior": "skip" });
    let actions = json!([
        call("misfit", "t", json!({ "n": "hunter2" })),
        with(call("broken", "t", json!({ "n": 1 })), skip.clone()),
        with(call("kept", "t", json!({ "n": 2 })), skip),
    ]);
    let mut asked = 0;
    let result = run(&mut client, proposal(actions), |ask| {
        asked += 1;
        Ok(if ask.action_id == "kept" { json!({ "ok": 1 }) } else { json!({}) })
    })
    .await;
    assert_eq!(statuses(&result), ["rejected", "skipped", "succeeded"]);
    assert_eq!(asked, 2);
    assert!(!error_of(&result, 0).contains("hunter2") && error_of(&result, 0).contains("/n"));
    assert!(error_of(&result, 1).contains("returns"));
}

/// A result is a success whatever it holds; only an error is a failure.
#[tokio::test]
async fn any_result_is_a_success() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    for output in [json!(null), json!({ "error": "no" }), json!([]), json!(false)] {
        let actions = json!([call("a", "t", json!({}))]);
        let result = run(&mut client, proposal(actions), |_| Ok(output.clone())).await;
        assert_eq!(statuses(&result), ["succeeded"]);
        assert_eq!(result["results"][0]["output"], output);
    }
    let actions = json!([call("a", "t", json!({}))]);
    let refuse = |_: &ExecuteTool| Err(RpcError::new(codes::METHOD_NOT_FOUND, "x".repeat(5000)));
    let result = run(&mut client, proposal(actions), refuse).await;
    assert_eq!(statuses(&result), ["failed"], "a registered tool that is refused is not rejected");
    assert_eq!(error_of(&result, 0).len(), 4096);
}

/// Invariant 11: a late answer changes nothing, and its request was cancelled exactly once.
#[tokio::test(start_paused = true)]
async fn an_answer_after_the_deadline_changes_nothing() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["slow"]).await;
    let limited = json!({ "timeout_ms": 200, "expected_effects": { "k": 1 } });
    let actions = json!([with(call("a", "slow", json!({})), limited)]);
    let began = Instant::now();
    let id = client.send("proposal.submit", proposal(actions)).await;
    let (asked, ask) = client.asked::<ExecuteTool>().await;
    assert_eq!((ask.timeout_ms, ask.request_id.as_str()), (Some(200), asked.as_str().unwrap()));
    let cancel = client.event::<ToolCancel>().await;
    assert_eq!((cancel.request_id, cancel.action_id.as_str()), (ask.request_id, "a"));
    client.answer(&asked, json!("late")).await;
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(statuses(&result), ["failed"]);
    assert!(error_of(&result, 0).contains("timed out after 200 ms"));
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!([]));
    assert!(!client.has_heard(|it| it["method"] == "tools.cancel").await, "named once");
    let failed = crate::events(&mut client, "action_failed").await;
    assert_eq!(failed[0]["data"]["error_class"], "timeout");
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_limit_has_the_tool_default() {
    let host =
        TestHost::builder().plugin("engine", json!({ "tool_timeout_secs": 7 })).start().await;
    let mut client = client_with(&host, &["slow"]).await;
    let began = Instant::now();
    let actions = json!([call("a", "slow", json!({}))]);
    let id = client.send("proposal.submit", proposal(actions)).await;
    client.asked::<ExecuteTool>().await;
    let result = client.reply(id).await.unwrap();
    assert!(error_of(&result, 0).contains("7000 ms"));
    assert!((7..9).contains(&began.elapsed().as_secs()));
}

/// The deadline of the whole is derived and only ever raised; when it passes, open calls are
/// cancelled.
#[tokio::test(start_paused = true)]
async fn the_deadline_leaves_room_for_every_attempt() {
    let host = TestHost::builder().settings(|it| it.deadlines.default_secs = 1).start().await;
    let mut client = client_with(&host, &["slow"]).await;
    let retry = json!({ "timeout_ms": 20_000, "failure_behavior": "retry", "max_retries": 2 });
    let actions = json!([with(call("a", "slow", json!({})), retry)]);
    let began = Instant::now();
    let id = client.send("proposal.submit", proposal(actions)).await;
    let result = client.reply(id).await.unwrap();
    assert_eq!(
        (&result["results"][0]["attempts"], statuses(&result)),
        (&json!(3), vec!["failed".into()])
    );
    assert!(began.elapsed().as_secs() >= 60);
}

/// The pauses between attempts are not in the budget, so that they can use it up.
#[tokio::test(start_paused = true)]
async fn when_the_deadline_passes_open_calls_are_cancelled_and_the_journal_says_so() {
    let host = TestHost::builder().settings(|it| it.deadlines.default_secs = 1).start().await;
    let mut client = client_with(&host, &["flaky", "hangs"]).await;
    let retry = json!({ "timeout_ms": 1, "failure_behavior": "retry", "max_retries": 20,
                        "expected_effects": { "k": 1 } });
    let after = json!({ "timeout_ms": 18_000, "dependencies": ["f"] });
    let actions = json!([
        with(call("f", "flaky", json!({})), retry),
        with(call("h", "hangs", json!({})), after),
    ]);
    let id = client.send("proposal.submit", proposal(actions)).await;
    let hanging = loop {
        let (asked, ask) = client.asked::<ExecuteTool>().await;
        match (ask.tool.as_str(), ask.attempt) {
            ("hangs", _) => break ask.request_id,
            (_, 21) => client.answer(&asked, json!(1)).await,
            _ => client.answer_error(&asked, &RpcError::new(-32000, "not yet")).await,
        }
    };
    let error = client.reply(id).await.unwrap_err();
    assert_eq!(error.code, codes::DEADLINE);
    let cancel = client.event::<ToolCancel>().await;
    assert_eq!((cancel.request_id, cancel.reason.as_str()), (hanging, "the deadline passed"));
    let completed = loop {
        let found = crate::events(&mut client, "proposal_completed").await;
        if let Some(event) = found.first() {
            break event.clone();
        }
    };
    assert_eq!(completed["data"]["stopped"], "the deadline passed");
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!([]), "rolled back");
}

#[tokio::test]
async fn the_basic_tools_work_in_the_workspace() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["calculate"]).await;
    client.raw("agents.register_basics", json!({})).await.unwrap();
    let list = client.raw("tools.list", json!({})).await.unwrap();
    let names: Vec<_> =
        list["tools"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    let expected = [
        "calculate",
        "edit_file",
        "find_files",
        "grep_files",
        "list_dir",
        "read_file",
        "write_file",
    ];
    assert_eq!(names, expected);
    let actions = json!([
        call("w", "write_file", json!({ "path": "notes/a.txt", "content": "hello" })),
        with(
            call("r", "read_file", json!({ "path": "notes/a.txt" })),
            json!({ "dependencies": ["w"] })
        ),
        with(
            call("out", "read_file", json!({ "path": "../config.toml" })),
            json!({ "failure_behavior": "skip" })
        ),
        call("c", "calculate", json!({ "expression": "1 + 1" })),
    ]);
    let mut asked = Vec::new();
    let result = run(&mut client, proposal(actions), |ask| {
        asked.push(ask.tool.clone());
        Ok(json!("the client's own"))
    })
    .await;
    assert_eq!(statuses(&result), ["succeeded", "succeeded", "skipped", "succeeded"], "{result}");
    assert_eq!(asked, ["calculate"], "a client's tool of the same name wins");
    assert!(result["results"][1]["output"].to_string().contains("hello"));
    let file = host.root().join("workspace/notes/a.txt");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "hello");
    // Registering a tool of that name later wins as well.
    client.raw("tools.register", json!([{ "name": "read_file" }])).await.unwrap();
    let actions = json!([call("r", "read_file", json!({ "path": "x" }))]);
    let result = run(&mut client, proposal(actions), |_| Ok(json!("mine"))).await;
    assert_eq!(result["results"][0]["output"], "mine");
}

#[tokio::test]
async fn a_workspace_that_cannot_be_made_is_unavailable() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let workspace = file.path().join("below");
    let host =
        TestHost::builder().plugin("engine", json!({ "workspace": workspace })).start().await;
    let error = host.client().await.raw("agents.register_basics", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::UNAVAILABLE);
}
