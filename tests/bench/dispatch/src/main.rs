//! What a request costs: the daemon beside bare sockets and jsonrpsee, all measured in one run.

mod report;

use std::time::Duration;

use clap::Parser;

use carport_bench_dispatch::{
    client::{self, Load, Shape},
    process,
    servers::{self, Server},
};

use crate::report::Row;

/// Measures requests per second, latency and the server's own CPU time per request.
#[derive(Debug, Parser)]
struct Args {
    /// Serve as one of the yardsticks until standard input closes (used by the measurement itself)
    #[arg(long, value_enum, hide = true)]
    serve: Option<Server>,
    /// Seconds that each server is loaded in each shape
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often the whole table is measured; the median of each figure is shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Shapes as CONNECTIONSxIN_FLIGHT
    #[arg(long, value_delimiter = ',', default_value = "1x1,1x64,16x16,256x4")]
    shapes: Vec<Shape>,
    /// Servers to measure
    #[arg(long, value_delimiter = ',', value_enum)]
    servers: Vec<Server>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args.serve {
        Some(server) => runtime.block_on(servers::serve(server)),
        None => runtime.block_on(measure(args)),
    }
}

async fn measure(args: Args) -> Result<(), Box<dyn std::error::Error>> {
    let servers = match args.servers.is_empty() {
        true => Server::ALL.to_vec(),
        false => args.servers,
    };
    let mut rows = Vec::new();
    for round in 0..args.rounds {
        for shape in &args.shapes {
            for server in &servers {
                eprintln!("round {} of {}: {shape} {server:?}", round + 1, args.rounds);
                let load = Load { shape: *shape, time: Duration::from_secs_f64(args.seconds) };
                rows.push(Row {
                    shape: *shape,
                    server: *server,
                    sample: one(*server, load).await?,
                });
            }
        }
    }
    report::print(rows, args.json)
}

/// One server in a fresh process under one load.
async fn one(server: Server, load: Load) -> Result<report::Sample, Box<dyn std::error::Error>> {
    let mut process = servers::spawn(server).await?;
    let connections = client::connect(process.address, load.shape.connections).await?;
    // Caches, buffers and the allocator settle before anything is counted.
    let warm = Load { time: Duration::from_millis(300), ..load };
    let (connections, _) = client::run(connections, warm).await?;
    let before = process::cpu(process.pid)?;
    let (_, outcome) = client::run(connections, load).await?;
    let spent = process::cpu(process.pid)?.saturating_sub(before);
    process.stop().await?;
    Ok(report::Sample::new(&outcome, spent))
}
