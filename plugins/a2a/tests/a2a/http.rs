//! A small HTTP client: a request a connection, and streams read event by event.

use std::{collections::HashMap, time::Duration};

use carport_core::testing::TestHost;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

use crate::judge;

/// How long an awaited line may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// An answer whose body is still to come.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    stream: BufReader<TcpStream>,
}

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: u64,
    pub(crate) data: Value,
}

impl Answer {
    /// The next line, with its end; empty when there is none.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.stream.read_line(&mut line)).await;
        read.expect("a line in time").expect("a line");
        line
    }

    /// The rest, as text.
    pub(crate) async fn text(mut self) -> String {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await;
        read.expect("the end in time").expect("the end");
        String::from_utf8(bytes).expect("UTF-8")
    }

    /// The rest, as JSON.
    pub(crate) async fn json(self) -> Value {
        serde_json::from_str(&self.text().await).expect("JSON")
    }

    /// The next event of a stream; `None` when it has ended.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        let (mut id, mut data) = (0, Value::Null);
        loop {
            let line = self.line().await;
            if line.is_empty() {
                return None;
            }
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse().expect("a number");
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = serde_json::from_str(text).expect("JSON");
            } else if line.is_empty() && !data.is_null() {
                judge::event(&data);
                return Some(Event { id, data });
            }
        }
    }

    /// What all events that are left say.
    pub(crate) async fn results(mut self) -> Vec<Value> {
        let mut all = Vec::new();
        while let Some(mut event) = self.event().await {
            all.push(event.data["result"].take());
        }
        all
    }
}

/// A listener of a test host.
#[derive(Clone)]
pub(crate) struct Listener(pub(crate) String);

impl Listener {
    /// Has the host start one.
    pub(crate) async fn of(host: &TestHost, mut params: Value) -> Self {
        params["bind"] = "127.0.0.1:0".into();
        let started = host.client().await.raw("a2a.start", params).await.expect("starts");
        Self(started["bound"].as_str().expect("an address").to_owned())
    }

    /// Sends a request as it is.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            head.push_str(&format!("Host: {}\r\n", self.0));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut stream = TcpStream::connect(&self.0).await.expect("it listens");
        stream.write_all(head.as_bytes()).await.expect("it reads");
        // It may answer and close before it has read all.
        let _ = stream.write_all(body.as_bytes()).await;
        let mut stream = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            let read = timeout(PATIENCE, stream.read_line(&mut line)).await;
            read.expect("an answer in time").expect("an answer");
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let status = head[0].split(' ').nth(1).expect("a status").parse().expect("a number");
        let headers = head[1..].iter().filter_map(|line| line.split_once(": "));
        let headers: HashMap<_, _> =
            headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        // Chunks are taken apart by lines, which is enough for what these streams say.
        Answer { status, headers, stream }
    }

    /// Posts a call.
    pub(crate) async fn post(
        &self,
        method: &str,
        params: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = json!({ "jsonrpc": "2.0", "id": "r1", "method": method, "params": params });
        let mut all = vec![("Content-Type", "application/json")];
        all.extend(headers);
        self.raw("POST", "/", &all, &body.to_string()).await
    }

    /// Calls a method of v1.0 or v0.3 by its name; the envelope.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Value {
        let version = if method.contains('/') { "0.3" } else { "1.0" };
        let answer = self.post(method, params, &[("A2A-Version", version)]).await;
        assert_eq!(answer.status, 200, "{method}");
        let envelope = answer.json().await;
        judge::envelope(method, &envelope);
        envelope
    }

    /// Calls a method that streams.
    pub(crate) async fn stream(
        &self,
        method: &str,
        params: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let version = if method.contains('/') { "0.3" } else { "1.0" };
        let mut all = vec![("A2A-Version", version)];
        all.extend(headers);
        let answer = self.post(method, params, &all).await;
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        answer
    }
}
