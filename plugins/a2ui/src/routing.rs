//! Actions on their way: to subscribers, to the host's log, and to the peer that drew the surface.

use std::{sync::Arc, time::Duration};

use carport_a2ui_api::{Actor, Delivery, Owner, RouteAuth};
use carport_a2ui_surfaces::{
    Action, Endpoint, MEDIA_TYPE, Surface, VERSION, continuation, declares, json_bytes,
};
use carport_core::{HostEvent, NewEvent, Result, RpcError, mask_text};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::{sync::oneshot, time::timeout};

use crate::{
    config::Continuation,
    event::{News, kinds},
    ingesting::Whose,
    places::{Place, Places},
    service::{Service, State, source_of},
};

/// Characters of an error that are shown.
const MOST_ERROR: usize = 512;

/// Where an action went beside subscribers and the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Route {
    /// Nowhere.
    None,
    /// To the A2A peer that owns the surface.
    A2a {
        /// Whether it arrived.
        delivered: bool,
        /// Where it went, without a query.
        endpoint: String,
        /// The version of A2A that was spoken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The task that answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_id: Option<String>,
        /// How many envelopes of the answer took effect.
        applied: usize,
        /// Why it did not arrive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// A message that is still to be sent, and whose its answer is.
pub(crate) struct Leg {
    pub(crate) delivery: Delivery,
    endpoint: Endpoint,
    context_id: Option<String>,
    task_id: Option<String>,
}

/// Where something goes.
pub(crate) enum Going {
    /// Nowhere.
    Nowhere,
    /// Nowhere now: so many are on their way to this endpoint, or to all.
    Waits(Endpoint, usize),
    /// To a peer, in a place that was kept for it.
    Goes(Box<Leg>, Place),
}

impl Service {
    /// Tells everybody of an action. Waits only for the peer, if there is one.
    pub(crate) async fn act(
        self: &Arc<Self>,
        who: &Actor,
        action: Action,
        data_model: Option<Value>,
    ) -> Result<(HostEvent, Route)> {
        let (going, agent) = self.hear(who, &action, data_model)?;
        let (leg, place) = match going {
            Going::Nowhere => return Ok(self.log(&action, agent.as_deref(), Route::None)),
            Going::Waits(endpoint, most) => {
                let why = format!("{most} actions are on their way already; try again");
                return Ok(self.log(&action, agent.as_deref(), undelivered(&endpoint, why)));
            }
            Going::Goes(leg, place) => (leg, place),
        };
        // Whoever calls may leave before the peer answers: what it answers is drawn and logged all the same.
        let (tell, told) = oneshot::channel();
        let service = self.clone();
        self.tasks.spawn("route", async move {
            let _place = place;
            let route = service.deliver(*leg).await;
            let _ = tell.send(service.log(&action, agent.as_deref(), route));
        });
        told.await.map_err(|_| RpcError::internal("the way to the surface's owner broke off"))
    }

    /// Puts an action into the host's log, which every agent may read: without its context, which is between
    /// the person and the surface's owner, with its other texts cut, and of its route no more than whether it
    /// arrived.
    fn log(&self, action: &Action, agent: Option<&str>, route: Route) -> (HostEvent, Route) {
        let cut = |text: &str| mask_text(text, self.config.limits.max_id_bytes);
        let action = Action {
            name: cut(&action.name),
            surface_id: action.surface_id.clone(),
            source_component_id: cut(&action.source_component_id),
            timestamp: action.timestamp,
            context: Map::new(),
        };
        let payload =
            json!({ "surfaceId": action.surface_id, "action": action, "route": route.briefly() });
        (self.events.emit(NewEvent::new(kinds::ACTION, payload).about(agent)), route)
    }

    /// What subscribers hear, in one step; and where the action still has to go.
    fn hear(
        &self,
        who: &Actor,
        action: &Action,
        data_model: Option<Value>,
    ) -> Result<(Going, Option<String>)> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let id = &action.surface_id;
        if state.store.get(who, id).is_none() {
            return Err(
                RpcError::not_found(format!("surface `{id}`")).with("surfaceId", id.clone())
            );
        }
        state.store.touch(id, self.clock.now());
        let seq = state.store.next_seq();
        let Some(surface) = state.store.get(who, id) else { return Ok((Going::Nowhere, None)) };
        let agent = surface.created_by.agent_id.clone();
        let news = News {
            kind: kinds::ACTION,
            result: json!({
                "surfaceId": id,
                "action": action,
                "owner": surface.owner,
                "verified": declares(surface, action),
            }),
            seq,
            revision: surface.revision,
            base_revision: surface.revision,
            envelopes: Vec::new(),
            source: source_of(who),
            dropped: Vec::new(),
            strategy: None,
            findings: None,
        };
        self.listeners.tell(agent.as_deref(), || news.written(), || news.written());
        let parts = || continuation(action, self.config.continuation == Continuation::SpecAndCar);
        Ok((self.going(&self.routes, state, id, parts, data_model), agent))
    }

    /// A message to the peer that owns a surface, if it has one that can be reached. It is made only once it
    /// has a place.
    pub(crate) fn going(
        &self,
        places: &Arc<Places>,
        state: &State,
        id: &str,
        parts: impl FnOnce() -> Vec<Value>,
        data_model: Option<Value>,
    ) -> Going {
        let (Some(surface), Some(way)) = (state.store.get(&Actor::UiAgent, id), state.ways.get(id))
        else {
            return Going::Nowhere;
        };
        let Some(Owner::A2a { task_id, context_id, .. }) = &surface.owner else {
            return Going::Nowhere;
        };
        let agent = surface.created_by.agent_id.as_ref().map(|it| format!("agent {it}"));
        let whose = [way.endpoint.origin()].into_iter().chain(agent).collect();
        let place = match places.take(whose) {
            Ok(place) => place,
            Err(most) => return Going::Waits(way.endpoint.clone(), most),
        };
        let own = Some((id, data_model));
        let full = way.endpoint.full();
        let delivery = Delivery {
            endpoint: full.to_owned(),
            auth: way.auth.clone(),
            task_id: task_id.clone(),
            context_id: context_id.clone(),
            parts: parts(),
            media_type: MEDIA_TYPE,
            metadata: self.metadata(state, full, context_id.as_deref(), own),
        };
        let (endpoint, context_id, task_id) =
            (way.endpoint.clone(), context_id.clone(), task_id.clone());
        Going::Goes(Box::new(Leg { delivery, endpoint, context_id, task_id }), place)
    }

    async fn deliver(&self, leg: Leg) -> Route {
        let Leg { delivery, endpoint, context_id, task_id } = leg;
        let router = self.router.lock().clone();
        let Some(router) = router else {
            return undelivered(&endpoint, "a2a is not in this build".into());
        };
        let (auth, limit) = (delivery.auth.clone(), self.config.route_timeout_s);
        let clean = |text: &str| endpoint.without_query(&without(&auth, text));
        let sent = timeout(Duration::from_secs(limit), router.deliver(delivery)).await;
        let delivered = match sent {
            Err(_) => return undelivered(&endpoint, format!("no answer within {limit} s")),
            Ok(Err(error)) => {
                return undelivered(&endpoint, mask_text(&clean(&error.message), MOST_ERROR));
            }
            Ok(Ok(delivered)) => delivered,
        };
        let most = self.config.limits.max_id_bytes;
        let short = |text: Option<String>| text.filter(|it| it.len() <= most).map(|it| clean(&it));
        let (version, task) = (short(delivered.version), short(delivered.task_id));
        let shown = endpoint.shown();
        let own = Some(endpoint.full().to_owned());
        let who = Actor::Peer { endpoint: own, context_id: context_id.clone() };
        let whose = Whose {
            who: &who,
            owner: None,
            task_id,
            context_id,
            in_this_context: true,
            endpoint: Some(endpoint.clone()),
            auth: auth.clone(),
        };
        let applied = self.ingest_as(&delivered.answer, &whose).unwrap_or_default().applied.len();
        Route::A2a {
            delivered: true,
            endpoint: shown,
            version,
            task_id: task,
            applied,
            error: None,
        }
    }

    /// The metadata of a message to whoever is at all of an endpoint, its query too. `own` is the surface of
    /// an action with the data that came along.
    pub(crate) fn metadata(
        &self,
        state: &State,
        endpoint: &str,
        context: Option<&str>,
        own: Option<(&str, Option<Value>)>,
    ) -> Map<String, Value> {
        let ids: Vec<_> = self.schemas.catalogs().iter().map(|it| it.id()).collect();
        let mut metadata = Map::new();
        let capabilities = json!({ VERSION: { "supportedCatalogIds": ids } });
        metadata.insert("a2uiClientCapabilities".into(), capabilities);
        let (own_id, mut sent) = own.map_or(("", None), |(id, data)| (id, data));
        let is_owner = |surface: &Surface| {
            let way = state.ways.get(&surface.id);
            let Some(Owner::A2a { context_id, .. }) = &surface.owner else { return false };
            way.is_some_and(|it| it.endpoint.full() == endpoint) && context_id.as_deref() == context
        };
        let mut models = Map::new();
        let mut asked = state.store.list(&Actor::UiAgent);
        asked.retain(|it| it.send_data_model && is_owner(it));
        asked.sort_by_key(|it| it.id != own_id);
        // One message takes no more than one model may have; that of the action's surface goes in any case.
        let mut room = self.config.limits.max_data_model_bytes;
        for surface in asked {
            let is_own = surface.id == own_id;
            let sent = if is_own { sent.take() } else { None };
            let bytes = sent.as_ref().map_or(surface.model.bytes(), json_bytes);
            // The official schema has objects here and nothing else.
            let is_object = sent.as_ref().unwrap_or_else(|| surface.model.root()).is_object();
            if is_object && (is_own || bytes <= room) {
                room = room.saturating_sub(bytes);
                let model = sent.unwrap_or_else(|| surface.model.root().clone());
                models.insert(surface.id.clone(), model);
            }
        }
        if !models.is_empty() {
            let model = json!({ "version": VERSION, "surfaces": models });
            metadata.insert("a2uiClientDataModel".into(), model);
        }
        metadata
    }
}

impl Route {
    /// What everybody may know of it: why something did not arrive is for who acted.
    fn briefly(&self) -> Value {
        match self {
            Self::None => json!({ "kind": "none" }),
            Self::A2a { delivered, .. } => json!({ "kind": "a2a", "delivered": delivered }),
        }
    }
}

/// The route of an action that did not arrive.
fn undelivered(endpoint: &Endpoint, why: String) -> Route {
    Route::A2a {
        delivered: false,
        endpoint: endpoint.shown(),
        version: None,
        task_id: None,
        applied: 0,
        error: Some(why),
    }
}

/// A text without the credential that it may repeat.
fn without(auth: &RouteAuth, text: &str) -> String {
    match auth {
        RouteAuth::None => text.to_owned(),
        RouteAuth::Bearer(secret) | RouteAuth::Header { value: secret, .. } => {
            text.replace(secret.expose_secret(), "***")
        }
    }
}
