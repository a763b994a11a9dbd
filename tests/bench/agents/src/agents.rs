//! Agents that are measured, and who of them lives.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{
    Error,
    daemon::{Client, Daemon},
};
use serde_json::{Value, json};

/// In the environment of everything that was started for one state root.
pub(crate) const MARK: &str = "CARPORT_BENCH_ROOT";

/// So long anything may take that is not measured.
const LIMIT: Duration = Duration::from_secs(30);

/// An agent that runs a shell script.
pub(crate) fn shell(id: &str, script: &str, root: &Path) -> Value {
    json!({
        "id": id, "command": "/bin/sh", "args": ["-c", script], "restart": "never",
        "env": { MARK: root.display().to_string() },
    })
}

/// Writes an agent down.
pub(crate) async fn put(host: &mut Client, spec: &Value) -> Result<(), Error> {
    host.call("agents.upsert", spec).await.map(drop)
}

/// A connection that hears of every change of every agent.
pub(crate) async fn follow(daemon: &Daemon) -> Result<Client, Error> {
    let mut follower = daemon.host().await?;
    follower.call("agents.subscribe", &json!({})).await?;
    Ok(follower)
}

/// Waits until an agent's own connection is bound, or no longer is.
pub(crate) async fn attached(follower: &mut Client, id: &str, is: bool) -> Result<(), Error> {
    let looking = async {
        loop {
            let text = follower.next().await?;
            let frame: Value = serde_json::from_str(&text)?;
            let agent = &frame["params"]["agent"];
            if agent["spec"]["id"] == id && agent["attached"] == is {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(LIMIT, looking).await?
}

/// A process: its number and when it started, in clock ticks since boot.
pub(crate) type Known = (u32, u64);

/// When a process started, unless it is gone or a zombie.
pub(crate) fn lives(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// Every process that was started for this state root and lives.
pub(crate) fn alive(root: &Path) -> Vec<Known> {
    let wanted = format!("{MARK}={}", root.display());
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let marked = pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|it| it == wanted.as_bytes())
    });
    marked.filter_map(|pid| Some((pid, lives(pid)?))).collect()
}

/// Waits until so many processes live.
pub(crate) async fn grown(root: &Path, count: usize) -> Result<Vec<Known>, Error> {
    let began = Instant::now();
    loop {
        let all = alive(root);
        if all.len() >= count {
            return Ok(all);
        }
        if began.elapsed() > LIMIT {
            return Err(format!("{} of {count} processes came up", all.len()).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Milliseconds.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
