//! One request from its method name to its reply.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{auth, host::Host, panic_guard::report, route::Route, shared::Shared};
use crate::contract::{BoxFuture, access::Access, caller::Caller, session::Session};
use crate::wire::{
    error::{Result, RpcError, codes},
    frame::{self, Id},
};

/// Who hears the reply.
pub(crate) enum ReplyTo {
    /// The client, under the id it gave.
    Client(Id),
    /// A caller inside the process, who takes the bare result.
    Process,
    /// Nobody: it was a notification.
    Nobody,
}

/// A call that passed every check that needs no waiting.
pub(crate) struct Call {
    to: ReplyTo,
    caller: Arc<Caller>,
    route: Arc<Route>,
    began: Instant,
    max_reply: usize,
    deadline: Duration,
    work: BoxFuture<'static, Result<Vec<u8>>>,
}

/// Why a request came to nothing before its work began.
pub(crate) struct Refused {
    pub(crate) to: ReplyTo,
    pub(crate) error: RpcError,
    /// Whether the connection has to end: it asked for what takes an identity and has none.
    pub(crate) hang_up: bool,
}

/// A finished call; [`Done::settle`] comes after its reply is queued.
pub(crate) struct Done {
    to: ReplyTo,
    pub(crate) result: Result<Vec<u8>>,
    caller: Arc<Caller>,
}

impl ReplyTo {
    /// The error frame for the client, if there is one who hears it.
    pub(crate) fn error(&self, error: &RpcError) -> Option<Utf8Bytes> {
        match self {
            Self::Client(id) => Some(frame::error_to(id, error)),
            Self::Process | Self::Nobody => None,
        }
    }
}

impl Done {
    /// The reply frame for the client, if there is one who hears it.
    pub(crate) fn reply(&mut self) -> Option<Utf8Bytes> {
        match (&self.to, &mut self.result) {
            (ReplyTo::Client(_), Ok(buffer)) => Some(frame::close_reply(std::mem::take(buffer))),
            (to, Err(error)) => to.error(error),
            _ => None,
        }
    }

    /// What the call subscribed to goes live.
    pub(crate) fn settle(&self) {
        self.caller.replied();
    }
}

impl Call {
    /// Takes a request through look-up, access, parameters and ownership.
    pub(crate) fn begin(
        host: &Host,
        session: &Arc<Session>,
        to: ReplyTo,
        method: &str,
        params: &str,
    ) -> std::result::Result<Self, Refused> {
        let began = Instant::now();
        let identity = session.identity();
        let route = match host.route(method) {
            Ok(route) => route,
            // A stranger hears the same about a method that exists and one that does not.
            Err(error) => {
                let stranger = auth::admit(Access::Authenticated, &identity).err();
                let hang_up = stranger.is_some();
                return Err(Refused { to, error: stranger.unwrap_or(error), hang_up });
            }
        };
        let caller = Arc::new(Caller::new(session.clone(), identity));
        let shared = host.shared();
        // A plugin's own code reads, validates and names owners, so it can panic here already.
        let checked = AssertUnwindSafe(|| work(shared, &route, &caller, &to, params));
        let checked = catch_unwind(checked);
        match checked.unwrap_or_else(|panic| Err(report(&route.name, &*panic))) {
            Ok((work, deadline)) => {
                let max_reply = shared.settings.transport.max_message_bytes;
                Ok(Self { to, caller, route, began, max_reply, deadline, work })
            }
            Err(error) => {
                route.counters.count(true, began.elapsed());
                let hang_up = error.code == codes::NOT_AUTHENTICATED;
                Err(Refused { to, error, hang_up })
            }
        }
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.route.ordered
    }

    /// Polls the work once, inside the panic guard, where it was read. Most calls end here.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<u8>>> {
        catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(cx)))
            .unwrap_or_else(|panic| Poll::Ready(Err(report(&self.route.name, &*panic))))
    }

    /// Runs what [`Self::poll`] left pending, under the method's deadline. A gated call keeps its
    /// own, which begins when it is approved.
    pub(crate) async fn run(mut self) -> Done {
        let (route, deadline) = (self.route.clone(), self.deadline);
        let work = poll_fn(|cx| self.poll(cx));
        let result = match route.gated {
            true => work.await,
            false => timeout(deadline, work).await.unwrap_or_else(|_| Err(late(&route, deadline))),
        };
        self.finish(result)
    }

    /// Counts the call and holds its reply to the size of a message.
    pub(crate) fn finish(self, result: Result<Vec<u8>>) -> Done {
        let result = match result {
            Ok(buffer) if buffer.len() > self.max_reply => {
                let error = RpcError::limit("bytes of a reply", self.max_reply as u64);
                Err(error.with("got", buffer.len()))
            }
            result => result,
        };
        self.route.counters.count(result.is_err(), self.began.elapsed());
        if let (ReplyTo::Nobody, Err(error)) = (&self.to, &result) {
            tracing::debug!(method = &*self.route.name, %error, "a notification failed");
        }
        Done { to: self.to, result, caller: self.caller }
    }
}

/// The checks that need no waiting, then the future that does the rest.
fn work(
    shared: &Arc<Shared>,
    route: &Arc<Route>,
    caller: &Arc<Caller>,
    to: &ReplyTo,
    params: &str,
) -> Result<(BoxFuture<'static, Result<Vec<u8>>>, Duration)> {
    auth::admit(route.access, caller.identity())?;
    auth::narrowed(&route.name, caller)?;
    let call = route.prepare(params)?;
    auth::authorize(route, &call, caller)?;
    let buffer = match to {
        ReplyTo::Client(id) => frame::open_reply(id),
        ReplyTo::Nobody if route.gated => {
            let why = "a method that needs approval does not run as a notification";
            return Err(RpcError::new(codes::NOT_APPROVED, why));
        }
        ReplyTo::Process | ReplyTo::Nobody => Vec::new(),
    };
    let deadline = call.deadline(route, caller);
    let run = call.run(route, caller.clone(), buffer);
    if !route.gated {
        return Ok((run, deadline));
    }
    let ticket = shared.gate.park(route, params, caller)?;
    let route = route.clone();
    let work = Box::pin(async move {
        ticket.decision().await?;
        timeout(deadline, run).await.unwrap_or_else(|_| Err(late(&route, deadline)))
    });
    Ok((work, deadline))
}

fn late(route: &Route, deadline: Duration) -> RpcError {
    let seconds = deadline.as_secs_f64();
    let why =
        format!("`{}` passed its deadline of {seconds} s; its outcome is unknown", route.name);
    RpcError::new(codes::DEADLINE, why).with("method", &*route.name)
}
