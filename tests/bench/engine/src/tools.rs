//! Round trips of tool calls: the daemon asks, this client answers, beside a bare echo of requests.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{
    Error,
    client::{self, Load},
    daemon::{Client, Daemon},
    process,
    servers::{self, Server},
    stats::{median, table},
};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio_tungstenite::tungstenite::Message;

use crate::proposals::{Shape, calls};

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Calls of a proposal
    #[arg(long, default_value_t = 1000)]
    calls: usize,
    /// Seconds of each measurement; a proposal that has begun is finished
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often all is measured; medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Round trips a second, and the server's microseconds of CPU for each.
type Figures = (f64, f64);

/// Measures and prints the table.
pub(crate) async fn measure(args: &Args, root: &Path) -> Result<(), Error> {
    let daemon = Daemon::start(root, "").await?;
    let time = Duration::from_secs_f64(args.seconds);
    let mut rows = Vec::new();
    // The engine runs at most 32 actions of a connection at once, and a chain one at a time.
    for (in_flight, shape) in [(1, Shape::Chained), (32, Shape::Independent)] {
        let (mut bare, mut coalesced, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..args.rounds {
            eprintln!("{in_flight} in flight: round {}", round + 1);
            bare.push(echo(Server::Bare, in_flight, time).await?);
            coalesced.push(echo(Server::Coalesced, in_flight, time).await?);
            ours.push(trips(&daemon, shape, args.calls, time).await?);
        }
        rows.push(row(in_flight, &bare, &coalesced, &ours));
    }
    daemon.stop().await?;
    table(
        [
            "in flight",
            "bare echo/s",
            "coalesced echo/s",
            "tool calls/s",
            "to bare",
            "to coalesced",
            "bare CPU us",
            "coalesced CPU us",
            "daemon CPU us/call",
        ],
        rows,
    );
    Ok(())
}

fn row(in_flight: usize, bare: &[Figures], coalesced: &[Figures], ours: &[Figures]) -> [String; 9] {
    let rate = |of: &[Figures]| median(of.iter().map(|it| it.0));
    let cpu = |of: &[Figures]| median(of.iter().map(|it| it.1));
    [
        in_flight.to_string(),
        format!("{:.0}", rate(bare)),
        format!("{:.0}", rate(coalesced)),
        format!("{:.0}", rate(ours)),
        format!("{:.3}", rate(ours) / rate(bare)),
        format!("{:.3}", rate(ours) / rate(coalesced)),
        format!("{:.2}", cpu(bare)),
        format!("{:.2}", cpu(coalesced)),
        format!("{:.2}", cpu(ours)),
    ]
}

/// A server that answers requests and does nothing else, in a process of its own.
async fn echo(server: Server, in_flight: usize, time: Duration) -> Result<Figures, Error> {
    let mut process = servers::spawn(server).await.map_err(|it| it.to_string())?;
    let sockets = client::connect(process.address, 1).await?;
    let load = Load { shape: client::Shape { connections: 1, in_flight }, time };
    let spent = process::cpu(process.pid)?;
    let (_, outcome) = client::run(sockets, load).await?;
    let spent = process::cpu(process.pid)?.saturating_sub(spent);
    process.stop().await?;
    Ok(figures(outcome.requests, outcome.elapsed, spent))
}

fn figures(trips: u64, elapsed: Duration, spent: Duration) -> Figures {
    let trips = trips as f64;
    (trips / elapsed.as_secs_f64(), spent.as_secs_f64() * 1e6 / trips)
}

/// Proposals of calls, one after another on a connection of their own.
async fn trips(
    daemon: &Daemon,
    shape: Shape,
    count: usize,
    time: Duration,
) -> Result<Figures, Error> {
    let mut client = daemon.client().await?;
    client.call("tools.register", &json!([{ "name": "t" }])).await?;
    let request = Client::request("proposal.submit", &json!({ "proposal": calls(shape, count) }));
    // What is made on first use is made before anything is counted.
    submit(&mut client, &request).await?;
    let (spent, began) = (process::cpu(daemon.pid()?)?, Instant::now());
    let mut trips = 0;
    while began.elapsed() < time {
        let answered = submit(&mut client, &request).await?;
        if answered != count as u64 {
            return Err(format!("{answered} of {count} calls came").into());
        }
        trips += answered;
    }
    let elapsed = began.elapsed();
    Ok(figures(trips, elapsed, process::cpu(daemon.pid()?)?.saturating_sub(spent)))
}

/// What a client reads of a frame to answer it.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    method: Option<&'a str>,
}

/// Submits a proposal and answers its calls; how many there were. Answers are flushed once no call is
/// waiting, as the load of the echo is.
async fn submit(client: &mut Client, request: &str) -> Result<u64, Error> {
    let socket = &mut client.socket;
    socket.send(Message::text(request)).await?;
    let mut answered = 0;
    loop {
        let mut next = socket.next().await;
        while let Some(message) = next {
            let message = message?;
            let text = message.to_text()?;
            let Envelope { id, method } = serde_json::from_str(text)?;
            match method {
                Some("tools.execute") => {
                    let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"ok":true}}}}"#);
                    socket.feed(Message::text(answer)).await?;
                    answered += 1;
                }
                Some(other) => return Err(format!("`{other}` came").into()),
                None if text.contains(r#""status":"succeeded""#) => return Ok(answered),
                None => return Err(text.into()),
            }
            match socket.next().now_or_never() {
                Some(ready) => next = ready,
                None => break,
            }
        }
        socket.flush().await?;
    }
}
