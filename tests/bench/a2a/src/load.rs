//! Connections that send one message after the other and check what comes of each.

use std::time::{Duration, Instant};

use carport_bench_dispatch::Error;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::http::Connection;

/// What is asked again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A message that is answered with its task when that is completed.
    Task,
    /// A message that is answered with a stream of five events.
    Stream,
}

/// Events of each stream: the task, that it works, two chunks of an artifact, that it is completed.
const EVENTS: usize = 5;

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Task, Self::Stream];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Task => "`SendMessage` that waits for its task",
            Self::Stream => "`SendStreamingMessage`, five events each",
        }
    }

    fn call(self) -> String {
        let (method, id) = match self {
            Self::Task => ("SendMessage", "tck-complete-task"),
            Self::Stream => ("SendStreamingMessage", "tck-stream-artifact-chunked"),
        };
        let message =
            json!({ "messageId": id, "role": "ROLE_USER", "parts": [{ "text": "hello" }] });
        json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": { "message": message } })
            .to_string()
    }

    /// How many events an answer has, if it is what was asked for.
    fn events(self, body: &[u8]) -> Result<usize, Error> {
        let wrong =
            || Error::from(format!("an answer is wrong: {}", String::from_utf8_lossy(body)));
        let state = |status: &Value| status["state"] == "TASK_STATE_COMPLETED";
        if self == Self::Task {
            let answer: Value = serde_json::from_slice(body)?;
            return if state(&answer["result"]["task"]["status"]) { Ok(0) } else { Err(wrong()) };
        }
        let text = std::str::from_utf8(body)?;
        let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
        let (mut count, mut last) = (0, "");
        for event in events {
            (count, last) = (count + 1, event);
        }
        let last: Value = serde_json::from_str(last)?;
        let ended = state(&last["result"]["statusUpdate"]["status"]);
        if ended && count == EVENTS { Ok(count) } else { Err(wrong()) }
    }
}

/// What was done.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Done {
    pub(crate) tasks: usize,
    pub(crate) events: usize,
    pub(crate) took: Duration,
}

/// Puts a server under load for a while.
pub(crate) async fn run(
    address: &str,
    kind: Kind,
    connections: usize,
    time: Duration,
) -> Result<Done, Error> {
    let mut all = Vec::with_capacity(connections);
    for _ in 0..connections {
        all.push(Connection::to(address).await?);
    }
    let began = Instant::now();
    let mut running = JoinSet::new();
    for mut connection in all {
        running.spawn(async move {
            let (call, mut done) = (kind.call(), Done::default());
            while began.elapsed() < time {
                done.events += kind.events(connection.post(&call).await?)?;
                done.tasks += 1;
            }
            Ok::<_, Error>(done)
        });
    }
    let mut sum = Done::default();
    while let Some(done) = running.join_next().await {
        let Done { tasks, events, .. } = done??;
        (sum.tasks, sum.events) = (sum.tasks + tasks, sum.events + events);
    }
    Ok(Done { took: began.elapsed(), ..sum })
}
