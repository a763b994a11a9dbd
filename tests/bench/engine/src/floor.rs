//! The floors, the clock and the rows: a figure stands beside what a bare program takes for the same bytes.

use std::{sync::Arc, time::Instant};

use carport_bench_dispatch::{
    Error,
    daemon::Client,
    servers::accept,
    stats::{median, table},
};
use futures_util::{SinkExt, StreamExt};
use serde::Serialize;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_tungstenite::tungstenite::Message;

/// A bare socket that answers each text with what a function makes of it. It ends with its value.
pub(crate) struct Bare {
    address: String,
    serving: JoinHandle<Result<(), Error>>,
}

impl Bare {
    pub(crate) async fn start(
        answer: impl Fn(&str) -> Result<String, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        Ok(Self { address, serving: tokio::spawn(serve(listener, Arc::new(answer))) })
    }

    pub(crate) async fn client(&self) -> Result<Client, Error> {
        Client::connect(&self.address).await
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    answer: Arc<impl Fn(&str) -> Result<String, Error> + Send + Sync + 'static>,
) -> Result<(), Error> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut socket = accept(stream).await?;
            while let Some(message) = socket.next().await {
                if let Message::Text(text) = message? {
                    socket.send(Message::text(answer(&text)?)).await?;
                }
            }
            Ok::<_, Error>(())
        });
    }
}

/// A reply as the daemon writes one.
pub(crate) fn reply(result: &impl Serialize) -> Result<String, Error> {
    Ok(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, serde_json::to_string(result)?))
}

/// Does it so often; the seconds that each took.
pub(crate) async fn time(
    times: usize,
    mut once: impl AsyncFnMut() -> Result<(), Error>,
) -> Result<Vec<f64>, Error> {
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        once().await?;
        took.push(began.elapsed().as_secs_f64());
    }
    Ok(took)
}

/// Exchanges a request for its reply so often; the seconds that each took.
pub(crate) async fn exchange(
    client: &mut Client,
    request: &str,
    times: usize,
) -> Result<Vec<f64>, Error> {
    time(times, async || match client.exchange(request).await? {
        reply if reply.starts_with(r#"{"jsonrpc":"2.0","id":1,"result":"#) => Ok(()),
        other => Err(other.into()),
    })
    .await
}

/// One line of a table: what it is about, the seconds of each measurement and of each of its floor.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) shape: &'static str,
    pub(crate) place: &'static str,
    pub(crate) ours: Vec<f64>,
    pub(crate) floor: Vec<f64>,
    /// Of the daemon, over all measurements.
    pub(crate) cpu: Option<f64>,
}

/// Prints rows whose measurements are of so many actions each.
pub(crate) fn print(rows: &[Row], actions: usize) {
    let row = |row: &Row| {
        let middle = |of: &[f64]| median(of.iter().copied());
        let (ours, floor) = (middle(&row.ours), middle(&row.floor));
        let count = actions as f64;
        let cpu = row.cpu.map(|cpu| cpu * 1e6 / (count * row.ours.len() as f64));
        [
            row.shape.into(),
            row.place.into(),
            format!("{:.0}", count / floor),
            format!("{:.0}", count / ours),
            format!("{:.3}", floor / ours),
            format!("{:.2}", floor * 1e3),
            format!("{:.2}", ours * 1e3),
            cpu.map_or("-".into(), |cpu| format!("{cpu:.2}")),
        ]
    };
    table(
        [
            "shape",
            "where",
            "floor actions/s",
            "actions/s",
            "to floor",
            "floor ms/proposal",
            "ms/proposal",
            "daemon CPU us/action",
        ],
        rows.iter().map(row),
    );
}
