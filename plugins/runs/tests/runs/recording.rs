//! Starting runs and recording turns: who may, where they land, what is dropped.

use carport_core::{codes, testing::TestHost};
use carport_runs::{Dropped, Recorded, Start};
use serde_json::{Value, json};

use crate::{record, start, start_with_key, trace};

#[tokio::test]
async fn a_run_is_recorded_from_its_start_to_its_end() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "fix the build").await;
    let turns =
        json!([{ "tool": "compile", "output": { "ok": false }, "index": -7, "extra": 1 }, {}]);
    let reply =
        agent.raw("runs.record_turns", json!({ "run_id": run_id, "turns": turns })).await.unwrap();
    assert_eq!(reply, json!({ "run_id": run_id, "base_index": 0, "count": 2, "ok": true }));
    assert_eq!(record(&mut agent, &run_id, "test").await.base_index, 2);
    let outcome = json!({ "status": "success", "summary": "done" });
    agent.raw("runs.complete", json!({ "run_id": run_id, "outcome": outcome })).await.unwrap();
    let records = trace(&host, &run_id).await;
    let kinds: Vec<_> = records.iter().map(|it| it["record"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["started", "turn", "turn", "turn", "ended"]);
    assert_eq!((&records[0]["intent"], records[0].get("format")), (&json!("fix the build"), None));
    assert_eq!((&records[1]["index"], records[1].get("extra")), (&json!(0), None));
    assert_eq!(records[2]["verifier_verdict"], "not_run");
    assert_eq!(records[4]["termination"]["outcome"]["status"], "success");
    assert_eq!(records[4]["turn_count"], 3);
}

#[tokio::test]
async fn the_agent_is_the_callers_own_or_named() {
    let host = TestHost::builder().config(|it| it.agent_id = None).start().await;
    let (mut agent, mut client) = (host.agent("alice").await, host.client().await);
    let mut person = host.host().await;
    let started = |params: Value| json!({ "intent": "x", "agent_id": params["a"], "agent_name": params["n"] });
    let reply = agent.raw("runs.start", started(json!({}))).await.unwrap();
    assert_eq!(reply["agent_id"], "alice");
    let other = agent.raw("runs.start", started(json!({ "a": "bob" }))).await.unwrap_err();
    assert_eq!(other.code, codes::FORBIDDEN);
    let named = client.raw("runs.start", started(json!({ "n": "My Agent" }))).await.unwrap();
    assert_eq!(named["agent_id"], "name:my-agent");
    let nobody = client.raw("runs.start", started(json!({}))).await.unwrap_err();
    assert_eq!((nobody.code, nobody.field()), (codes::INVALID_PARAMS, Some("agent_id")));
    let empty = client.raw("runs.start", started(json!({ "n": "!!" }))).await.unwrap_err();
    assert_eq!(empty.field(), Some("agent_name"));
    assert!(person.raw("runs.start", started(json!({ "a": "anyone" }))).await.is_ok());

    let daemon = TestHost::builder().config(|it| it.agent_id = Some("env".into())).start().await;
    let reply = daemon.client().await.raw("runs.start", json!({ "intent": "x" })).await.unwrap();
    assert_eq!(reply["agent_id"], "env");
}

#[tokio::test]
async fn only_the_runs_own_agent_writes_turns() {
    let host = TestHost::start().await;
    let mut alice = host.agent("alice").await;
    let mine = start(&mut alice, "x").await;
    let mut client = host.client().await;
    let named = client
        .call(Start { intent: "x".into(), agent_name: Some("n".into()), ..Start::default() })
        .await
        .unwrap()
        .run_id;
    let not_found = Some(Dropped::RunNotFound);
    assert_eq!(record(&mut alice, &mine, "t").await.dropped, None);
    assert_eq!(record(&mut alice, &named, "t").await.dropped, not_found);
    assert_eq!(record(&mut client, &mine, "t").await.dropped, not_found);
    assert_eq!(record(&mut client, &named, "t").await.dropped, not_found);
    assert_eq!(record(&mut host.agent("bob").await, &mine, "t").await.dropped, not_found);
    assert_eq!(record(&mut host.host().await, &mine, "t").await.dropped, not_found);
    assert_eq!(record(&mut alice, "no-such-run", "t").await.dropped, not_found);
    // The connection that started it may end it all the same.
    let done = json!({ "run_id": named, "outcome": {} });
    assert!(client.raw("runs.complete", done).await.is_ok());
}

#[tokio::test]
async fn a_key_names_one_run() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let first = start_with_key(&mut agent, "job:7").await;
    assert_eq!((first.run_id.as_str(), first.existing), ("job:7", None));
    let again = start_with_key(&mut agent, "job:7").await;
    assert_eq!((again.run_id.as_str(), again.existing), ("job:7", Some(true)));
    let mut other = host.agent("other").await;
    let taken = json!({ "intent": "x", "idempotency_key": "job:7" });
    assert_eq!(other.raw("runs.start", taken).await.unwrap_err().code, codes::CONFLICT);
    let bad = json!({ "intent": "x", "idempotency_key": "a/b" });
    assert_eq!(other.raw("runs.start", bad).await.unwrap_err().field(), Some("idempotency_key"));
    assert_eq!(trace(&host, "job:7").await.len(), 1, "one `started` line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_twice_at_once_gives_one_run() {
    let host = TestHost::start().await;
    for round in 0..10 {
        let key = format!("key-{round}");
        // Two connections of one agent cannot be; two clients of one name can.
        let (mut one, mut two) = (host.client().await, host.client().await);
        let params = json!({ "intent": "x", "agent_name": "n", "idempotency_key": key });
        let (a, b) = tokio::join!(
            one.raw("runs.start", params.clone()),
            two.raw("runs.start", params.clone())
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a["run_id"], b["run_id"]);
        assert_eq!(usize::from(a["existing"] == true) + usize::from(b["existing"] == true), 1);
        assert_eq!(trace(&host, &key).await.len(), 1);
    }
}

#[tokio::test]
async fn eight_batches_of_256_leave_seven_and_one_refusal() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    let params = json!({ "run_id": run_id, "turns": vec![json!({}); 256] });
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(agent.send("runs.record_turns", params.clone()).await);
    }
    let mut bases = Vec::new();
    for call in calls {
        let reply: Recorded = serde_json::from_value(agent.reply(call).await.unwrap()).unwrap();
        bases.push((reply.base_index, reply.count, reply.dropped));
    }
    for (at, base) in bases[..7].iter().enumerate() {
        assert_eq!(*base, (256 * at as u64, 256, None), "in the order of their frames");
    }
    assert_eq!(bases[7], (0, 0, Some(Dropped::RunTurnLimit)));
    let rest = json!({ "run_id": run_id, "turns": vec![json!({}); 208] });
    assert_eq!(agent.raw("runs.record_turns", rest).await.unwrap()["ok"], true, "exactly 2,000");
    let records = trace(&host, &run_id).await;
    let indices: Vec<_> = records[1..].iter().map(|it| it["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (0..2000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_batch_is_checked_whole_before_anything_is_kept() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    for (turns, field) in [
        (json!([]), "turns"),
        (json!(vec![json!({}); 257]), "turns"),
        (json!("x"), "turns"),
        (json!([{}, 7]), "turns[1]"),
        (json!([[]]), "turns[0]"),
        (json!([["p", "tool"]]), "turns[0]"),
        (json!([{ "output": 1.0, "tool": [] }]), "turns[0].tool"),
        (json!([{ "tool": 7 }]), "turns[0].tool"),
        (json!([{}, { "tool": "x".repeat(257) }]), "turns[1].tool"),
    ] {
        let params = json!({ "run_id": run_id, "turns": turns });
        let error = agent.raw("runs.record_turns", params).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
        let words = "runs.record_turns requires { run_id, turns: [RunTurn] }";
        assert!(error.message.starts_with(words), "{}", error.message);
    }
    let lone = format!(
        r#"{{"jsonrpc":"2.0","id":900,"method":"runs.record_turns","params":{{"run_id":"{run_id}","turns":[{{"output":["\ud800"]}}]}}}}"#
    );
    agent.text(&lone).await;
    let error = agent.reply(900).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("turns[0].output")));
    let large = json!([{ "tool": "fine" }, { "cli_outcome": "x".repeat(300 * 1024) }]);
    let params = json!({ "run_id": run_id, "turns": large });
    let reply = agent.raw("runs.record_turns", params).await.unwrap();
    assert_eq!((&reply["ok"], &reply["dropped"]), (&json!(false), &json!("turn_too_large")));
    assert_eq!(trace(&host, &run_id).await.len(), 1, "nothing of a batch was kept");
    let one = json!({ "run_id": run_id, "turn_index": 99, "tool": "t", "output": "o" });
    assert_eq!(agent.raw("runs.record_model_turn", one).await.unwrap()["base_index"], 0);
}

#[tokio::test]
async fn a_connection_has_sixteen_open_runs() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let first = start(&mut agent, "x").await;
    for _ in 1..16 {
        start(&mut agent, "x").await;
    }
    let error = agent.raw("runs.start", json!({ "intent": "x" })).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(16)));
    crate::complete(&mut agent, &first).await;
    start(&mut agent, "x").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_writers_at_once_leave_whole_batches_in_the_order_of_each() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..10 {
        let (host, run_id) = (host.host_arc().clone(), run_id.clone());
        writers.spawn(async move {
            for batch in 0..20 {
                let turn = |n| json!({ "output": [writer, batch, n] });
                let turns: Vec<_> = (0..7).map(turn).collect();
                let params = json!({ "run_id": run_id, "turns": turns });
                let own = carport_core::Identity::agent("builder");
                let reply = host.call(own, "runs.record_turns", &params).await.unwrap();
                assert_eq!(reply["count"], 7);
            }
        });
    }
    writers.join_all().await;
    let records = trace(&host, &run_id).await;
    let mut next = [0; 10];
    assert_eq!(records.len(), 1 + 10 * 20 * 7);
    for (at, block) in records[1..].chunks(7).enumerate() {
        let writer = block[0]["output"][0].as_u64().unwrap() as usize;
        for (n, turn) in block.iter().enumerate() {
            assert_eq!(turn["output"], json!([writer, next[writer], n]), "one block, in order");
            assert_eq!(turn["index"], at * 7 + n);
        }
        next[writer] += 1;
    }
}

#[tokio::test]
async fn turns_of_nearly_256_kib_are_kept_as_they_were_sent() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    // Sixteen strings of just below 16 KiB, and what is around them.
    let output: Vec<_> = (0..16).map(|n| format!("{n}").repeat(8_170)).collect();
    for _ in 0..40 {
        let params = json!({ "run_id": run_id, "turns": [{ "tool": "t", "output": output }] });
        assert_eq!(agent.raw("runs.record_turns", params).await.unwrap()["ok"], true);
    }
    let mut person = host.host().await;
    let (mut cursor, mut turns) = (Some(1), 0);
    while let Some(from) = cursor {
        let params = json!({ "run_id": run_id, "cursor": from });
        let page = person.raw("runs.get_trace", params).await.unwrap();
        let records = page["records"].as_array().unwrap();
        assert!(records.iter().all(|it| it["output"] == json!(output)));
        turns += records.len();
        cursor = page["next_cursor"].as_u64();
    }
    assert_eq!(turns, 40);
}
