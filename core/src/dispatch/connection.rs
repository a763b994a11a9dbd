//! One client, from its first frame to its last, on one task: frames are read while any are ready,
//! each call is polled where it was read, and only what is still pending is spawned.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Sink, SinkExt, Stream};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, Sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Bytes, Error as WsError, Message, Utf8Bytes,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    call::{Call, Done, ReplyTo},
    closing::{close_for, say_goodbye},
    config::TransportSettings,
    host::Host,
    timers::{Due, Timers},
};
use crate::contract::{access::Identity, session::Session};
use crate::wire::{
    error::RpcError,
    frame::{self, Frame, Id},
    metered::Metered,
};

/// How long calls may still run once the client has hung up.
const GRACE: Duration = Duration::from_millis(250);
/// How long calls may still run once the daemon stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a closing handshake may take.
const LINGER: Duration = Duration::from_secs(1);
/// Frames that are read before other connections of the same thread get a turn.
const FRAMES_A_TURN: usize = 64;

pub(crate) type Socket = WebSocketStream<Metered>;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The socket broke, or the peer is no longer there.
    Gone,
    /// The client closed it.
    Closed,
    /// The daemon closes it.
    Close(CloseCode, &'static str),
}

/// Whether a turn left something to do at once.
enum Turn {
    Again,
    Rest,
}

/// Serves one upgraded socket until either side ends it. `known` is told once the client has proved
/// who it is.
pub(crate) async fn serve(host: Arc<Host>, session: Arc<Session>, socket: Socket, known: Known) {
    let mut connection = Connection::new(host, session, socket, known);
    let end = poll_fn(|cx| connection.poll(cx)).await;
    connection.finish(end).await;
}

/// Runs once the connection stops being a stranger.
pub(crate) type Known = Option<Box<dyn FnOnce() + Send>>;

struct Connection {
    host: Arc<Host>,
    session: Arc<Session>,
    socket: Socket,
    known: Known,
    stranger: bool,
    stopping: watch::Receiver<bool>,
    is_stopping: bool,
    calls: JoinSet<()>,
    /// An ordered call that did not end in its first poll; no frame is read meanwhile.
    ordered: Option<Pin<Box<dyn Future<Output = Done> + Send>>>,
    /// Decided, and carried out once everything queued before it is flushed.
    closing: Option<(CloseCode, &'static str)>,
    unflushed: bool,
    timers: Timers,
    timer: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(host: Arc<Host>, session: Arc<Session>, socket: Socket, known: Known) -> Self {
        let settings = &host.shared().settings;
        let stopping = host.shared().stopping.subscribe();
        let timers = Timers::new(Instant::now(), &settings.transport, &settings.auth);
        let timer = Box::pin(sleep_until(timers.next()));
        let mut connection = Self {
            host,
            session,
            socket,
            known,
            stranger: true,
            stopping,
            is_stopping: false,
            calls: JoinSet::new(),
            ordered: None,
            closing: None,
            unflushed: false,
            timers,
            timer,
        };
        connection.note_identity();
        connection
    }

    fn limits(&self) -> &TransportSettings {
        &self.host.shared().settings.transport
    }

    /// Reads, runs and writes until nothing is ready.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.session.outbox.register(cx);
        self.is_stopping = *self.stopping.borrow();
        if let Some(why) = self.session.ending() {
            self.close(CloseCode::Policy, why);
        }
        loop {
            while let Poll::Ready(Some(_)) = self.calls.poll_join_next(cx) {}
            let turn = match self.read(cx) {
                Ok(turn) => turn,
                Err(end) => return Poll::Ready(end),
            };
            if let Err(end) = self.write(cx) {
                return Poll::Ready(end);
            }
            match turn {
                Turn::Again if self.may_read() => {}
                _ => break,
            }
        }
        self.watch_stop(cx);
        self.watch_time(cx).map(|()| End::Gone)
    }

    /// Whether the client's next frame may be taken.
    fn may_read(&self) -> bool {
        self.closing.is_none() && self.ordered.is_none() && !self.session.outbox.is_full()
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<Turn, End> {
        if let Some(ordered) = &mut self.ordered {
            let Poll::Ready(done) = ordered.as_mut().poll(cx) else { return Ok(Turn::Rest) };
            self.ordered = None;
            self.answer(done);
        }
        for nth in 0..FRAMES_A_TURN {
            if !self.may_read() {
                return Ok(Turn::Again);
            }
            let message = match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Pending => return Ok(Turn::Rest),
                Poll::Ready(None) => return Err(End::Gone),
                Poll::Ready(Some(Ok(Message::Close(_)))) => return Err(End::Closed),
                Poll::Ready(Some(Err(error))) => {
                    self.read_failed(&error)?;
                    return Ok(Turn::Rest);
                }
                Poll::Ready(Some(Ok(message))) => message,
            };
            if nth == 0 {
                self.timers.heard(Instant::now());
            }
            match message {
                Message::Text(text) => self.text(&text, cx),
                Message::Binary(bytes) => self.binary(&bytes),
                _ => {}
            }
            self.socket.get_mut().frame_read(!self.stranger);
        }
        cx.waker().wake_by_ref();
        Ok(Turn::Rest)
    }

    /// A frame that WebSocket itself refuses ends the connection with the code that says why.
    fn read_failed(&mut self, error: &WsError) -> Result<(), End> {
        let (code, why) = close_for(error).ok_or(End::Gone)?;
        self.close(code, why);
        Ok(())
    }

    fn text(&mut self, text: &Utf8Bytes, cx: &mut Context<'_>) {
        match frame::read(text) {
            Ok(Frame::Request { id, method, params }) => {
                let to = id.map_or(ReplyTo::Nobody, |id| ReplyTo::Client(Id::within(text, id)));
                self.request(to, &method, params, cx);
            }
            Ok(Frame::Answer { id, answer }) => {
                if !self.session.pending.settle(id, answer) {
                    self.host.shared().metrics.ignored_frames.inc();
                }
            }
            Err(refused) => {
                let id = refused.id.map(str::as_bytes);
                self.push(frame::error(id, &refused.error));
            }
        }
    }

    fn request(&mut self, to: ReplyTo, method: &str, params: &str, cx: &mut Context<'_>) {
        if let Some(error) = self.too_busy() {
            return self.refuse(&to, &error);
        }
        let mut call = match Call::begin(&self.host, &self.session, to, method, params) {
            Ok(call) => call,
            Err(refused) => {
                self.refuse(&refused.to, &refused.error);
                if refused.hang_up {
                    self.close(CloseCode::Policy, "not authenticated");
                }
                return;
            }
        };
        match call.poll(cx) {
            Poll::Ready(result) => self.answer(call.finish(result)),
            Poll::Pending if call.is_ordered() => {
                self.ordered = Some(Box::pin(call.run()));
                // The waker of the call's first poll was this task's too; poll it once more so
                // that it is registered with the deadline.
                cx.waker().wake_by_ref();
            }
            Poll::Pending => {
                let session = self.session.clone();
                self.calls.spawn(async move {
                    let mut done = call.run().await;
                    if let Some(reply) = done.reply() {
                        session.outbox.send(Message::Text(reply)).await;
                    }
                    done.settle();
                });
            }
        }
    }

    fn too_busy(&self) -> Option<RpcError> {
        let limit = self.limits().max_in_flight;
        if self.is_stopping {
            return Some(RpcError::overloaded("the daemon is stopping"));
        }
        (self.calls.len() >= limit).then(|| {
            RpcError::overloaded("too many calls of this connection in flight").with("limit", limit)
        })
    }

    fn answer(&mut self, mut done: Done) {
        if let Some(reply) = done.reply() {
            self.push(reply);
        }
        done.settle();
        self.note_identity();
        let failures = self.session.standing(|standing| standing.failed_proofs);
        if failures >= self.host.shared().settings.auth.max_failures {
            self.close(CloseCode::Policy, "too many failed proofs");
        }
    }

    fn refuse(&mut self, to: &ReplyTo, error: &RpcError) {
        match to.error(error) {
            Some(reply) => self.push(reply),
            None => {
                self.host.shared().metrics.ignored_frames.inc();
                tracing::debug!(%error, client = self.session.id(), "a notification was refused");
            }
        }
    }

    fn binary(&mut self, bytes: &Bytes) {
        if self.stranger {
            return self.close(CloseCode::Policy, "not authenticated");
        }
        if !self.host.binary_frame(&self.session, bytes) {
            self.host.shared().metrics.ignored_frames.inc();
        }
    }

    fn push(&mut self, reply: Utf8Bytes) {
        self.session.outbox.push(Message::Text(reply));
    }

    fn close(&mut self, code: CloseCode, why: &'static str) {
        self.closing.get_or_insert((code, why));
    }

    /// Once the client is known, its time to authenticate no longer runs out.
    fn note_identity(&mut self) {
        if self.stranger && self.session.identity() != Identity::Nobody {
            self.stranger = false;
            self.timers.known();
            if let Some(known) = self.known.take() {
                known();
            }
        }
    }

    /// Feeds what is queued to the socket, and flushes once nothing more is.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let blocked = loop {
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Pending => break true,
                Poll::Ready(Err(_)) => return Err(End::Gone),
                Poll::Ready(Ok(())) => {}
            }
            let Some(message) = self.session.outbox.take() else { break false };
            Pin::new(&mut self.socket).start_send(message).map_err(|_| End::Gone)?;
            self.unflushed = true;
        };
        let blocked = blocked || (self.unflushed && self.flush(cx)?.is_pending());
        let written = self.socket.get_ref().written();
        self.timers.wrote(Instant::now, written, blocked);
        match self.closing {
            Some((code, why)) if !blocked => Err(End::Close(code, why)),
            _ => Ok(()),
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, End> {
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(Err(_)) => Err(End::Gone),
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                Ok(Poll::Ready(()))
            }
        }
    }

    fn watch_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.timer.deadline() > self.timers.next() {
                self.timer.as_mut().reset(self.timers.next());
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match self.timers.due(Instant::now()) {
                Due::Nothing => {}
                Due::Ping => {
                    self.session.outbox.tell(Message::Ping(Bytes::new()));
                    cx.waker().wake_by_ref();
                }
                Due::Stranger => {
                    self.close(CloseCode::Policy, "not authenticated in time");
                    cx.waker().wake_by_ref();
                }
                Due::Drained => {
                    self.close(CloseCode::Away, "the daemon is stopping");
                    cx.waker().wake_by_ref();
                }
                Due::Silent | Due::Stuck => return Poll::Ready(()),
            }
            self.timer.as_mut().reset(self.timers.next());
        }
    }

    /// The daemon stops: calls may run out, then the connection closes.
    fn watch_stop(&mut self, cx: &mut Context<'_>) {
        if self.is_stopping && self.closing.is_none() {
            self.timers.draining(Instant::now() + DRAIN);
            // A connection that others wait for stays until it has answered.
            let idle = self.calls.is_empty() && self.session.pending.is_empty();
            if idle && self.ordered.is_none() {
                self.close(CloseCode::Away, "the daemon is stopping");
                cx.waker().wake_by_ref();
            }
        }
    }

    /// The socket has ended or is about to. Says goodbye, gives calls their grace, tells plugins.
    async fn finish(mut self, end: End) {
        self.host.hang_up(&self.session);
        let goodbye = async {
            match end {
                End::Gone => {}
                // The answer to the client's close frame is queued already.
                End::Closed => drop(self.socket.flush().await),
                End::Close(code, why) => {
                    let reason = Utf8Bytes::from_static(why);
                    say_goodbye(&mut self.socket, CloseFrame { code, reason }).await;
                }
            }
        };
        let _ = timeout(LINGER, goodbye).await;
        drop(self.socket);
        let calls = async {
            if let Some(ordered) = self.ordered.take() {
                ordered.await.settle();
            }
            while self.calls.join_next().await.is_some() {}
        };
        let _ = timeout(GRACE, calls).await;
        self.calls.shutdown().await;
        // A call in its grace may have subscribed or claimed once more.
        self.host.hang_up(&self.session);
        self.host.close(&self.session).await;
    }
}
