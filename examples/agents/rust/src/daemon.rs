//! The connection to the daemon: calls go out, and what comes in finds whoever waits for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{SinkExt, StreamExt, stream::SplitStream};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, http::Uri},
};

/// What the daemon asks for, or tells, if there is no `id` to answer to.
pub(crate) struct Incoming {
    pub(crate) id: Option<Value>,
    pub(crate) method: String,
    pub(crate) params: Value,
}

/// Calls that await their reply. Without it once the connection has ended.
type Calls = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>>;

/// The connection; clones share it.
#[derive(Clone)]
pub(crate) struct Daemon {
    out: mpsc::Sender<Message>,
    calls: Calls,
}

impl Daemon {
    /// Connects. What the daemon asks for comes out of the receiver, which ends with the connection.
    pub(crate) async fn connect(url: &str) -> Result<(Self, mpsc::Receiver<Incoming>), String> {
        let uri: Uri = url.parse().map_err(|error| format!("{url}: {error}"))?;
        let place = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(80));
        let named = |why: &dyn std::fmt::Display| format!("{url}: {why}");
        let stream = TcpStream::connect(place).await.map_err(|error| named(&error))?;
        let (socket, _) = client_async(url, stream).await.map_err(|error| named(&error))?;
        let (mut sink, stream) = socket.split();
        let (out, mut outgoing) = mpsc::channel(64);
        let (tell, asked) = mpsc::channel(64);
        let calls = Calls::new(Mutex::new(Some(HashMap::new())));
        tokio::spawn(async move {
            while let Some(message) = outgoing.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(read(stream, calls.clone(), tell));
        Ok((Self { out, calls }, asked))
    }

    /// Calls a method; the error is the daemon's message.
    pub(crate) async fn call(&self, method: &str, params: Value) -> Result<Value, String> {
        let (reply, replied) = oneshot::channel();
        let id = {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            let open = calls.as_mut().ok_or("the connection has ended")?;
            // Replies come soon, so ids that are still open are few and the search is short.
            let id = (1..).find(|id| !open.contains_key(id)).unwrap_or_default();
            open.insert(id, reply);
            id
        };
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        let mut frame = replied.await.map_err(|_| "the connection has ended")?;
        match frame.get("error") {
            Some(error) => Err(format!("{method}: {}", error["message"].as_str().unwrap_or("?"))),
            None => Ok(frame["result"].take()),
        }
    }

    /// Tells the daemon something that has no reply.
    pub(crate) async fn tell(&self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// Answers a request of the daemon.
    pub(crate) async fn answer(&self, id: Value, answer: Result<Value, Value>) {
        let (name, value) = match answer {
            Ok(result) => ("result", result),
            Err(error) => ("error", error),
        };
        let mut frame = json!({ "jsonrpc": "2.0", "id": id });
        frame[name] = value;
        self.send(frame).await;
    }

    async fn send(&self, frame: Value) {
        // Once the connection has ended, `run` in `main.rs` ends too.
        let _ = self.out.send(Message::text(frame.to_string())).await;
    }
}

async fn read(
    mut stream: SplitStream<WebSocketStream<TcpStream>>,
    calls: Calls,
    tell: mpsc::Sender<Incoming>,
) {
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        let Ok(mut frame) = serde_json::from_str::<Value>(&text) else { continue };
        if let Some(method) = frame["method"].as_str().map(str::to_owned) {
            let id = frame.get("id").cloned();
            let params = frame["params"].take();
            if tell.send(Incoming { id, method, params }).await.is_err() {
                break;
            }
        } else if let Some(id) = frame["id"].as_u64() {
            let mut calls = calls.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(reply) = calls.as_mut().and_then(|open| open.remove(&id)) {
                let _ = reply.send(frame);
            }
        }
    }
    *calls.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
