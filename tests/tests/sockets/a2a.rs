//! A2A over the listener of a real daemon: a call a connection, and streams event by event.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::daemon::{Daemon, PATIENCE};

/// The configuration of a daemon that answers as conformance tests ask for, and has a listener.
pub(crate) const SERVING: &str =
    "[a2a]\ntest_executor = true\n[a2a.listen]\nbind = \"127.0.0.1:0\"\n";

/// A listener.
#[derive(Debug, Clone)]
pub(crate) struct Http(String);

/// A stream of events; `None` everywhere says that the daemon is gone.
pub(crate) struct Stream(BufReader<TcpStream>);

impl Http {
    pub(crate) async fn of(daemon: &Daemon) -> Self {
        let status = daemon.client().await.call("a2a.status", json!({})).await.unwrap();
        Self(status["bound"].as_str().expect("it listens").to_owned())
    }

    /// Calls a method of v1.0; the answer is still to be read.
    pub(crate) async fn open(&self, method: &str, params: &Value, headers: &str) -> Option<Stream> {
        let call =
            json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             A2A-Version: 1.0\r\n{headers}Content-Length: {}\r\n\r\n",
            self.0,
            call.len()
        );
        let mut stream = TcpStream::connect(&self.0).await.ok()?;
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(call.as_bytes()).await.ok()?;
        Some(Stream(BufReader::new(stream)))
    }
}

impl Stream {
    /// The next event and its id; `None` when the stream ended, or the daemon with it.
    pub(crate) async fn event(&mut self) -> Option<(u64, Value)> {
        let mut seq = 0;
        loop {
            let mut line = String::new();
            let read =
                timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("a line in time");
            if read.ok()? == 0 {
                return None;
            }
            if let Some(id) = line.strip_prefix("id: ") {
                seq = id.trim().parse().unwrap();
            } else if let Some(data) = line.strip_prefix("data: ") {
                // A line that the end of the daemon cut is none.
                let mut data: Value = serde_json::from_str(data).ok()?;
                return Some((seq, data["result"].take()));
            }
        }
    }
}

/// Parameters of a message of which the test executor knows by its id what to do.
pub(crate) fn message(id: &str) -> Value {
    let message = json!({ "messageId": id, "role": "ROLE_USER", "parts": [{ "text": "hello" }] });
    json!({ "message": message })
}

/// The same, answered at once.
pub(crate) fn at_once(mut params: Value) -> Value {
    params["configuration"]["returnImmediately"] = true.into();
    params
}

/// The state of a task or an update, without its prefix.
pub(crate) fn state(task: &Value) -> &str {
    task["status"]["state"].as_str().unwrap().trim_start_matches("TASK_STATE_")
}
