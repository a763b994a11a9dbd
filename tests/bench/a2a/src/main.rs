//! What A2A costs: tasks and stream events a second of the daemon's listener and of the official Python SDK's
//! server, under the same load by the same client in one run.

mod http;
mod load;
mod servers;

use std::{path::PathBuf, time::Duration};

use carport_bench_dispatch::{Error, process, stats};
use clap::Parser;

use crate::{load::Kind, servers::Server};

/// Measures tasks and streams.
#[derive(Debug, Parser)]
struct Args {
    /// A Python that has `a2a-sdk[http-server]`: tests/interop/a2a/run makes one
    #[arg(long, default_value = "target/a2a-venv/bin/python")]
    python: PathBuf,
    /// Connections, each with one request on its way
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16])]
    connections: Vec<usize>,
    /// How long a round lasts
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Rounds, of which the median is told
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

/// What one server did of one kind.
#[derive(Debug, Clone, Copy)]
struct Figures {
    tasks: f64,
    events: f64,
    cpu: f64,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args = Args::parse();
    for kind in Kind::ALL {
        println!("{}\n", kind.title());
        let mut rows = Vec::new();
        for &connections in &args.connections {
            let mut theirs = None;
            for server in Server::ALL {
                let figures = measure(&args, server, kind, connections).await?;
                let base = theirs.get_or_insert(figures);
                rows.push([
                    connections.to_string(),
                    server.title().into(),
                    format!("{:.0}", figures.tasks),
                    format!("{:.0}", figures.events),
                    format!("{:.0}", figures.cpu),
                    format!("{:.1}", figures.tasks / base.tasks),
                ]);
            }
        }
        let header =
            ["connections", "server", "tasks/s", "events/s", "CPU us/task", "times the SDK's"];
        stats::table(header, rows);
    }
    Ok(())
}

/// Starts a server anew, so that none has more tasks to keep than another, and puts it under load.
async fn measure(
    args: &Args,
    server: Server,
    kind: Kind,
    connections: usize,
) -> Result<Figures, Error> {
    let running = server.start(&args.python).await?;
    let round = Duration::from_secs_f64(args.seconds);
    load::run(&running.address, kind, connections, round / 4).await?;
    let (mut tasks, mut events, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let before = process::cpu(running.pid)?;
        let done = load::run(&running.address, kind, connections, round).await?;
        let spent = process::cpu(running.pid)? - before;
        let seconds = done.took.as_secs_f64();
        tasks.push(done.tasks as f64 / seconds);
        events.push(done.events as f64 / seconds);
        cpu.push(spent.as_secs_f64() * 1e6 / done.tasks as f64);
    }
    running.stop().await?;
    Ok(Figures {
        tasks: stats::median(tasks),
        events: stats::median(events),
        cpu: stats::median(cpu),
    })
}
