//! Policies: of the connection, of policy sessions, of the operator.

use carport_core::{codes, testing::TestHost};
use serde_json::json;

use crate::{call, client_with, echo, error_of, events, proposal, run, statuses};

#[tokio::test]
async fn a_policy_refuses_and_the_journal_does_not_tell_the_value() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t", "u"]).await;
    for (name, key) in [("first", "q"), ("second", "q")] {
        let policy = json!({ "name": name, "rule": "deny_tool_param", "target": "t", "key": key, "pattern": "hunter" });
        let registered = client.raw("policy.register", policy).await.unwrap();
        assert_eq!(registered, json!({ "registered": name, "name": name, "scope": "global" }));
    }
    let actions = json!([
        call("a", "t", json!({ "q": "hunter2" })),
        call("b", "u", json!({ "q": "hunter2" })),
    ]);
    let result = run(&mut client, proposal(actions), echo).await;
    assert_eq!(statuses(&result), ["rejected", "succeeded"]);
    let error = error_of(&result, 0);
    assert!(error.contains("policy 'first': ") && error.contains("policy 'second': "), "{error}");
    let found = events(&mut client, "policy_violation").await;
    assert_eq!(found.len(), 2);
    assert!(!json!(found).to_string().contains("hunter2"));
    let gone = client.raw("policy.unregister", json!({ "name": "first" })).await.unwrap();
    assert_eq!(gone, json!({ "unregistered": "first", "removed": 1, "scope": "global" }));
    let gone = client.raw("policy.unregister", json!({ "name": "first" })).await.unwrap();
    assert_eq!(gone["removed"], 0);
    let list = client.raw("policy.list", json!({})).await.unwrap();
    assert_eq!(list["policies"][0]["name"], "second");
    assert_eq!(
        host.client().await.raw("policy.list", json!({})).await.unwrap()["policies"],
        json!([])
    );
}

#[tokio::test]
async fn a_policy_session_counts_for_proposals_that_name_it() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let opened = client.raw("session.policy.open", json!({})).await.unwrap();
    let session = opened["session_id"].clone();
    let policy =
        json!({ "name": "ready", "rule": "require_state", "key": "ready", "session_id": session });
    let registered = client.raw("policy.register", policy).await.unwrap();
    assert_eq!(registered["scope"], json!({ "session_id": session }));
    let list = client.raw("policy.list", json!({ "session_id": session })).await.unwrap();
    assert_eq!(list["policies"].as_array().unwrap().len(), 1);
    let plain = proposal(json!([call("a", "t", json!({}))]));
    let mut named = plain.clone();
    named["session_id"] = session.clone();
    assert_eq!(statuses(&run(&mut client, plain, echo).await), ["succeeded"]);
    assert_eq!(statuses(&run(&mut client, named.clone(), echo).await), ["rejected"]);
    client.raw("state.set", json!({ "key": "ready", "value": true })).await.unwrap();
    assert_eq!(statuses(&run(&mut client, named.clone(), echo).await), ["succeeded"]);
    // Scope and policy session combine: the tenant is not ready.
    let mut scoped = named.clone();
    scoped["scope"] = json!({ "tenantId": "x" });
    assert_eq!(statuses(&run(&mut client, scoped, echo).await), ["rejected"]);
    let closed =
        client.raw("session.policy.close", json!({ "session_id": session })).await.unwrap();
    assert_eq!(closed, json!({ "closed": true }));
    let closed =
        client.raw("session.policy.close", json!({ "session_id": session })).await.unwrap();
    assert_eq!(closed, json!({ "closed": false }));
    let error = client.raw("proposal.submit", named).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_FOUND);
    for method in ["policy.list", "policy.unregister"] {
        let params = json!({ "session_id": session, "name": "x" });
        assert_eq!(client.raw(method, params).await.unwrap_err().code, codes::NOT_FOUND);
    }
    // Another connection's policy session is unknown here.
    let other = host.client().await.raw("session.policy.open", json!({})).await.unwrap();
    assert_eq!(client.raw("policy.list", other).await.unwrap_err().code, codes::NOT_FOUND);
}

#[tokio::test]
async fn policies_and_policy_sessions_have_limits() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for _ in 0..64 {
        client.raw("session.policy.open", json!({})).await.unwrap();
    }
    let error = client.raw("session.policy.open", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::LIMIT);
    let policy = json!({ "name": "p", "rule": "deny_tool", "target": "t" });
    for _ in 0..256 {
        client.raw("policy.register", policy.clone()).await.unwrap();
    }
    assert_eq!(client.raw("policy.register", policy).await.unwrap_err().code, codes::LIMIT);
    for (policy, field) in [
        (json!({ "name": "", "rule": "deny_tool", "target": "t" }), "name"),
        (json!({ "name": "p", "rule": "deny_tool" }), "target"),
        (json!({ "name": "p", "rule": "deny_tool_param", "target": "t", "key": "k" }), "pattern"),
        (json!({ "name": "p", "rule": "require_state" }), "key"),
        (json!({ "rule": "require_state" }), "name"),
    ] {
        let error = client.raw("policy.register", policy).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
}

#[tokio::test]
async fn the_operators_rules_are_for_everybody_and_stay() {
    let rules = json!([
        { "kind": "deny_tool", "tools": ["rm"] },
        { "kind": "rate_limit_tool", "tool": "t", "max_calls": 1, "interval_secs": 3600 },
    ]);
    let host = TestHost::builder().plugin("engine", json!({ "rules": rules })).start().await;
    for mut client in
        [client_with(&host, &["rm", "t"]).await, client_with(&host, &["rm", "t"]).await]
    {
        let list = client.raw("policy.list", json!({})).await.unwrap();
        let names =
            list["policies"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap());
        assert_eq!(names.collect::<Vec<_>>(), ["operator:deny_tool", "operator:rate_limit_tool"]);
        let gone = json!({ "name": "operator:deny_tool" });
        assert_eq!(client.raw("policy.unregister", gone).await.unwrap()["removed"], 0);
        let actions = json!([
            call("a", "rm", json!({})),
            call("b", "t", json!({})),
            call("c", "t", json!({}))
        ]);
        let result = run(&mut client, proposal(actions), echo).await;
        assert_eq!(statuses(&result), ["rejected", "succeeded", "rejected"]);
        assert!(error_of(&result, 0).starts_with("policy 'operator:deny_tool': "));
    }
}

#[tokio::test]
async fn a_rule_that_does_not_parse_fails_the_boot() {
    use carport_core::{Config, Host, Registry};
    let root = tempfile::tempdir().unwrap();
    for (section, says) in [
        (
            json!({ "rules": [{ "kind": "deny_tool_param_matching", "tool": "t", "param": "p", "matches": "(" }] }),
            "rules[0]",
        ),
        (json!({ "rules": [{ "kind": "nonsense" }] }), "rules[0]"),
        (json!({ "tool_timeout_secs": 0 }), "tool_timeout_secs"),
        (json!({ "supervision_timeout_ms": 1 }), "supervision_timeout_ms"),
        (json!({ "workspace": "relative" }), "workspace"),
        (json!({ "nonsense": 1 }), "nonsense"),
    ] {
        let mut config = Config { state_root: Some(root.path().to_owned()), ..Config::default() };
        config.plugins.insert("engine".into(), section);
        let registry = Registry::linked(&[], &[]).unwrap();
        let error = Host::start(registry, config).await.err().unwrap().to_string();
        assert!(error.contains("engine") && error.contains(says), "{error}");
    }
}
