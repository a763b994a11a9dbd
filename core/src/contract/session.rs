//! One connection: who it is, what each plugin keeps for it, and its way out.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::value::RawValue;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use uuid::Uuid;

use super::{
    access::{AllowedMethods, Identity},
    client_request::ClientRequest,
    metrics::Counter,
    notification::Notification,
};
use crate::wire::{
    error::{Result, RpcError, codes},
    frame,
    guarded::Guarded,
    outbox::{Outbox, OutboxLimits},
    pending::{Pending, Question},
};

/// Subscriptions of one connection over all plugins.
const MAX_SUBSCRIPTIONS: usize = 256;

/// How a connection reached the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Over TCP, from this address.
    Tcp(SocketAddr),
    /// Over a Unix socket.
    Unix,
    /// From inside the process.
    InProcess,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix => f.write_str("unix socket"),
            Self::InProcess => f.write_str("this process"),
        }
    }
}

/// A request to a client that has its id already: its parameters may name it. Dropped unanswered, it
/// is forgotten, and a later answer is dropped.
pub struct OpenRequest<'a> {
    session: &'a Session,
    question: Question<'a>,
}

impl OpenRequest<'_> {
    /// The frame's id, `cb-N`.
    pub fn id(&self) -> String {
        format!("cb-{}", self.question.id)
    }

    /// Queues the request; waits while the client's outbox has no room.
    pub async fn send<R: ClientRequest>(&self, ask: &R) {
        let text = frame::request(self.question.id, R::NAME, ask);
        self.session.outbox.send(Message::Text(text)).await;
    }

    /// Waits for the answer, without a limit of its own. The outer error says that the client is
    /// gone or answered with what cannot be read, the inner one is the client's own.
    pub async fn answer<R: ClientRequest>(mut self) -> Result<Result<R::Reply>> {
        match self.question.outcome().await? {
            Ok(answer) => serde_json::from_str(answer.get()).map(Ok).map_err(malformed::<R>),
            Err(error) => Ok(Err(error)),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "handed to `map_err`")]
fn malformed<R: ClientRequest>(error: serde_json::Error) -> RpcError {
    RpcError::new(codes::GONE, format!("the answer to `{}` is malformed: {error}", R::NAME))
}

/// One connection.
pub struct Session {
    id: Arc<str>,
    serial: u64,
    origin: Origin,
    standing: Guarded<Standing>,
    slots: Guarded<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
    subscribed: AtomicUsize,
    leaving: Guarded<Vec<Weak<dyn Leave>>>,
    closed: AtomicBool,
    ending: OnceLock<&'static str>,
    pub(crate) outbox: Outbox,
    pub(crate) pending: Pending,
}

/// What the connection has proved and negotiated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    pub(crate) identity: Identity,
    /// `None` leaves every method to the identity's access.
    pub(crate) allowed: Option<Arc<AllowedMethods>>,
    pub(crate) memory_namespace: Option<Arc<str>>,
    pub(crate) protocol_version: Option<u64>,
    pub(crate) failed_proofs: u32,
}

/// Somebody who keeps listeners and forgets those of a session that ends.
pub(crate) trait Leave: Send + Sync {
    fn leave(&self, serial: u64);
}

impl Session {
    pub(crate) fn new(serial: u64, origin: Origin, limits: OutboxLimits, drops: Counter) -> Self {
        Self {
            id: format!("c-{}", Uuid::now_v7()).into(),
            serial,
            origin,
            standing: Guarded::default(),
            slots: Guarded::default(),
            subscribed: AtomicUsize::new(0),
            leaving: Guarded::default(),
            closed: AtomicBool::new(false),
            ending: OnceLock::new(),
            outbox: Outbox::new(limits, drops),
            pending: Pending::default(),
        }
    }

    /// The `client_id`: names this connection and never the machine behind it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A number that names this connection within the process.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// How the connection reached the host.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// What the connection has proved by now. A call uses [`Caller::identity`](super::caller::Caller::identity).
    pub fn identity(&self) -> Identity {
        self.standing.lock().identity.clone()
    }

    /// The memory that `session.auth` bound this connection to.
    pub fn memory_namespace(&self) -> Option<Arc<str>> {
        self.standing.lock().memory_namespace.clone()
    }

    /// The protocol version that the handshake settled, if there was one.
    pub fn protocol_version(&self) -> Option<u64> {
        self.standing.lock().protocol_version
    }

    /// Whether the socket has ended; calls may still be running out.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Lets the connection call these methods only, whatever its identity reaches; `None` lifts it.
    /// For whoever vouches for the identity.
    pub fn narrow(&self, allowed: Option<AllowedMethods>) {
        self.standing.lock().allowed = allowed.map(Arc::new);
    }

    /// Whether nothing narrows the connection to other methods than this.
    pub fn allows(&self, method: &str) -> bool {
        let allowed = self.standing.lock().allowed.clone();
        allowed.is_none_or(|allowed| allowed.allows(method))
    }

    /// Closes the connection, with code 1008 and this reason, once what is queued has left.
    pub fn end(&self, why: &'static str) {
        self.ending.get_or_init(|| why);
        self.outbox.wake();
    }

    /// Why the connection is to close, if it is.
    pub(crate) fn ending(&self) -> Option<&'static str> {
        self.ending.get().copied()
    }

    /// What a plugin keeps per connection. The type is the key, so a private type is private state.
    pub fn slot<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        let mut slots = self.slots.lock();
        let slot = slots.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(T::default()));
        Arc::clone(slot).downcast().expect("keyed by its own type")
    }

    /// Queues a notification; `false` if the client is too slow to be told. Never waits.
    pub fn notify<N: Notification>(&self, notification: &N) -> bool {
        self.tell(frame::notification(N::NAME, notification))
    }

    /// Queues a notification that must not be lost on this client's own stream: waits for room up to
    /// `limit`. Never call it under a lock.
    pub async fn notify_wait<N: Notification>(&self, notification: &N, limit: Duration) -> bool {
        let text = frame::notification(N::NAME, notification);
        timeout(limit, self.outbox.send(Message::Text(text))).await.unwrap_or(false)
    }

    /// Queues a binary frame; `false` if the client is too slow. The layout is the plugin's.
    pub fn notify_binary(&self, bytes: Vec<u8>) -> bool {
        self.outbox.tell(Message::binary(bytes))
    }

    /// As [`Self::notify_wait`], for a binary frame.
    pub async fn notify_binary_wait(&self, bytes: Vec<u8>, limit: Duration) -> bool {
        timeout(limit, self.outbox.send(Message::binary(bytes))).await.unwrap_or(false)
    }

    /// Asks the client, and waits no longer than `limit`. A client that is gone or silent is
    /// [`codes::GONE`]; its own error comes back as it is.
    pub async fn request<R: ClientRequest>(&self, ask: &R, limit: Duration) -> Result<R::Reply> {
        let asking = async {
            let mut question = self.pending.open().await?;
            let text = frame::request(question.id, R::NAME, ask);
            self.outbox.send(Message::Text(text)).await;
            question.answer().await
        };
        let silent = |_| RpcError::new(codes::GONE, format!("`{}` was not answered", R::NAME));
        let answer = timeout(limit, asking).await.map_err(silent)??;
        serde_json::from_str(answer.get()).map_err(malformed::<R>)
    }

    /// Opens a request whose parameters name its id. Waits while 256 are open.
    pub async fn open_request(&self) -> Result<OpenRequest<'_>> {
        Ok(OpenRequest { session: self, question: self.pending.open().await? })
    }

    /// Asks the client and waits without a limit of its own. The outer error says that the client is
    /// gone, the inner one is the client's own.
    pub(crate) async fn ask<R: ClientRequest>(&self, ask: &R) -> Result<Result<Box<RawValue>>> {
        let mut question = self.pending.open().await?;
        let text = frame::request(question.id, R::NAME, ask);
        self.outbox.send(Message::Text(text)).await;
        question.outcome().await
    }

    /// Reads and changes what the connection has proved; only the host's own methods may.
    pub(crate) fn standing<T>(&self, change: impl FnOnce(&mut Standing) -> T) -> T {
        change(&mut self.standing.lock())
    }

    pub(crate) fn tell(&self, text: Utf8Bytes) -> bool {
        self.outbox.tell(Message::Text(text))
    }

    /// Counts one more subscription; `keeper` forgets it when the session ends.
    pub(crate) fn take_subscription(&self, keeper: Weak<dyn Leave>) -> Result<()> {
        if self.is_closed() {
            return Err(RpcError::new(codes::GONE, "the connection has ended"));
        }
        if self.subscribed.fetch_add(1, Ordering::Relaxed) >= MAX_SUBSCRIPTIONS {
            self.release_subscriptions(1);
            return Err(RpcError::limit("subscriptions of a connection", MAX_SUBSCRIPTIONS as u64));
        }
        let mut leaving = self.leaving.lock();
        if !leaving.iter().any(|known| known.ptr_eq(&keeper)) {
            leaving.push(keeper);
        }
        Ok(())
    }

    pub(crate) fn release_subscriptions(&self, count: usize) {
        self.subscribed.fetch_sub(count, Ordering::Relaxed);
    }

    /// The socket has ended: its questions and subscriptions end with it, its outbox takes no more.
    pub(crate) fn hang_up(&self) {
        self.closed.store(true, Ordering::Release);
        self.pending.abandon();
        self.outbox.close();
        let leaving = std::mem::take(&mut *self.leaving.lock());
        for keeper in leaving.iter().filter_map(Weak::upgrade) {
            keeper.leave(self.serial);
        }
    }
}
