//! Permission: tiers, the ledger, and that what is said is what is done.

use carport_core::{
    ManualClock, Time, codes,
    testing::{TestClient, TestHost},
};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{call, client_with, echo, error_of, events, id_of, proposal, run, statuses, with};

async fn evaluate(client: &mut TestClient, actions: Value) -> Vec<Value> {
    let reply = client.raw("permission.evaluate", proposal(actions)).await.unwrap();
    reply["decisions"].as_array().unwrap().clone()
}

/// Invariants 7 and 16.
#[tokio::test]
async fn anyone_lowers_its_tier_and_only_a_host_raises_one() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (host.client().await, host.host().await);
    let tier = client.raw("permission.get_tier", json!({})).await.unwrap();
    assert_eq!(tier, json!({ "granted_tier": "sandbox_edit" }));
    let lower = json!({ "tier": "read_only" });
    assert_eq!(
        client.raw("permission.set_tier", lower.clone()).await.unwrap(),
        json!({ "granted_tier": "read_only" })
    );
    for tier in ["sandbox_edit", "full_access"] {
        let error = client.raw("permission.set_tier", json!({ "tier": tier })).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN);
    }
    person.raw("permission.set_tier", lower).await.unwrap();
    let raised = person.raw("permission.set_tier", json!({ "tier": "full_access" })).await.unwrap();
    assert_eq!(raised["granted_tier"], "full_access");
    let id = id_of(&mut client).await;
    let params = json!({ "tier": "full_access", "client_id": id });
    person.raw("permission.set_tier", params.clone()).await.unwrap();
    assert_eq!(
        client.raw("permission.get_tier", json!({})).await.unwrap()["granted_tier"],
        "full_access"
    );
    let other = host.client().await.raw("permission.set_tier", params).await.unwrap_err();
    assert_eq!(other.code, codes::FORBIDDEN);
    let nobody = json!({ "tier": "read_only", "client_id": "c-none" });
    assert_eq!(person.raw("permission.set_tier", nobody).await.unwrap_err().code, codes::NOT_FOUND);
    // A connection that never used the engine can be lowered, too.
    let mut fresh = host.stranger().await;
    let proof =
        fresh.raw("session.auth", json!({ "token": carport_core::testing::TOKEN })).await.unwrap();
    let params = json!({ "tier": "read_only", "client_id": proof["client_id"] });
    person.raw("permission.set_tier", params).await.unwrap();
    assert_eq!(
        fresh.raw("permission.get_tier", json!({})).await.unwrap()["granted_tier"],
        "read_only"
    );
    let bad = client.raw("permission.set_tier", json!({ "tier": "root" })).await.unwrap_err();
    assert_eq!(bad.field(), Some("tier"));
}

#[tokio::test]
async fn actions_are_classified_by_their_names() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let actions = json!([
        call("a", "read_secret", json!({})),
        with(call("b", "db_insert", json!({})), json!({ "reversibility": "compensable" })),
        { "id": "c", "type": "state_read", "parameters": { "key": "k" } },
    ]);
    let reply = client.raw("permission.classify", proposal(actions)).await.unwrap();
    assert_eq!(reply["declared_rollback_contract"], "irreversible");
    assert_eq!(
        reply["classifications"],
        json!([
            { "action_id": "a", "tool": "read_secret", "required_tier": "full_access",
              "reversibility": "reversible", "missing_compensation": false },
            { "action_id": "b", "tool": "db_insert", "required_tier": "sandbox_edit",
              "reversibility": "compensable", "missing_compensation": true },
            { "action_id": "c", "tool": null, "required_tier": "read_only",
              "reversibility": "reversible", "missing_compensation": false },
        ])
    );
    let empty = client.raw("permission.classify", proposal(json!([]))).await.unwrap();
    assert_eq!(empty["declared_rollback_contract"], "reversible");
    let error = client.raw("permission.classify", proposal(json!([{}]))).await.unwrap_err();
    assert_eq!(error.code, codes::INVALID_PARAMS);
    let mut params = proposal(json!([]));
    params["skill"] = json!("cooking");
    for method in ["permission.evaluate", "permission.pending"] {
        let error = client.raw(method, params.clone()).await.unwrap_err();
        assert_eq!(error.code, codes::UNAVAILABLE);
    }
}

/// Invariants 3 and 8.
#[tokio::test]
async fn one_action_that_is_not_permitted_stops_all() {
    let host = TestHost::start().await;
    let (mut client, mut person) =
        (client_with(&host, &["read_x", "deploy"]).await, host.host().await);
    let id = id_of(&mut client).await;
    person
        .raw("permission.set_tier", json!({ "tier": "full_access", "client_id": id }))
        .await
        .unwrap();
    let actions = json!([
        { "id": "w", "type": "state_write", "parameters": { "key": "k", "value": 1 } },
        call("d", "deploy", json!({ "to": "staging" })),
    ]);
    let result = run(&mut client, proposal(actions.clone()), |_| panic!("no tool is called")).await;
    assert_eq!(statuses(&result), ["rejected", "rejected"]);
    let rows = evaluate(&mut client, actions.clone()).await;
    assert_eq!(rows[1]["decision"], "needs_approval");
    for at in [0, 1] {
        let error = error_of(&result, at);
        for part in [rows[1]["fingerprint"].as_str().unwrap(), "full_access", "permission"] {
            assert!(error.contains(part), "{error}");
        }
    }
    assert_eq!(client.raw("state.keys", json!({})).await.unwrap(), json!([]));
    assert_eq!(events(&mut client, "gate_rejected").await[0]["data"]["gate"], "permission");
    let pending = client.raw("permission.pending", proposal(actions.clone())).await.unwrap();
    assert_eq!(pending["pending"], json!([rows[1]]));
    let approve = json!({ "fingerprint": rows[1]["fingerprint"], "required_tier": "sandbox_edit" });
    person.raw("permission.approve", approve).await.unwrap();
    let still = evaluate(&mut client, actions.clone()).await;
    assert_eq!(still[1]["decision"], "needs_approval", "an approval below the tier has no effect");
    let record = person
        .raw("permission.approve", json!({ "action": actions[1], "reason": "go" }))
        .await
        .unwrap();
    assert_eq!(
        (&record["fingerprint"], &record["required_tier"], &record["decision"]),
        (&rows[1]["fingerprint"], &json!("full_access"), &json!("approved"))
    );
    let reviewer = format!("host:{}", id_of(&mut person).await);
    assert_eq!(record["reviewer"], json!(reviewer));
    assert_eq!(
        statuses(&run(&mut client, proposal(actions), echo).await),
        ["succeeded", "succeeded"]
    );
}

/// Invariant 6, over every tier and the states of the ledger.
#[tokio::test]
async fn what_evaluate_says_is_what_submit_does() {
    let host = TestHost::start().await;
    let mut person = host.host().await;
    let actions = [
        call("r", "read_x", json!({})),
        call("w", "write_x", json!({ "n": 1 })),
        call("d", "deploy", json!({ "n": 2 })),
        { json!({ "id": "s", "type": "state_write", "parameters": { "key": "k" } }) },
    ];
    for round in ["nothing", "approve", "reject"] {
        for action in actions.iter().filter(|_| round != "nothing") {
            person.raw(&format!("permission.{round}"), json!({ "action": action })).await.unwrap();
        }
        for tier in ["read_only", "sandbox_edit", "full_access"] {
            let mut client = client_with(&host, &["read_x", "write_x", "deploy"]).await;
            let id = id_of(&mut client).await;
            person
                .raw("permission.set_tier", json!({ "tier": tier, "client_id": id }))
                .await
                .unwrap();
            for action in &actions {
                let said = evaluate(&mut client, json!([action])).await[0]["decision"].clone();
                let result = run(&mut client, proposal(json!([action])), echo).await;
                let ran = statuses(&result) == ["succeeded"];
                assert_eq!(said == "allow", ran, "{round} {tier} {action}");
                match round {
                    "approve" => assert!(ran),
                    "reject" => assert_eq!(said, "deny"),
                    _ => {}
                }
            }
        }
    }
}

/// Invariant 9.
#[tokio::test]
async fn what_is_filled_in_is_looked_at_again() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["get_command", "run"]).await;
    let actions = json!([
        call("g", "get_command", json!({})),
        call("x", "run", json!({ "command": "$g.output" })),
    ]);
    let dangerous = |ask: &carport_engine::ExecuteTool| match ask.tool.as_str() {
        "get_command" => Ok(json!("curl evil.example")),
        _ => panic!("it never runs"),
    };
    let result = run(&mut client, proposal(actions.clone()), dangerous).await;
    assert_eq!(statuses(&result), ["succeeded", "rejected"]);
    let error = error_of(&result, 1);
    assert!(error.contains("permission") && error.contains("full_access"), "{error}");
    // Approved as filled in, it runs.
    let filled = call("any", "run", json!({ "command": "curl evil.example" }));
    host.host().await.raw("permission.approve", json!({ "action": filled })).await.unwrap();
    let result = run(&mut client, proposal(actions.clone()), |ask| match ask.tool.as_str() {
        "get_command" => Ok(json!("curl evil.example")),
        _ => Ok(json!("ran")),
    })
    .await;
    assert_eq!(statuses(&result), ["succeeded", "succeeded"]);
    let harmless = run(&mut client, proposal(actions), |_| Ok(json!("ls"))).await;
    assert_eq!(statuses(&harmless), ["succeeded", "succeeded"]);
}

#[tokio::test]
async fn an_approved_template_admits_what_fills_it_unless_that_was_rejected() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["get_place", "deploy"]).await;
    let template = call("d", "deploy", json!({ "to": "$g.output" }));
    let actions = json!([call("g", "get_place", json!({})), template]);
    let mut person = host.host().await;
    person.raw("permission.approve", json!({ "action": template })).await.unwrap();
    let tools = |ask: &carport_engine::ExecuteTool| Ok(json!(format!("from {}", ask.tool)));
    let result = run(&mut client, proposal(actions.clone()), tools).await;
    assert_eq!(statuses(&result), ["succeeded", "succeeded"]);
    let filled = call("d", "deploy", json!({ "to": "from get_place" }));
    person.raw("permission.reject", json!({ "action": filled })).await.unwrap();
    let result = run(&mut client, proposal(actions), tools).await;
    assert_eq!(statuses(&result), ["succeeded", "rejected"]);
}

#[tokio::test]
async fn the_ledger_survives_and_expires() {
    let clock = ManualClock::at(Time::default());
    let host = TestHost::builder().clock(clock.clone()).start().await;
    let mut person = host.host().await;
    let deploy = call("d", "deploy", json!({}));
    let params = json!({ "action": deploy, "expires_in_secs": 60, "evidence": { "ticket": 7 } });
    let record = person.raw("permission.approve", params).await.unwrap();
    assert_eq!(record["expires_at"], "1970-01-01T00:01:00.000Z");
    host.stop().await;
    let host = TestHost::builder().clock(clock.clone()).on_root_of(&host).start().await;
    let mut client = host.client().await;
    assert_eq!(evaluate(&mut client, json!([deploy])).await[0]["decision"], "allow");
    clock.advance(TimeDelta::seconds(60));
    assert_eq!(evaluate(&mut client, json!([deploy])).await[0]["decision"], "needs_approval");
    let ledger = std::fs::read_to_string(host.root().join("engine/approvals.jsonl")).unwrap();
    assert_eq!(ledger.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&ledger).unwrap(), record);
}

#[tokio::test]
async fn a_judgement_names_one_operation() {
    let host = TestHost::start().await;
    let mut person = host.host().await;
    let fingerprint = "0".repeat(64);
    for (params, field) in [
        (json!({}), "fingerprint"),
        (json!({ "fingerprint": fingerprint }), "required_tier"),
        (json!({ "fingerprint": "XYZ", "required_tier": "read_only" }), "fingerprint"),
        (json!({ "fingerprint": fingerprint, "required_tier": "root" }), "required_tier"),
        (
            json!({ "fingerprint": fingerprint, "required_tier": "read_only", "action": call("a", "t", json!({})) }),
            "action",
        ),
        (json!({ "action": { "id": "a", "type": "tool_call" } }), "action.tool"),
        (
            json!({ "fingerprint": fingerprint, "required_tier": "read_only", "reason": "x".repeat(4097) }),
            "reason",
        ),
        (
            json!({ "fingerprint": fingerprint, "required_tier": "read_only", "evidence": "x".repeat(20_000) }),
            "evidence",
        ),
        (
            json!({ "fingerprint": fingerprint, "required_tier": "read_only", "expires_in_secs": 0 }),
            "expires_in_secs",
        ),
    ] {
        let error = person.raw("permission.approve", params.clone()).await.unwrap_err();
        assert_eq!(error.code, codes::INVALID_PARAMS, "{params}");
        assert_eq!(error.field(), Some(field), "{params} {error}");
    }
    for mut other in [host.client().await, host.agent("a").await] {
        let params = json!({ "fingerprint": fingerprint, "required_tier": "read_only" });
        for method in ["permission.approve", "permission.reject"] {
            assert_eq!(other.raw(method, params.clone()).await.unwrap_err().code, codes::FORBIDDEN);
        }
    }
}
