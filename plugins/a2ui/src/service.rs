//! The store behind one lock, and what happens around each change of it.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use carport_a2ui_api::{
    Actor, ApplyResult, FromPeer, Ingested, Owner, RouteAuth, Router, Snapshot, Surfaces,
};
use carport_a2ui_improve::Loops;
use carport_a2ui_surfaces::{
    Change, Endpoint, Fault, MEDIA_TYPE, MEDIA_TYPES, Outcome, Store, Surface, VERSION,
};
use carport_a2ui_validate::{Catalog, Message, Schemas, VERSIONS};
use carport_core::{Caller, Clock, Guarded, HostEvents, Identity, NewEvent, Result, Tasks};
use carport_memory_api::Memory;
use serde_json::{Map, Value, json};

use crate::{
    config::Config,
    event::{News, kinds},
    listening::Listeners,
    places::Places,
};

/// Actions on their way to peers at once, and those to one of them: each may hold an action and an answer.
const MOST_ROUTES: (usize, usize) = (64, 8);
/// The same of advice.
const MOST_ADVISED: (usize, usize) = (16, 2);

/// Where the actions of a surface go, and with what credentials. Kept apart from the surface.
pub(crate) struct Way {
    pub(crate) endpoint: Endpoint,
    pub(crate) auth: RouteAuth,
}

/// What the lock guards.
pub(crate) struct State {
    pub(crate) store: Store,
    /// By surface; gone with it.
    pub(crate) ways: HashMap<String, Way>,
    pub(crate) loops: Loops,
}

/// The surfaces, with everything around them.
pub(crate) struct Service {
    pub(crate) state: Guarded<State>,
    pub(crate) listeners: Listeners,
    pub(crate) schemas: Arc<Schemas>,
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) events: HostEvents,
    pub(crate) memory: Option<Arc<dyn Memory>>,
    pub(crate) tasks: Tasks,
    pub(crate) router: Guarded<Option<Arc<dyn Router>>>,
    /// Places for actions that are on their way to a peer.
    pub(crate) routes: Arc<Places>,
    /// Places for advice that is on its way to a peer.
    pub(crate) advising: Arc<Places>,
}

/// Why a change is made, beside what it is.
#[derive(Default)]
pub(crate) struct Cause<'a> {
    pub(crate) owner: Option<&'a Owner>,
    pub(crate) source: Option<&'static str>,
    pub(crate) strategy: Option<&'static str>,
    pub(crate) findings: Option<Value>,
}

/// Who calls.
pub(crate) fn actor(caller: &Caller) -> Actor {
    let client_id = caller.session().id().to_owned();
    match caller.identity() {
        Identity::Agent(id) => Actor::Agent { client_id, agent_id: id.to_string() },
        Identity::Host => Actor::Host(client_id),
        Identity::Client | Identity::Nobody => Actor::Client(client_id),
    }
}

pub(crate) fn source_of(who: &Actor) -> &'static str {
    match who {
        Actor::Client(_) => "client",
        Actor::Host(_) => "host",
        Actor::Agent { .. } => "agent",
        Actor::Peer { .. } => "peer",
        Actor::UiAgent => "ui_agent",
    }
}

impl Service {
    pub(crate) fn new(
        schemas: Arc<Schemas>,
        config: Config,
        clock: Arc<dyn Clock>,
        events: HostEvents,
        memory: Option<Arc<dyn Memory>>,
        tasks: Tasks,
    ) -> Self {
        let aliases = config.catalog_aliases.clone();
        let store = Store::new(schemas.clone(), config.limits.clone(), aliases);
        let state = State { store, ways: HashMap::new(), loops: Loops::default() };
        let (listeners, router) = Default::default();
        Self {
            state: Guarded::new(state),
            listeners,
            schemas,
            config,
            clock,
            events,
            memory,
            tasks,
            router,
            routes: Places::new(MOST_ROUTES.0, MOST_ROUTES.1),
            advising: Places::new(MOST_ADVISED.0, MOST_ADVISED.1),
        }
    }

    /// Applies one envelope and tells of it.
    pub(crate) fn change(
        &self,
        state: &mut State,
        who: &Actor,
        envelope: Value,
        cause: Cause<'_>,
    ) -> Result<Outcome, Fault> {
        let now = self.clock.now();
        let outcome = state.store.apply(Change { envelope, who, owner: cause.owner, now })?;
        let after = state.store.get(&Actor::UiAgent, &outcome.surface_id);
        state.loops.observe(&outcome, *who == Actor::UiAgent, after);
        self.tell(state, &outcome, cause.source.unwrap_or_else(|| source_of(who)), cause);
        Ok(outcome)
    }

    /// Tells everybody of a change.
    fn tell(&self, state: &mut State, outcome: &Outcome, source: &'static str, cause: Cause<'_>) {
        let id = &outcome.surface_id;
        if outcome.message == Message::Delete {
            state.ways.remove(id);
        }
        let now = state.store.get(&Actor::UiAgent, id);
        let Some(surface) = now.or(outcome.removed.as_deref()) else { return };
        let agent = surface.created_by.agent_id.as_deref();
        let kind = if outcome.removed.is_some() { kinds::DELETED } else { kinds::UPDATED };
        let lean = News {
            kind,
            result: result(outcome, None),
            seq: outcome.revision,
            revision: outcome.revision,
            base_revision: outcome.base_revision,
            envelopes: vec![outcome.envelope.clone()],
            source,
            dropped: outcome.dropped.clone(),
            strategy: cause.strategy,
            findings: cause.findings,
        };
        let full = || lean.with(result(outcome, now.map(Surface::snapshot))).written();
        self.listeners.tell(agent, full, || lean.written());
        let payload = json!({ "surfaceId": id, "revision": outcome.revision });
        self.events.emit(NewEvent::new(kind, payload).about(agent));
    }

    /// Applies one envelope; `lean` leaves the surface out of the answer.
    pub(crate) fn apply_as(&self, who: &Actor, envelope: Value, lean: bool) -> Result<ApplyResult> {
        let mut state = self.state.lock();
        let outcome = self.change(&mut state, who, envelope, Cause::default())?;
        let now = state.store.get(who, &outcome.surface_id).filter(|_| !lean);
        Ok(result(&outcome, now.map(Surface::snapshot)))
    }

    /// Removes what nobody touched for too long. Returns each with the agent that created it.
    pub(crate) fn reap(&self) -> Vec<(String, Option<String>)> {
        let mut state = self.state.lock();
        let gone = state.store.reap(self.clock.now());
        let mut removed = Vec::with_capacity(gone.len());
        for outcome in gone {
            state.loops.observe(&outcome, false, None);
            self.tell(&mut state, &outcome, "reaper", Cause::default());
            let agent = outcome.removed.and_then(|it| it.created_by.agent_id);
            removed.push((outcome.surface_id, agent));
        }
        removed
    }
}

/// What is answered to an envelope.
pub(crate) fn result(outcome: &Outcome, surface: Option<Snapshot>) -> ApplyResult {
    ApplyResult {
        surface_id: outcome.surface_id.clone(),
        deleted: outcome.removed.is_some(),
        surface,
        revision: outcome.revision,
    }
}

#[async_trait]
impl Surfaces for Service {
    fn capabilities(&self) -> Value {
        let catalogs = self.schemas.catalogs();
        let names = |it: &Catalog| it.components().map(str::to_owned).collect::<Vec<_>>();
        let by_id: Map<_, _> =
            catalogs.iter().map(|it| (it.id().to_owned(), json!(names(it)))).collect();
        json!({
            "version": VERSION,
            "versions": VERSIONS,
            "mimeType": MEDIA_TYPE,
            "mimeTypes": MEDIA_TYPES,
            "catalogs": self.catalog_ids(),
            "components": catalogs.first().map(names),
            "catalogComponents": by_id,
            "functions": catalogs.first().map(|it| it.functions().collect::<Vec<_>>()),
            "limits": self.config.limits,
        })
    }

    fn catalog_ids(&self) -> Vec<String> {
        self.schemas.catalogs().iter().map(|it| it.id().to_owned()).collect()
    }

    fn apply(&self, who: &Actor, envelope: Value) -> Result<ApplyResult> {
        self.apply_as(who, envelope, false)
    }

    fn get(&self, who: &Actor, surface_id: &str) -> Option<Snapshot> {
        self.state.lock().store.get(who, surface_id).map(Surface::snapshot)
    }

    fn ingest(&self, from: FromPeer) -> Result<Ingested> {
        self.ingest_peer(from)
    }

    fn message_metadata(&self, endpoint: &str, context_id: Option<&str>) -> Map<String, Value> {
        let full =
            Endpoint::read(endpoint).map_or_else(|_| endpoint.into(), |it| it.full().to_owned());
        self.metadata(&self.state.lock(), &full, context_id, None)
    }

    fn route_by(&self, router: Arc<dyn Router>) {
        self.router.lock().get_or_insert(router);
    }
}
