//! The journal: what is in it, what is not, the chain, retention, metrics.

use carport_core::{RpcError, codes, testing::TestHost};
use serde_json::{Value, json};

use crate::{call, client_with, events, journals, proposal, run, with};

/// Invariant 5.
#[tokio::test]
async fn no_value_is_ever_in_a_journal() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t", "bad", "deploy"]).await;
    client.raw("state.set", json!({ "key": "s", "value": "hunter2-state" })).await.unwrap();
    let secret = |word: &str| json!({ "q": format!("hunter2-{word}") });
    let actions = json!([
        with(call("a", "t", secret("param")), json!({ "expected_effects": { "k": "hunter2-effect" } })),
        call("b", "t", json!({ "v": "$a.output" })),
        with(call("p", "t", secret("cond")), json!({ "preconditions": [{ "key": "s", "value": "hunter2-cond" }] })),
        { "id": "o", "type": "state_write", "parameters": { "key": "${a.output}-key", "value": 1 } },
        { "id": "w", "type": "state_write", "parameters": { "key": "w", "value": "hunter2-write" } },
        { "id": "x", "type": "assertion", "parameters": { "key": "w", "value": "hunter2-other" }, "failure_behavior": "skip" },
        with(call("f", "bad", secret("fail")), json!({ "failure_behavior": "skip" })),
        call("m", "missing", secret("missing")),
    ]);
    let mut params = proposal(actions);
    params["proposal"]["context"] = secret("context");
    run(&mut client, params, |ask| match ask.tool.as_str() {
        "bad" => Err(RpcError::new(-32000, "Bearer abcdef was refused")),
        _ => Ok(json!("hunter2-output")),
    })
    .await;
    run(&mut client, proposal(json!([call("d", "deploy", secret("deploy"))])), |_| Ok(json!(1)))
        .await;
    let kinds = [
        ("session_scope", 1),
        ("proposal_received", 2),
        ("proposal_completed", 2),
        ("action_succeeded", 4),
        ("action_skipped", 2),
        ("action_rejected", 3),
        ("permission_decision", 9),
        ("gate_rejected", 1),
    ];
    for (kind, count) in kinds {
        assert_eq!(events(&mut client, kind).await.len(), count, "{kind}");
    }
    let succeeded = events(&mut client, "action_succeeded").await;
    let first = succeeded.iter().find(|it| it["action_id"] == "a").unwrap();
    assert_eq!(
        (&first["data"]["tool"], &first["data"]["effect_keys"]),
        (&json!("t"), &json!(["k"]))
    );
    assert_eq!(first["data"]["params_digest"].as_str().unwrap().len(), 64);
    assert_eq!(first["proposal_id"], "p1");
    client.close().await;
    host.emptied().await;
    let text = journals(&host);
    assert!(text.lines().count() > 20);
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!text.contains("abcdef") && text.contains("was refused"));
}

/// Invariant 12: nobody sees another's events.
#[tokio::test]
async fn events_are_queried_by_conditions_and_belong_to_a_connection() {
    let host = TestHost::start().await;
    let (mut client, mut other) = (client_with(&host, &["t"]).await, host.client().await);
    assert_eq!(client.raw("events.count", json!({})).await.unwrap(), 0);
    let actions = json!([call("a", "t", json!({})), call("b", "t", json!({}))]);
    run(&mut client, proposal(actions), |_| Ok(json!(1))).await;
    let query = |params: Value| params;
    for (params, count) in [
        (query(json!({ "kinds": ["action_succeeded"] })), 2),
        (query(json!({ "kinds": ["action_succeeded"], "action_id": "a" })), 1),
        (
            query(
                json!({ "proposal_id": "p1", "kinds": ["proposal_received", "proposal_completed"] }),
            ),
            2,
        ),
        (query(json!({ "data_matches": { "tool": "t" }, "kinds": ["action_succeeded"] })), 2),
        (query(json!({ "data_matches": { "actions": "2" } })), 1),
        (query(json!({ "until": "1970-01-01T00:00:00Z" })), 0),
        (query(json!({ "since": "1970-01-01T00:00:00Z", "limit": 3 })), 3),
        (query(json!({ "kinds": ["nonsense"] })), 0),
    ] {
        let page = client.raw("events.query", params.clone()).await.unwrap();
        assert_eq!(
            (&page["count"], page["events"].as_array().unwrap().len()),
            (&json!(count), count),
            "{params}"
        );
    }
    let all = client.raw("events.query", json!({})).await.unwrap();
    assert_eq!(client.raw("events.count", json!({})).await.unwrap(), all["count"]);
    let sequences: Vec<_> = all["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["sequence"].as_u64().unwrap())
        .collect();
    assert!(sequences.windows(2).all(|it| it[0] > it[1]), "newest first");
    assert_eq!(other.raw("events.count", json!({})).await.unwrap(), 0);
    let error = client.raw("events.query", json!({ "limit": 10_001 })).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("limit")));
}

/// Invariant 14.
#[tokio::test]
async fn an_edited_line_is_found() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    for _ in 0..2 {
        assert_eq!(
            client.raw("events.chain.enable", json!({})).await.unwrap(),
            json!({ "ok": true })
        );
    }
    for _ in 0..3 {
        run(&mut client, proposal(json!([call("a", "t", json!({}))])), |_| Ok(json!(1))).await;
    }
    let count = client.raw("events.count", json!({})).await.unwrap();
    let verified = client.raw("events.chain.verify", json!({})).await.unwrap();
    assert_eq!(verified, json!({ "verified": count }));
    let id = crate::id_of(&mut client).await;
    let path = host.root().join(format!("journals/{id}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    let edited = text.lines().enumerate().map(|(at, line)| match at {
        4 => format!(
            "{}\n",
            line.replace("action_succeeded", "action_failed").replace("proposal", "Proposal")
        ),
        _ => format!("{line}\n"),
    });
    std::fs::write(&path, edited.collect::<String>()).unwrap();
    let verified = client.raw("events.chain.verify", json!({})).await.unwrap();
    assert_eq!(verified, json!({ "tampered_at": 4 }));
}

/// Invariant 15 is the journal's; here it is reached over the wire.
#[tokio::test]
async fn retention_holds_at_every_append() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    assert_eq!(client.raw("events.retention", json!({})).await.unwrap(), json!({ "policy": {} }));
    run(&mut client, proposal(json!([call("a", "t", json!({}))])), |_| Ok(json!(1))).await;
    let before = client.raw("events.count", json!({})).await.unwrap().as_u64().unwrap();
    let set =
        client.raw("events.retention", json!({ "policy": { "max_events": 2 } })).await.unwrap();
    assert_eq!(set, json!({ "policy": { "max_events": 2 }, "removed": before - 2 }));
    run(&mut client, proposal(json!([call("a", "t", json!({}))])), |_| Ok(json!(1))).await;
    assert_eq!(client.raw("events.count", json!({})).await.unwrap(), 2);
    for (policy, field) in [
        (json!({ "max_events": 0 }), "policy.max_events"),
        (json!({ "max_events": 10_001 }), "policy.max_events"),
        (json!({ "max_age_secs": 0 }), "policy.max_age_secs"),
    ] {
        let error = client.raw("events.retention", json!({ "policy": policy })).await.unwrap_err();
        assert_eq!(error.field(), Some(field));
    }
}

#[tokio::test]
async fn metrics_sum_up_and_alerts_fire() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["good", "bad"]).await;
    let none = client.raw("metrics.summary", json!({})).await.unwrap();
    assert_eq!((&none["success_rate"], &none["total_events"]), (&json!(0.0), &json!(0)));
    let mut actions: Vec<_> = (0..3).map(|n| call(&format!("g{n}"), "good", json!({}))).collect();
    actions.push(with(call("b", "bad", json!({})), json!({ "dependencies": ["g0", "g1", "g2"] })));
    actions.push(call("m", "missing", json!({})));
    run(&mut client, proposal(json!(actions)), |ask| match ask.tool.as_str() {
        "bad" => Err(RpcError::new(-32000, "no")),
        _ => Ok(json!(1)),
    })
    .await;
    let sum = client.raw("metrics.summary", json!({})).await.unwrap();
    assert_eq!(
        (&sum["actions_succeeded"], &sum["actions_failed"], &sum["actions_rejected"]),
        (&json!(3), &json!(1), &json!(1))
    );
    assert_eq!((&sum["error_rate"], &sum["permission_decisions"]), (&json!(0.25), &json!(5)));
    let quiet = client.raw("metrics.alerts", json!({ "max_error_rate": 0.1 })).await.unwrap();
    assert_eq!(quiet["alerts"], json!([]), "too few actions");
    let params = json!({ "max_error_rate": 0.1, "min_actions": 4, "max_cost_usd": 1 });
    let loud = client.raw("metrics.alerts", params).await.unwrap();
    assert_eq!(loud["alerts"][0]["kind"], "error_rate");
    assert_eq!(loud["alerts"].as_array().unwrap().len(), 1);
    let error = client.raw("metrics.alerts", json!({ "max_error_rate": 2 })).await.unwrap_err();
    assert_eq!(error.field(), Some("max_error_rate"));
    assert_eq!(client.raw("events.cost_by_agent", json!({})).await.unwrap(), json!([]));
}
