//! A client of a test host: it speaks real frames and keeps what came while it waited for another.

use std::{collections::VecDeque, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    io::DuplexStream,
    time::{Instant, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::CloseFrame},
};

use crate::{
    contract::{client_request::ClientRequest, method::Method, notification::Notification},
    wire::error::{Result, RpcError},
};

/// How long an awaited frame may take, whatever comes meanwhile. With tokio's clock paused it passes at
/// once.
const PATIENCE: Duration = Duration::from_secs(120);

/// One connection to a test host.
pub struct TestClient {
    socket: WebSocketStream<DuplexStream>,
    next: u64,
    set_aside: VecDeque<Value>,
}

impl TestClient {
    pub(super) async fn connect(stream: DuplexStream) -> Self {
        let (socket, _) = client_async("ws://localhost/", stream).await.expect("the host upgrades");
        Self { socket, next: 0, set_aside: VecDeque::new() }
    }

    /// Calls a method by its type.
    pub async fn call<M: Method + Serialize>(&mut self, call: M) -> Result<M::Reply>
    where
        M::Reply: DeserializeOwned,
    {
        let reply = self.raw(M::NAME, json!(call)).await?;
        Ok(serde_json::from_value(reply).expect("the reply reads back"))
    }

    /// Calls a method by its name.
    pub async fn raw(&mut self, method: &str, params: Value) -> Result<Value> {
        let id = self.send(method, params).await;
        self.reply(id).await
    }

    /// Calls without awaiting the reply.
    pub async fn send(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        let frame = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        self.text(&frame.to_string()).await;
        id
    }

    /// Sends a notification.
    pub async fn notify(&mut self, method: &str, params: Value) {
        let frame = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.text(&frame.to_string()).await;
    }

    /// Sends any text frame.
    pub async fn text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("the host listens");
    }

    /// Sends a binary frame.
    pub async fn binary(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.expect("the host listens");
    }

    /// Awaits the reply to a call.
    pub async fn reply(&mut self, id: u64) -> Result<Value> {
        let is_reply = |frame: &Value| frame["id"] == id && frame.get("method").is_none();
        let mut frame = self.frame(is_reply).await;
        match frame.get("error") {
            Some(error) => {
                Err(serde_json::from_value::<RpcError>(error.clone()).expect("an error object"))
            }
            None => Ok(frame["result"].take()),
        }
    }

    /// Awaits the next notification of this kind.
    pub async fn event<N: Notification + DeserializeOwned>(&mut self) -> N {
        let params = self.notification(N::NAME).await;
        serde_json::from_value(params).expect("the notification reads back")
    }

    /// Awaits the next notification of this name; its parameters.
    pub async fn notification(&mut self, name: &str) -> Value {
        self.frame(|frame| frame["method"] == name).await["params"].take()
    }

    /// Whether a frame that `wanted` picks is here by the time the host has answered a ping.
    pub async fn has_heard(&mut self, wanted: impl Fn(&Value) -> bool) -> bool {
        let _ = self.raw("rpc.discover", json!({})).await;
        self.set_aside.iter().any(wanted)
    }

    /// Awaits the next request of the host of this kind: its id and parameters.
    pub async fn asked<R: ClientRequest + DeserializeOwned>(&mut self) -> (Value, R) {
        let mut frame = self.frame(|frame| frame["method"] == R::NAME).await;
        let ask = serde_json::from_value(frame["params"].take()).expect("the request reads back");
        (frame["id"].take(), ask)
    }

    /// Answers a request of the host.
    pub async fn answer(&mut self, id: &Value, result: Value) {
        self.text(&json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()).await;
    }

    /// Answers a request of the host with an error.
    pub async fn answer_error(&mut self, id: &Value, error: &RpcError) {
        self.text(&json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()).await;
    }

    /// Awaits the next frame that `wanted` picks; others are kept for later.
    pub async fn frame(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.set_aside.iter().position(&wanted) {
            return self.set_aside.remove(at).expect("just found");
        }
        let patience = Instant::now() + PATIENCE;
        loop {
            let frame = self.next_frame(patience).await.expect("the connection is open");
            if wanted(&frame) {
                return frame;
            }
            self.set_aside.push_back(frame);
        }
    }

    /// Awaits the next binary frame; JSON frames that come before it are kept for later.
    pub async fn next_binary(&mut self) -> Vec<u8> {
        let patience = Instant::now() + PATIENCE;
        loop {
            let next = timeout_at(patience, self.socket.next()).await.expect("a frame in time");
            match next.expect("the connection is open").expect("a whole frame") {
                Message::Binary(bytes) => return bytes.to_vec(),
                Message::Text(text) => {
                    self.set_aside.push_back(serde_json::from_str(&text).expect("a JSON frame"));
                }
                _ => {}
            }
        }
    }

    /// Awaits the end of the connection: the close code, or `None` if the socket just ended.
    pub async fn closed(&mut self) -> Option<u16> {
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Err(code) = self.next_frame(patience).await {
                return code;
            }
        }
    }

    /// The next JSON frame, or how the connection ended.
    async fn next_frame(&mut self, patience: Instant) -> std::result::Result<Value, Option<u16>> {
        loop {
            let next = timeout_at(patience, self.socket.next()).await.expect("a frame in time");
            match next {
                Some(Ok(Message::Text(text))) => {
                    return Ok(serde_json::from_str(&text).expect("a JSON frame"));
                }
                Some(Ok(Message::Close(Some(CloseFrame { code, .. })))) => {
                    return Err(Some(code.into()));
                }
                Some(Ok(Message::Close(None)) | Err(_)) | None => return Err(None),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Hangs up with a closing handshake.
    pub async fn close(mut self) {
        let _ = self.socket.close(None).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// Vanishes without a word, as a killed process does.
    pub fn vanish(self) {}
}
