//! One run followed by many: events per second, what the writer feels, what a follower that never reads costs.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{
    Error,
    daemon::{Client, Daemon},
    process,
    stats::{median, percentile, table},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    daemon::{self, Durability},
    stats::{mib, micros},
};

/// Turns that the writer records, one at a time. A follower's outbox has room for half of them.
const TURNS: usize = 2000;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Followers of the run; in every second measurement, one of them never reads
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000")]
    followers: Vec<usize>,
    /// Measurements of each kind; medians are shown
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

/// What one run came to.
struct Figures {
    latencies: Vec<Duration>,
    elapsed: Duration,
    cpu: Duration,
    /// Memory that the daemon holds more at the end than before.
    held: u64,
}

/// Measures and prints the table.
pub(crate) async fn measure(
    args: &Args,
    root: &impl Fn() -> std::io::Result<TempDir>,
) -> Result<(), Error> {
    let mut rows = Vec::new();
    for followers in &args.followers {
        let (mut well, mut stalled) = (Vec::new(), Vec::new());
        for round in 0..args.rounds {
            eprintln!("{followers} followers: round {}", round + 1);
            well.push(run(root()?.path(), *followers, false).await?);
            stalled.push(run(root()?.path(), *followers, true).await?);
        }
        rows.push(row(*followers, &well, &stalled));
    }
    table(
        [
            "followers",
            "turns/s",
            "deliveries/s",
            "CPU us/delivery",
            "writer p50 us",
            "p99 us",
            "p50 us, one stalled",
            "p99 us, one stalled",
            "p99 to p99",
            "MiB held",
            "MiB, one stalled",
        ],
        rows,
    );
    Ok(())
}

fn row(followers: usize, well: &[Figures], stalled: &[Figures]) -> [String; 11] {
    let latency = |of: &[Figures], share| {
        median(of.iter().map(|it| micros(percentile(&it.latencies, share))))
    };
    let held = |of: &[Figures]| mib(median(of.iter().map(|it| it.held as f64)) as u64);
    let rate = median(well.iter().map(|it| TURNS as f64 / it.elapsed.as_secs_f64()));
    let deliveries = (TURNS * followers) as f64;
    [
        followers.to_string(),
        format!("{rate:.0}"),
        format!("{:.0}", rate * followers as f64),
        format!("{:.2}", median(well.iter().map(|it| micros(it.cpu) / deliveries))),
        format!("{:.0}", latency(well, 0.5)),
        format!("{:.0}", latency(well, 0.99)),
        format!("{:.0}", latency(stalled, 0.5)),
        format!("{:.0}", latency(stalled, 0.99)),
        format!("{:.2}", latency(stalled, 0.99) / latency(well, 0.99)),
        held(well),
        held(stalled),
    ]
}

async fn run(root: &Path, followers: usize, one_stalled: bool) -> Result<Figures, Error> {
    let daemon = daemon::start(root, Durability::Process).await?;
    let mut agent = daemon.agent("builder").await?;
    let run_id =
        agent.call("runs.start", &json!({ "intent": "be followed" })).await?["run_id"].take();
    let mut listening = JoinSet::new();
    let reading = followers - usize::from(one_stalled);
    for _ in 0..reading {
        listening.spawn(listen(follower(&daemon, &run_id).await?));
    }
    let stalled = match one_stalled {
        true => Some(follower(&daemon, &run_id).await?),
        false => None,
    };
    let (before, spent) = (process::resident(daemon.pid()?)?, process::cpu(daemon.pid()?)?);
    let turn = json!({ "tool": "read_file", "output": "what it said, at some length ".repeat(8) });
    let params = json!({ "run_id": run_id, "turns": [turn] });
    let (began, mut latencies) = (Instant::now(), Vec::with_capacity(TURNS));
    for _ in 0..TURNS {
        let from = Instant::now();
        agent.call("runs.record_turns", &params).await?;
        latencies.push(from.elapsed());
    }
    agent.call("runs.complete", &json!({ "run_id": run_id, "outcome": {} })).await?;
    let (mut open, mut heard) = (Vec::new(), 0);
    while let Some(done) = listening.join_next().await {
        let (client, turns) = done??;
        heard += turns;
        open.push(client);
    }
    let elapsed = began.elapsed();
    if heard != TURNS * reading {
        return Err(format!("{heard} of {} events were heard", TURNS * reading).into());
    }
    let held = process::resident(daemon.pid()?)?.saturating_sub(before);
    let cpu = process::cpu(daemon.pid()?)?.saturating_sub(spent);
    drop((open, stalled));
    daemon.stop().await?;
    Ok(Figures { latencies, elapsed, cpu, held })
}

async fn follower(daemon: &Daemon, run_id: &Value) -> Result<Client, Error> {
    let mut host = daemon.host().await?;
    host.call("runs.subscribe", &json!({ "run_id": run_id })).await?;
    Ok(host)
}

/// Counts turns to the end of the run.
async fn listen(mut client: Client) -> Result<(Client, usize), Error> {
    let mut turns = 0;
    while client.next().await?.contains(r#""record":{"record":"turn""#) {
        turns += 1;
    }
    Ok((client, turns))
}
