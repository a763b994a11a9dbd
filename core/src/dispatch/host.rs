//! The running host: started plugins, open sessions, and the way to a method.

use std::{
    collections::{BTreeMap, HashMap},
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;
use serde_json::Value;
use tokio::{sync::watch, time::timeout};
use tokio_tungstenite::tungstenite::Bytes;
use uuid::Uuid;

use super::{
    added::AddedMethods,
    approval::gate::ApprovalGate,
    call::{Call, ReplyTo},
    config::{AuthMode, Config},
    panic_guard::report,
    registry::Registry,
    route::{HostMetrics, Route, needs_approval},
    shared::{SHARED, Shared},
    tokens::Claims,
};
use crate::contract::{
    access::Identity,
    events::HostEvents,
    method::MethodEntry,
    metrics::Metrics,
    plugin::{PluginEntry, Running},
    service::{ServiceKey, Services},
    session::{Origin, Session},
    start::{Grounds, StartContext},
    tasks::{AllTasks, Tasks},
};
use crate::wire::{
    error::{Result, RpcError, codes},
    guarded::Guarded,
    outbox::OutboxLimits,
};

/// Type, stream id, sequence number and format: the least a binary frame has.
const BINARY_HEADER: usize = 26;
/// How long one plugin may take over the beginning or the end of one session.
const HOOK_LIMIT: Duration = Duration::from_secs(10);

/// A running host.
pub struct Host {
    shared: Arc<Shared>,
    services: Services,
    /// In start order.
    plugins: Vec<(&'static str, Arc<dyn Running>)>,
    routes: HashMap<&'static str, Arc<Route>>,
    /// Plugins by the type byte of the binary frames that they claim.
    binary: HashMap<u8, (&'static str, Arc<dyn Running>)>,
    sessions: Guarded<BTreeMap<u64, Arc<Session>>>,
    next_session: AtomicU64,
}

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is out of bounds.
    #[error("configuration: {0}")]
    Setting(String),
    /// A plugin could not start. Those that had started were shut down again.
    #[error("plugin `{plugin}` did not start: {error}")]
    Plugin {
        /// Its id.
        plugin: &'static str,
        /// What it said.
        error: RpcError,
    },
    /// A plugin started without a service that it promises.
    #[error("plugin `{plugin}` promises the service `{service}` and did not provide it")]
    Promise {
        /// Its id.
        plugin: &'static str,
        /// The key's name.
        service: &'static str,
    },
}

impl Host {
    /// Starts every plugin in order. If one cannot start, those that did are shut down again.
    pub async fn start(
        registry: Registry,
        config: Config,
    ) -> std::result::Result<Arc<Self>, StartError> {
        config.settings.check().map_err(StartError::Setting)?;
        let (shared, mut services) = ground(registry, &config);
        let mut plugins = Vec::new();
        for entry in &shared.registry.plugins {
            let section = config.plugins.get(entry.id).unwrap_or(&Value::Null);
            match start_plugin(entry, section, &shared, &mut services).await {
                Ok(plugin) => plugins.push((entry.id, plugin)),
                Err(error) => {
                    shut_down(&plugins).await;
                    shared.tasks.end().await;
                    return Err(error);
                }
            }
        }
        let routes = routes(&shared, &plugins);
        let binary = binary_claims(&shared, &plugins);
        let (sessions, next_session) = (Guarded::default(), AtomicU64::new(1));
        Ok(Arc::new(Self { shared, services, plugins, routes, binary, sessions, next_session }))
    }

    /// Calls a method from inside the process. It takes the same path as a call over a socket:
    /// access, parameters, ownership, the approval gate, the deadline and the panic guard.
    pub async fn call(&self, identity: Identity, method: &str, params: &Value) -> Result<Value> {
        let session = self.new_session(Origin::InProcess);
        session.standing(|standing| standing.identity = identity);
        let ended = scopeguard(&session, &self.shared);
        let params = params.to_string();
        let mut call = Call::begin(self, &session, ReplyTo::Process, method, &params)
            .map_err(|refused| refused.error)?;
        let first = std::future::poll_fn(|cx| Poll::Ready(call.poll(cx))).await;
        let done = match first {
            Poll::Ready(result) => call.finish(result),
            Poll::Pending => call.run().await,
        };
        done.settle();
        drop(ended);
        serde_json::from_slice(&done.result?).map_err(RpcError::internal)
    }

    /// A service, for an embedder.
    pub fn service<T: ?Sized + Send + Sync + 'static>(
        &self,
        key: &ServiceKey<T>,
    ) -> Option<Arc<T>> {
        self.services.find(key)
    }

    /// The host's counters.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.shared.grounds.metrics.clone()
    }

    /// How many connections are open.
    pub fn open_sessions(&self) -> usize {
        self.sessions.lock().len()
    }

    /// An open connection with this identity, as a plugin would hold it.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn session_of(&self, identity: &Identity) -> Option<Arc<Session>> {
        self.sessions.lock().values().find(|it| it.identity() == *identity).cloned()
    }

    /// Ends the host: no further request is taken, parked calls are cancelled, connections finish
    /// what runs (5 s at most) and close, then plugins shut down in reverse start order.
    pub async fn shutdown(&self) {
        self.shared.stopping.send_replace(true);
        self.shared.gate.cancel_all();
        for session in self.sessions.lock().values() {
            session.outbox.wake();
        }
        let mut emptied = self.shared.emptied.subscribe();
        let drained =
            async { while self.open_sessions() > 0 && emptied.changed().await.is_ok() {} };
        if timeout(DRAIN_LIMIT, drained).await.is_err() {
            tracing::warn!(open = self.open_sessions(), "connections did not end in time");
        }
        shut_down(&self.plugins).await;
        self.shared.tasks.end().await;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where a method's name leads.
    pub(crate) fn route(&self, method: &str) -> Result<Arc<Route>> {
        if let Some(route) = self.routes.get(method) {
            return Ok(route.clone());
        }
        self.shared.added.find(method).ok_or_else(|| {
            let error = RpcError::new(codes::METHOD_NOT_FOUND, format!("no method `{method}`"));
            match self.shared.registry.feature_for(method) {
                Some(feature) => error.with("feature", feature),
                None => error,
            }
        })
    }

    fn new_session(&self, origin: Origin) -> Arc<Session> {
        let serial = self.next_session.fetch_add(1, Ordering::Relaxed);
        let limits = OutboxLimits::default();
        let drops = self.shared.metrics.outbox_drops.clone();
        Arc::new(Session::new(serial, origin, limits, drops))
    }

    /// A new connection; plugins are told in start order.
    pub(crate) async fn open(&self, origin: Origin) -> Arc<Session> {
        let session = self.new_session(origin);
        if self.shared.settings.auth.mode == AuthMode::Off {
            session.standing(|standing| standing.identity = Identity::Client);
        }
        self.sessions.lock().insert(session.serial(), session.clone());
        self.shared.metrics.sessions.inc();
        for (plugin, running) in &self.plugins {
            hook(plugin, "session_opened", HOOK_LIMIT, running.session_opened(&session)).await;
        }
        session
    }

    /// Hands a binary frame to the plugin that claims its type; `false` if nobody does.
    pub(crate) fn binary_frame(&self, session: &Arc<Session>, frame: &Bytes) -> bool {
        let kind = frame.first().filter(|_| frame.len() >= BINARY_HEADER);
        let claimed = kind.and_then(|kind| self.binary.get(kind));
        let Some((plugin, running)) = claimed else { return false };
        let hear = AssertUnwindSafe(|| running.binary_frame(session, frame.clone()));
        if let Err(panic) = std::panic::catch_unwind(hear) {
            drop(report(&format!("{plugin}: binary frame"), &*panic));
        }
        true
    }

    /// The socket has ended; calls may still be running out. Nothing of the connection is open to
    /// others any more.
    pub(crate) fn hang_up(&self, session: &Session) {
        hang_up(&self.shared, session);
    }

    /// The calls have ended too; plugins are told in reverse start order.
    pub(crate) async fn close(&self, session: &Arc<Session>) {
        for (plugin, running) in self.plugins.iter().rev() {
            hook(plugin, "session_closed", HOOK_LIMIT, running.session_closed(session)).await;
        }
        self.sessions.lock().remove(&session.serial());
        self.shared.metrics.sessions.dec();
        self.shared.emptied.send_replace(());
    }
}

/// How long connections may take over ending: 5 s for calls, the rest for plugins' hooks.
const DRAIN_LIMIT: Duration = Duration::from_secs(15);

fn hang_up(shared: &Shared, session: &Session) {
    session.hang_up();
    shared.claims.free(session);
    shared.added.provider_gone(session);
    shared.gate.session_gone(session);
}

/// Ends an in-process session however its call ends.
fn scopeguard<'a>(session: &'a Session, shared: &'a Shared) -> impl Drop + use<'a> {
    struct Ended<'a>(&'a Session, &'a Shared);
    impl Drop for Ended<'_> {
        fn drop(&mut self) {
            hang_up(self.1, self.0);
        }
    }
    Ended(session, shared)
}

fn ground(registry: Registry, config: &Config) -> (Arc<Shared>, Services) {
    let metrics = Arc::new(Metrics::default());
    let tasks = AllTasks::default();
    let host_metrics = HostMetrics::new(&metrics, tasks.failures.clone());
    let boot_id = Uuid::new_v4().to_string();
    let clock = config.clock.clone();
    let settings = config.settings.clone();
    let events = HostEvents::new(&boot_id, clock.clone(), settings.host.event_ring);
    let gate = ApprovalGate::new(
        settings.approvals.clone(),
        clock.clone(),
        events.clone(),
        host_metrics.pending_approvals.clone(),
    );
    let started_at = clock.now();
    let stopping = watch::Sender::new(false);
    let waits = |name, own| needs_approval(&settings, name, own);
    let gated = registry.methods.iter().filter(|(name, (own, _))| waits(name, own.needs_approval));
    let grounds = Grounds {
        state_root: config.state_root.clone(),
        clock,
        durability: settings.durability,
        events,
        metrics,
        parts: Arc::default(),
        agent_id: config.agent_id.clone(),
        approvals: Arc::new(gate.clone()),
        methods: registry.methods.iter().map(|(name, (own, _))| (*name, own.name)).collect(),
        gated: gated.map(|(name, _)| *name).collect(),
        stopping: stopping.subscribe(),
    };
    let (added_settings, added_events) = (settings.clone(), grounds.events.clone());
    let shared = Arc::new(Shared {
        registry,
        settings,
        grounds,
        gate,
        tokens: config.tokens.clone(),
        claims: Claims::default(),
        added: AddedMethods::new(
            added_settings,
            host_metrics.clone(),
            added_events,
            stopping.subscribe(),
        ),
        metrics: host_metrics,
        tasks,
        boot_id,
        started_at,
        stopping,
        emptied: watch::Sender::new(()),
    });
    let mut services = config.services.clone();
    services.provide(&SHARED, shared.clone());
    (shared, services)
}

async fn start_plugin(
    entry: &'static PluginEntry,
    section: &Value,
    shared: &Shared,
    services: &mut Services,
) -> std::result::Result<Arc<dyn Running>, StartError> {
    let plugin = entry.id;
    let tasks = Tasks::new(plugin, shared.tasks.clone());
    let mut cx = StartContext { plugin, section, services, grounds: &shared.grounds, tasks };
    let started = AssertUnwindSafe((entry.start)(&mut cx)).catch_unwind().await;
    let started = started.unwrap_or_else(|panic| Err(report(plugin, &*panic)));
    let running = started.map_err(|error| StartError::Plugin { plugin, error })?;
    let broken = entry.provides.iter().find(|service| !services.names().any(|it| it == **service));
    match broken {
        Some(service) => {
            shut_down(&[(plugin, running)]).await;
            Err(StartError::Promise { plugin, service })
        }
        None => Ok(running),
    }
}

fn routes(
    shared: &Shared,
    plugins: &[(&'static str, Arc<dyn Running>)],
) -> HashMap<&'static str, Arc<Route>> {
    let running: HashMap<_, _> = plugins.iter().map(|(id, running)| (*id, running)).collect();
    let route = |name: &'static str,
                 (entry, owner): (&'static MethodEntry, &'static PluginEntry)| {
        let plugin = Arc::clone(running.get(owner.id)?);
        Some(Route::linked(name, entry, owner.id, plugin, &shared.settings, &shared.metrics))
    };
    let rows = shared.registry.methods.iter();
    rows.filter_map(|(name, row)| Some((*name, Arc::new(route(name, *row)?)))).collect()
}

fn binary_claims(
    shared: &Shared,
    plugins: &[(&'static str, Arc<dyn Running>)],
) -> HashMap<u8, (&'static str, Arc<dyn Running>)> {
    let entries = shared.registry.plugins.iter().zip(plugins);
    let claims =
        entries.flat_map(|(entry, plugin)| entry.binary.iter().map(move |it| (it, plugin)));
    claims.map(|(kind, (id, running))| (*kind, (*id, running.clone()))).collect()
}

/// Runs a hook of a plugin; one that panics or takes too long is logged and passed over.
async fn hook(plugin: &str, name: &str, limit: Duration, hook: impl Future<Output = ()>) {
    match timeout(limit, AssertUnwindSafe(hook).catch_unwind()).await {
        Ok(Ok(())) => {}
        Ok(Err(panic)) => drop(report(&format!("{plugin}: {name}"), &*panic)),
        Err(_) => tracing::error!(plugin, hook = name, "a plugin's hook took too long"),
    }
}

async fn shut_down(plugins: &[(&'static str, Arc<dyn Running>)]) {
    for (plugin, running) in plugins.iter().rev() {
        let asked = std::panic::catch_unwind(AssertUnwindSafe(|| running.shutdown_limit()));
        let limit = asked.unwrap_or(HOOK_LIMIT);
        hook(plugin, "shutdown", limit, running.shutdown()).await;
    }
}
