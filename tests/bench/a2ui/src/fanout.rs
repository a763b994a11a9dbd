//! One client changes a surface, many hear of it.

use std::{path::Path, time::Instant};

use carport_bench_dispatch::{
    Error,
    daemon::{Client, Daemon},
    process,
    stats::{median, table},
};
use serde_json::{Value, json};

use crate::examples::read;

/// How much.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Connections that listen
    #[arg(long, default_value_t = 100)]
    subscribers: usize,
    /// Changes in a round; all of them fit an outbox, so none is lost
    #[arg(long, default_value_t = 200)]
    changes: usize,
    /// Rounds, of which the median is told
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

pub(crate) async fn measure(args: &Args, root: &Path) -> Result<(), Error> {
    let daemon = Daemon::start(root, "").await?;
    let mut writer = daemon.client().await?;
    // The largest of the examples is what everybody looks at.
    let examples = read()?;
    let example =
        examples.iter().max_by_key(|it| json!(it).to_string().len()).ok_or("no examples")?;
    let mut id = Value::Null;
    for message in example {
        id = writer.call("a2ui.apply", message).await?["surfaceId"].take();
    }
    let bytes = writer.call("a2ui.get", &json!({ "surfaceId": id })).await?.to_string().len();
    println!("a surface of {bytes} bytes, {} changes a round\n", args.changes);
    let mut rows = Vec::new();
    for subscribers in [0, 1, args.subscribers] {
        for lean in [true, false] {
            rows.push(round(args, &daemon, &mut writer, &id, subscribers, lean).await?);
        }
    }
    table(["subscribers", "form", "changes/s", "daemon CPU us/change", "events heard"], rows);
    daemon.stop().await
}

async fn round(
    args: &Args,
    daemon: &Daemon,
    writer: &mut Client,
    id: &Value,
    subscribers: usize,
    lean: bool,
) -> Result<[String; 5], Error> {
    let mut listeners = Vec::with_capacity(subscribers);
    for _ in 0..subscribers {
        let mut listener = daemon.client().await?;
        listener.call("a2ui/subscribe", &json!({ "lean": lean })).await?;
        listeners.push(listener);
    }
    let (mut rates, mut cpus, mut heard) = (Vec::new(), Vec::new(), 0);
    for _ in 0..args.rounds {
        let (before, began) = (process::cpu(daemon.pid()?)?, Instant::now());
        let mut listening = tokio::task::JoinSet::new();
        for mut listener in listeners.drain(..) {
            let changes = args.changes;
            listening.spawn(async move {
                for _ in 0..changes {
                    listener.next().await.map_err(|error| error.to_string())?;
                }
                Ok::<_, String>((listener, changes))
            });
        }
        for at in 0..args.changes {
            let body = json!({ "surfaceId": id, "path": "/bench", "value": at });
            writer.call("a2ui.apply", &json!({ "updateDataModel": body, "lean": true })).await?;
        }
        while let Some(done) = listening.join_next().await {
            let (listener, events) = done??;
            listeners.push(listener);
            heard += events;
        }
        rates.push(args.changes as f64 / began.elapsed().as_secs_f64());
        let cpu = process::cpu(daemon.pid()?)? - before;
        cpus.push(cpu.as_secs_f64() * 1e6 / args.changes as f64);
    }
    let form = if lean { "lean" } else { "whole" };
    Ok([
        subscribers.to_string(),
        form.to_owned(),
        format!("{:.0}", median(rates)),
        format!("{:.1}", median(cpus)),
        heard.to_string(),
    ])
}
