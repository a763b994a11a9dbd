//! From a start to the attached agent, beside the same program without supervision.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{
    Error,
    daemon::{Client, Daemon},
    stats::{percentile, table},
};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::agents::{attached, follow, millis, put};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Starts of each kind
    #[arg(long, default_value_t = 200)]
    rounds: usize,
}

/// Measures and prints the table.
pub(crate) async fn measure(args: &Args, root: &Path) -> Result<(), Error> {
    let program = program()?;
    let daemon = Daemon::start(root, "").await?;
    let (mut host, mut follower) = (daemon.host().await?, follow(&daemon).await?);
    let shown = program.display().to_string();
    put(&mut host, &json!({ "id": "kept", "command": shown, "restart": "never" })).await?;
    put(&mut host, &json!({ "id": "bare", "command": shown, "restart": "never" })).await?;
    let (mut kept, mut answered, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let (reply, bound) = supervised(&mut host, &mut follower).await?;
        answered.push(reply);
        kept.push(bound);
        bare.push(unsupervised(&program, root, &mut follower).await?);
    }
    daemon.stop().await?;
    let row = |what: &str, times: &[Duration]| {
        let at = |share| percentile(times, share);
        [what.into(), millis(at(0.5)), millis(at(0.99)), millis(at(1.0))]
    };
    table(
        ["from the order until", "p50 ms", "p99 ms", "slowest ms"],
        [
            row("bare fork and exec: attached", &bare),
            row("`agents.start`: attached", &kept),
            row("`agents.start`: its reply", &answered),
        ],
    );
    Ok(())
}

/// The agent that was built beside this program.
fn program() -> Result<PathBuf, Error> {
    let path = env::current_exe()?.with_file_name("attach");
    match path.exists() {
        true => Ok(path),
        false => Err("build all of this crate's programs first".into()),
    }
}

/// Until the reply, and until the agent is attached.
async fn supervised(
    host: &mut Client,
    follower: &mut Client,
) -> Result<(Duration, Duration), Error> {
    let kept = json!({ "id": "kept" });
    let began = Instant::now();
    let (reply, bound) = tokio::join!(
        async { host.call("agents.start", &kept).await.map(|_| began.elapsed()) },
        async { attached(follower, "kept", true).await.map(|()| began.elapsed()) },
    );
    host.call("agents.stop", &json!({ "id": "kept", "signal": "kill" })).await?;
    attached(follower, "kept", false).await?;
    Ok((reply?, bound?))
}

/// The same program in the same environment, started by nobody but this one.
async fn unsupervised(
    program: &Path,
    root: &Path,
    follower: &mut Client,
) -> Result<Duration, Error> {
    let endpoint: Value = serde_json::from_slice(&fs::read(root.join("run/endpoint.json"))?)?;
    let mut command = Command::new(program);
    command.env_clear().env("CARPORT_URL", endpoint["url"].as_str().ok_or("a url")?);
    command.env("CARPORT_AGENT_ID", "bare");
    let token = fs::read_to_string(root.join("run/agents/bare.token"))?;
    command.env("CARPORT_AGENT_TOKEN", token.trim()).stdin(Stdio::null()).kill_on_drop(true);
    let began = Instant::now();
    let mut child = command.spawn()?;
    attached(follower, "bare", true).await?;
    let took = began.elapsed();
    child.kill().await?;
    attached(follower, "bare", false).await?;
    Ok(took)
}
