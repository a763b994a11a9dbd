//! Payloads of peers: what is found in them is applied one by one.

use carport_a2ui_api::{Actor, ApplyResult, FromPeer, IngestError, Ingested, Owner, RouteAuth};
use carport_a2ui_surfaces::{Endpoint, EndpointFault, Fault, Found, Surface, find, screen};
use carport_a2ui_validate::Message;
use carport_core::{Result, RpcError, codes};
use serde_json::{Value, json};

use crate::service::{Cause, Service, State, Way, result, source_of};

/// Whose envelopes a payload holds.
pub(crate) struct Whose<'a> {
    pub(crate) who: &'a Actor,
    /// What is said of the owner of all of it.
    pub(crate) owner: Option<Owner>,
    /// What is known of it where the payload does not say.
    pub(crate) task_id: Option<String>,
    /// See `task_id`.
    pub(crate) context_id: Option<String>,
    /// Whether nothing is of another context, also where none is known: an answer is of the surface's own.
    pub(crate) in_this_context: bool,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) auth: RouteAuth,
}

impl Service {
    /// Reads an endpoint that may be kept.
    pub(crate) fn endpoint(&self, text: &str, allow_untrusted: bool) -> Result<Endpoint> {
        let refused = |fault: EndpointFault| {
            let remedy = match &fault {
                EndpointFault::Untrusted(_) => "allowUntrustedEndpoint: true",
                _ => "name a public https endpoint, or leave it out",
            };
            RpcError::new(codes::POLICY, &fault)
                .with("field", "endpoint")
                .with("reason", fault.reason())
                .with("remedy", remedy)
        };
        let endpoint = Endpoint::read(text).map_err(refused)?;
        let router = self.router.lock().clone();
        match router {
            Some(router) => router.screen(text, allow_untrusted)?,
            None => screen(&endpoint, allow_untrusted).map_err(refused)?,
        }
        Ok(endpoint)
    }

    /// Applies what is found in a payload. What is wrong with one envelope keeps none of the others.
    pub(crate) fn ingest_as(&self, payload: &Value, whose: &Whose<'_>) -> Result<Ingested> {
        let found = find(payload, &self.config.limits)?;
        let mut done = Ingested::default();
        // Envelopes of one surface show it again and again; what would not fit a frame is left out.
        let mut room = self.config.limits.max_store_bytes;
        for (index, found) in found.into_iter().enumerate() {
            let (owner, who) = (whose.owner_of(&found), whose.who_of(&found));
            let path = found.path;
            match self.ingest_one(found.envelope, owner.as_ref(), &who, whose, &mut room) {
                Ok(applied) => done.applied.push(applied),
                Err(error) => {
                    let RpcError { code, message, data } = error;
                    let data = data.unwrap_or_default();
                    done.errors.push(IngestError { index, path, code, message, data });
                }
            }
        }
        Ok(done)
    }

    fn ingest_one(
        &self,
        envelope: Value,
        owner: Option<&Owner>,
        who: &Actor,
        whose: &Whose<'_>,
        room: &mut usize,
    ) -> Result<ApplyResult> {
        let is_peers = matches!(owner, Some(Owner::A2a { .. }));
        let source = if is_peers { "peer" } else { source_of(who) };
        let mut state = self.state.lock();
        if matches!(who, Actor::Peer { .. }) {
            whose.hold_to_own(&state, &envelope)?;
        }
        let cause = Cause { owner, source: Some(source), ..Cause::default() };
        let outcome = self.change(&mut state, who, envelope, cause)?;
        if let (Message::Create, Some(endpoint)) = (outcome.message, &whose.endpoint) {
            let way = Way { endpoint: endpoint.clone(), auth: whose.auth.clone() };
            state.ways.insert(outcome.surface_id.clone(), way);
        }
        let now = state.store.get(who, &outcome.surface_id).filter(|_| *room > 0);
        let shown = now.map(Surface::snapshot);
        let bytes = shown.as_ref().map_or(0, |it| it.0.get().len());
        let fits = bytes <= *room;
        *room = if fits { *room - bytes } else { 0 };
        Ok(result(&outcome, shown.filter(|_| fits)))
    }

    pub(crate) fn ingest_peer(&self, from: FromPeer) -> Result<Ingested> {
        // What cannot be called back is drawn nevertheless.
        let read = from.endpoint.as_deref().and_then(|text| Endpoint::read(text).ok());
        let judged = from.endpoint.map(|text| self.endpoint(&text, from.allow_untrusted_endpoint));
        let endpoint = judged.and_then(Result::ok);
        let own = match (read, from.caller) {
            (Some(endpoint), _) => endpoint.full().to_owned(),
            // No URL begins like this.
            (None, Some(caller)) => format!("caller {caller}"),
            (None, None) => self.state.lock().store.stranger(),
        };
        let who = Actor::Peer { endpoint: Some(own), context_id: from.context_id.clone() };
        let whose = Whose {
            who: &who,
            owner: None,
            task_id: from.task_id,
            context_id: from.context_id,
            in_this_context: false,
            endpoint,
            auth: from.route_auth,
        };
        self.ingest_as(&from.payload, &whose)
    }
}

impl Whose<'_> {
    /// Refuses a peer a surface of somebody else at its origin and path: a surface shows no more of an endpoint,
    /// but its owner is who is at all of it.
    fn hold_to_own(&self, state: &State, envelope: &Value) -> Result<(), Fault> {
        let members = envelope.as_object().into_iter().flatten();
        let changed = members.filter(|(key, _)| Message::of_key(key) != Some(Message::Create));
        for id in changed.filter_map(|(_, body)| body["surfaceId"].as_str()) {
            let way = state.ways.get(id).map(|it| &it.endpoint);
            if way.is_some() && way != self.endpoint.as_ref() {
                return Err(Fault::Foreign(id.to_owned()));
            }
        }
        Ok(())
    }

    /// Who sends what is found: a peer of which no context is known speaks from that which it names.
    fn who_of(&self, found: &Found) -> Actor {
        match self.who {
            Actor::Peer { endpoint, context_id: None } if !self.in_this_context => {
                Actor::Peer { endpoint: endpoint.clone(), context_id: found.context_id.clone() }
            }
            who => who.clone(),
        }
    }

    /// The owner of what is found: as was said, else as the payload says.
    fn owner_of(&self, found: &Found) -> Option<Owner> {
        let endpoint = self.endpoint.as_ref().map(|it| it.full().to_owned());
        match &self.owner {
            Some(Owner::A2a { task_id, context_id, .. }) => Some(Owner::A2a {
                task_id: task_id.clone(),
                context_id: context_id.clone(),
                endpoint,
            }),
            Some(owner) => Some(owner.clone()),
            None => {
                let task_id = found.task_id.clone().or_else(|| self.task_id.clone());
                let context_id = match self.who {
                    // A peer cannot speak for another of its contexts.
                    Actor::Peer { context_id: Some(own), .. } => Some(own.clone()),
                    Actor::Peer { .. } if self.in_this_context => None,
                    _ => found.context_id.clone().or_else(|| self.context_id.clone()),
                };
                let is_known = task_id.is_some() || context_id.is_some() || endpoint.is_some();
                is_known.then_some(Owner::A2a { task_id, context_id, endpoint })
            }
        }
    }
}

/// What is answered when nothing took effect and something should have.
pub(crate) fn or_first_error(done: Ingested) -> Result<Ingested> {
    match done.errors.first() {
        Some(first) if done.applied.is_empty() => {
            let mut error = RpcError::new(first.code, &first.message);
            for (key, value) in first.data.as_object().into_iter().flatten() {
                error = error.with(key, value.clone());
            }
            Err(error.with("errors", json!(done.errors)))
        }
        _ => Ok(done),
    }
}
