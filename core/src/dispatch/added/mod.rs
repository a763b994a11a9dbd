//! Methods that connections add at run time: who owns which namespace, and where a name leads.

pub(crate) mod call;
pub(crate) mod spec;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use tokio::sync::watch;

use self::{
    call::AddedMethod,
    spec::{Compiled, MAX_SCHEMA_BYTES_OF_SESSION},
};
use super::{
    config::Settings,
    registry::namespace_of,
    route::{HostMetrics, Route},
};
use crate::{
    contract::{
        events::{HostEvents, NewEvent},
        session::Session,
    },
    wire::{error::RpcError, guarded::Guarded},
};

const MAX_NAMESPACES_OF_SESSION: usize = 8;
const MAX_METHODS_OF_SESSION: usize = 128;
const MAX_METHODS: usize = 1024;

/// Every added method of a host.
pub(crate) struct AddedMethods {
    settings: Settings,
    metrics: HostMetrics,
    events: HostEvents,
    stopping: watch::Receiver<bool>,
    namespaces: Guarded<BTreeMap<String, Namespace>>,
}

struct Namespace {
    provider: Arc<Session>,
    methods: BTreeMap<String, Arc<Route>>,
}

/// What a registration or its opposite changed.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) registered: Vec<String>,
    pub(crate) removed: Vec<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unchanged {
    #[error("namespace `{0}` is held by another connection")]
    Held(String),
    #[error("no such namespace `{0}`")]
    NoNamespace(String),
    #[error("method `{0}` is registered already: say `replace` to replace it")]
    Exists(String),
    #[error("no such method `{0}`")]
    NoMethod(String),
    #[error("namespace `{0}` is another connection's")]
    NotYours(String),
    #[error("{0}: the limit is {1}")]
    Limit(&'static str, usize),
}

impl AddedMethods {
    pub(crate) fn new(
        settings: Settings,
        metrics: HostMetrics,
        events: HostEvents,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self { settings, metrics, events, stopping, namespaces: Guarded::default() }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<Route>> {
        self.namespaces.lock().get(namespace_of(name))?.methods.get(name).cloned()
    }

    /// Takes in methods that were checked and compiled already, all of them or none.
    pub(crate) fn register(
        &self,
        provider: &Arc<Session>,
        namespace: &str,
        methods: Vec<Compiled>,
        replace: bool,
    ) -> Result<Changed, Unchanged> {
        let routes: Vec<_> = methods.into_iter().map(|it| self.route(provider, it)).collect();
        let mut namespaces = self.namespaces.lock();
        let known = namespaces.get(namespace);
        if known.is_some_and(|it| it.provider.serial() != provider.serial()) {
            return Err(Unchanged::Held(namespace.to_owned()));
        }
        let before = known.map(|it| it.methods.clone()).unwrap_or_default();
        if let Some(taken) = routes.iter().find(|it| !replace && before.contains_key(&*it.name)) {
            return Err(Unchanged::Exists(taken.name.to_string()));
        }
        let mut after = if replace { BTreeMap::new() } else { before.clone() };
        let registered: Vec<_> = routes.iter().map(|it| it.name.to_string()).collect();
        after.extend(routes.into_iter().map(|it| (it.name.to_string(), it)));
        let others = namespaces.iter().filter(|(name, _)| *name != namespace);
        within_limits(others, provider, &after)?;
        let removed: Vec<_> = before.into_keys().filter(|name| !after.contains_key(name)).collect();
        let entry = Namespace { provider: provider.clone(), methods: after };
        namespaces.insert(namespace.to_owned(), entry);
        self.announce("methods.registered", provider, namespace, &registered, None);
        if !removed.is_empty() {
            self.announce("methods.unregistered", provider, namespace, &removed, Some("replaced"));
        }
        Ok(Changed { registered, removed })
    }

    /// Takes methods of one's own namespace away; `None` stands for all of them.
    pub(crate) fn unregister(
        &self,
        provider: &Session,
        namespace: &str,
        methods: Option<Vec<String>>,
    ) -> Result<Changed, Unchanged> {
        let mut namespaces = self.namespaces.lock();
        let known = namespaces.get_mut(namespace);
        let known = known.ok_or_else(|| Unchanged::NoNamespace(namespace.to_owned()))?;
        if known.provider.serial() != provider.serial() {
            return Err(Unchanged::NotYours(namespace.to_owned()));
        }
        let removed = methods.unwrap_or_else(|| known.methods.keys().cloned().collect());
        if let Some(unknown) = removed.iter().find(|name| !known.methods.contains_key(*name)) {
            return Err(Unchanged::NoMethod(unknown.clone()));
        }
        known.methods.retain(|name, _| !removed.contains(name));
        if known.methods.is_empty() {
            namespaces.remove(namespace);
        }
        self.announce("methods.unregistered", provider, namespace, &removed, None);
        Ok(Changed { registered: Vec::new(), removed })
    }

    /// The provider's socket has ended: its methods are gone before anybody is told.
    pub(crate) fn provider_gone(&self, provider: &Session) {
        let mut namespaces = self.namespaces.lock();
        let gone = namespaces.extract_if(.., |_, it| it.provider.serial() == provider.serial());
        for (name, namespace) in gone.collect::<Vec<_>>() {
            let methods: Vec<_> = namespace.methods.into_keys().collect();
            let reason = Some("disconnected");
            self.announce("methods.unregistered", provider, &name, &methods, reason);
        }
    }

    /// Every added method, sorted by name.
    pub(crate) fn routes(&self) -> Vec<Arc<Route>> {
        let namespaces = self.namespaces.lock();
        namespaces.values().flat_map(|it| it.methods.values().cloned()).collect()
    }

    fn route(&self, provider: &Arc<Session>, method: Compiled) -> Arc<Route> {
        let counters = self.metrics.method("(added)");
        let method = AddedMethod::new(method, provider.clone(), self.stopping.clone());
        Arc::new(Route::added_by(method, &self.settings, counters))
    }

    /// Told under the lock, so that the order of events is the order of changes.
    fn announce(
        &self,
        kind: &str,
        provider: &Session,
        namespace: &str,
        methods: &[String],
        reason: Option<&str>,
    ) {
        let mut payload =
            json!({ "client_id": provider.id(), "namespace": namespace, "methods": methods });
        if let Some(reason) = reason {
            payload["reason"] = reason.into();
        }
        self.events.emit(NewEvent::new(kind, payload));
    }
}

fn within_limits<'a>(
    others: impl Iterator<Item = (&'a String, &'a Namespace)>,
    provider: &Session,
    methods: &BTreeMap<String, Arc<Route>>,
) -> Result<(), Unchanged> {
    let bytes_of = |methods: &BTreeMap<String, Arc<Route>>| -> usize {
        methods.values().filter_map(|it| it.added()).map(AddedMethod::schema_bytes).sum()
    };
    let (mut all, mut own, mut spaces, mut bytes) =
        (methods.len(), methods.len(), 1, bytes_of(methods));
    for (_, other) in others {
        all += other.methods.len();
        if other.provider.serial() == provider.serial() {
            own += other.methods.len();
            spaces += 1;
            bytes += bytes_of(&other.methods);
        }
    }
    for (what, got, limit) in [
        ("namespaces of a connection", spaces, MAX_NAMESPACES_OF_SESSION),
        ("added methods of a connection", own, MAX_METHODS_OF_SESSION),
        ("added methods", all, MAX_METHODS),
        ("bytes of schemas of a connection", bytes, MAX_SCHEMA_BYTES_OF_SESSION),
    ] {
        if got > limit {
            return Err(Unchanged::Limit(what, limit));
        }
    }
    Ok(())
}

impl From<Unchanged> for RpcError {
    fn from(why: Unchanged) -> Self {
        match &why {
            Unchanged::Held(_) | Unchanged::Exists(_) => Self::conflict(why),
            Unchanged::NoNamespace(name) => Self::not_found(format!("namespace `{name}`")),
            Unchanged::NoMethod(name) => Self::not_found(format!("method `{name}`")),
            Unchanged::NotYours(_) => Self::forbidden(why),
            Unchanged::Limit(what, limit) => Self::limit(what, *limit as u64),
        }
    }
}
