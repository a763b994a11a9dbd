//! Many runs on disk: what a boot takes without and with an index, and what lists and traces take then.

use std::{
    fs,
    io::Write,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use carport_bench_dispatch::{
    Error,
    daemon::Client,
    process,
    stats::{percentile, table},
};
use serde_json::{Value, json};

use crate::{
    daemon::{self, Durability},
    stats::mib,
};

const AGENT: &str = "builder";
/// Turns of the run that is replayed.
const LONG: usize = 2000;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs on disk, all of one agent
    #[arg(long, default_value_t = 100_000)]
    runs: usize,
    /// Calls of each kind
    #[arg(long, default_value_t = 500)]
    calls: usize,
}

/// Measures and prints the tables.
pub(crate) async fn measure(args: &Args, root: &Path) -> Result<(), Error> {
    eprintln!("writing {} runs", args.runs);
    let directory = root.join("runs").join(AGENT);
    fs::create_dir_all(&directory)?;
    for n in 0..args.runs {
        write(&directory, n, 3)?;
    }
    write(&directory, args.runs, LONG)?;
    let mut boots = Vec::new();
    for what in ["no index: made anew", "an index that is whole"] {
        eprintln!("{what}");
        boots.push(boot(what, root).await?);
    }
    table(
        [
            "boot with",
            "listening ms",
            "first list of 50 ms",
            "index whole after ms",
            "resident MiB",
        ],
        boots,
    );
    eprintln!("lists and traces");
    let daemon = daemon::start(root, Durability::Process).await?;
    let mut host = daemon.host().await?;
    let newest = json!({ "agent_id": AGENT, "limit": 50 });
    let older = json!({ "agent_id": AGENT, "limit": 50, "before": started(args.runs / 2) });
    let failed = json!({ "agent_id": AGENT, "limit": 50, "status": "incomplete" });
    let short = json!({ "run_id": id(args.runs / 2) });
    let trace = json!({ "run_id": id(args.runs) });
    let mut rows = Vec::new();
    for (what, method, params, floor) in [
        ("the newest 50", "runs.list", &newest, None),
        ("50 from the middle", "runs.list", &older, None),
        ("the newest 50 incomplete", "runs.list", &failed, None),
        ("a trace of 3 turns", "runs.get_trace", &short, Some(args.runs / 2)),
        ("a trace of 2,000 turns", "runs.get_trace", &trace, Some(args.runs)),
    ] {
        let times = calls(&mut host, args.calls, method, params).await?;
        let floor = floor.map(|n| read(&directory, args.calls, n)).transpose()?;
        rows.push(row(what, &times, floor.as_deref()));
    }
    table(["what", "p50 ms", "p99 ms", "bare read of the file, p50 ms"], rows);
    daemon.stop().await
}

fn row(what: &str, times: &[Duration], floor: Option<&[Duration]>) -> [String; 4] {
    let floor = floor.map_or("-".into(), |it| millis(percentile(it, 0.5)));
    [what.into(), millis(percentile(times, 0.5)), millis(percentile(times, 0.99)), floor]
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

async fn calls(
    host: &mut Client,
    count: usize,
    method: &str,
    params: &Value,
) -> Result<Vec<Duration>, Error> {
    let mut times = Vec::new();
    for n in 0..count + 10 {
        let began = Instant::now();
        host.call(method, params).await?;
        // The first few fill caches.
        if n >= 10 {
            times.push(began.elapsed());
        }
    }
    Ok(times)
}

/// What reading the file, and checking that each line is JSON, takes.
fn read(directory: &Path, count: usize, n: usize) -> Result<Vec<Duration>, Error> {
    let path = directory.join(format!("{}.jsonl", id(n)));
    let mut times = Vec::new();
    for _ in 0..count {
        let began = Instant::now();
        let text = fs::read_to_string(&path)?;
        for line in text.lines() {
            serde_json::from_str::<&serde_json::value::RawValue>(line)?;
        }
        times.push(began.elapsed());
    }
    Ok(times)
}

/// Starts a daemon and asks for the newest runs at once; then waits until the index has taken in all.
async fn boot(what: &str, root: &Path) -> Result<[String; 5], Error> {
    let daemon = daemon::start(root, Durability::Process).await?;
    let listening = Instant::now();
    let mut host = daemon.host().await?;
    let asked = Instant::now();
    let page = host.call("runs.list", &json!({ "agent_id": AGENT, "limit": 50 })).await?;
    let first = asked.elapsed();
    if page["runs"].as_array().map(Vec::len) != Some(50) {
        return Err(format!("not 50 runs: {page}").into());
    }
    loop {
        let metrics = host.call("host.metrics", &json!({})).await?;
        let text = metrics["text"].as_str().unwrap_or_default();
        if text.lines().any(|line| line == "carport_runs_unindexed 0") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let whole = daemon.took + listening.elapsed();
    let resident = process::resident(daemon.pid()?)?;
    let took = millis(daemon.took);
    daemon.stop().await?;
    Ok([what.into(), took, millis(first), millis(whole), mib(resident)])
}

fn id(n: usize) -> String {
    format!("run-{n:06}")
}

/// When run `n` began: a second after the one before it, the last of them lately.
fn started(n: usize) -> String {
    let day = 1 + n / 86_400;
    let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
    format!("2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
}

/// Writes a run as the daemon would have, with the file's time at its end.
fn write(directory: &Path, n: usize, turns: usize) -> Result<(), Error> {
    let (run_id, at) = (id(n), started(n));
    let started = json!({
        "format": 1, "run_id": run_id, "agent_id": AGENT, "intent": format!("do the {n}th thing"), "started_at": at,
    });
    let mut text = line("started", &started);
    for index in 0..turns {
        let turn = json!({
            "index": index, "tool": "read_file", "parameters": { "path": "src/lib.rs" },
            "output": { "ok": true, "text": "what it said ".repeat(10) }, "verifier_verdict": "not_run", "at": at,
        });
        text += &line("turn", &turn);
    }
    let termination = match n % 10 {
        0 => json!({ "kind": "incomplete", "reason": "disconnect" }),
        _ => json!({ "kind": "outcome", "outcome": { "status": "success", "timestamp": at } }),
    };
    let ended = json!({
        "run_id": run_id, "agent_id": AGENT, "termination": termination, "ended_at": at, "turn_count": turns,
    });
    text += &line("ended", &ended);
    let mut file = fs::File::create(directory.join(format!("{run_id}.jsonl")))?;
    file.write_all(text.as_bytes())?;
    // 2026-01-01T00:00:00Z.
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600 + n as u64);
    Ok(file.set_modified(modified)?)
}

/// The line of a record, its tag first, as the daemon writes it.
fn line(record: &str, fields: &Value) -> String {
    format!("{{\"record\":\"{record}\",{}\n", &fields.to_string()[1..])
}
