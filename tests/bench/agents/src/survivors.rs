//! From the SIGKILL of a daemon to the death of the last process of its trees.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{
    Error,
    daemon::Daemon,
    stats::{percentile, table},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::agents::{Known, alive, grown, lives, millis, shell};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Daemons that are killed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Trees of each
    #[arg(long, default_value_t = 20)]
    trees: usize,
}

/// A parent, a child, and a grandchild that left the session and lost its parents.
const POLITE: &str = "(setsid sleep 1000 &); sleep 1000 & wait";

/// The same, and none of them hears TERM.
const STUBBORN: &str = "trap '' TERM; (setsid sleep 1000 &); sleep 1000 & while :; do wait; done";

/// Measures and prints the table.
pub(crate) async fn measure(
    args: &Args,
    root: &impl Fn() -> std::io::Result<TempDir>,
) -> Result<(), Error> {
    let mut rows = Vec::new();
    for (what, script) in [("end at TERM", POLITE), ("ignore TERM", STUBBORN)] {
        let (mut took, mut left) = (Vec::new(), 0);
        for round in 0..args.rounds {
            eprintln!("{what}: round {}", round + 1);
            let (last, after) = round_of(root()?.path(), args.trees, script).await?;
            took.push(last);
            left += after;
        }
        let at = |share| millis(percentile(&took, share));
        rows.push([what.into(), args.rounds.to_string(), at(0.5), at(1.0), left.to_string()]);
    }
    table(
        ["trees that", "daemons killed", "last one dead, p50 ms", "slowest ms", "alive after 1 s"],
        rows,
    );
    Ok(())
}

/// One daemon's death: when the last process was dead, and how many lived after a second.
async fn round_of(root: &Path, trees: usize, script: &str) -> Result<(Duration, usize), Error> {
    let agents = (0..trees).map(|number| {
        let mut spec = shell(&format!("tree-{number}"), script, root);
        spec["auto_start"] = json!(true);
        spec
    });
    let manifest = json!({ "version": 1, "agents": agents.collect::<Vec<_>>() });
    fs::write(root.join("agents.json"), manifest.to_string())?;
    let daemon = Daemon::start(root, "").await?;
    let all = grown(root, 3 * trees).await?;
    let pid = Pid::from_raw(daemon.pid()?.cast_signed()).ok_or("a pid")?;
    let began = Instant::now();
    kill_process(pid, Signal::KILL)?;
    let last = until_dead(&all, began).await;
    let second = Duration::from_secs(1).saturating_sub(began.elapsed());
    tokio::time::sleep(second).await;
    let after = alive(root).len();
    daemon.stop().await?;
    Ok((last, after))
}

/// When the last of them was dead; at most ten seconds.
async fn until_dead(all: &[Known], began: Instant) -> Duration {
    let dead = |(pid, since): &Known| lives(*pid) != Some(*since);
    while !all.iter().all(dead) && began.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    began.elapsed()
}
