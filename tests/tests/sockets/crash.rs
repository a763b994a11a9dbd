//! Daemons killed at random moments while agents record and hosts follow: what was acknowledged survives,
//! nothing is invented, and what is replayed is what was seen live.

use std::{collections::HashMap, ops::AddAssign};

use futures_util::{SinkExt, StreamExt};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::daemon::{Daemon, Peer};

const AGENTS: usize = 4;
/// Batches that an agent has on their way at a time.
const IN_FLIGHT: u64 = 8;
/// Batches after which an agent completes its run and starts another.
const BATCHES: u64 = 60;

/// What all rounds came to.
#[derive(Debug, Default)]
struct Summary {
    kills: usize,
    runs: usize,
    /// Runs whose completion was acknowledged, or was on its way when the daemon died.
    completed: usize,
    interrupted: usize,
    acknowledged: usize,
    /// Turns on disk whose acknowledgement the kill cut off.
    unacknowledged: usize,
    /// Turns that a follower saw, snapshots aside.
    seen: usize,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.kills += more.kills;
        self.runs += more.runs;
        self.completed += more.completed;
        self.interrupted += more.interrupted;
        self.acknowledged += more.acknowledged;
        self.unacknowledged += more.unacknowledged;
        self.seen += more.seen;
    }
}

/// What an agent knows of one of its runs.
#[derive(Debug, Default)]
struct Known {
    run_id: String,
    /// Turns that were sent, and how many of them were acknowledged.
    sent: Vec<Value>,
    acknowledged: usize,
    /// Whether the end was asked for, and acknowledged.
    ending: bool,
    ended: bool,
}

/// An agent that records as fast as it may until the daemon dies; what it knows of each of its runs.
async fn record_until_the_end(
    mut agent: Peer,
    follow: tokio::sync::mpsc::Sender<String>,
) -> Vec<Known> {
    let mut runs = Vec::new();
    loop {
        let Some(started) = ask(&mut agent, "runs.start", json!({ "intent": "survive" })).await
        else {
            return runs;
        };
        let run_id = started["run_id"].as_str().unwrap().to_owned();
        let _ = follow.send(run_id.clone()).await;
        runs.push(Known { run_id, ..Known::default() });
        let run = runs.last_mut().unwrap();
        if record(&mut agent, run).await.is_none() {
            return runs;
        }
        run.ending = true;
        let complete = json!({ "run_id": run.run_id, "outcome": { "status": "success" } });
        if ask(&mut agent, "runs.complete", complete).await.is_none() {
            return runs;
        }
        run.ended = true;
    }
}

/// Records batches of one to three turns, several on their way at once; `None` once the daemon is gone.
async fn record(agent: &mut Peer, run: &mut Known) -> Option<()> {
    let mut sizes = std::collections::VecDeque::new();
    for batch in 0..BATCHES + IN_FLIGHT {
        if batch >= IN_FLIGHT {
            let reply = next(agent).await?;
            assert_eq!(reply["result"]["ok"], true, "{reply}");
            run.acknowledged += sizes.pop_front().unwrap_or(0);
        }
        if batch < BATCHES {
            let first = run.sent.len() as u64;
            let size = 1 + batch % 3;
            let turns = (first..first + size).map(|n| json!({ "tool": "t", "output": { "n": n } }));
            let turns: Vec<_> = turns.collect();
            let params = json!({ "run_id": run.run_id, "turns": turns });
            run.sent.extend(turns);
            sizes.push_back(turns_in(&params));
            send(agent, "runs.record_turns", &params).await?;
        }
    }
    Some(())
}

fn turns_in(params: &Value) -> usize {
    params["turns"].as_array().map_or(0, Vec::len)
}

async fn send(peer: &mut Peer, method: &str, params: &Value) -> Option<()> {
    let frame = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    peer.socket.send(Message::text(frame.to_string())).await.ok()
}

/// The next frame; `None` once the daemon is gone.
pub(crate) async fn next(peer: &mut Peer) -> Option<Value> {
    loop {
        match peer.socket.next().await? {
            Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// The result of a call; `None` if the daemon died over it.
pub(crate) async fn ask(peer: &mut Peer, method: &str, params: Value) -> Option<Value> {
    send(peer, method, &params).await?;
    let reply = next(peer).await?;
    assert!(reply.get("error").is_none(), "{method}: {reply}");
    Some(reply["result"].clone())
}

/// What a follower saw of a run: the records, from the first turn on.
type Seen = HashMap<String, Vec<Value>>;

/// A host that follows every run that it is told of, until the daemon dies. Kills are counted in the
/// turns that it sees.
async fn follow_until_the_end(
    mut host: Peer,
    mut runs: tokio::sync::mpsc::Receiver<String>,
    turns: tokio::sync::watch::Sender<usize>,
) -> Seen {
    let mut seen = Seen::new();
    loop {
        tokio::select! {
            Some(run_id) = runs.recv() => {
                if send(&mut host, "runs.subscribe", &json!({ "run_id": run_id })).await.is_none() {
                    return seen;
                }
            }
            frame = next(&mut host) => {
                let Some(frame) = frame else { return seen };
                let (run_id, records, cursor) = match frame.get("result") {
                    Some(result) => (&result["run_id"], result["turns_so_far"].as_array().unwrap().clone(), &result["cursor"]),
                    None => (&frame["params"]["run_id"], vec![frame["params"]["record"].clone()], &frame["params"]["cursor"]),
                };
                let of_run = seen.entry(run_id.as_str().unwrap().into()).or_default();
                turns.send_modify(|turns| *turns += records.len());
                of_run.extend(records);
                let turns = of_run.iter().filter(|it| it["record"] == "turn").count();
                assert_eq!(cursor, turns, "a gap or a double in {run_id}");
            }
        }
    }
}

/// A daemon is killed while agents record; the next one is asked what there is.
async fn round(daemon: &mut Daemon, until: usize) -> Summary {
    let (mut agents, mut followers) = (JoinSet::new(), JoinSet::new());
    let (turns, mut watched) = tokio::sync::watch::channel(0);
    for agent in 0..AGENTS {
        let (follow, runs) = tokio::sync::mpsc::channel(4);
        followers.spawn(follow_until_the_end(daemon.host().await, runs, turns.clone()));
        let peer = daemon.agent(&format!("agent-{agent}")).await;
        agents.spawn(record_until_the_end(peer, follow));
    }
    watched.wait_for(|turns| *turns >= until).await.unwrap();
    daemon.crash().await;
    let known: Vec<_> = agents.join_all().await.into_iter().flatten().collect();
    let seen: Seen = followers.join_all().await.into_iter().flatten().collect();
    *daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    let mut host = daemon.host().await;
    let mut summary = Summary { kills: 1, ..Summary::default() };
    for run in known {
        let trace = host.call("runs.get_trace", json!({ "run_id": run.run_id })).await.unwrap();
        let records = trace["records"].as_array().unwrap();
        summary += check(&run, records, seen.get(&run.run_id).map_or(&[], Vec::as_slice));
    }
    for agent in 0..AGENTS {
        let open = json!({ "agent_id": format!("agent-{agent}"), "status": "in_progress" });
        assert_eq!(host.call("runs.list", open).await.unwrap()["runs"], json!([]));
    }
    summary
}

fn check(run: &Known, records: &[Value], seen: &[Value]) -> Summary {
    let (started, ended) = (&records[0], &records[records.len() - 1]);
    let turns = &records[1..records.len() - 1];
    assert_eq!((&started["record"], &ended["record"]), (&json!("started"), &json!("ended")));
    assert!(turns.len() >= run.acknowledged, "{} of {run:?}", turns.len());
    for (at, (turn, sent)) in turns.iter().zip(&run.sent).enumerate() {
        assert_eq!((&turn["index"], &turn["output"]), (&json!(at), &sent["output"]), "{run:?}");
    }
    assert!(turns.len() <= run.sent.len(), "turns were invented: {run:?}");
    assert_eq!(&records[1..][..seen.len()], seen, "what was seen is what is replayed");
    let completed = ended["termination"]["kind"] == "outcome";
    assert!(completed || !run.ended, "an acknowledged end was lost: {run:?}");
    assert!(!completed || run.ending, "an end was invented: {run:?}");
    if !completed {
        assert_eq!(ended["termination"], json!({ "kind": "incomplete", "reason": "restart" }));
    }
    Summary {
        runs: 1,
        completed: completed.into(),
        interrupted: (!completed).into(),
        acknowledged: run.acknowledged,
        unacknowledged: turns.len() - run.acknowledged,
        seen: seen.iter().filter(|it| it["record"] == "turn").count(),
        ..Summary::default()
    }
}

/// The moments of death come from a seed, which a failure prints.
async fn rounds(count: usize) {
    let seed = std::env::var("CARPORT_CRASH_SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("CARPORT_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut daemon = Daemon::start(&[]).await;
    let mut all = Summary::default();
    for _ in 0..count {
        all += round(&mut daemon, random.random_range(1..1500)).await;
    }
    eprintln!("{all:#?}");
    assert_eq!(all.runs, all.completed + all.interrupted);
    assert!(all.acknowledged > 0 && all.seen > 0 && all.interrupted > 0, "nothing was at stake");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_few_kills() {
    rounds(8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: tests/run --long"]
async fn what_was_acknowledged_survives_two_hundred_kills() {
    rounds(200).await;
}
