//! One inbox: what waits for a person is a row of the core's list, and deciding there counts.

use carport_core::{
    codes,
    testing::{TestClient, TestHost},
};
use serde_json::{Value, json};

use crate::{call, client_with, echo, proposal, run, statuses};

async fn rows(person: &mut TestClient) -> Vec<Value> {
    let list = person.raw("host.approvals", json!({})).await.unwrap();
    list["approvals"].as_array().unwrap().clone()
}

fn deploy() -> Value {
    proposal(json!([call("d", "deploy", json!({ "to": "x", "token": "hunter2" }))]))
}

#[tokio::test]
async fn a_refused_operation_is_one_row_and_approving_it_there_counts() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    for _ in 0..3 {
        assert_eq!(statuses(&run(&mut client, deploy(), echo).await), ["rejected"]);
    }
    let pending = rows(&mut person).await;
    assert_eq!(pending.len(), 1, "one row for each operation");
    let row = &pending[0];
    assert_eq!((&row["source"], &row["action"]), (&json!("engine"), &json!("engine.operation")));
    assert_eq!(
        (&row["context"]["tool"], &row["context"]["required_tier"]),
        (&json!("deploy"), &json!("full_access"))
    );
    assert!(!row.to_string().contains("hunter2"));
    let said = client.raw("permission.evaluate", deploy()).await.unwrap();
    assert_eq!(row["context"]["fingerprint"], said["decisions"][0]["fingerprint"]);
    let params = json!({ "approval_id": row["id"], "approved": true, "notes": "go" });
    // Whoever asks cannot approve.
    assert_eq!(
        client.raw("host.resolve_approval", params.clone()).await.unwrap_err().code,
        codes::FORBIDDEN
    );
    person.raw("host.resolve_approval", params).await.unwrap();
    let ledger = std::fs::read_to_string(host.root().join("engine/approvals.jsonl")).unwrap();
    let record: Value = serde_json::from_str(ledger.trim_end()).unwrap();
    assert_eq!((&record["decision"], &record["reason"]), (&json!("approved"), &json!("go")));
    assert!(record["reviewer"].as_str().unwrap().starts_with("host:c-"));
    let recorded = crate::events(&mut client, "approval_recorded").await;
    assert_eq!(recorded[0]["data"]["reviewer"], record["reviewer"]);
    assert_eq!(statuses(&run(&mut client, deploy(), echo).await), ["succeeded"]);
    assert!(rows(&mut person).await.is_empty());
}

#[tokio::test]
async fn denying_a_row_rejects_the_operation() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    run(&mut client, deploy(), echo).await;
    let id = rows(&mut person).await[0]["id"].clone();
    let params = json!({ "approval_id": id, "resolution": "deny" });
    person.raw("host.resolve_approval", params).await.unwrap();
    let said = client.raw("permission.evaluate", deploy()).await.unwrap();
    assert_eq!(said["decisions"][0]["decision"], "deny");
    assert_eq!(statuses(&run(&mut client, deploy(), echo).await), ["rejected"]);
    assert!(rows(&mut person).await.is_empty(), "a denied operation is not asked for again");
}

#[tokio::test]
async fn a_row_ends_with_the_connection_that_raised_it() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    run(&mut client, deploy(), echo).await;
    client.vanish();
    host.emptied_but(&person).await;
    assert!(rows(&mut person).await.is_empty());
    let mut again = client_with(&host, &["deploy"]).await;
    run(&mut again, deploy(), echo).await;
    assert_eq!(rows(&mut person).await.len(), 1);
}

/// The setting that lets clients decide about calls does not reach what counts for every connection.
#[tokio::test]
async fn only_a_host_decides_about_an_operation() {
    let settings = |it: &mut carport_core::Settings| {
        it.approvals.resolvers = carport_core::Resolvers::Authenticated;
    };
    let host = TestHost::builder().settings(settings).start().await;
    let (mut client, mut other) = (client_with(&host, &["deploy"]).await, host.client().await);
    run(&mut client, deploy(), echo).await;
    let id = rows(&mut other).await[0]["id"].clone();
    let params = json!({ "approval_id": id, "approved": true });
    assert_eq!(
        other.raw("host.resolve_approval", params).await.unwrap_err().code,
        codes::FORBIDDEN
    );
}

/// Decided by `permission.approve`, a row has nothing left to decide.
#[tokio::test]
async fn a_row_goes_when_its_operation_is_decided_elsewhere() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    run(&mut client, deploy(), echo).await;
    let context = rows(&mut person).await[0]["context"].clone();
    let approve = json!({ "fingerprint": context["fingerprint"], "required_tier": "full_access" });
    person.raw("permission.approve", approve).await.unwrap();
    assert!(rows(&mut person).await.is_empty());
    let recorded = crate::events(&mut person, "approval_recorded").await;
    assert_eq!(recorded[0]["data"]["fingerprint"], context["fingerprint"]);
    assert_eq!(statuses(&run(&mut client, deploy(), echo).await), ["succeeded"]);
}

/// A proposal with many such operations raises as many rows as a connection may have.
#[tokio::test]
async fn a_full_list_does_not_fail_the_refusal() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    let actions: Vec<_> =
        (0..40).map(|n| call(&format!("a{n}"), "deploy", json!({ "n": n }))).collect();
    let result = run(&mut client, proposal(json!(actions)), echo).await;
    assert!(statuses(&result).iter().all(|it| it == "rejected"));
    assert_eq!(rows(&mut person).await.len(), 16);
}

/// Whoever asks cannot approve, also if another connection asked before and the row is that one's.
#[tokio::test]
async fn a_host_does_not_approve_what_it_asked_for_itself() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    crate::register(&mut person, &["deploy"]).await;
    run(&mut client, deploy(), echo).await;
    run(&mut person, deploy(), echo).await;
    let row = rows(&mut person).await.remove(0);
    let resolve = json!({ "approval_id": row["id"], "approved": true });
    let fingerprint = &row["context"]["fingerprint"];
    let approve = json!({ "fingerprint": fingerprint, "required_tier": "full_access" });
    for (method, params) in
        [("host.resolve_approval", resolve.clone()), ("permission.approve", approve)]
    {
        let error = person.raw(method, params).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN, "{method}");
    }
    assert_eq!(rows(&mut person).await.len(), 1, "the row waits for somebody else");
    host.host().await.raw("host.resolve_approval", resolve).await.unwrap();
    assert_eq!(statuses(&run(&mut person, deploy(), echo).await), ["succeeded"]);
}

/// An approval that has no effect leaves the row and a rejection alone.
#[tokio::test]
async fn an_approval_below_the_tier_has_no_effect() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    run(&mut client, deploy(), echo).await;
    let fingerprint = rows(&mut person).await[0]["context"]["fingerprint"].clone();
    let low = json!({ "fingerprint": fingerprint, "required_tier": "sandbox_edit" });
    person.raw("permission.approve", low.clone()).await.unwrap();
    assert_eq!(rows(&mut person).await.len(), 1);
    person.raw("permission.reject", low.clone()).await.unwrap();
    assert!(rows(&mut person).await.is_empty());
    person.raw("permission.approve", low).await.unwrap();
    let said = client.raw("permission.evaluate", deploy()).await.unwrap();
    assert_eq!(said["decisions"][0]["decision"], "deny");
}

/// What cannot be written is not decided: the row waits, and nobody hears otherwise.
#[tokio::test]
async fn a_decision_that_is_not_recorded_leaves_the_row() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    run(&mut client, deploy(), echo).await;
    let id = rows(&mut person).await[0]["id"].clone();
    let ledger = host.root().join("engine/approvals.jsonl");
    std::fs::create_dir(&ledger).unwrap();
    let resolve = json!({ "approval_id": id, "approved": true });
    let error = person.raw("host.resolve_approval", resolve.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::INTERNAL);
    assert_eq!(rows(&mut person).await[0]["status"], "pending");
    std::fs::remove_dir(ledger).unwrap();
    person.raw("host.resolve_approval", resolve).await.unwrap();
    assert_eq!(statuses(&run(&mut client, deploy(), echo).await), ["succeeded"]);
}

/// Parameters that are too large for a row are shown in part, and named by their digest.
#[tokio::test]
async fn a_row_stays_small() {
    let host = TestHost::start().await;
    let (mut client, mut person) = (client_with(&host, &["deploy"]).await, host.host().await);
    let large = json!({ "token": "hunter2", "text": "many words ".repeat(10_000) });
    run(&mut client, proposal(json!([call("d", "deploy", large)])), echo).await;
    let row = rows(&mut person).await.remove(0);
    assert!(row.to_string().len() < 16 << 10);
    let context = &row["context"];
    assert_eq!(context["parameters_digest"].as_str().unwrap().len(), 64);
    let preview = context["parameters_preview"].as_str().unwrap();
    assert!(preview.contains("many words") && !preview.contains("hunter2"), "{preview}");
}
