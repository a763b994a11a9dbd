//! From a stop to the empty tree: fifty processes that ignore TERM, some in sessions of their own.

use std::{
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

use crate::agents::{alive, grown, lives, millis, put, shell};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Stops of each kind
    #[arg(long, default_value_t = 20)]
    rounds: usize,
}

/// Processes of the tree: the first shell, 25 in its group, 24 that left it and lost their parents.
const TREE: usize = 50;

const SCRIPT: &str = "trap '' TERM; i=0
    while [ $i -lt 25 ]; do sleep 1000 & i=$((i+1)); done
    while [ $i -lt 49 ]; do (setsid sleep 1000 &); i=$((i+1)); done
    while :; do wait; done";

/// Measures and prints the table.
pub(crate) async fn measure(args: &Args, root: &Path) -> Result<(), Error> {
    let daemon = Daemon::start(root, "").await?;
    let mut host = daemon.host().await?;
    let mut spec = shell("stubborn", SCRIPT, root);
    spec["stop_grace_secs"] = json!(0.5);
    put(&mut host, &spec).await?;
    let agent = json!({ "id": "stubborn" });
    let mut rows = Vec::new();
    for (what, how) in [
        ("KILL to each of them", None),
        ("`signal: kill`", Some("kill")),
        ("TERM, grace 0.5 s", Some("term")),
    ] {
        let (mut took, mut left) = (Vec::new(), 0);
        for _ in 0..args.rounds {
            host.call("agents.start", &agent).await?;
            let tree = grown(root, TREE).await?;
            let began = Instant::now();
            match how {
                None => by_hand(&tree).await?,
                Some(signal) => {
                    let stop = json!({ "id": "stubborn", "signal": signal });
                    host.call("agents.stop", &stop).await?;
                }
            }
            took.push(began.elapsed());
            left += alive(root).len();
            host.call("agents.stop", &agent).await?;
        }
        rows.push(row(what, &took, left));
    }
    daemon.stop().await?;
    table(["how", "p50 ms", "slowest ms", "alive at the reply"], rows);
    Ok(())
}

/// The floor: who knows them all kills them all, and looks until they are gone.
async fn by_hand(tree: &[(u32, u64)]) -> Result<(), Error> {
    for (pid, _) in tree {
        kill_process(Pid::from_raw(pid.cast_signed()).ok_or("a pid")?, Signal::KILL)?;
    }
    while tree.iter().any(|(pid, since)| lives(*pid) == Some(*since)) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

fn row(what: &str, took: &[Duration], left: usize) -> [String; 4] {
    let at = |share| millis(percentile(took, share));
    [what.into(), at(0.5), at(1.0), left.to_string()]
}
