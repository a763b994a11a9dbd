//! Ten thousand idle connections: what each holds, how fast they come and how fast they go.

use std::{env, error::Error, time::Instant};

use carport_bench_dispatch::{
    client, process,
    servers::{self, Server},
};

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut args = env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("--serve"), Some(name)) => runtime.block_on(servers::serve(servers::named(&name)?)),
        (count, _) => runtime.block_on(measure(count.unwrap_or("10000").parse()?)),
    }
}

async fn measure(count: usize) -> Result<(), Box<dyn Error>> {
    println!("| server    | connections | KiB each | accepted/s | close all ms | idle RSS KiB |");
    println!("|-----------|-------------|----------|------------|--------------|--------------|");
    for server in [Server::Bare, Server::Jsonrpsee, Server::Carport] {
        let mut process = servers::spawn(server).await?;
        // What the first connection loads is not counted as its own.
        let first = client::connect(process.address, 1).await?;
        let idle = process::resident(process.pid)?;
        let began = Instant::now();
        let sockets = client::connect(process.address, count).await?;
        let accepted = count as f64 / began.elapsed().as_secs_f64();
        let held = process::resident(process.pid)? - idle;
        let began = Instant::now();
        client::close(sockets).await?;
        let closed = began.elapsed().as_millis();
        drop(first);
        process.stop().await?;
        println!(
            "| {:<9} | {count:>11} | {:>8.1} | {accepted:>10.0} | {closed:>12} | {:>12} |",
            format!("{server:?}").to_lowercase(),
            held as f64 / 1024.0 / count as f64,
            idle / 1024,
        );
    }
    Ok(())
}
