//! Recording: agents that send batches, each run followed by a host, beside the bare file and a bare socket.

use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{
    Error,
    daemon::Client,
    process,
    stats::{median, percentile, table},
};
use futures_util::SinkExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    daemon::{self, Durability},
    floor::{self, TURNS},
    stats::micros,
};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// How often all is measured; medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Loads as AGENTSxIN_FLIGHTxBATCH
    #[arg(long, value_delimiter = ',', default_value = "1x1x1,1x16x1,4x16x1,4x4x16,4x4x64")]
    loads: Vec<Load>,
    /// Durability levels; all of them if absent
    #[arg(long, value_delimiter = ',', value_enum)]
    durability: Vec<Durability>,
}

/// So many agents, batches on their way of each, and turns of a batch.
#[derive(Debug, Clone, Copy)]
struct Load {
    agents: usize,
    in_flight: usize,
    batch: usize,
}

impl std::str::FromStr for Load {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<_> = text.split('x').filter_map(|it| it.parse().ok()).collect();
        match parts[..] {
            [agents, in_flight, batch] => Ok(Self { agents, in_flight, batch }),
            _ => Err("a load is AGENTSxIN_FLIGHTxBATCH".into()),
        }
    }
}

/// What a measurement came to.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) turns: usize,
    pub(crate) elapsed: Duration,
    /// Of a batch: from its sending to its acknowledgement.
    pub(crate) latencies: Vec<Duration>,
    /// Of the daemon.
    pub(crate) cpu: Option<Duration>,
}

impl Figures {
    fn per_second(&self) -> f64 {
        self.turns as f64 / self.elapsed.as_secs_f64()
    }
}

/// Measures and prints the table.
pub(crate) async fn measure(
    args: &Args,
    root: &impl Fn() -> std::io::Result<TempDir>,
) -> Result<(), Error> {
    let time = Duration::from_secs_f64(args.seconds);
    let levels = match args.durability.as_slice() {
        [] => &Durability::ALL,
        some => some,
    };
    let mut rows = Vec::new();
    for durability in levels {
        for load in &args.loads {
            let (mut floors, mut sockets, mut ours) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..args.rounds {
                eprintln!("{} {load:?}: round {}", durability.word(), round + 1);
                let bare = root()?;
                floors.push(floor::append(bare.path(), &line(), load.batch, *durability, time)?);
                sockets.push(send(root()?.path(), *load, *durability, time).await?);
                ours.push(record(root()?.path(), *load, *durability, time).await?);
            }
            rows.push(row(*durability, *load, &floors, &sockets, &ours));
        }
    }
    table(
        [
            "durability",
            "agents x in flight x batch",
            "file turns/s",
            "socket turns/s",
            "turns/s",
            "to file",
            "to socket",
            "file p99 us",
            "socket p99 us",
            "p50 us",
            "p99 us",
            "CPU us/turn",
        ],
        rows,
    );
    Ok(())
}

fn row(
    durability: Durability,
    load: Load,
    floors: &[Figures],
    sockets: &[Figures],
    ours: &[Figures],
) -> [String; 12] {
    let rate = |of: &[Figures]| median(of.iter().map(Figures::per_second));
    let latency = |of: &[Figures], share| {
        median(of.iter().map(|it| micros(percentile(&it.latencies, share))))
    };
    let cpu = |it: &Figures| micros(it.cpu.unwrap_or_default()) / it.turns as f64;
    [
        durability.word().into(),
        format!("{}x{}x{}", load.agents, load.in_flight, load.batch),
        format!("{:.0}", rate(floors)),
        format!("{:.0}", rate(sockets)),
        format!("{:.0}", rate(ours)),
        format!("{:.2}", rate(ours) / rate(floors)),
        format!("{:.2}", rate(ours) / rate(sockets)),
        format!("{:.1}", latency(floors, 0.99)),
        format!("{:.1}", latency(sockets, 0.99)),
        format!("{:.1}", latency(ours, 0.50)),
        format!("{:.1}", latency(ours, 0.99)),
        format!("{:.2}", median(ours.iter().map(cpu))),
    ]
}

/// A turn of the usual size.
fn turn() -> Value {
    json!({
        "tool": "read_file",
        "parameters": { "path": "src/lib.rs", "offset": 0, "limit": 200 },
        "output": { "ok": true, "text": "a line of the file that was read, as long as usual\n".repeat(4) },
    })
}

/// The turn as it stands in a file.
fn line() -> String {
    let mut turn = turn();
    turn["record"] = json!("turn");
    turn["index"] = json!(1000);
    turn["verifier_verdict"] = json!("not_run");
    turn["at"] = json!("2026-01-01T00:00:00.000Z");
    format!("{turn}\n")
}

async fn record(
    root: &Path,
    load: Load,
    durability: Durability,
    time: Duration,
) -> Result<Figures, Error> {
    let daemon = daemon::start(root, durability).await?;
    let (mut agents, mut followers) = (JoinSet::new(), JoinSet::new());
    let mut connections = Vec::new();
    for n in 0..load.agents {
        let (follow, runs) = tokio::sync::mpsc::channel(1);
        followers.spawn(follow_all(daemon.host().await?, runs));
        connections.push((daemon.agent(&format!("agent-{n}")).await?, follow));
    }
    let (before, began) = (process::cpu(daemon.pid()?)?, Instant::now());
    for (agent, follow) in connections {
        agents.spawn(keep_recording(agent, follow, load, began + time));
    }
    let mut all = gather(agents).await?;
    all.elapsed = began.elapsed();
    let mut seen = 0;
    while let Some(done) = followers.join_next().await {
        seen += done??;
    }
    all.cpu = Some(process::cpu(daemon.pid()?)?.saturating_sub(before));
    daemon.stop().await?;
    match seen == all.turns {
        true => Ok(all),
        false => Err(format!("{} turns were recorded and {seen} seen", all.turns).into()),
    }
}

/// Records run after run until the time is over.
async fn keep_recording(
    mut agent: Client,
    follow: tokio::sync::mpsc::Sender<(String, tokio::sync::oneshot::Sender<()>)>,
    load: Load,
    until: Instant,
) -> Result<Figures, Error> {
    let mut all = Figures::default();
    while Instant::now() < until {
        let started = agent.call("runs.start", &json!({ "intent": "measure" })).await?;
        let run_id = started["run_id"].as_str().ok_or("a run has an id")?;
        let (followed, is_followed) = tokio::sync::oneshot::channel();
        follow.send((run_id.into(), followed)).await?;
        is_followed.await?;
        pump(&mut agent, run_id, load, until, &mut all).await?;
        agent.call("runs.complete", &json!({ "run_id": run_id, "outcome": {} })).await?;
    }
    Ok(all)
}

/// Keeps batches in flight until the run is full or the time is over, and all are answered.
async fn pump(
    client: &mut Client,
    run_id: &str,
    load: Load,
    until: Instant,
    all: &mut Figures,
) -> Result<(), Error> {
    let params = json!({ "run_id": run_id, "turns": vec![turn(); load.batch] });
    let request = Message::text(Client::request("runs.record_turns", &params));
    let (mut sent, mut open) = (0, VecDeque::new());
    loop {
        // What there is room for is fed, and flushed once.
        while open.len() < load.in_flight && sent + load.batch <= TURNS && Instant::now() < until {
            client.socket.feed(request.clone()).await?;
            open.push_back(Instant::now());
            sent += load.batch;
        }
        let Some(from) = open.pop_front() else { break };
        client.socket.flush().await?;
        let reply = client.next().await?;
        if !reply.contains("\"ok\":true") {
            return Err(reply.into());
        }
        all.latencies.push(from.elapsed());
    }
    all.turns += sent;
    Ok(())
}

/// The same requests to a bare socket that appends them.
async fn send(
    directory: &Path,
    load: Load,
    durability: Durability,
    time: Duration,
) -> Result<Figures, Error> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let serving = tokio::spawn(floor::serve(listener, directory.into(), durability));
    let mut clients = JoinSet::new();
    let began = Instant::now();
    let until = began + time;
    for _ in 0..load.agents {
        let mut client = Client::connect(&address).await?;
        clients.spawn(async move {
            let mut all = Figures::default();
            while Instant::now() < until {
                pump(&mut client, "a-run-id-of-the-usual-length-of-36-b", load, until, &mut all)
                    .await?;
            }
            Ok::<_, Error>(all)
        });
    }
    let mut all = gather(clients).await?;
    all.elapsed = began.elapsed();
    serving.abort();
    Ok(all)
}

async fn gather(mut clients: JoinSet<Result<Figures, Error>>) -> Result<Figures, Error> {
    let mut all = Figures::default();
    while let Some(done) = clients.join_next().await {
        let one = done??;
        all.turns += one.turns;
        all.latencies.extend(one.latencies);
    }
    Ok(all)
}

/// Follows run after run to its end; the turns that were seen. It reads no more of an event than it must:
/// the daemon is measured, not the follower.
async fn follow_all(
    mut host: Client,
    mut runs: tokio::sync::mpsc::Receiver<(String, tokio::sync::oneshot::Sender<()>)>,
) -> Result<usize, Error> {
    let mut seen = 0;
    while let Some((run_id, followed)) = runs.recv().await {
        host.call("runs.subscribe", &json!({ "run_id": run_id })).await?;
        let _ = followed.send(());
        loop {
            let event = host.next().await?;
            match event.contains(r#""record":{"record":"turn""#) {
                true => seen += 1,
                false => break,
            }
        }
    }
    Ok(seen)
}
