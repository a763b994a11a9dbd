//! Supervision: intents, decisions, and that whoever leaves releases nothing.

use carport_core::{
    codes,
    testing::{TestClient, TestHost},
};
use carport_engine::SupervisionIntent;
use serde_json::{Value, json};

use crate::{
    call, client_with, echo, error_of, events, finish, id_of, journals, proposal, run, statuses,
    with,
};

fn work() -> Value {
    proposal(json!([with(
        call("a", "t", json!({ "q": "hunter2" })),
        json!({ "reversibility": "compensable" })
    )]))
}

async fn supervise(host: &TestHost, filter: Value) -> TestClient {
    let mut supervisor = host.client().await;
    let reply = supervisor.raw("supervision.subscribe", json!({ "filter": filter })).await.unwrap();
    assert_eq!(reply["subscribed"], true);
    supervisor
}

async fn decide(by: &mut TestClient, intent: &str, decision: Value) -> Result<Value, i32> {
    let params = json!({ "intent_id": intent, "decision": decision });
    by.raw("supervision.decide", params).await.map_err(|error| error.code)
}

#[tokio::test]
async fn a_supervisor_sees_the_shape_and_allows() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let mut supervisor = supervise(&host, json!({})).await;
    let id = client.send("proposal.submit", work()).await;
    let intent = supervisor.event::<SupervisionIntent>().await;
    let text = json!(intent).to_string();
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(intent.session_id, Some(id_of(&mut client).await));
    assert_eq!(
        (intent.actions[0].tool.as_deref(), intent.actions[0].parameter_keys.clone()),
        (Some("t"), vec!["q".into()])
    );
    assert_eq!(json!(intent.reversibility), "compensable");
    let pending = supervisor.raw("supervision.pending", json!({})).await.unwrap();
    assert_eq!(pending["intents"], json!([intent]));
    assert_eq!(
        decide(&mut supervisor, &intent.id, json!({ "kind": "allow" })).await,
        Ok(json!({ "decided": true }))
    );
    assert_eq!(statuses(&finish(&mut client, id, echo).await.unwrap()), ["succeeded"]);
    assert_eq!(
        decide(&mut supervisor, &intent.id, json!({ "kind": "allow" })).await,
        Err(codes::NOT_FOUND)
    );
    let decided = events(&mut client, "supervision_decided").await;
    assert_eq!(
        (&decided[0]["data"]["decision"], &decided[0]["data"]["intent_id"]),
        (&json!("allow"), &json!(intent.id))
    );
}

#[tokio::test]
async fn a_denial_rejects_everything_and_names_the_gate() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let mut supervisor = supervise(&host, json!({ "tools": ["t"] })).await;
    let id = client.send("proposal.submit", work()).await;
    let intent = supervisor.event::<SupervisionIntent>().await;
    for bad in [
        json!({ "kind": "deny" }),
        json!({ "kind": "deny", "reason": "" }),
        json!({ "kind": "maybe" }),
        json!({}),
    ] {
        assert_eq!(decide(&mut supervisor, &intent.id, bad).await, Err(codes::INVALID_PARAMS));
    }
    decide(&mut supervisor, &intent.id, json!({ "kind": "deny", "reason": "too early" }))
        .await
        .unwrap();
    let result = finish(&mut client, id, |_| panic!("no tool is called")).await.unwrap();
    assert_eq!(statuses(&result), ["rejected"]);
    assert!(
        error_of(&result, 0).contains("supervision") && error_of(&result, 0).contains("too early")
    );
}

#[tokio::test]
async fn filters_choose_and_cost_nothing_otherwise() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    let mut supervisor = supervise(&host, json!({ "tools": ["other"] })).await;
    assert_eq!(statuses(&run(&mut client, work(), echo).await), ["succeeded"]);
    let filter = json!({ "filter": { "min_reversibility": "irreversible" } });
    supervisor.raw("supervision.subscribe", filter).await.unwrap();
    assert_eq!(statuses(&run(&mut client, work(), echo).await), ["succeeded"]);
    let filter = json!({ "filter": { "sessions": [id_of(&mut client).await] } });
    let reply = supervisor.raw("supervision.subscribe", filter).await.unwrap();
    assert_eq!((&reply["supervisors"], &reply["decision_timeout_ms"]), (&json!(1), &json!(30_000)));
    let id = client.send("proposal.submit", work()).await;
    let intent = supervisor.event::<SupervisionIntent>().await;
    decide(&mut supervisor, &intent.id, json!({ "kind": "allow" })).await.unwrap();
    finish(&mut client, id, echo).await.unwrap();
    let left = supervisor.raw("supervision.unsubscribe", json!({})).await.unwrap();
    assert_eq!(left, json!({ "subscribed": false, "was_subscribed": true }));
    let left = supervisor.raw("supervision.unsubscribe", json!({})).await.unwrap();
    assert_eq!(left["was_subscribed"], false);
    assert_eq!(statuses(&run(&mut client, work(), echo).await), ["succeeded"]);
}

#[tokio::test]
async fn nobody_decides_about_its_own_and_agents_do_not_supervise() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["t"]).await;
    client.raw("supervision.subscribe", json!({})).await.unwrap();
    assert_eq!(
        statuses(&run(&mut client, work(), echo).await),
        ["succeeded"],
        "its own does not wait"
    );
    let mut supervisor = supervise(&host, json!({})).await;
    let id = client.send("proposal.submit", work()).await;
    let intent = supervisor.event::<SupervisionIntent>().await;
    assert_eq!(
        decide(&mut client, &intent.id, json!({ "kind": "allow" })).await,
        Err(codes::FORBIDDEN)
    );
    assert_eq!(client.raw("supervision.pending", json!({})).await.unwrap()["intents"], json!([]));
    assert!(!client.has_heard(|it| it["method"] == "supervision.intent").await);
    let mut agent = host.agent("a").await;
    for method in ["supervision.subscribe", "supervision.pending"] {
        assert_eq!(agent.raw(method, json!({})).await.unwrap_err().code, codes::FORBIDDEN);
    }
    assert_eq!(
        decide(&mut agent, &intent.id, json!({ "kind": "allow" })).await,
        Err(codes::FORBIDDEN)
    );
    decide(&mut supervisor, &intent.id, json!({ "kind": "allow" })).await.unwrap();
    finish(&mut client, id, echo).await.unwrap();
}

/// Invariant 13.
#[tokio::test]
async fn a_supervisor_that_vanishes_releases_nothing() {
    for required in [false, true] {
        let section = json!({ "require_supervisor": required });
        let host = TestHost::builder().plugin("engine", section).start().await;
        let mut client = client_with(&host, &["t"]).await;
        if required {
            let result = run(&mut client, work(), |_| panic!("nobody supervises")).await;
            assert_eq!(statuses(&result), ["rejected"]);
        }
        let (mut one, mut two) =
            (supervise(&host, json!({})).await, supervise(&host, json!({})).await);
        let ids = [
            client.send("proposal.submit", work()).await,
            client.send("proposal.submit", work()).await,
        ];
        for supervisor in [&mut one, &mut two] {
            for _ in 0..2 {
                supervisor.event::<SupervisionIntent>().await;
            }
        }
        one.vanish();
        while host.host_arc().open_sessions() > 2 {
            tokio::task::yield_now().await;
        }
        let pending = two.raw("supervision.pending", json!({})).await.unwrap();
        assert_eq!(pending["intents"].as_array().unwrap().len(), 2, "the other may still decide");
        two.vanish();
        for id in ids {
            let result = finish(&mut client, id, |_| panic!("nothing is released")).await.unwrap();
            assert_eq!(statuses(&result), ["rejected"]);
            assert!(error_of(&result, 0).contains("left"), "not by waiting for the limit");
        }
        host.emptied_but(&client).await;
        let after = run(&mut client, work(), echo).await;
        assert_eq!(statuses(&after), [if required { "rejected" } else { "succeeded" }]);
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_denial_and_a_late_decision_is_heard_of() {
    let section = json!({ "supervision_timeout_ms": 1000 });
    let host = TestHost::builder().plugin("engine", section).start().await;
    let mut client = client_with(&host, &["t"]).await;
    let mut supervisor = supervise(&host, json!({})).await;
    let id = client.send("proposal.submit", work()).await;
    let intent = supervisor.event::<SupervisionIntent>().await;
    let result = finish(&mut client, id, |_| panic!("nobody allowed it")).await.unwrap();
    assert_eq!(statuses(&result), ["rejected"]);
    assert!(error_of(&result, 0).contains("in time"));
    let late = json!({ "kind": "deny", "reason": "no" });
    assert_eq!(decide(&mut supervisor, &intent.id, late).await, Err(codes::NOT_FOUND));
}

#[tokio::test]
async fn an_escalation_waits_for_a_host_and_then_passes() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["t"]).await, host.host().await);
    let mut supervisor = supervise(&host, json!({})).await;
    let id = client.send("proposal.submit", work()).await;
    let intent = supervisor.event::<SupervisionIntent>().await;
    decide(&mut supervisor, &intent.id, json!({ "kind": "escalate", "reason": "ask" }))
        .await
        .unwrap();
    let result = finish(&mut client, id, echo).await.unwrap();
    assert_eq!(statuses(&result), ["rejected"]);
    let said = client.raw("permission.evaluate", work()).await.unwrap();
    let fingerprint = said["decisions"][0]["fingerprint"].clone();
    assert!(error_of(&result, 0).contains(fingerprint.as_str().unwrap()));
    let rows = person.raw("host.approvals", json!({})).await.unwrap();
    assert_eq!(rows["approvals"][0]["context"]["fingerprint"], fingerprint);
    let approve = json!({ "fingerprint": fingerprint, "required_tier": "sandbox_edit" });
    person.raw("permission.approve", approve).await.unwrap();
    assert_eq!(
        statuses(&run(&mut client, work(), echo).await),
        ["succeeded"],
        "without a new intent"
    );
    assert!(!supervisor.has_heard(|it| it["method"] == "supervision.intent").await);
    client.close().await;
    supervisor.close().await;
    person.close().await;
    host.emptied().await;
    assert!(!journals(&host).contains("hunter2"));
}

/// An approval from before does not answer a doubt from now.
#[tokio::test]
async fn an_escalation_waits_for_an_approval_that_comes_after_it() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["t"]).await, host.host().await);
    let action = work()["proposal"]["actions"][0].clone();
    person.raw("permission.approve", json!({ "action": action })).await.unwrap();
    let mut supervisor = supervise(&host, json!({})).await;
    for _ in 0..2 {
        let id = client.send("proposal.submit", work()).await;
        let intent = supervisor.event::<SupervisionIntent>().await;
        let escalate = json!({ "kind": "escalate", "reason": "ask again" });
        decide(&mut supervisor, &intent.id, escalate).await.unwrap();
        let result = finish(&mut client, id, echo).await.unwrap();
        assert_eq!(statuses(&result), ["rejected"]);
    }
    person.raw("permission.approve", json!({ "action": action })).await.unwrap();
    assert_eq!(statuses(&run(&mut client, work(), echo).await), ["succeeded"]);
}

/// An approval that expires while the proposal waits for a supervisor is none any more.
#[tokio::test]
async fn permission_is_looked_at_again_after_the_wait() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    let action = call("d", "deploy", json!({}));
    person.raw("permission.approve", json!({ "action": action })).await.unwrap();
    let mut supervisor = supervise(&host, json!({})).await;
    let id = client.send("proposal.submit", proposal(json!([action]))).await;
    let intent = supervisor.event::<SupervisionIntent>().await;
    person.raw("permission.reject", json!({ "action": action })).await.unwrap();
    decide(&mut supervisor, &intent.id, json!({ "kind": "allow" })).await.unwrap();
    let result = finish(&mut client, id, |_| panic!("no tool is called")).await.unwrap();
    assert_eq!(statuses(&result), ["rejected"]);
    assert!(error_of(&result, 0).contains("permission gate"), "{result}");
}

/// `allow` does not bypass the other gates.
#[tokio::test]
async fn permission_comes_before_supervision() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["deploy"]).await;
    let mut supervisor = supervise(&host, json!({})).await;
    let result = run(&mut client, proposal(json!([call("d", "deploy", json!({}))])), echo).await;
    assert_eq!(statuses(&result), ["rejected"]);
    assert!(!supervisor.has_heard(|it| it["method"] == "supervision.intent").await);
}
