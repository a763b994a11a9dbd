//! Surfaces that agents of others draw here: in their answers to this daemon, and in what they send to it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use carport_a2a_outbound::Target;
use carport_a2a_types::{Content, Message, Part, StreamResponse, Task, TaskStatus};
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

/// Surfaces of one conversation that are looked for, to know whether any is there: the newest ones.
const SURFACES_OF_ONE: usize = 256;
/// Surfaces that one answer is looked through for. What it holds beyond them is not drawn by default.
const MOST_CREATED: usize = 256;
/// Envelopes that are drawn of one answer, however many events it comes in; the last of them tells it.
const MOST_DRAWN: usize = 4096;
/// The longest ids of surfaces that are drawn by default.
const ID_BYTES: usize = 256;

/// Draws what peers send.
pub(crate) struct Drawing {
    surfaces: Arc<dyn Surfaces>,
    keys: Arc<Keys>,
}

/// What actions on surfaces are authenticated with, on their way back to who drew these.
pub(crate) struct Keys {
    book: Guarded<Book>,
    /// They hold the way of actions, which holds this.
    surfaces: Weak<dyn Surfaces>,
}

/// A surface, as far as it says who created it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    created_by: Creator,
}

/// Those who asked, with their credentials, as long as a surface is there that was drawn for them.
#[derive(Default)]
struct Book(Vec<Entry>);

struct Entry {
    /// An endpoint and a context.
    who: Actor,
    /// Whose credential it is: peers and their contexts are words that any caller may say.
    caller: String,
    credential: Option<Credential>,
    surfaces: Vec<String>,
}

impl Book {
    /// The entry of a surface: it is in one of them only.
    fn of(&self, who: &Actor, surface_id: &str) -> Option<&Entry> {
        self.0.iter().find(|it| it.who == *who && it.surfaces.iter().any(|it| it == surface_id))
    }

    /// Forgets what no surface needs any more. What is to be drawn for a caller is not that which was there
    /// for another and is gone.
    fn tidy(&mut self, surfaces: &dyn Surfaces, next: Option<(&Actor, &str, &HashSet<String>)>) {
        let is_there = |who: &Actor, id: &String| surfaces.get(who, id).is_some();
        self.0.retain(|it| it.surfaces.iter().any(|id| is_there(&it.who, id)));
        let Some((who, caller, ids)) = next else { return };
        for entry in self.0.iter_mut().filter(|it| it.who == *who && it.caller != caller) {
            entry.surfaces.retain(|id| !ids.contains(id) || is_there(who, id));
        }
    }

    /// Takes down what was drawn for a caller. A new credential replaces that caller's own.
    fn note(
        &mut self,
        who: &Actor,
        caller: &str,
        credential: Option<Credential>,
        ids: impl IntoIterator<Item = String>,
    ) {
        let ids = ids.into_iter().collect::<HashSet<_>>();
        let others = self.0.iter().filter(|it| it.who == *who && it.caller != caller);
        let theirs: HashSet<_> = others.flat_map(|it| &it.surfaces).collect();
        let ids: Vec<_> = ids.iter().filter(|it| !theirs.contains(it)).cloned().collect();
        let at = self.0.iter().position(|it| it.who == *who && it.caller == caller);
        let mut entry = match at {
            Some(at) => self.0.swap_remove(at),
            None => Entry {
                who: who.clone(),
                caller: caller.to_owned(),
                credential: None,
                surfaces: Vec::new(),
            },
        };
        entry.credential = credential.or(entry.credential);
        entry.take(ids);
        self.0.push(entry);
    }
}

impl Entry {
    fn take(&mut self, ids: Vec<String>) {
        let new: HashSet<_> = ids.iter().collect();
        self.surfaces.retain(|it| !new.contains(it));
        self.surfaces.extend(ids);
        let old = self.surfaces.len().saturating_sub(SURFACES_OF_ONE);
        self.surfaces.drain(..old);
    }
}

/// Who draws: what answers at all of an endpoint, its query too, in a context, as surfaces know it.
fn drawer(endpoint: &Target, context_id: Option<String>) -> Actor {
    Actor::Peer { endpoint: Some(endpoint.url().to_string()), context_id }
}

impl Keys {
    /// The credential for an action on a surface that an endpoint drew in a context: of the caller that it was
    /// drawn for. What a connection of this daemon drew in the peer's name has none: it was not given by that
    /// connection.
    pub(crate) fn of(
        &self,
        endpoint: &Target,
        context_id: Option<&str>,
        surface_id: &str,
    ) -> Option<Credential> {
        let who = drawer(endpoint, context_id.map(str::to_owned));
        let shown = self.surfaces.upgrade()?.get(&who, surface_id)?;
        let shown: Shown = serde_json::from_str(shown.0.get()).ok()?;
        let Creator { client_id, agent_id, .. } = shown.created_by;
        let is_peers = client_id.is_none() && agent_id.is_none();
        let book = self.book.lock();
        book.of(&who, surface_id).filter(|_| is_peers)?.credential.clone()
    }

    /// Takes down that an answer to an action on a surface will be drawn: what it holds may be all that is
    /// left of the surfaces that a credential goes with.
    pub(crate) fn expect(
        &self,
        endpoint: &Target,
        context_id: Option<String>,
        surface_id: &str,
        answer: &Value,
    ) {
        let ids = created(answer);
        let who = drawer(endpoint, context_id);
        let mut book = self.book.lock();
        let Some(caller) = book.of(&who, surface_id).map(|it| it.caller.clone()) else { return };
        book.note(&who, &caller, None, ids);
    }
}

/// The ids of surfaces that an answer may create.
fn created(answer: &Value) -> HashSet<String> {
    fn look(value: &Value, ids: &mut HashSet<String>) {
        if ids.len() >= MOST_CREATED {
            return;
        }
        match value {
            Value::Array(items) => items.iter().for_each(|it| look(it, ids)),
            Value::Object(members) => {
                let id = members.get("createSurface").and_then(|it| it["surfaceId"].as_str());
                ids.extend(id.filter(|it| it.len() <= ID_BYTES).map(str::to_owned));
                members.values().for_each(|it| look(it, ids));
            }
            _ => {}
        }
    }
    let mut ids = HashSet::new();
    look(answer, &mut ids);
    ids
}

/// The surfaces that are there after something was drawn.
fn left(drawn: &Ingested) -> impl Iterator<Item = String> {
    drawn.applied.iter().filter(|it| !it.deleted).map(|it| it.surface_id.clone())
}

impl Drawing {
    pub(crate) fn new(surfaces: Arc<dyn Surfaces>) -> Self {
        let keys = Keys { book: Guarded::default(), surfaces: Arc::downgrade(&surfaces) };
        Self { surfaces, keys: Arc::new(keys) }
    }

    pub(crate) fn surfaces(&self) -> &dyn Surfaces {
        self.surfaces.as_ref()
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        self.keys.clone()
    }

    /// Forgets credentials of surfaces that are gone.
    pub(crate) fn tidy(&self) {
        self.keys.book.lock().tidy(self.surfaces(), None);
    }

    /// Tells a peer in a message what is drawn here. What the message says itself stands.
    pub(crate) fn introduce(&self, message: &mut Message, endpoint: &Target) {
        let context = message.context_id.as_deref();
        let own = self.surfaces.message_metadata(endpoint.url().as_str(), context);
        let said = message.metadata.take().unwrap_or_default();
        let all: Map<_, _> = own.into_iter().chain(said).collect();
        message.metadata = (!all.is_empty()).then_some(all);
    }

    /// Draws what is new in what a peer answers to a caller. The endpoint was screened by whoever asked it.
    pub(crate) fn answered(
        &self,
        caller: &str,
        endpoint: &Target,
        asked_in: Option<&str>,
        news: &StreamResponse,
        credential: Option<&Credential>,
    ) -> Ingested {
        let (context_id, task_id, mut parts) = within(news);
        if !parts.any(|it| matches!(it.content, Content::Data(_))) {
            return Ingested::default();
        }
        let context_id = context_id.filter(|it| !it.is_empty()).or(asked_in).map(str::to_owned);
        let from = FromPeer {
            payload: payload(news),
            endpoint: Some(endpoint.url().to_string()),
            context_id: context_id.clone(),
            task_id: task_id.map(str::to_owned),
            caller: None,
            route_auth: RouteAuth::None,
            allow_untrusted_endpoint: true,
        };
        let who = drawer(endpoint, context_id);
        let next = created(&from.payload);
        if !next.is_empty() {
            self.keys.book.lock().tidy(self.surfaces(), Some((&who, caller, &next)));
        }
        let mut drawn = self.ingest(from);
        if drawn.applied.is_empty() {
            return drawn;
        }
        let mut book = self.keys.book.lock();
        book.note(&who, caller, credential.cloned(), left(&drawn));
        // What was drawn for another caller is shown to that one.
        let is_others = |id: &str| book.of(&who, id).is_some_and(|entry| entry.caller != caller);
        for it in &mut drawn.applied {
            it.surface = it.surface.take().filter(|_| !is_others(&it.surface_id));
        }
        drawn
    }

    /// Draws what a message to this daemon holds, in its task's context, which is the caller's own.
    pub(crate) fn said(&self, owner: &str, task: &Task, message: &Message) {
        let from = FromPeer {
            payload: json!({ "message": payload(message) }),
            caller: Some(owner.to_owned()),
            context_id: Some(task.context_id.clone()),
            task_id: Some(task.id.clone()),
            ..FromPeer::default()
        };
        for error in self.ingest(from).errors {
            tracing::debug!(
                task = task.id,
                path = error.path,
                code = error.code,
                "an envelope was refused"
            );
        }
    }

    fn ingest(&self, from: FromPeer) -> Ingested {
        let refused = |error| Ingested { applied: Vec::new(), errors: vec![told(error)] };
        self.surfaces.ingest(from).unwrap_or_else(refused)
    }
}

/// The context, the task and the parts of what a peer tells, but for what was said before.
fn within(
    news: &StreamResponse,
) -> (Option<&str>, Option<&str>, Box<dyn Iterator<Item = &Part> + '_>) {
    match news {
        StreamResponse::Task(it) => {
            let parts = it.artifacts.iter().flat_map(|it| &it.parts).chain(said(&it.status));
            (Some(&it.context_id), Some(&it.id), Box::new(parts))
        }
        StreamResponse::Message(it) => {
            (it.context_id.as_deref(), it.task_id.as_deref(), Box::new(it.parts.iter()))
        }
        StreamResponse::StatusUpdate(it) => {
            (Some(&it.context_id), Some(&it.task_id), Box::new(said(&it.status)))
        }
        StreamResponse::ArtifactUpdate(it) => {
            (Some(&it.context_id), Some(&it.task_id), Box::new(it.artifact.parts.iter()))
        }
    }
}

fn said(status: &TaskStatus) -> impl Iterator<Item = &Part> {
    status.message.iter().flat_map(|it| &it.parts)
}

/// What was drawn of an answer, as it came.
#[derive(Default)]
pub(crate) struct Drawn {
    done: Ingested,
    /// Where what each surface is now stands: it is told once.
    latest: HashMap<String, usize>,
}

impl Drawn {
    /// Draws more, unless too much was drawn.
    pub(crate) fn draw(&mut self, more: impl FnOnce() -> Ingested) {
        if self.done.applied.len() + self.done.errors.len() >= MOST_DRAWN {
            return;
        }
        let Ingested { applied, errors } = more();
        self.done.errors.extend(errors);
        for it in applied {
            let at = self.latest.insert(it.surface_id.clone(), self.done.applied.len());
            if let Some(before) = at.and_then(|at| self.done.applied.get_mut(at)) {
                before.surface = None;
            }
            self.done.applied.push(it);
        }
        if self.done.applied.len() + self.done.errors.len() >= MOST_DRAWN {
            self.done.errors.push(told(RpcError::limit("envelopes", MOST_DRAWN as u64)));
        }
    }

    pub(crate) fn into_ingested(self) -> Ingested {
        self.done
    }
}

/// What is wrong with all of a payload is told like what is wrong with one envelope.
fn told(error: RpcError) -> IngestError {
    let RpcError { code, message, data } = error;
    IngestError { index: 0, path: String::new(), code, message, data: data.unwrap_or_default() }
}

fn payload(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use carport_a2ui_api::{ApplyResult, Snapshot};

    use super::*;

    #[test]
    fn what_is_asked_for_is_what_is_drawn() {
        assert_eq!(ASKED_FOR, EXTENSIONS.join(", "));
    }

    #[test]
    fn an_answer_is_looked_through_for_no_more_than_is_drawn() {
        let create = |id: String| json!({ "createSurface": { "surfaceId": id } });
        let many: Vec<_> = (0..10_000).map(|at| create(at.to_string())).collect();
        assert_eq!(created(&json!({ "parts": [{ "data": many }] })).len(), MOST_CREATED);
        assert!(created(&create("x".repeat(ID_BYTES + 1))).is_empty());
    }

    #[test]
    fn a_surface_is_shown_once_however_often_it_was_drawn_and_no_more_than_may_be() {
        let shown = || ApplyResult {
            surface_id: "s".into(),
            deleted: false,
            surface: Some(Snapshot(serde_json::value::RawValue::NULL.to_owned().into())),
            revision: 1,
        };
        let mut drawn = Drawn::default();
        for _ in 0..MOST_DRAWN {
            drawn.draw(|| Ingested { applied: vec![shown(), shown()], errors: Vec::new() });
        }
        let Ingested { applied, errors } = drawn.into_ingested();
        assert_eq!((applied.len(), errors.len(), errors[0].code), (MOST_DRAWN, 1, -32012));
        assert_eq!(applied.iter().position(|it| it.surface.is_some()), Some(MOST_DRAWN - 1));
    }
}
