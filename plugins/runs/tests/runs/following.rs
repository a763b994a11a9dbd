//! Following a run: a snapshot, then every record, none twice, none lost.

use carport_core::{codes, testing::TestHost};
use carport_runs::{Followed, RunStatus, Subscribe, TraceEvent, Unsubscribe};
use serde_json::{Value, json};

use crate::{complete, record, start};

fn turns(followed: &Followed) -> Vec<Value> {
    followed.turns_so_far.iter().map(|it| serde_json::from_str(it.text()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_follower_misses_nothing_and_hears_nothing_twice() {
    let host = TestHost::start().await;
    for _ in 0..10 {
        let (mut agent, mut person) = (host.agent("builder").await, host.host().await);
        let run_id = start(&mut agent, "x").await;
        let writing = tokio::spawn({
            let run_id = run_id.clone();
            async move {
                for n in 0..100 {
                    record(&mut agent, &run_id, &n.to_string()).await;
                }
                complete(&mut agent, &run_id).await;
                agent.close().await;
            }
        });
        let followed = person.call(Subscribe { run_id: run_id.clone() }).await.unwrap();
        let mut seen = turns(&followed);
        assert_eq!(seen.len() as u64, followed.cursor);
        loop {
            if followed.status != RunStatus::InProgress {
                break;
            }
            let event = person.event::<TraceEvent>().await;
            let record: Value = serde_json::from_str(event.record.text()).unwrap();
            if record["record"] == "ended" {
                assert_eq!((event.cursor, event.status), (100, RunStatus::Completed));
                break;
            }
            seen.push(record);
            assert_eq!(event.cursor, seen.len() as u64);
        }
        writing.await.unwrap();
        let indices: Vec<_> = seen.iter().map(|it| it["index"].as_u64().unwrap()).collect();
        assert_eq!(indices, (0..100).collect::<Vec<_>>());
        // A late follower collects the same, from the file.
        let late = person.call(Subscribe { run_id: run_id.clone() }).await.unwrap();
        assert_eq!((turns(&late), late.status), (seen, RunStatus::Completed));
        host.emptied_but(&person).await;
    }
}

#[tokio::test]
async fn only_its_agent_and_the_host_follow_a_run() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "a secret intent").await;
    let subscribe = || Subscribe { run_id: run_id.clone() };
    assert!(agent.call(subscribe()).await.is_ok());
    assert!(host.host().await.call(subscribe()).await.is_ok());
    for mut stranger in [host.client().await, host.agent("other").await] {
        let error = stranger.call(subscribe()).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN);
        assert!(!format!("{error:?}").contains("secret"));
        let unknown = stranger.call(Subscribe { run_id: "none".into() }).await.unwrap_err();
        assert_eq!(unknown.code, codes::NOT_FOUND);
    }
}

#[tokio::test]
async fn whoever_stops_following_hears_no_more() {
    let host = TestHost::start().await;
    let (mut agent, mut person) = (host.agent("builder").await, host.host().await);
    let run_id = start(&mut agent, "x").await;
    person.call(Subscribe { run_id: run_id.clone() }).await.unwrap();
    let stop = || Unsubscribe { run_id: run_id.clone() };
    assert!(person.call(stop()).await.unwrap().removed);
    assert!(!person.call(stop()).await.unwrap().removed);
    record(&mut agent, &run_id, "t").await;
    assert!(!person.has_heard(|it| it["method"] == "runs.trace.event").await);
}

#[tokio::test]
async fn a_connection_follows_64_runs() {
    let host = TestHost::start().await;
    let mut person = host.host().await;
    let mut followed = 0;
    for agent in 0..5 {
        let mut agent = host.agent(&format!("agent-{agent}")).await;
        for _ in 0..13 {
            let run_id = start(&mut agent, "x").await;
            match person.call(Subscribe { run_id: run_id.clone() }).await {
                Ok(_) => followed += 1,
                Err(error) => {
                    assert_eq!(
                        (error.code, &error.data.unwrap()["limit"]),
                        (codes::LIMIT, &json!(64))
                    );
                    assert_eq!(followed, 64);
                    return;
                }
            }
            complete(&mut agent, &run_id).await;
        }
    }
    panic!("65 runs were followed");
}

#[tokio::test]
async fn a_snapshot_holds_the_newest_8_mib_and_says_where_it_begins() {
    let host = TestHost::start().await;
    let (mut agent, mut person) = (host.agent("builder").await, host.host().await);
    let run_id = start(&mut agent, "x").await;
    // 100 turns of 160 KiB: ten strings of 16 KiB each.
    let output = vec!["y".repeat(16_000); 10];
    for _ in 0..100 {
        let params = json!({ "run_id": run_id, "turns": [{ "output": output }] });
        assert_eq!(agent.raw("runs.record_turns", params).await.unwrap()["ok"], true);
    }
    let followed = person.call(Subscribe { run_id: run_id.clone() }).await.unwrap();
    let first = followed.first_index.unwrap();
    assert_eq!(followed.cursor, first + followed.turns_so_far.len() as u64);
    let held: usize = followed.turns_so_far.iter().map(|it| it.text().len()).sum();
    assert!((7 << 20..=8 << 20).contains(&held), "{held}");
    let indices: Vec<_> = turns(&followed).iter().map(|it| it["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (first..100).collect::<Vec<_>>());
    // The rest is in the trace, a page at a time.
    let (mut cursor, mut records) = (0, 0);
    loop {
        let params = json!({ "run_id": run_id, "cursor": cursor });
        let page = person.raw("runs.get_trace", params).await.unwrap();
        records += page["records"].as_array().unwrap().len();
        match page["next_cursor"].as_u64() {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert_eq!(records, 101);
}

#[tokio::test]
async fn a_follower_that_never_reads_delays_no_writer_and_is_dropped_from() {
    let host = TestHost::start().await;
    let (mut agent, mut stalled) = (host.agent("builder").await, host.host().await);
    let run_id = start(&mut agent, "x").await;
    stalled.call(Subscribe { run_id: run_id.clone() }).await.unwrap();
    let turns = vec![json!({ "output": "y".repeat(200) }); 250];
    for _ in 0..8 {
        let params = json!({ "run_id": run_id, "turns": turns });
        assert_eq!(agent.raw("runs.record_turns", params).await.unwrap()["ok"], true);
    }
    let metrics = host.host().await.raw("host.metrics", json!({})).await.unwrap();
    let text = metrics["text"].as_str().unwrap();
    let dropped = text.lines().find_map(|it| it.strip_prefix("carport_outbox_drops_total "));
    let dropped: u64 = dropped.expect(text).parse().unwrap();
    // Its outbox holds 1,024 frames, and some are on their way.
    assert!((500..1000).contains(&dropped), "{dropped}");
    let mut cursor = 0;
    let event = loop {
        let event = stalled.event::<TraceEvent>().await;
        if event.cursor != cursor + 1 {
            break event;
        }
        cursor += 1;
        if cursor == 2000 - dropped {
            record(&mut agent, &run_id, "none fits").await;
            complete(&mut agent, &run_id).await;
        }
    };
    assert_eq!(event.cursor, 2000, "the gap shows");
    let followed = stalled.call(Subscribe { run_id }).await.unwrap();
    assert_eq!(followed.cursor, 2000);
}
