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
