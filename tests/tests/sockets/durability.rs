//! What was acknowledged survives the death of the daemon.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::daemon::{Daemon, Peer};

/// Records turns one after another until the connection ends; the indices that were acknowledged.
async fn record_until_the_end(mut agent: Peer, run_id: Value) -> (Value, u64) {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let mut acknowledged = 0;
    for id in 1000..2900u64 {
        let turns = json!([{ "tool": "t", "output": { "n": id - 1000 } }]);
        let params = json!({ "run_id": run_id, "turns": turns });
        let frame =
            json!({ "jsonrpc": "2.0", "id": id, "method": "runs.record_turns", "params": params });
        if agent.socket.send(Message::text(frame.to_string())).await.is_err() {
            break;
        }
        match agent.socket.next().await {
            Some(Ok(Message::Text(text))) if text.contains("\"ok\":true") => acknowledged += 1,
            _ => break,
        }
    }
    (run_id, acknowledged)
}

/// Daemons that are killed while agents record in parallel. `rounds` of them.
async fn crash_rounds(rounds: usize) {
    let mut daemon = Daemon::start(&[]).await;
    for round in 0..rounds {
        let mut agents = JoinSet::new();
        let mut host = daemon.host().await;
        for agent in 0..3 {
            let mut peer = daemon.agent(&format!("agent-{agent}")).await;
            let run = peer.call("runs.start", json!({ "intent": "survive" })).await.unwrap();
            if agent == 0 {
                let follow = json!({ "run_id": run["run_id"] });
                host.call("runs.subscribe", follow).await.unwrap();
            }
            agents.spawn(record_until_the_end(peer, run["run_id"].clone()));
        }
        // The moment of death is as many events of the first run away as the round says.
        for _ in 0..(round * 37) % 150 + 1 {
            host.frame(|it| it["method"] == "runs.trace.event").await;
        }
        daemon.crash().await;
        let acknowledged = agents.join_all().await;
        daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
        let mut host = daemon.host().await;
        for (run_id, count) in acknowledged {
            let trace = host.call("runs.get_trace", json!({ "run_id": run_id })).await.unwrap();
            let records = trace["records"].as_array().unwrap();
            let turns = &records[1..records.len() - 1];
            // One more may be on disk than was acknowledged: its reply was on the way.
            let kept = turns.len() as u64;
            assert!(
                kept == count || kept == count + 1,
                "round {round}: {count} acknowledged, {kept} kept"
            );
            for (at, turn) in turns.iter().enumerate() {
                assert_eq!((&turn["index"], &turn["output"]["n"]), (&json!(at), &json!(at)));
            }
            let end = &records[records.len() - 1]["termination"];
            assert_eq!(end, &json!({ "kind": "incomplete", "reason": "restart" }), "round {round}");
        }
        let open = json!({ "agent_id": "agent-0", "status": "in_progress" });
        assert_eq!(host.call("runs.list", open).await.unwrap()["runs"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_turn_is_lost_when_the_daemon_is_killed() {
    crash_rounds(5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: tests/run --long"]
async fn no_acknowledged_turn_is_lost_in_two_hundred_kills() {
    crash_rounds(200).await;
}
