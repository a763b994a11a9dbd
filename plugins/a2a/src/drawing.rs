//! Surfaces that agents of others draw here: in their answers to this daemon, and in what they send to it.

use std::sync::{Arc, Weak};

use carport_a2a_outbound::Target;
use carport_a2a_types::{Message, SendResult, Task};
use carport_a2ui_api::{Actor, Creator, FromPeer, IngestError, Ingested, RouteAuth, Surfaces};
use carport_core::{Guarded, RpcError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::credential::Credential;

/// The extension of A2A by which surfaces travel, in the versions that are drawn here.
pub(crate) const EXTENSIONS: [&str; 2] =
    ["https://a2ui.org/a2a-extension/a2ui/v0.9", "https://a2ui.org/a2a-extension/a2ui/v0.9.1"];

/// The same, as peers are asked for them.
pub(crate) const ASKED_FOR: &str =
    "https://a2ui.org/a2a-extension/a2ui/v0.9, https://a2ui.org/a2a-extension/a2ui/v0.9.1";

/// Media types of parts that hold surfaces; the first one is sent.
pub(crate) const MEDIA_TYPES: [&str; 2] = ["application/a2ui+json", "application/json+a2ui"];

/// Surfaces of one peer and context that are looked for, to know whether any is there: the newest ones.
const SURFACES_OF_ONE: usize = 256;

/// Draws what peers send.
pub(crate) struct Drawing {
    surfaces: Arc<dyn Surfaces>,
    keys: Arc<Keys>,
    /// Whose contexts the surfaces are that came in messages. Held while more of them are drawn: a
    /// context is a word that any caller may choose, and is its own for each of them.
    callers: Guarded<Book<String>>,
}

/// What actions on surfaces are authenticated with, on their way back to who drew these.
pub(crate) struct Keys {
    book: Guarded<Book<Credential>>,
    /// They hold the way of actions, which holds this.
    surfaces: Weak<dyn Surfaces>,
}

/// A surface, as far as it says who created it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    created_by: Creator,
}

/// What is known of those who draw, as long as a surface of theirs is there.
struct Book<T>(Vec<Entry<T>>);

struct Entry<T> {
    /// An endpoint and a context.
    who: Actor,
    known: T,
    surfaces: Vec<String>,
}

impl<T> Default for Book<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Book<T> {
    fn of(&self, who: &Actor) -> Option<&T> {
        self.0.iter().find(|it| it.who == *who).map(|it| &it.known)
    }

    /// Forgets what no surface needs any more.
    fn tidy(&mut self, surfaces: &dyn Surfaces) {
        self.0.retain(|it| it.surfaces.iter().any(|id| surfaces.get(&it.who, id).is_some()));
    }

    /// Takes down surfaces of who draws, and what is known of it. Something new replaces what was known.
    fn note(&mut self, who: Actor, known: Option<T>, ids: impl IntoIterator<Item = String>) {
        let at = self.0.iter().position(|it| it.who == who);
        let mut entry = match (at, known) {
            (Some(at), None) => self.0.swap_remove(at),
            (Some(at), Some(known)) => Entry { known, ..self.0.swap_remove(at) },
            (None, Some(known)) => Entry { who, known, surfaces: Vec::new() },
            (None, None) => return,
        };
        for id in ids {
            entry.surfaces.retain(|it| *it != id);
            entry.surfaces.push(id);
        }
        let old = entry.surfaces.len().saturating_sub(SURFACES_OF_ONE);
        entry.surfaces.drain(..old);
        self.0.push(entry);
    }
}

/// Who draws: what answers at an endpoint in a context, as surfaces know it.
fn drawer(endpoint: Option<&Target>, context_id: Option<String>) -> Actor {
    let shown = |target: &Target| {
        let mut url = target.url().clone();
        url.set_query(None);
        url.into()
    };
    Actor::Peer { endpoint: endpoint.map(shown), context_id }
}

impl Keys {
    /// The credential for an action on a surface that an endpoint drew in a context. What a connection of
    /// this daemon drew in the peer's name has none: it was not given by that connection.
    pub(crate) fn of(
        &self,
        endpoint: &Target,
        context_id: Option<&str>,
        surface_id: &str,
    ) -> Option<Credential> {
        let who = drawer(Some(endpoint), context_id.map(str::to_owned));
        let shown = self.surfaces.upgrade()?.get(&who, surface_id)?;
        let shown: Shown = serde_json::from_str(shown.0.get()).ok()?;
        let Creator { client_id, agent_id, .. } = shown.created_by;
        let is_peers = client_id.is_none() && agent_id.is_none();
        self.book.lock().of(&who).filter(|_| is_peers).cloned()
    }

    /// Takes down that an answer to an action will be drawn: what it holds may be all that is left of the
    /// surfaces that a credential goes with.
    pub(crate) fn expect(&self, endpoint: &Target, context_id: Option<String>, answer: &Value) {
        let mut ids = Vec::new();
        created(answer, &mut ids);
        self.book.lock().note(drawer(Some(endpoint), context_id), None, ids);
    }
}

/// The ids of surfaces that an answer may create.
fn created(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|it| created(it, ids)),
        Value::Object(members) => {
            if let Some(id) = members.get("createSurface").and_then(|it| it["surfaceId"].as_str()) {
                ids.push(id.to_owned());
            }
            members.values().for_each(|it| created(it, ids));
        }
        _ => {}
    }
}

/// The surfaces that are there after something was drawn.
fn left(drawn: &Ingested) -> impl Iterator<Item = String> {
    drawn.applied.iter().filter(|it| !it.deleted).map(|it| it.surface_id.clone())
}

impl Drawing {
    pub(crate) fn new(surfaces: Arc<dyn Surfaces>) -> Self {
        let keys = Keys { book: Guarded::default(), surfaces: Arc::downgrade(&surfaces) };
        Self { surfaces, keys: Arc::new(keys), callers: Guarded::default() }
    }

    pub(crate) fn surfaces(&self) -> &dyn Surfaces {
        self.surfaces.as_ref()
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.keys.clone()
    }

    /// Forgets credentials and contexts of surfaces that are gone.
    pub(crate) fn tidy(&self) {
        self.keys.book.lock().tidy(self.surfaces());
        self.callers.lock().tidy(self.surfaces());
    }

    /// Tells a peer in a message what is drawn here. What the message says itself stands.
    pub(crate) fn introduce(&self, message: &mut Message, endpoint: &Target) {
        let context = message.context_id.as_deref();
        let own = self.surfaces.message_metadata(endpoint.url().as_str(), context);
        let said = message.metadata.take().unwrap_or_default();
        let all: Map<_, _> = own.into_iter().chain(said).collect();
        message.metadata = (!all.is_empty()).then_some(all);
    }

    /// Draws what a peer answered. The endpoint was screened by whoever asked it.
    pub(crate) fn answered(
        &self,
        endpoint: &Target,
        asked_in: Option<String>,
        answer: &SendResult,
        credential: Option<Credential>,
    ) -> Ingested {
        let (context_id, task_id) = match answer {
            SendResult::Task(task) => (Some(task.context_id.clone()), Some(task.id.clone())),
            SendResult::Message(message) => (message.context_id.clone(), message.task_id.clone()),
        };
        let context_id = context_id.filter(|it| !it.is_empty()).or(asked_in);
        let from = FromPeer {
            payload: payload(answer),
            endpoint: Some(endpoint.url().to_string()),
            context_id: context_id.clone(),
            task_id,
            route_auth: RouteAuth::None,
            allow_untrusted_endpoint: true,
        };
        let mut keys = self.keys.book.lock();
        keys.tidy(self.surfaces());
        let drawn = self.ingest(from);
        if !drawn.applied.is_empty() {
            keys.note(drawer(Some(endpoint), context_id), credential, left(&drawn));
        }
        drawn
    }

    /// Draws what a message to this daemon holds, in its task's context.
    pub(crate) fn said(&self, owner: &str, task: &Task, message: &Message) {
        let who = drawer(None, Some(task.context_id.clone()));
        let from = FromPeer {
            payload: json!({ "message": payload(message) }),
            context_id: Some(task.context_id.clone()),
            task_id: Some(task.id.clone()),
            ..FromPeer::default()
        };
        let mut callers = self.callers.lock();
        callers.tidy(self.surfaces());
        if callers.of(&who).is_some_and(|it| it != owner) {
            tracing::info!(
                task = task.id,
                "surfaces in a context of the same name are another caller's"
            );
            return;
        }
        let drawn = self.ingest(from);
        if !drawn.applied.is_empty() {
            callers.note(who, Some(owner.to_owned()), left(&drawn));
        }
        for error in drawn.errors {
            tracing::debug!(
                task = task.id,
                path = error.path,
                code = error.code,
                "an envelope was refused"
            );
        }
    }

    /// What is wrong with all of it is told like what is wrong with one envelope.
    fn ingest(&self, from: FromPeer) -> Ingested {
        self.surfaces.ingest(from).unwrap_or_else(|error| {
            let RpcError { code, message, data } = error;
            let data = data.unwrap_or_default();
            let error = IngestError { index: 0, path: String::new(), code, message, data };
            Ingested { applied: Vec::new(), errors: vec![error] }
        })
    }
}

fn payload(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_drawn() {
        assert_eq!(ASKED_FOR, EXTENSIONS.join(", "));
    }
}
