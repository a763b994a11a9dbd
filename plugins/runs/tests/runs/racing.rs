//! Calls that overlap: keys that are used again, callers that leave half way, readers that come too early.

use std::{fs, sync::Arc, time::Duration};

use carport_core::{Durability, Identity, codes, testing::TestHost};
use carport_runs::RunStatus;
use carport_runs_api::RUNS;
use serde_json::{Value, json};

use crate::{complete, record, start, start_with_key, trace};

#[tokio::test]
async fn a_call_that_waited_for_approval_reads_no_run_that_began_meanwhile() {
    let gated = |it: &mut carport_core::Settings| {
        it.approvals.also = ["runs.get_trace", "runs.export", "runs.subscribe", "runs.cancel"]
            .map(Into::into)
            .into();
    };
    let host = TestHost::builder().settings(gated).start().await;
    let (mut agent, mut person) = (host.agent("builder").await, host.host().await);
    person.raw("host.subscribe", json!({})).await.unwrap();
    for method in ["runs.get_trace", "runs.export", "runs.subscribe", "runs.cancel"] {
        let mut stranger = host.client().await;
        let key = method.replace('.', "-");
        let call = stranger.send(method, json!({ "run_id": key })).await;
        let asked = person.frame(|it| it["params"]["kind"] == "approval.requested").await;
        let params = json!({ "intent": "a secret intent", "idempotency_key": key });
        agent.raw("runs.start", params).await.unwrap();
        let id = &asked["params"]["payload"]["approval"]["id"];
        let yes = json!({ "approval_id": id, "resolution": "approve" });
        person.raw("host.resolve_approval", yes).await.unwrap();
        let error = stranger.reply(call).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN, "{method}");
        assert!(!format!("{error:?}").contains("secret"));
        record(&mut agent, &key, "t").await;
        assert!(!stranger.has_heard(|it| it["method"] == "runs.trace.event").await);
        complete(&mut agent, &key).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_begun_is_done_whole_though_its_caller_is_gone() {
    let durable = |it: &mut carport_core::Settings| it.durability = Durability::Record;
    let host = TestHost::builder().settings(durable).start().await;
    let mut agent = host.agent("builder").await;
    start_with_key(&mut agent, "job").await;
    // In-process calls that are dropped at whatever point they have come to.
    for n in 0..60u64 {
        let call = |method: &'static str, params: Value| {
            let host: Arc<carport_core::Host> = host.host_arc().clone();
            async move { host.call(Identity::agent("builder"), method, &params).await }
        };
        let turns = json!({ "run_id": "job", "turns": [{ "output": n }] });
        let patience = Duration::from_micros(n * 7 % 400);
        let _ = tokio::time::timeout(patience, call("runs.record_turns", turns)).await;
        let key = json!({ "intent": "x", "idempotency_key": format!("key-{n}") });
        let _ = tokio::time::timeout(patience, call("runs.start", key)).await;
    }
    let done = record(&mut agent, "job", "last").await;
    let records = trace(&host, "job").await;
    let turns = &records[1..];
    assert_eq!(done.base_index + 1, turns.len() as u64, "the count is that of the file");
    assert!(turns.iter().enumerate().all(|(at, turn)| turn["index"] == at), "{turns:?}");
    for n in 0..60 {
        // The key is not burnt: either nothing was begun, or a run whose caller is gone has ended.
        let key = format!("key-{n}");
        let reply = start_with_key(&mut agent, &key).await;
        let ended = match reply.status {
            Some(RunStatus::Incomplete) => "disconnect",
            _ => {
                complete(&mut agent, &key).await;
                "outcome"
            }
        };
        let records = trace(&host, &key).await;
        let end = &records[records.len() - 1]["termination"];
        assert!(end["kind"] == ended || end["reason"] == ended, "{records:?}");
    }
}

#[tokio::test]
async fn a_run_that_goes_on_elsewhere_outlives_its_first_connection_by_every_path() {
    let host = TestHost::start().await;
    let params = json!({ "intent": "x", "agent_name": "n", "idempotency_key": "k" });
    let mut first = host.client().await;
    first.raw("runs.start", params.clone()).await.unwrap();
    let mut second = host.client().await;
    // The first leaves at once: its leave and the second's claim meet at the run's writer.
    first.vanish();
    let again = second.raw("runs.start", params).await.unwrap();
    host.emptied_but(&second).await;
    let records = trace(&host, "k").await;
    match again["status"].as_str() {
        Some("in_progress") => assert_eq!(records.len(), 1, "it was claimed, so that it goes on"),
        other => assert_eq!((other, records.len()), (Some("incomplete"), 2)),
    }
}

#[tokio::test]
async fn a_key_may_be_used_again_at_once_and_nothing_of_the_first_run_shows() {
    let host = TestHost::start().await;
    let (mut agent, mut person) = (host.agent("builder").await, host.host().await);
    for n in 0..30 {
        start_with_key(&mut agent, "k").await;
        record(&mut agent, "k", &n.to_string()).await;
        complete(&mut agent, "k").await;
        if n < 29 {
            person.raw("runs.delete", json!({ "run_id": "k" })).await.unwrap();
        }
    }
    start(&mut agent, "another").await;
    let records = trace(&host, "k").await;
    assert_eq!((records.len(), &records[1]["tool"]), (3, &json!("29")));
    // As after a kill: the files as they are now, the index as it is now.
    let left = tempfile::tempdir().unwrap();
    let (from, to) = (host.root().join("runs"), left.path().join("runs"));
    fs::create_dir_all(to.join("builder")).unwrap();
    for entry in fs::read_dir(from.join("builder")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, to.join("builder").join(path.file_name().unwrap())).unwrap();
    }
    for name in [".index.sqlite", ".index.sqlite-wal"] {
        let _ = fs::copy(from.join(name), to.join(name));
    }
    let next =
        TestHost::builder().config(|it| it.state_root = Some(left.path().into())).start().await;
    let open = json!({ "agent_id": "builder", "status": "in_progress" });
    let page = next.host().await.raw("runs.list", open).await.unwrap();
    assert_eq!(page["runs"], json!([]));
}

#[tokio::test]
async fn what_another_plugin_saw_is_recorded_into_the_current_run() {
    let host = TestHost::start().await;
    let runs = host.service(&RUNS);
    let mut agent = host.agent("builder").await;
    let first = start(&mut agent, "first").await;
    let second = start(&mut agent, "second").await;
    let session = host.session_of("builder");
    assert_eq!(runs.current(&session), Some(second.clone()));
    let turn = |n: u64| carport_runs_api::ObservedTurn {
        tool: Some("t".into()),
        output: Some(json!(n)),
        ..Default::default()
    };
    runs.observe(&session, &second, (0..600).map(turn).collect()).await;
    let records = trace(&host, &second).await;
    let outputs: Vec<_> = records[1..].iter().map(|it| it["output"].as_u64().unwrap()).collect();
    assert_eq!(outputs, (0..600).collect::<Vec<_>>());
    complete(&mut agent, &second).await;
    assert_eq!(runs.current(&session), None, "not the run before it");
    let ended = trace(&host, &second).await.len();
    runs.observe(&session, &second, vec![turn(0)]).await;
    assert_eq!(trace(&host, &second).await.len(), ended);
    // A run that is open, though no more the current one.
    runs.observe(&session, &first, vec![turn(7)]).await;
    assert_eq!(trace(&host, &first).await[1]["output"], 7);
    let other = host.agent("other").await;
    runs.observe(&host.session_of("other"), &first, vec![turn(8)]).await;
    assert_eq!(trace(&host, &first).await.len(), 2, "it is another connection's");
    drop(other);
}
