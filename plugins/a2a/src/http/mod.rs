//! The HTTP listener: one for a daemon, started by configuration or by a call.

mod auth;
mod bind;
mod cards;
mod door;
mod events;
mod place;
mod rest;
mod rpc;
mod serve;
mod tls;

use std::{net::SocketAddr, sync::Arc};

use carport_core::{Clock, Guarded, Result, RpcError, Session, Tasks, Time};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

pub use auth::AuthMode;
pub(crate) use auth::Keys;
pub(crate) use bind::By;
pub(crate) use place::{Place, parse_bind};

use crate::{Config, TlsFiles, calls::Calls};
use bind::Wish;
use tls::Tls;

/// Streams at a time; more are told to come again.
const MAX_STREAMS: usize = 64;

/// The listener, if there is one.
pub(crate) struct Listeners {
    calls: Arc<Calls>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    /// Where its certificate is, if it has one.
    tls: Option<TlsFiles>,
    /// Whether the daemon starts with one.
    configured: bool,
    test_executor: bool,
    running: Guarded<Option<Running>>,
}

/// A listener that runs, or is about to.
struct Running {
    bound: SocketAddr,
    by: By,
    since: Time,
    place: Arc<Place>,
    stop: watch::Sender<bool>,
    /// Closed when nothing of it runs any more.
    over: watch::Receiver<()>,
}

impl Running {
    /// Takes no request and begins nothing any more; calls have their time to end.
    fn end(&self) {
        if let Some(shared) = &self.place.shared {
            shared.stop();
        }
        self.stop.send_replace(true);
    }
}

/// What a request needs.
pub(crate) struct App {
    pub(crate) calls: Arc<Calls>,
    pub(crate) place: Arc<Place>,
    pub(crate) keys: Keys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) cards: cards::Seen,
}

/// A listener as `a2a.status` tells it.
pub(crate) struct Facts {
    pub(crate) bound: SocketAddr,
    pub(crate) uptime_secs: f64,
    pub(crate) public_url: String,
    pub(crate) shares_session: bool,
}

fn not_running() -> RpcError {
    RpcError::conflict("no A2A listener is running").with("reason", "not_running")
}

fn already_running() -> RpcError {
    RpcError::conflict("an A2A listener is running: stop it first")
}

impl Listeners {
    pub(crate) fn new(
        config: &Config,
        calls: Arc<Calls>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        Self {
            calls,
            clock,
            tasks,
            tls: config.tls.clone(),
            configured: config.listen.is_some(),
            test_executor: config.test_executor,
            running: Guarded::default(),
        }
    }

    /// # Errors
    /// Forbidden: an agent would start or stop what is the operator's.
    fn check_owner(&self, by: By, running: Option<&Running>) -> Result<()> {
        let kept = self.configured || running.is_some_and(|it| it.by.is_operator());
        match by {
            By::Agent if kept => Err(RpcError::forbidden(
                "the A2A listener is the operator's: an agent may neither start nor stop it",
            )),
            _ => Ok(()),
        }
    }

    /// Starts the listener and answers with the address that it listens on.
    ///
    /// # Errors
    /// Forbidden: it is not the caller's to start. Conflict: one is running. Policy: others can reach the
    /// address, and something that this needs is missing. Internal: it cannot be bound, or its certificate
    /// cannot be used.
    pub(crate) async fn start(
        &self,
        bind: SocketAddr,
        place: Place,
        keys: Keys,
        by: By,
    ) -> Result<SocketAddr> {
        {
            let running = self.running.lock();
            self.check_owner(by, running.as_ref())?;
            let wish = Wish {
                bind,
                by,
                auth: place.auth,
                tls: self.tls.is_some(),
                public_url: &place.public_url,
                test_executor: self.test_executor,
            };
            wish.check()?;
            // Before it is bound: the port may be that of the one that runs.
            if running.is_some() {
                return Err(already_running());
            }
        }
        let tls = match &self.tls {
            Some(files) => Some(Tls::load(files).await?),
            None => None,
        };
        let failed = |error| RpcError::internal(format!("cannot listen on {bind}: {error}"));
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let place = Arc::new(place.at(bound, tls.is_some()));
        let (stop, stopped) = watch::channel(false);
        let (still_on, over) = watch::channel(());
        let app = App {
            calls: self.calls.clone(),
            place: place.clone(),
            keys,
            clock: self.clock.clone(),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            cards: cards::Seen::default(),
        };
        let mut running = self.running.lock();
        if running.is_some() {
            return Err(already_running());
        }
        self.tasks.spawn("listener", async move {
            let _still_on = still_on;
            serve::serve(listener, tls, Arc::new(app), stopped).await;
        });
        *running = Some(Running { bound, by, since: self.clock.now(), place, stop, over });
        tracing::info!(%bound, tls = self.tls.is_some(), "A2A is served over HTTP");
        Ok(bound)
    }

    /// Stops the listener, when its calls have ended or had 5 s.
    ///
    /// # Errors
    /// Forbidden: it is not the caller's to stop. Conflict: none is running.
    pub(crate) async fn stop(&self, by: By) -> Result<()> {
        let mut running = {
            let mut running = self.running.lock();
            self.check_owner(by, running.as_ref())?;
            running.take().ok_or_else(not_running)?
        };
        running.end();
        // An error is what is waited for: the other end is gone.
        while running.over.changed().await.is_ok() {}
        Ok(())
    }

    /// Where the listener is that runs.
    pub(crate) fn place(&self) -> Option<Arc<Place>> {
        self.running.lock().as_ref().map(|running| running.place.clone())
    }

    /// What there is to tell of the listener.
    pub(crate) fn facts(&self) -> Option<Facts> {
        let running = self.running.lock();
        let Running { bound, since, place, .. } = running.as_ref()?;
        let uptime = *self.clock.now() - **since;
        Some(Facts {
            bound: *bound,
            uptime_secs: uptime.as_seconds_f64(),
            public_url: place.public_url.clone(),
            shares_session: place.shared.is_some(),
        })
    }

    /// A connection ended: the listener that shares its runtime ends with it. Waits for nothing.
    pub(crate) fn end_with(&self, session: &Arc<Session>) {
        let shares =
            |it: &mut Running| it.place.shared.as_ref().is_some_and(|it| it.is_of(session));
        let running = self.running.lock().take_if(shares);
        if let Some(running) = running {
            running.end();
            tracing::info!(bound = %running.bound, "the A2A listener ended with its connection");
        }
    }
}
