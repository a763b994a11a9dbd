//! The approval gate: who is asked, who decides, and what happens then.

use carport_core::{
    Resolvers, codes,
    host::{Approvals, Which},
    testing::{TestClient, TestHost},
};
use serde_json::{Value, json};

/// A parked call of `caller` as `person` sees it: the call's id and the approval's.
async fn park(caller: &mut TestClient, person: &mut TestClient, word: &str) -> (u64, String) {
    let call = caller.send("lab.gated", json!({ "word": word, "password": "hunter2" })).await;
    let event = person.frame(|it| it["params"]["kind"] == "approval.requested").await;
    let approval = &event["params"]["payload"]["approval"];
    (call, approval["id"].as_str().unwrap().to_owned())
}

async fn resolve(by: &mut TestClient, id: &str, approve: bool) -> Result<Value, i32> {
    let params = json!({ "approval_id": id, "approved": approve });
    by.raw("host.resolve_approval", params).await.map_err(|error| error.code)
}

async fn person(host: &TestHost) -> TestClient {
    let mut person = host.host().await;
    person.raw("host.subscribe", json!({})).await.unwrap();
    person
}

async fn seen(host: &TestHost) -> Value {
    host.client().await.raw("lab.turn", json!({ "word": "looked" })).await.unwrap()
}

#[tokio::test]
async fn an_approved_call_runs_once_with_what_was_shown() {
    let host = TestHost::start().await;
    let (mut alice, mut person) = (host.agent("alice").await, person(&host).await);
    let (call, id) = park(&mut alice, &mut person, "x").await;
    // The caller's connection goes on while its call waits.
    assert!(alice.raw("server.ping", json!({})).await.is_ok());
    let row = resolve(&mut person, &id, true).await.unwrap();
    assert_eq!(
        (&row["status"], &row["action"]),
        (&json!("approved"), &json!("ws.method:lab.gated"))
    );
    assert_eq!(row["context"]["method"], "lab.gated");
    assert!(row["context"]["preview"].as_str().unwrap().contains("\"***\""));
    assert!(!row.to_string().contains("hunter2"));
    assert_eq!(alice.reply(call).await, Ok(json!("x")));
    assert_eq!(seen(&host).await, json!(["did x", "looked"]));
    let event = person.frame(|it| it["params"]["kind"] == "approval.resolved").await;
    assert_eq!(event["params"]["payload"]["approval"]["resolved_by"], row["resolved_by"]);
    assert_eq!(resolve(&mut person, &id, false).await, Err(codes::CONFLICT));
}

#[tokio::test]
async fn a_denied_call_never_runs_and_its_caller_may_go_on() {
    let host = TestHost::start().await;
    let (mut alice, mut person) = (host.agent("alice").await, person(&host).await);
    let (call, id) = park(&mut alice, &mut person, "x").await;
    resolve(&mut person, &id, false).await.unwrap();
    let error = alice.reply(call).await.unwrap_err();
    assert_eq!(error.code, codes::NOT_APPROVED);
    assert_eq!(error.data.unwrap(), json!({ "approval_id": id, "reason": "denied" }));
    assert_eq!(seen(&host).await, json!(["looked"]));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_decides_expires_and_leaves_the_others_waiting() {
    // Neither client reads while the other is looked at, so neither answers a ping.
    let host = TestHost::builder().settings(|it| it.transport.ping_secs = 3600).start().await;
    let (mut alice, mut person) = (host.agent("alice").await, person(&host).await);
    let began = tokio::time::Instant::now();
    let (first, first_id) = park(&mut alice, &mut person, "x").await;
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    let (second, second_id) = park(&mut alice, &mut person, "y").await;
    let error = alice.reply(first).await.unwrap_err();
    assert_eq!((error.code, began.elapsed().as_secs()), (codes::NOT_APPROVED, 60));
    assert_eq!(error.data.unwrap()["reason"], "timeout");
    assert_eq!(resolve(&mut person, &first_id, true).await, Err(codes::CONFLICT));
    resolve(&mut person, &second_id, true).await.unwrap();
    assert_eq!(alice.reply(second).await, Ok(json!("y")));
}

#[tokio::test]
async fn whoever_asks_cannot_approve() {
    let host = TestHost::start().await;
    let (mut asking_host, mut other) = (host.host().await, person(&host).await);
    let (call, id) = park(&mut asking_host, &mut other, "x").await;
    assert_eq!(resolve(&mut asking_host, &id, true).await, Err(codes::FORBIDDEN));
    for mut stranger in [host.client().await, host.agent("alice").await] {
        assert_eq!(resolve(&mut stranger, &id, true).await, Err(codes::FORBIDDEN));
    }
    let list = other.call(Approvals { status: Some(Which::Pending), limit: None }).await.unwrap();
    assert_eq!(list.approvals.len(), 1, "every refusal left the row pending");
    resolve(&mut other, &id, true).await.unwrap();
    assert!(asking_host.reply(call).await.is_ok());
}

#[tokio::test]
async fn the_compatible_setting_lets_clients_decide_but_no_agent_and_no_asker() {
    let host = TestHost::builder()
        .settings(|it| it.approvals.resolvers = Resolvers::Authenticated)
        .start()
        .await;
    let (mut asker, mut client) = (host.client().await, host.client().await);
    let mut person = person(&host).await;
    let (call, id) = park(&mut asker, &mut person, "x").await;
    assert_eq!(resolve(&mut asker, &id, true).await, Err(codes::FORBIDDEN));
    assert_eq!(resolve(&mut host.agent("a").await, &id, true).await, Err(codes::FORBIDDEN));
    assert!(resolve(&mut client, &id, true).await.is_ok());
    assert!(asker.reply(call).await.is_ok());
}

#[tokio::test]
async fn a_caller_that_leaves_takes_its_question_along() {
    let host = TestHost::start().await;
    let (mut alice, mut person) = (host.agent("alice").await, person(&host).await);
    let (_, id) = park(&mut alice, &mut person, "x").await;
    alice.vanish();
    let event = person.frame(|it| it["params"]["kind"] == "approval.resolved").await;
    assert_eq!(event["params"]["payload"]["approval"]["status"], "cancelled");
    assert_eq!(resolve(&mut person, &id, true).await, Err(codes::CONFLICT));
    assert_eq!(seen(&host).await, json!(["looked"]));
}

#[tokio::test]
async fn the_end_of_the_daemon_cancels_what_waits() {
    let host = TestHost::start().await;
    let (mut alice, mut person) = (host.agent("alice").await, person(&host).await);
    let (call, _) = park(&mut alice, &mut person, "x").await;
    let stopping = tokio::spawn({
        let host = host.clone();
        async move { host.stop().await }
    });
    let error = alice.reply(call).await.unwrap_err();
    assert_eq!(error.data.unwrap()["reason"], "cancelled");
    assert_eq!(alice.closed().await, Some(1001));
    assert_eq!(person.closed().await, Some(1001));
    stopping.await.unwrap();
}

#[tokio::test]
async fn the_operator_adds_to_the_gate_and_takes_away_from_it() {
    let host = TestHost::builder()
        .settings(|it| {
            it.approvals.also.insert("lab.echo".into());
            it.approvals.except.insert("lab.gated".into());
        })
        .start()
        .await;
    let (mut client, mut person) = (host.client().await, person(&host).await);
    assert_eq!(client.raw("lab.gated", json!({ "word": "x" })).await, Ok(json!("x")));
    let call = client.send("lab.echo", json!({ "say": 1 })).await;
    let event = person.frame(|it| it["params"]["kind"] == "approval.requested").await;
    let id = event["params"]["payload"]["approval"]["id"].as_str().unwrap().to_owned();
    resolve(&mut person, &id, true).await.unwrap();
    assert_eq!(client.reply(call).await, Ok(json!(1)));

    let open = TestHost::builder().settings(|it| it.approvals.enabled = false).start().await;
    assert!(open.client().await.raw("lab.gated", json!({ "word": "x" })).await.is_ok());
}

#[tokio::test]
async fn a_gated_method_does_not_run_as_a_notification() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    client.notify("lab.gated", json!({ "word": "x" })).await;
    let list = client.raw("host.approvals", json!({ "status": "all" })).await.unwrap();
    assert_eq!(list["approvals"], json!([]));
    assert_eq!(seen(&host).await, json!(["looked"]));
}

#[tokio::test]
async fn the_seventeenth_parked_call_of_a_connection_is_too_many() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for _ in 0..16 {
        client.send("lab.gated", json!({ "word": "x" })).await;
    }
    let error = client.raw("lab.gated", json!({ "word": "x" })).await.unwrap_err();
    assert_eq!(error.code, codes::OVERLOADED);
    assert_eq!(error.data.unwrap(), json!({ "retryable": true, "limit": 16 }));
}

#[tokio::test]
async fn a_request_counts_distinct_voices_and_one_denial_denies() {
    let host = TestHost::start().await;
    let mut asker = host.client().await;
    let ask = json!({ "title": "deploy", "required_approvals": 2, "context": { "token": "t" } });
    let row = asker.raw("host.request_approval", ask.clone()).await.unwrap();
    assert_eq!((&row["source"], &row["context"]), (&json!("request"), &json!({ "token": "***" })));
    let id = row["id"].as_str().unwrap();
    let (mut one, mut two) = (host.host().await, host.host().await);
    for _ in 0..2 {
        assert_eq!(resolve(&mut one, id, true).await.unwrap()["status"], "pending");
    }
    let row = resolve(&mut two, id, true).await.unwrap();
    assert_eq!(
        (&row["status"], row["approvals"].as_array().unwrap().len()),
        (&json!("approved"), 2)
    );

    let row = asker.raw("host.request_approval", ask).await.unwrap();
    let id = row["id"].as_str().unwrap();
    resolve(&mut one, id, true).await.unwrap();
    assert_eq!(resolve(&mut two, id, false).await.unwrap()["status"], "denied");
}

#[tokio::test(start_paused = true)]
async fn a_request_expires_by_itself() {
    let host = TestHost::start().await;
    let (mut asker, mut person) = (host.client().await, person(&host).await);
    let ask = json!({ "title": "deploy", "expires_in_secs": 5 });
    asker.raw("host.request_approval", ask).await.unwrap();
    let event = person.frame(|it| it["params"]["kind"] == "approval.resolved").await;
    assert_eq!(event["params"]["payload"]["approval"]["status"], "expired");
}

#[tokio::test]
async fn a_decision_is_one_clear_word() {
    let host = TestHost::start().await;
    let (mut asker, mut person) = (host.client().await, host.host().await);
    let row = asker.raw("host.request_approval", json!({ "title": "t" })).await.unwrap();
    let id = row["id"].as_str().unwrap();
    for (params, field) in [
        (json!({ "approval_id": id }), "approved"),
        (json!({ "approval_id": id, "approved": true, "resolution": "deny" }), "resolution"),
        (json!({ "approval_id": id, "resolution": "maybe" }), "resolution"),
        (json!({ "approved": true }), "approval_id"),
    ] {
        let error = person.raw("host.resolve_approval", params.clone()).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{params}");
    }
    assert_eq!(resolve(&mut person, "ap-none", true).await, Err(codes::NOT_FOUND));
    let both = json!({ "approval_id": id, "approved": true, "resolution": "approve" });
    assert_eq!(person.raw("host.resolve_approval", both).await.unwrap()["status"], "approved");
}

/// A plugin's row is decided by a host, and what hangs on the decision is done before the reply.
#[tokio::test]
async fn what_hangs_on_a_plugins_row_is_done_before_the_reply() {
    let open = |it: &mut carport_core::Settings| it.approvals.resolvers = Resolvers::Authenticated;
    let host = TestHost::builder().settings(open).start().await;
    let (mut alice, mut bob) = (host.client().await, host.client().await);
    let mut person = person(&host).await;
    let raise = |title: &str, broken: bool| json!({ "title": title, "broken": broken });
    let id = alice.raw("lab.raise", raise("one", false)).await.unwrap();
    let id = id.as_str().unwrap();
    let event = person.frame(|it| it["params"]["kind"] == "approval.requested").await;
    let row = &event["params"]["payload"]["approval"];
    assert_eq!((&row["source"], &row["action"]), (&json!("lab"), &json!("lab.experiment")));
    assert_eq!(row["context"]["token"], "***");
    // Whoever asks cannot approve, and neither can another client, whatever holds for calls.
    for other in [&mut alice, &mut bob] {
        assert_eq!(resolve(other, id, true).await, Err(codes::FORBIDDEN));
    }
    resolve(&mut person, id, true).await.unwrap();
    assert_eq!(seen(&host).await, json!(["approved", "approved, and done", "looked"]));
    let broken = alice.raw("lab.raise", raise("two", true)).await.unwrap();
    let failed = resolve(&mut person, broken.as_str().unwrap(), false).await;
    assert_eq!(failed, Err(codes::INTERNAL), "whoever decides hears that it did not take effect");
    let pending = person.raw("host.approvals", json!({})).await.unwrap();
    assert_eq!(pending["approvals"][0]["id"], broken, "and may decide again");
    let heard = |it: &Value| it["params"]["payload"]["approval"]["id"] == broken;
    assert!(!person.has_heard(|it| heard(it) && it["params"]["kind"] == "approval.resolved").await);
    alice.raw("lab.raise", raise("three", false)).await.unwrap();
    alice.vanish();
    while person.raw("host.approvals", json!({})).await.unwrap()["approvals"] != json!([]) {
        tokio::task::yield_now().await;
    }
    let seen = seen(&host).await;
    assert_eq!(seen[5], "over", "what hangs on a decision is not done without one: {seen}");
}
