//! How runs end: by an outcome, a hang-up, a cancellation, a stop. Exactly once.

use carport_core::{codes, testing::TestHost};
use carport_runs::{RunCancelled, RunStatus, Subscribe, TraceEvent};
use serde_json::{Value, json};

use crate::{complete, record, start, trace};

async fn termination(host: &TestHost, run_id: &str) -> Value {
    let records = trace(host, run_id).await;
    let ends: Vec<_> = records.iter().filter(|it| it["record"] == "ended").collect();
    assert_eq!(ends.len(), 1, "exactly one end: {records:?}");
    ends[0]["termination"].clone()
}

#[tokio::test]
async fn a_second_end_is_a_conflict_and_late_turns_are_dropped() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    complete(&mut agent, &run_id).await;
    let again = json!({ "run_id": run_id, "outcome": {} });
    let error = agent.raw("runs.complete", again).await.unwrap_err();
    assert_eq!(
        (error.code, &error.data.unwrap()["status"]),
        (codes::CONFLICT, &json!("completed"))
    );
    let late = record(&mut agent, &run_id, "t").await;
    assert_eq!(late.dropped, Some(carport_runs::Dropped::RunTerminal));
    let unknown = json!({ "run_id": "none", "outcome": {} });
    assert_eq!(agent.raw("runs.complete", unknown).await.unwrap_err().code, codes::NOT_FOUND);
    let theirs = json!({ "run_id": run_id, "outcome": {} });
    let mut other = host.agent("other").await;
    assert_eq!(other.raw("runs.complete", theirs).await.unwrap_err().code, codes::NOT_FOUND);
}

#[tokio::test]
async fn a_hang_up_ends_what_is_open_and_a_completion_in_the_same_breath_wins() {
    let host = TestHost::start().await;
    let mut person = host.host().await;
    let mut agent = host.agent("builder").await;
    let (left, done) = (start(&mut agent, "x").await, start(&mut agent, "y").await);
    person.call(Subscribe { run_id: left.clone() }).await.unwrap();
    agent.send("runs.complete", json!({ "run_id": done, "outcome": {} })).await;
    agent.vanish();
    let event = person.event::<TraceEvent>().await;
    assert_eq!((event.status, event.run_id), (RunStatus::Incomplete, left.clone()));
    let reason = json!({ "kind": "incomplete", "reason": "disconnect" });
    assert_eq!(termination(&host, &left).await, reason);
    assert_eq!(termination(&host, &done).await["kind"], "outcome");
}

#[tokio::test]
async fn a_resumed_run_outlives_its_first_connection() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let params = json!({ "intent": "x", "agent_name": "n", "idempotency_key": "k" });
    client.raw("runs.start", params.clone()).await.unwrap();
    let mut second = host.client().await;
    assert_eq!(second.raw("runs.start", params).await.unwrap()["existing"], true);
    client.close().await;
    host.emptied_but(&second).await;
    assert_eq!(trace(&host, "k").await.len(), 1, "still open");
    second.raw("runs.complete", json!({ "run_id": "k", "outcome": {} })).await.unwrap();
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    let resumed = agent.raw("runs.resume", json!({ "run_id": run_id })).await.unwrap();
    assert_eq!((&resumed["status"], &resumed["cursor"]), (&json!("in_progress"), &json!(0)));
    complete(&mut agent, &run_id).await;
    let error = agent.raw("runs.resume", json!({ "run_id": run_id })).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
    let foreign = second.raw("runs.resume", json!({ "run_id": run_id })).await.unwrap_err();
    assert_eq!(foreign.code, codes::NOT_FOUND);
}

#[tokio::test]
async fn a_cancelled_run_tells_its_connection() {
    let host = TestHost::start().await;
    let (mut agent, mut person) = (host.agent("builder").await, host.host().await);
    let run_id = start(&mut agent, "x").await;
    let cancel = json!({ "run_id": run_id, "reason": "enough" });
    let reply = person.raw("runs.cancel", cancel.clone()).await.unwrap();
    assert_eq!(reply, json!({ "run_id": run_id, "ok": true, "status": "incomplete" }));
    let heard = agent.event::<RunCancelled>().await;
    assert_eq!((heard.run_id, heard.reason.as_deref()), (run_id.clone(), Some("enough")));
    let reason = json!({ "kind": "incomplete", "reason": "cancelled", "message": "enough" });
    assert_eq!(termination(&host, &run_id).await, reason);
    assert_eq!(person.raw("runs.cancel", cancel).await.unwrap_err().code, codes::CONFLICT);
    let other = host.agent("other").await.raw("runs.cancel", json!({ "run_id": run_id })).await;
    assert_eq!(other.unwrap_err().code, codes::FORBIDDEN);
}

#[tokio::test]
async fn whoever_started_a_run_hears_that_it_has_ended() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let params = json!({ "intent": "x", "agent_name": "n", "idempotency_key": "k" });
    client.raw("runs.start", params).await.unwrap();
    host.host().await.raw("runs.cancel", json!({ "run_id": "k" })).await.unwrap();
    let cancelled = client.event::<RunCancelled>().await;
    assert_eq!((cancelled.run_id.as_str(), cancelled.reason), ("k", None));
    let late = json!({ "run_id": "k", "outcome": {} });
    let error = client.raw("runs.complete", late).await.unwrap_err();
    let status = &error.data.unwrap()["status"];
    assert_eq!((error.code, status), (codes::CONFLICT, &json!("incomplete")));
}

#[tokio::test]
async fn a_clean_stop_ends_open_runs() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    record(&mut agent, &run_id, "t").await;
    host.stop().await;
    let next = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(termination(&next, &run_id).await["reason"], "disconnect");
    assert_eq!(trace(&next, &run_id).await.len(), 3);
}

#[tokio::test]
async fn an_outcome_is_cut_checked_and_stamped() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    for (outcome, field) in [
        (json!({ "status": "" }), "outcome.status"),
        (json!({ "evidence": vec![1; 257] }), "outcome.evidence"),
        (json!({ "metrics": { "a": "x".repeat(300 * 1024) } }), "outcome"),
        (json!("success"), "outcome"),
        (json!([]), "outcome"),
    ] {
        let params = json!({ "run_id": run_id, "outcome": outcome });
        let error = agent.raw("runs.complete", params).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
    let outcome = json!({ "summary": "x".repeat(20_000), "timestamp": "yesterday" });
    agent.raw("runs.complete", json!({ "run_id": run_id, "outcome": outcome })).await.unwrap();
    let outcome = &termination(&host, &run_id).await["outcome"];
    assert!(outcome["summary"].as_str().unwrap().ends_with("…[truncated]"));
    assert!(outcome["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(outcome["status"], "unknown");
}
