//! One connection to a daemon: calls go out, answers and news come in.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use carport_core::{Guarded, Method, Notification, RpcError, codes};
use futures_util::{
    Sink, SinkExt, Stream, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error as WsError, Message, error::ProtocolError},
};

use crate::exit::{Code, Exit};

/// Frames that wait to be written.
const OUTGOING: usize = 256;
/// News that wait to be read; more are dropped, as the daemon does for a slow reader.
const INBOX: usize = 4096;
/// How long a daemon may take over its closing handshake.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection. Clones share it; it closes when the last one is dropped.
#[derive(Clone)]
pub(crate) struct Link {
    out: mpsc::Sender<Message>,
    calls: Arc<Calls>,
    ended: watch::Receiver<Option<Ending>>,
}

/// What comes unasked on a connection. Dropping it is fine: questions are then turned down.
pub(crate) type Inbox = mpsc::Receiver<Incoming>;

/// Something that the daemon said of its own accord.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A notification.
    Notice(Notice),
    /// A question.
    Ask(Ask),
}

/// A notification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notice {
    pub(crate) method: String,
    pub(crate) params: Value,
}

impl Notice {
    /// The notification as `N`, if it is one.
    pub(crate) fn read<N: Notification + DeserializeOwned>(&self) -> Option<N> {
        (self.method == N::NAME).then(|| N::deserialize(&self.params).ok()).flatten()
    }
}

/// A question of the daemon. One that is dropped unanswered is turned down with `-32601`.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) params: Value,
    id: Value,
    out: Option<mpsc::Sender<Message>>,
}

impl Ask {
    /// Answers. A connection that has ended meanwhile needs no answer.
    pub(crate) async fn answer(mut self, answer: Result<Value, RpcError>) {
        if let Some(out) = self.out.take() {
            let _ = out.send(answer_frame(&self.id, answer)).await;
        }
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            let why = format!("this client does not serve `{}`", self.method);
            let refusal = RpcError::new(codes::METHOD_NOT_FOUND, why);
            let _ = out.try_send(answer_frame(&self.id, Err(refusal)));
        }
    }
}

fn answer_frame(id: &Value, answer: Result<Value, RpcError>) -> Message {
    let frame = match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    };
    Message::text(frame.to_string())
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    /// The close code, if the daemon said one.
    pub(crate) code: Option<u16>,
    reason: String,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.reason.as_str()) {
            (Some(code), "") => write!(f, "the daemon closed the connection ({code})"),
            (Some(code), reason) => write!(f, "the daemon closed the connection ({code} {reason})"),
            (None, "") => f.write_str("the connection to the daemon broke"),
            (None, reason) => write!(f, "the connection to the daemon broke ({reason})"),
        }
    }
}

/// Why a call has no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The daemon's own answer.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The connection ended first; whether the call ran is unknown.
    #[error("{0}")]
    Ended(Ending),
    /// The reply is not of the method's type.
    #[error("the reply to `{method}` does not read: {why}")]
    Malformed { method: String, why: String },
}

impl From<CallError> for Exit {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Rpc(error) => error.into(),
            CallError::Ended(Ending { code: Some(1008), .. }) => Self::new(Code::Denied, error),
            CallError::Ended(_) => Self::new(Code::NoDaemon, error),
            CallError::Malformed { .. } => Self::failed(error),
        }
    }
}

/// A result or an error as it came: what it is read as depends on the call.
type Answer = Result<Box<RawValue>, Box<RawValue>>;
type Reply = oneshot::Sender<Answer>;

/// Calls that await their reply; `None` once the connection has ended.
struct Calls {
    next: AtomicU64,
    open: Guarded<Option<HashMap<u64, Reply>>>,
}

#[derive(Serialize)]
struct Request<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a P,
}

/// What a frame carries stays unread, so that whose it is is known even where it does not read.
#[derive(Deserialize)]
struct Frame {
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Box<RawValue>,
    #[serde(default)]
    result: Box<RawValue>,
    error: Option<Box<RawValue>>,
}

impl Link {
    /// Speaks on a WebSocket that is open.
    pub(crate) fn on<S>(socket: WebSocketStream<S>) -> (Self, Inbox)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sink, stream) = socket.split();
        let (out, outgoing) = mpsc::channel(OUTGOING);
        let (news, inbox) = mpsc::channel(INBOX);
        let (ending, ended) = watch::channel(None);
        let calls =
            Arc::new(Calls { next: AtomicU64::new(1), open: Guarded::new(Some(HashMap::new())) });
        let reader = Reader { calls: calls.clone(), news, out: out.downgrade(), ending };
        tokio::spawn(reader.run(stream));
        tokio::spawn(write(sink, outgoing));
        (Self { out, calls, ended }, inbox)
    }

    /// Calls a method by its type.
    pub(crate) async fn call<M>(&self, call: M) -> Result<M::Reply, CallError>
    where
        M: Method + Serialize,
        M::Reply: DeserializeOwned,
    {
        self.ask(M::NAME, &call).await
    }

    /// Calls a method by its name, for a reply of the caller's own type.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<T, CallError> {
        let reply = self.raw(method, params).await?;
        serde_json::from_value(reply)
            .map_err(|why| CallError::Malformed { method: method.into(), why: why.to_string() })
    }

    /// Calls a method by its name.
    pub(crate) async fn raw(
        &self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Value, CallError> {
        self.begin(method, params).await?.reply().await
    }

    /// Sends a call whose reply is awaited later, so that several go out in a row.
    pub(crate) async fn begin(
        &self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<Begun, CallError> {
        let id = self.calls.next.fetch_add(1, Ordering::Relaxed);
        let request = Request { jsonrpc: "2.0", id, method, params };
        let text = serde_json::to_string(&request)
            .map_err(|why| CallError::Rpc(RpcError::invalid_params("params", why)))?;
        let (reply, replied) = oneshot::channel();
        if let Some(open) = &mut *self.calls.open.lock() {
            open.insert(id, reply);
        }
        // Unsent, because the connection ended, is unanswered: the entry is gone or was never made.
        let _ = self.out.send(Message::text(text)).await;
        Ok(Begun { method: method.to_owned(), replied, ended: self.ended.clone() })
    }

    /// Waits until the connection has ended.
    pub(crate) async fn ended(&self) -> Ending {
        Ending::of(self.ended.clone()).await
    }
}

/// A call that was sent.
pub(crate) struct Begun {
    method: String,
    replied: oneshot::Receiver<Answer>,
    ended: watch::Receiver<Option<Ending>>,
}

impl Begun {
    /// Awaits the reply.
    pub(crate) async fn reply(self) -> Result<Value, CallError> {
        let Self { method, replied, ended } = self;
        let malformed =
            |why: serde_json::Error| CallError::Malformed { method, why: why.to_string() };
        match replied.await {
            Ok(Ok(result)) => serde_json::from_str(result.get()).map_err(malformed),
            Ok(Err(error)) => {
                Err(serde_json::from_str(error.get()).map_or_else(malformed, CallError::Rpc))
            }
            Err(_) => Err(CallError::Ended(Ending::of(ended).await)),
        }
    }
}

impl Ending {
    async fn of(mut ended: watch::Receiver<Option<Self>>) -> Self {
        let ended = ended.wait_for(Option::is_some).await.map(|ending| ending.clone());
        ended.ok().flatten().unwrap_or_else(Self::silent)
    }

    fn silent() -> Self {
        Self { code: None, reason: String::new() }
    }
}

/// Reads a connection to its end.
struct Reader {
    calls: Arc<Calls>,
    news: mpsc::Sender<Incoming>,
    /// Weak, so that the writer ends with the last link.
    out: mpsc::WeakSender<Message>,
    ending: watch::Sender<Option<Ending>>,
}

impl Reader {
    async fn run<S>(self, mut stream: SplitStream<WebSocketStream<S>>)
    where
        SplitStream<WebSocketStream<S>>: Stream<Item = Result<Message, WsError>> + Unpin,
    {
        let mut ending = Ending::silent();
        while let Some(next) = stream.next().await {
            match next {
                Ok(Message::Text(text)) => {
                    if let Err(why) = self.frame(&text) {
                        ending.reason = why;
                        break;
                    }
                }
                Ok(Message::Close(Some(close))) => {
                    ending = Ending {
                        code: Some(close.code.into()),
                        reason: close.reason.as_str().into(),
                    };
                    break;
                }
                Ok(_) => {}
                // A process that is killed closes nothing; there is no more to say about it.
                Err(WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => break,
                Err(error) => {
                    ending.reason = error.to_string();
                    break;
                }
            }
        }
        // First how, then that: whoever awaits a reply asks how next.
        self.ending.send_replace(Some(ending));
        *self.calls.open.lock() = None;
        drop(self.news);
        // Reading on is what answers a closing handshake.
        let closed = async { while let Some(Ok(_)) = stream.next().await {} };
        let _ = timeout(GOODBYE, closed).await;
    }

    /// Hands a frame to whom it is for. An error says why the connection is of no more use: some call
    /// would wait for ever.
    fn frame(&self, text: &str) -> Result<(), String> {
        let frame: Frame = serde_json::from_str(text)
            .map_err(|why| format!("it sent what is no JSON-RPC frame: {why}"))?;
        let Frame { id, method, params, result, error } = frame;
        let Some(method) = method else {
            let answer = error.map_or(Ok(result), Err);
            return self.answer(id.as_ref(), answer);
        };
        let params = match serde_json::from_str(params.get()) {
            Ok(params) => params,
            Err(why) => {
                tracing::warn!(method, %why, "what the daemon says does not read");
                let out = self.out.upgrade().filter(|_| id.is_some());
                if let (Some(id), Some(out)) = (id, out) {
                    let refusal = RpcError::invalid_params("params", why);
                    let _ = out.try_send(answer_frame(&id, Err(refusal)));
                }
                return Ok(());
            }
        };
        let incoming = match id {
            None => Incoming::Notice(Notice { method, params }),
            Some(id) => Incoming::Ask(Ask { method, params, id, out: self.out.upgrade() }),
        };
        // A full inbox loses it: sequences and cursors show the gap, and an `Ask` says no.
        let _ = self.news.try_send(incoming);
        Ok(())
    }

    fn answer(&self, id: Option<&Value>, answer: Answer) -> Result<(), String> {
        let Some(id) = id else {
            // So a daemon answers a frame of ours that it could not read.
            let why = answer.unwrap_or_else(|error| error);
            let why = serde_json::from_str(why.get())
                .map_or_else(|_| String::new(), |it: RpcError| it.message);
            return Err(format!("it could not read what it was asked: {why}"));
        };
        let mut open = self.calls.open.lock();
        if let (Some(open), Some(id)) = (&mut *open, id.as_u64())
            && let Some(reply) = open.remove(&id)
        {
            // Whoever called may have stopped waiting.
            let _ = reply.send(answer);
        }
        Ok(())
    }
}

async fn write<S>(mut sink: SplitSink<S, Message>, mut outgoing: mpsc::Receiver<Message>)
where
    S: Sink<Message> + Unpin,
{
    while let Some(message) = outgoing.recv().await {
        if sink.send(message).await.is_err() {
            return;
        }
    }
    let _ = sink.close().await;
}

#[cfg(test)]
mod tests;
