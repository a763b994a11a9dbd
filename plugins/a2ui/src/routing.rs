//! Actions on their way: to subscribers, to the host's log, and to the peer that drew the surface.

use std::time::Duration;

use carport_a2ui_api::{Actor, Delivery, Owner, RouteAuth};
use carport_a2ui_surfaces::{Action, Endpoint, MEDIA_TYPE, VERSION, continuation, declares};
use carport_core::{HostEvent, NewEvent, Result, RpcError, mask_text};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::{
    config::Continuation,
    event::{News, kinds},
    ingesting::Whose,
    service::{Service, State, source_of},
};

/// Bytes of an error that are shown.
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

impl Service {
    /// Tells everybody of an action. Waits only for the peer, if there is one.
    pub(crate) async fn act(
        &self,
        who: &Actor,
        action: Action,
        data_model: Option<Value>,
    ) -> Result<(HostEvent, Route)> {
        let (leg, agent) = self.hear(who, &action, data_model)?;
        let route = match leg {
            Some(leg) => self.deliver(leg).await,
            None => Route::None,
        };
        let payload = json!({ "surfaceId": action.surface_id, "action": action, "route": route });
        let event = NewEvent::new(kinds::ACTION, payload).about(agent.as_deref());
        Ok((self.events.emit(event), route))
    }

    /// What subscribers hear, in one step; and where the action still has to go.
    fn hear(
        &self,
        who: &Actor,
        action: &Action,
        data_model: Option<Value>,
    ) -> Result<(Option<Leg>, Option<String>)> {
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
        let Some(surface) = state.store.get(who, id) else { return Ok((None, None)) };
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
        let parts = continuation(action, self.config.continuation == Continuation::SpecAndCar);
        Ok((self.leg(state, id, parts, data_model), agent))
    }

    /// A message to the peer that owns a surface, if it has one that can be reached.
    pub(crate) fn leg(
        &self,
        state: &State,
        id: &str,
        parts: Vec<Value>,
        data_model: Option<Value>,
    ) -> Option<Leg> {
        let surface = state.store.get(&Actor::UiAgent, id)?;
        let way = state.ways.get(id)?;
        let Some(Owner::A2a { task_id, context_id, .. }) = &surface.owner else { return None };
        let own = Some((id, data_model));
        let full = way.endpoint.full();
        let delivery = Delivery {
            endpoint: full.to_owned(),
            auth: way.auth.clone(),
            task_id: task_id.clone(),
            context_id: context_id.clone(),
            parts,
            media_type: MEDIA_TYPE,
            metadata: self.metadata(state, full, context_id.as_deref(), own),
        };
        let (endpoint, context_id, task_id) =
            (way.endpoint.clone(), context_id.clone(), task_id.clone());
        Some(Leg { delivery, endpoint, context_id, task_id })
    }

    async fn deliver(&self, leg: Leg) -> Route {
        let Leg { delivery, endpoint, context_id, task_id } = leg;
        let auth = delivery.auth.clone();
        let router = self.router.lock().clone();
        let limit = self.config.route_timeout_s;
        let answer = match router {
            None => Err("a2a is not in this build".to_owned()),
            Some(router) => {
                match timeout(Duration::from_secs(limit), router.deliver(delivery)).await {
                    Err(_) => Err(format!("no answer within {limit} s")),
                    Ok(Err(error)) => Err(mask_text(&without(&auth, &error.message), MOST_ERROR)),
                    Ok(Ok(delivered)) => Ok(delivered),
                }
            }
        };
        let shown = endpoint.shown();
        match answer {
            Err(error) => Route::A2a {
                delivered: false,
                endpoint: shown,
                version: None,
                task_id: None,
                applied: 0,
                error: Some(error),
            },
            Ok(delivered) => {
                let own = Some(endpoint.full().to_owned());
                let who = Actor::Peer { endpoint: own, context_id: context_id.clone() };
                let whose = Whose {
                    who: &who,
                    owner: None,
                    task_id,
                    context_id,
                    endpoint: Some(endpoint),
                    auth,
                };
                let done = self.ingest_as(&delivered.answer, &whose).unwrap_or_default();
                Route::A2a {
                    delivered: true,
                    endpoint: shown,
                    version: delivered.version,
                    task_id: delivered.task_id,
                    applied: done.applied.len(),
                    error: None,
                }
            }
        }
    }

    /// The metadata of a message to a peer. `own` is the surface of an action with the data that came along.
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
        let peer = Actor::Peer {
            endpoint: Some(endpoint.to_owned()),
            context_id: context.map(str::to_owned),
        };
        let mut models = Map::new();
        for surface in state.store.list(&peer).into_iter().filter(|it| it.send_data_model) {
            let sent = if surface.id == own_id { sent.take() } else { None };
            // The official schema has objects here and nothing else.
            let model = sent.unwrap_or_else(|| surface.model.root().clone());
            if model.is_object() {
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

/// A text without the credential that it may repeat.
fn without(auth: &RouteAuth, text: &str) -> String {
    match auth {
        RouteAuth::None => text.to_owned(),
        RouteAuth::Bearer(secret) | RouteAuth::Header { value: secret, .. } => {
            text.replace(secret.expose_secret(), "***")
        }
    }
}
