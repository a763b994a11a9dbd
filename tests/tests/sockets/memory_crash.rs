//! Daemons killed at random moments while facts are written: what was acknowledged is there afterwards,
//! nothing is that was not sent, also where a file was being rewritten.

use std::{collections::BTreeMap, ops::AddAssign, time::Instant};

use futures_util::SinkExt;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    crash::next,
    daemon::{Daemon, Peer},
    memory::bound,
};

/// Which namespace each connection writes to.
const WRITERS: [&str; 4] = ["busy", "busy", "busy", "quiet"];
/// Changes that a connection has on their way at a time.
const IN_FLIGHT: usize = 8;
/// Facts that a connection writes again and again; more than are on their way, so that no two changes of
/// a fact are. That few make a log outgrow its facts, and be rewritten.
const SLOTS: usize = 20;

/// What all rounds came to.
#[derive(Debug, Default)]
struct Summary {
    kills: usize,
    acknowledged: usize,
    /// Changes on disk whose acknowledgement the kill cut off.
    unacknowledged: usize,
    /// Files that had been rewritten before the kill.
    rewritten: usize,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.kills += more.kills;
        self.acknowledged += more.acknowledged;
        self.unacknowledged += more.unacknowledged;
        self.rewritten += more.rewritten;
    }
}

/// Which of a connection's changes were acknowledged. All of them were sent.
type Acknowledged = Vec<bool>;

fn id(writer: usize, change: usize) -> String {
    format!("w{writer}-{}", change % SLOTS)
}

/// What a fact is after a change; every seventh removes it.
fn after(change: usize) -> Option<String> {
    (change % 7 != 6).then(|| format!("change {change} {}", "x".repeat(change % 300)))
}

fn frame(writer: usize, change: usize) -> Value {
    let id = id(writer, change);
    let (method, params) = match after(change) {
        Some(body) => {
            ("memory.add_fact", json!({ "fact_id": id, "subject": "burst", "body": body }))
        }
        None => ("memory.delete", json!({ "id": id })),
    };
    json!({ "jsonrpc": "2.0", "id": change, "method": method, "params": params })
}

/// Changes facts as fast as it may until the daemon dies.
async fn write_until_the_end(
    mut peer: Peer,
    writer: usize,
    acknowledged: watch::Sender<usize>,
) -> Acknowledged {
    let (mut changes, mut oldest) = (Acknowledged::new(), 0);
    loop {
        while changes.len() < oldest + IN_FLIGHT {
            let frame = frame(writer, changes.len()).to_string();
            changes.push(false);
            if peer.socket.send(Message::text(frame)).await.is_err() {
                return changes;
            }
        }
        let Some(reply) = next(&mut peer).await else { return changes };
        assert!(reply.get("error").is_none(), "{reply}");
        changes[reply["id"].as_u64().unwrap() as usize] = true;
        oldest = changes
            .iter()
            .skip(oldest)
            .position(|done| !done)
            .map_or(changes.len(), |it| oldest + it);
        acknowledged.send_modify(|count| *count += 1);
    }
}

/// A daemon is killed while facts change; the next one is asked what there is.
async fn round(daemon: &mut Daemon, round: usize, until: usize) -> Summary {
    let namespace = |name: &str| format!("{name}-{round}");
    let (count, mut counted) = watch::channel(0);
    let mut writers = JoinSet::new();
    for (writer, name) in WRITERS.into_iter().enumerate() {
        let (peer, count) = (bound(daemon, &namespace(name)).await, count.clone());
        writers.spawn(async move { (writer, write_until_the_end(peer, writer, count).await) });
    }
    counted.wait_for(|count| *count >= until).await.unwrap();
    daemon.crash().await;
    let known: BTreeMap<usize, Acknowledged> = writers.join_all().await.into_iter().collect();
    let mut summary = Summary { kills: 1, ..Summary::default() };
    for name in ["busy", "quiet"] {
        let file = daemon.read(&format!("memory/memory-namespaces/{}.jsonl", namespace(name)));
        let of = known.iter().filter(|(writer, _)| WRITERS[**writer] == name);
        let written: usize = of.map(|(_, it)| it.iter().filter(|done| **done).count()).sum();
        // Removing what is not there writes no line; that is fewer than half of all changes.
        summary.rewritten += usize::from(file.lines().count() < written / 2);
    }
    *daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    for name in ["busy", "quiet"] {
        let mut peer = bound(daemon, &namespace(name)).await;
        let mut facts = everything(daemon, &mut peer, &namespace(name)).await;
        for (writer, changes) in known.iter().filter(|(writer, _)| WRITERS[**writer] == name) {
            summary += check(*writer, changes, &mut facts);
        }
        assert!(facts.is_empty(), "nobody sent {facts:?}");
        let fact = json!({ "subject": "later", "body": "it goes on" });
        peer.call("memory.add_fact", fact).await.unwrap();
        let found = peer.call("memory.query", json!({ "query": "later" })).await.unwrap();
        assert_eq!(found[0]["body"], "it goes on");
    }
    summary
}

/// Every body by its id.
async fn everything(daemon: &Daemon, peer: &mut Peer, name: &str) -> BTreeMap<String, String> {
    let path = format!("{name}.json");
    let count = peer.call("memory.persist", json!({ "path": path })).await.unwrap();
    let text = daemon.read(&format!("memory/exports/{path}"));
    let facts: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(count, facts.len());
    assert_eq!(peer.call("memory.fact_count", json!({})).await.unwrap(), count);
    let text = |fact: &Value, name: &str| fact[name].as_str().unwrap().to_owned();
    facts.iter().map(|fact| (text(fact, "fact_id"), text(fact, "body"))).collect()
}

/// Each fact is as its last acknowledged change left it, or as one that was sent later did.
fn check(writer: usize, changes: &Acknowledged, facts: &mut BTreeMap<String, String>) -> Summary {
    let mut summary = Summary::default();
    for slot in 0..SLOTS.min(changes.len()) {
        let found = facts.remove(&id(writer, slot));
        let of_slot: Vec<usize> = (slot..changes.len()).step_by(SLOTS).collect();
        let last = of_slot.iter().rposition(|change| changes[*change]);
        let kept = last.and_then(|at| after(of_slot[at]));
        let later = &of_slot[last.map_or(0, |at| at + 1)..];
        summary.acknowledged += of_slot.len() - later.len();
        if found != kept {
            let is_sent = later.iter().any(|change| after(*change) == found);
            assert!(is_sent, "writer {writer}, fact {slot}: {found:?}, acknowledged {kept:?}");
            summary.unacknowledged += 1;
        }
    }
    summary
}

/// The moments of death come from a seed, which a failure prints.
async fn rounds(count: usize) {
    let seed = std::env::var("CARPORT_CRASH_SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("CARPORT_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut daemon = Daemon::start(&[]).await;
    let (mut all, began) = (Summary::default(), Instant::now());
    for at in 0..count {
        // The first is long enough for a file to be rewritten.
        let until = if at == 0 { 3000 } else { random.random_range(1..2000) };
        all += round(&mut daemon, at, until).await;
    }
    eprintln!("{all:#?} in {:?}", began.elapsed());
    assert!(all.kills == count && all.acknowledged > 0, "nothing was at stake");
    assert!(all.rewritten > 0, "no file was rewritten");
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
