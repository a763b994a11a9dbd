//! One event to many subscribers, beside a bare broadcast of the same bytes.

use std::{env, error::Error, time::Instant};

use carport_bench_dispatch::{client, process, servers};
use futures_util::{SinkExt, StreamExt};
use servers::Server;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

/// Events in one measurement; a subscriber has room for as many, so that none is dropped.
const EVENTS: usize = 500;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut args = env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some("--serve"), Some(name)) => {
            let server = servers::named(&name).map_err(|it| it.to_string())?;
            runtime.block_on(servers::serve(server)).map_err(|it| it.to_string().into())
        }
        (count, _) => runtime.block_on(measure(count.unwrap_or("1000").parse()?)),
    }
}

async fn measure(count: usize) -> Result<(), Box<dyn Error + Send + Sync>> {
    println!("| server    | subscribers | events/s | deliveries/s | CPU us/delivery |");
    println!("|-----------|-------------|----------|--------------|-----------------|");
    for server in [Server::Broadcast, Server::Carport] {
        let mut process = servers::spawn(server).await.map_err(|it| it.to_string())?;
        let mut sockets = client::connect(process.address, count + 1).await?;
        let mut source = sockets.pop().ok_or("there is a source")?;
        let mut listeners = JoinSet::new();
        let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"host.subscribe"}"#;
        for mut socket in sockets {
            socket.send(Message::text(subscribe)).await?;
            socket.next().await.ok_or("subscribed")??;
            listeners.spawn(async move {
                for _ in 0..EVENTS {
                    socket.next().await.ok_or("every event comes")??;
                }
                Ok::<_, Box<dyn Error + Send + Sync>>(socket)
            });
        }
        let spent = process::cpu(process.pid)?;
        let began = Instant::now();
        let notify = r#"{"jsonrpc":"2.0","id":2,"method":"host.notify","params":{"message":"an event of the usual size, as a host would see it"}}"#;
        for _ in 0..EVENTS {
            source.send(Message::text(notify)).await?;
            source.next().await.ok_or("a reply")??;
        }
        let mut open = Vec::new();
        while let Some(heard) = listeners.join_next().await {
            open.push(heard??);
        }
        let took = began.elapsed().as_secs_f64();
        let spent = process::cpu(process.pid)?.saturating_sub(spent).as_secs_f64();
        drop(open);
        process.stop().await?;
        let deliveries = (EVENTS * count) as f64;
        println!(
            "| {:<9} | {count:>11} | {:>8.0} | {:>12.0} | {:>15.2} |",
            format!("{server:?}").to_lowercase(),
            EVENTS as f64 / took,
            deliveries / took,
            spent * 1e6 / deliveries,
        );
    }
    Ok(())
}
