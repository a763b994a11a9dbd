//! Memory of a daemon and of its shims, by the kernel's accounting.

use std::{fs, path::Path};

use carport_bench_dispatch::{
    Error,
    daemon::Daemon,
    stats::{median, table},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agents::put;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Agents that run and do nothing
    #[arg(long, value_delimiter = ',', default_value = "0,50,200")]
    agents: Vec<usize>,
}

/// Resident and proportional set size, in KiB.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    resident: f64,
    proportional: f64,
}

/// Measures and prints the table.
pub(crate) async fn measure(
    args: &Args,
    root: &impl Fn() -> std::io::Result<TempDir>,
) -> Result<(), Error> {
    let (mut rows, mut idle) = (Vec::new(), None);
    for count in &args.agents {
        let root = root()?;
        let (daemon, shims) = sizes(root.path(), *count).await?;
        let base: Sizes = *idle.get_or_insert(daemon);
        // Daemon and shims share pages of one program, so that only their sum says what an agent adds.
        let all = daemon.proportional + shims.iter().map(|it| it.proportional).sum::<f64>();
        let each = (all - base.proportional) / (*count).max(1) as f64;
        let of = |of: fn(&Sizes) -> f64| median(shims.iter().map(of));
        let (resident, proportional) = (of(|it| it.resident), of(|it| it.proportional));
        let shown = |value: f64| match shims.is_empty() {
            true => "-".into(),
            false => format!("{value:.0}"),
        };
        rows.push([
            count.to_string(),
            format!("{:.0}", daemon.resident),
            format!("{:.0}", daemon.proportional),
            shown(resident),
            shown(proportional),
            format!("{all:.0}"),
            shown(each),
        ]);
    }
    table(
        [
            "agents",
            "daemon RSS KiB",
            "daemon PSS KiB",
            "shim RSS KiB",
            "shim PSS KiB",
            "PSS of all KiB",
            "PSS KiB/agent",
        ],
        rows,
    );
    Ok(())
}

/// The daemon's sizes and those of its shims, once all agents run.
async fn sizes(root: &Path, count: usize) -> Result<(Sizes, Vec<Sizes>), Error> {
    let daemon = Daemon::start(root, "").await?;
    let mut host = daemon.host().await?;
    let mut shims = Vec::new();
    for number in 0..count {
        let id = format!("idle-{number}");
        let spec = json!({
            "id": id, "command": "/bin/sleep", "args": ["100000"], "restart": "never",
        });
        put(&mut host, &spec).await?;
        host.call("agents.start", &json!({ "id": id })).await?;
    }
    for number in 0..count {
        let record = fs::read(root.join(format!("run/agents/idle-{number}.json")))?;
        let record: Value = serde_json::from_slice(&record)?;
        shims.push(sizes_of(record["shim_pid"].as_u64().ok_or("a shim")?)?);
    }
    let own = sizes_of(daemon.pid()?.into())?;
    daemon.stop().await?;
    Ok((own, shims))
}

/// `Rss` and `Pss` of `/proc/PID/smaps_rollup`.
fn sizes_of(pid: u64) -> Result<Sizes, Error> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let value = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        value.ok_or_else(|| format!("no {name} of process {pid}"))
    };
    Ok(Sizes { resident: kib("Rss:")?, proportional: kib("Pss:")? })
}
