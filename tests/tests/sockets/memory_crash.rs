//! Daemons killed at random moments while facts are written: what was acknowledged is there afterwards,
//! nothing is that was not sent, also where a file was being rewritten or loaded.

use std::{collections::BTreeMap, fs, ops::AddAssign, time::Instant};

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
/// Files that are loaded by turns, and the facts of each.
const LOADS: (usize, usize) = (4, 200);

/// What all rounds came to.
#[derive(Debug, Default)]
struct Summary {
    kills: usize,
    acknowledged: usize,
    /// Changes on disk whose acknowledgement the kill cut off.
    unacknowledged: usize,
    /// Files that had been rewritten before the kill.
    rewritten: usize,
    /// Files that were being replaced at the kill.
    replacing: usize,
    /// Files whose last line the kill cut.
    torn: usize,
    /// Lines that the kills left, all of which read.
    lines: usize,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, more: Self) {
        self.kills += more.kills;
        self.acknowledged += more.acknowledged;
        self.unacknowledged += more.unacknowledged;
        self.rewritten += more.rewritten;
        self.replacing += more.replacing;
        self.torn += more.torn;
        self.lines += more.lines;
    }
}

/// Which of a connection's changes were acknowledged. All of them were sent.
type Acknowledged = Vec<bool>;

/// The kind and the body of a fact.
type Content = (String, String);

fn id(writer: usize, change: usize) -> String {
    format!("w{writer}-{}", change % SLOTS)
}

/// What a fact is after a change; every seventh removes it.
fn after(change: usize) -> Option<Content> {
    let kind = match change % 3 {
        0 => "pattern",
        1 => "knowledge",
        _ => "procedural",
    };
    let body = format!("change {change} {}", "x".repeat(change % 300));
    (change % 7 != 6).then(|| (kind.into(), body))
}

fn change(writer: usize, change: usize) -> (&'static str, Value) {
    let id = id(writer, change);
    let Some((kind, body)) = after(change) else { return ("memory.delete", json!({ "id": id })) };
    let saved = json!({ "id": id, "subject": "burst", "body": body });
    match kind.as_str() {
        "knowledge" => ("memory.save_knowledge", saved),
        "procedural" => ("memory.save_procedural", saved),
        _ => ("memory.add_fact", json!({ "fact_id": id, "subject": "burst", "body": body })),
    }
}

/// Changes facts as fast as it may, so many on their way at a time, until the daemon dies.
async fn write_until_the_end(
    mut peer: Peer,
    in_flight: usize,
    change: impl Fn(usize) -> (&'static str, Value),
    acknowledged: watch::Sender<usize>,
) -> Acknowledged {
    let (mut changes, mut oldest) = (Acknowledged::new(), 0);
    loop {
        while changes.len() < oldest + in_flight {
            let (at, (method, params)) = (changes.len(), change(changes.len()));
            let frame = json!({ "jsonrpc": "2.0", "id": at, "method": method, "params": params });
            changes.push(false);
            if peer.socket.send(Message::text(frame.to_string())).await.is_err() {
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

fn file(name: &str) -> String {
    format!("memory/memory-namespaces/{name}.jsonl")
}

/// A daemon is killed while facts change; the next one is asked what there is. The moment is after so many
/// acknowledgements, or, if `replacing`, once a file is seen being replaced.
async fn round(daemon: &mut Daemon, round: usize, until: usize, replacing: bool) -> Summary {
    let namespace = |name: &str| format!("{name}-{round}");
    let (count, mut counted) = watch::channel(0);
    let mut writers = JoinSet::new();
    for (writer, name) in WRITERS.into_iter().enumerate() {
        let (peer, count) = (bound(daemon, &namespace(name)).await, count.clone());
        let change = move |at| change(writer, at);
        writers.spawn(async move {
            (writer, write_until_the_end(peer, IN_FLIGHT, change, count).await)
        });
    }
    let mut others = JoinSet::new();
    let mut reminded = bound(daemon, &namespace("reminded")).await;
    let fact = json!({ "id": "r", "subject": "deploy", "body": "migrate first" });
    reminded.call("memory.save_procedural", fact).await.unwrap();
    let remind = |_| ("memory.intervene", json!({ "query": "deploy", "force": true }));
    let reminding = write_until_the_end(reminded, IN_FLIGHT, remind, count.clone());
    others.spawn(async { ("reminded", reminding.await) });
    let load = |at| ("memory.load", json!({ "path": format!("load-{}", at % LOADS.0) }));
    let loaded = bound(daemon, &namespace("loaded")).await;
    let loading = write_until_the_end(loaded, 1, load, count);
    others.spawn(async { ("loaded", loading.await) });

    let half = daemon.path(&format!("{}.half", file(&namespace("busy"))));
    while *counted.borrow_and_update() < until && !(replacing && half.exists()) {
        match replacing {
            true => tokio::task::yield_now().await,
            false => counted.changed().await.unwrap(),
        }
    }
    daemon.crash().await;
    let known: BTreeMap<usize, Acknowledged> = writers.join_all().await.into_iter().collect();
    let others: BTreeMap<&str, Acknowledged> = others.join_all().await.into_iter().collect();
    let mut summary = Summary { kills: 1, ..Summary::default() };
    for name in ["busy", "quiet", "reminded", "loaded"] {
        summary += left(daemon, &namespace(name));
    }
    for name in ["busy", "quiet"] {
        let lines = daemon.read(&file(&namespace(name))).lines().count();
        let of = known.iter().filter(|(writer, _)| WRITERS[**writer] == name);
        let written: usize = of.map(|(_, it)| it.iter().filter(|done| **done).count()).sum();
        // Removing what is not there writes no line; that is fewer than half of all changes.
        summary.rewritten += usize::from(lines < written / 2);
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
    summary +=
        check_uses(&mut bound(daemon, &namespace("reminded")).await, &others["reminded"]).await;
    let mut peer = bound(daemon, &namespace("loaded")).await;
    let facts = everything(daemon, &mut peer, &namespace("loaded")).await;
    summary += check_load(&others["loaded"], &facts);
    summary
}

/// What a kill left of a file: whole lines, and perhaps one that is torn.
fn left(daemon: &Daemon, name: &str) -> Summary {
    let path = daemon.path(&file(name));
    let replacing = fs::exists(format!("{}.half", path.display())).unwrap();
    let text = fs::read(path).unwrap_or_default();
    let mut summary = Summary { replacing: replacing.into(), ..Summary::default() };
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.ends_with(b"\n") {
            true => drop(serde_json::from_slice::<Value>(line).unwrap()),
            false => summary.torn += 1,
        }
        summary.lines += 1;
    }
    summary
}

/// Every fact by its id.
async fn everything(daemon: &Daemon, peer: &mut Peer, name: &str) -> BTreeMap<String, Content> {
    let path = format!("{name}.json");
    let count = peer.call("memory.persist", json!({ "path": path })).await.unwrap();
    let text = daemon.read(&format!("memory/exports/{path}"));
    let facts: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(count, facts.len());
    let stats = peer.call("memory.stats", json!({})).await.unwrap();
    assert_eq!((&stats["fact_count"], &stats["damaged_lines"]), (&count, &json!(0)));
    let text = |fact: &Value, name: &str| fact[name].as_str().unwrap().to_owned();
    let entry = |fact| (text(fact, "fact_id"), (text(fact, "kind"), text(fact, "body")));
    facts.iter().map(entry).collect()
}

/// Each fact is as its last acknowledged change left it, or as one that was sent later did.
fn check(writer: usize, changes: &Acknowledged, facts: &mut BTreeMap<String, Content>) -> Summary {
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

/// A fact was brought up as often as was acknowledged, or as was asked for.
async fn check_uses(peer: &mut Peer, changes: &Acknowledged) -> Summary {
    let fact = peer.call("memory.get", json!({ "id": "r" })).await.unwrap();
    let (uses, acknowledged) =
        (fact["uses"].as_u64().unwrap() as usize, changes.iter().filter(|it| **it).count());
    assert!((acknowledged..=changes.len()).contains(&uses), "{uses} uses, not {acknowledged}");
    Summary { acknowledged, unacknowledged: uses - acknowledged, ..Summary::default() }
}

/// The facts are those of the file that was loaded last, or of the one that was being loaded; never some
/// of both.
fn check_load(changes: &Acknowledged, facts: &BTreeMap<String, Content>) -> Summary {
    let acknowledged = changes.iter().filter(|it| **it).count();
    let of = |load: usize| facts.values().filter(|it| it.1 == body_of(load)).count();
    let last = acknowledged.checked_sub(1).filter(|last| of(*last) == LOADS.1);
    let is_new = changes.len() > acknowledged && of(acknowledged) == LOADS.1;
    let is_none = acknowledged == 0 && facts.is_empty();
    assert!(last.is_some() || is_new || is_none, "{acknowledged} loaded: {facts:?}");
    assert!(is_none || facts.len() == LOADS.1, "{} facts", facts.len());
    Summary { acknowledged, unacknowledged: is_new.into(), ..Summary::default() }
}

fn body_of(load: usize) -> String {
    format!("of file {}", load % LOADS.0)
}

/// The moments of death come from a seed, which a failure prints.
async fn rounds(count: usize) {
    let seed = std::env::var("CARPORT_CRASH_SEED").ok().and_then(|it| it.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    eprintln!("CARPORT_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut daemon = Daemon::start(&[]).await;
    fs::create_dir_all(daemon.path("memory/exports")).unwrap();
    for load in 0..LOADS.0 {
        let fact = |at| json!({ "fact_id": format!("{load}-{at}"), "subject": format!("s{at}"), "body": body_of(load) });
        let facts: Vec<_> = (0..LOADS.1).map(fact).collect();
        let path = daemon.path(&format!("memory/exports/load-{load}"));
        fs::write(path, json!(facts).to_string()).unwrap();
    }
    let (mut all, began) = (Summary::default(), Instant::now());
    for at in 0..count {
        // Some are long enough for a file to be rewritten, and end when it is.
        let replacing = at % 5 == 0;
        let until = if replacing { 6000 } else { random.random_range(1..1000) };
        all += round(&mut daemon, at, until, replacing).await;
    }
    let Summary { kills, acknowledged, unacknowledged, rewritten, replacing, torn, lines } = all;
    eprintln!(
        "{kills} kills in {:?}: {acknowledged} changes acknowledged, none lost; {unacknowledged} more were on \
         disk; {rewritten} files had been rewritten, {replacing} were being replaced, {torn} lines were torn, \
         {lines} lines read",
        began.elapsed()
    );
    assert!(kills == count && acknowledged > 0, "nothing was at stake");
    assert!(rewritten + replacing > 0, "no file was rewritten");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_few_kills() {
    rounds(6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: tests/run --long"]
async fn what_was_acknowledged_survives_two_hundred_kills() {
    rounds(200).await;
}
