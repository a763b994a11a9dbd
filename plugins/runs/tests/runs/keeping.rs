//! What is kept and for how long: memory, the index, retention, removal by hand.

use std::{fs, time::Duration};

use carport_core::{Clock, ManualClock, SystemClock, codes, testing::TestHost};
use carport_runs::Delete;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{complete, record, start, start_with_key, trace};

/// Waits until `holds`, looking again and again.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), looking).await.expect(what);
}

async fn listed(host: &TestHost, agent: &str) -> Vec<String> {
    let page = host.host().await.raw("runs.list", json!({ "agent_id": agent })).await.unwrap();
    let rows = page["runs"].as_array().unwrap();
    rows.iter().map(|row| row["run_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_host_deletes_what_has_ended_and_its_key_is_free_again() {
    let host = TestHost::start().await;
    let (mut agent, mut person) = (host.agent("builder").await, host.host().await);
    start_with_key(&mut agent, "job").await;
    let delete = || Delete { run_id: "job".into() };
    let error = person.call(delete()).await.unwrap_err();
    assert_eq!(
        (error.code, &error.data.unwrap()["status"]),
        (codes::CONFLICT, &json!("in_progress"))
    );
    complete(&mut agent, "job").await;
    assert_eq!(agent.call(delete()).await.unwrap_err().code, codes::FORBIDDEN);
    let file = host.root().join("runs/builder/job.jsonl");
    assert!(file.exists());
    assert!(person.call(delete()).await.unwrap().deleted);
    assert!(!file.exists() && !file.parent().unwrap().exists(), "nor its empty directory");
    assert_eq!(person.call(delete()).await.unwrap_err().code, codes::NOT_FOUND);
    assert_eq!(trace(&host, "job").await, Vec::<Value>::new());
    assert_eq!(listed(&host, "builder").await, Vec::<String>::new());
    let again = start_with_key(&mut agent, "job").await;
    assert_eq!((again.existing, trace(&host, "job").await.len()), (None, 1));
    host.stop().await;
    let next = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(listed(&next, "builder").await, ["job"]);
}

#[tokio::test]
async fn a_run_that_left_memory_is_read_as_before() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let started = start_with_key(&mut agent, "job").await;
    record(&mut agent, "job", "t").await;
    complete(&mut agent, "job").await;
    let (before, list) = (trace(&host, "job").await, listed(&host, "builder").await);
    host.stop().await;
    // A host that starts again has no run in memory.
    let next = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(trace(&next, "job").await, before);
    assert_eq!(listed(&next, "builder").await, list);
    let mut agent = next.agent("builder").await;
    let late = record(&mut agent, "job", "late").await;
    assert_eq!(late.dropped, Some(carport_runs::Dropped::RunTerminal));
    let stranger = record(&mut next.agent("other").await, "job", "late").await;
    assert_eq!(stranger.dropped, Some(carport_runs::Dropped::RunNotFound));
    for method in ["runs.resume", "runs.cancel", "runs.complete"] {
        let params = json!({ "run_id": "job", "outcome": {} });
        let error = agent.raw(method, params).await.unwrap_err();
        let status = &error.data.unwrap()["status"];
        assert_eq!((error.code, status), (codes::CONFLICT, &json!("completed")), "{method}");
    }
    let params = json!({ "intent": "other", "idempotency_key": "job" });
    let existing = agent.raw("runs.start", params.clone()).await.unwrap();
    assert_eq!((&existing["existing"], &existing["status"]), (&json!(true), &json!("completed")));
    assert_eq!(existing["agent_id"], started.agent_id);
    let foreign = next.agent("other").await.raw("runs.start", params).await.unwrap_err();
    assert_eq!(foreign.code, codes::CONFLICT);
    let followed = agent.raw("runs.subscribe", json!({ "run_id": "job" })).await.unwrap();
    assert_eq!(followed["turns_so_far"], json!([before[1]]));
    assert_eq!((&followed["status"], &followed["cursor"]), (&json!("completed"), &json!(1)));
}

#[tokio::test]
async fn old_and_surplus_runs_go_and_open_ones_stay() {
    let clock = ManualClock::at(SystemClock.now());
    let host = TestHost::builder().clock(clock.clone()).start().await;
    let mut agent = host.agent("builder").await;
    for n in 0..4 {
        let key = format!("run-{n}");
        start_with_key(&mut agent, &key).await;
        complete(&mut agent, &key).await;
        clock.advance(TimeDelta::days(10));
    }
    let mut other = host.agent("other").await;
    let lone = start(&mut other, "alone").await;
    complete(&mut other, &lone).await;
    assert_eq!(listed(&host, "builder").await.len(), 4);
    host.stop().await;
    // Ended 40, 30, 20 and 10 days ago; the bound is exclusive.
    let keep = |section: Value| {
        TestHost::builder().on_root_of(&host).clock(clock.clone()).plugin("runs", section).start()
    };
    let next = keep(json!({})).await;
    until("the oldest went", async || listed(&next, "builder").await.len() == 3).await;
    assert!(!host.root().join("runs/builder/run-0.jsonl").exists());
    next.stop().await;
    let next = keep(json!({ "max_per_agent": 1, "max_age_days": 0 })).await;
    until("the surplus went", async || listed(&next, "builder").await == ["run-3"]).await;
    assert_eq!(listed(&next, "other").await, std::slice::from_ref(&lone), "the bound is per agent");
    next.stop().await;
    let next = keep(json!({ "gc_interval_secs": 1, "max_age_days": 1 })).await;
    let mut agent = next.agent("builder").await;
    let open = start(&mut agent, "open").await;
    until("what had ended went", async || listed(&next, "builder").await == [open.clone()]).await;
    clock.advance(TimeDelta::days(100));
    until("the other agent's went too", async || !host.root().join("runs/other").exists()).await;
    assert_eq!(listed(&next, "builder").await, std::slice::from_ref(&open), "however old");
    complete(&mut agent, &open).await;
    clock.advance(TimeDelta::days(2));
    until("it went once it had ended", async || listed(&next, "builder").await.is_empty()).await;
}

#[tokio::test]
async fn a_clock_that_goes_back_loses_nothing_and_keeps_the_order_of_turns() {
    let clock = ManualClock::at(SystemClock.now());
    let host = TestHost::builder().clock(clock.clone()).start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    for tool in ["a", "b", "c"] {
        clock.advance(TimeDelta::days(-400));
        record(&mut agent, &run_id, tool).await;
    }
    complete(&mut agent, &run_id).await;
    let second = start(&mut agent, "earlier by the clock").await;
    complete(&mut agent, &second).await;
    let records = trace(&host, &run_id).await;
    let tools: Vec<_> = records.iter().filter_map(|it| it["tool"].as_str()).collect();
    assert_eq!(tools, ["a", "b", "c"]);
    assert_eq!(listed(&host, "builder").await, [run_id.clone(), second.clone()]);
    host.stop().await;
    let next = TestHost::builder().on_root_of(&host).clock(clock).start().await;
    assert_eq!(listed(&next, "builder").await, [run_id.clone(), second]);
    assert_eq!(trace(&next, &run_id).await, records);
}

#[tokio::test]
async fn the_index_may_vanish_while_the_host_stands_still() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    for n in 0..5 {
        start_with_key(&mut agent, &format!("run-{n}")).await;
        complete(&mut agent, &format!("run-{n}")).await;
    }
    let before = listed(&host, "builder").await;
    host.stop().await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(host.root().join(format!("runs/.index.sqlite{suffix}")));
    }
    let next = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(listed(&next, "builder").await, before);
    assert_eq!(trace(&next, "run-0").await.len(), 2);
}
