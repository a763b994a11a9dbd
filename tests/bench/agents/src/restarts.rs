//! Restarts per second of agents that exit at once, with the shortest wait that a spec may ask for.

use std::{path::Path, time::Duration};

use carport_bench_dispatch::{
    Error,
    daemon::{Client, Daemon},
    process,
    stats::table,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::agents::put;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Agents that exit at once
    #[arg(long, value_delimiter = ',', default_value = "1,10,50")]
    agents: Vec<usize>,
    /// How long they are counted
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// The shortest wait of a spec, in seconds: no agent restarts more often than ten times a second.
const BACKOFF: f64 = 0.1;

/// Measures and prints the table.
pub(crate) async fn measure(
    args: &Args,
    root: &impl Fn() -> std::io::Result<TempDir>,
) -> Result<(), Error> {
    let mut rows = Vec::new();
    for agents in &args.agents {
        let root = root()?;
        rows.push(loops(root.path(), *agents, Duration::from_secs_f64(args.seconds)).await?);
    }
    table(["agents", "restarts/s", "of what the wait allows", "daemon CPU ms/restart"], rows);
    Ok(())
}

async fn loops(root: &Path, agents: usize, time: Duration) -> Result<[String; 4], Error> {
    let daemon = Daemon::start(root, "").await?;
    let mut host = daemon.host().await?;
    for number in 0..agents {
        let spec = json!({
            "id": format!("brief-{number}"), "command": "/bin/true", "restart": "always",
            "backoff_secs": BACKOFF,
        });
        put(&mut host, &spec).await?;
    }
    for number in 0..agents {
        host.call("agents.start", &json!({ "id": format!("brief-{number}") })).await?;
    }
    let (before, cpu, began) =
        (restarts(&mut host).await?, process::cpu(daemon.pid()?)?, Instant::now());
    tokio::time::sleep(time).await;
    let elapsed = began.elapsed().as_secs_f64();
    let spent = process::cpu(daemon.pid()?)?.saturating_sub(cpu).as_secs_f64();
    let count = (restarts(&mut host).await? - before) as f64;
    daemon.stop().await?;
    let allowed = agents as f64 / BACKOFF * elapsed;
    Ok([
        agents.to_string(),
        format!("{:.0}", count / elapsed),
        format!("{:.2}", count / allowed),
        format!("{:.2}", spent * 1e3 / count),
    ])
}

/// Automatic restarts so far, of all agents; an agent that was given up is an error.
async fn restarts(host: &mut Client) -> Result<u64, Error> {
    let all = host.call("agents.list", &json!({})).await?;
    let all = all.as_array().ok_or("a list")?;
    if let Some(errored) = all.iter().find(|it| it["status"] == "errored") {
        return Err(format!("given up: {errored}").into());
    }
    Ok(all.iter().filter_map(|it| it["restart_count"].as_u64()).sum())
}
