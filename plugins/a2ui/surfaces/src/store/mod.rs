//! All surfaces, and the one way in which they change.

mod accounts;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use carport_a2ui_api::{Actor, Creator, CreatorKind, Owner};
use carport_a2ui_validate::{Message, Schemas};
use carport_core::Time;
use serde_json::Value;

use crate::{
    components::{Components, Entry},
    data_model::Model,
    endpoint::{Endpoint, Whole},
    envelope::{self, Envelope},
    fault::Fault,
    inspect,
    limits::{Limits, within},
    pointer::Pointer,
    surface::{HEAD_BYTES, Surface},
};

pub(crate) use accounts::Account;
use accounts::Accounts;

/// How the names of peers begin that are for one payload.
const STRANGER: &str = "stranger ";

/// An envelope on its way into the store.
pub struct Change<'a> {
    /// As it was sent.
    pub envelope: Value,
    /// Who sends it.
    pub who: &'a Actor,
    /// Whose a new surface is. Its endpoint is said with its query, which the surface does not show.
    pub owner: Option<&'a Owner>,
    /// Now.
    pub now: Time,
}

/// What an envelope did.
#[derive(Debug)]
pub struct Outcome {
    /// The surface.
    pub surface_id: String,
    /// What the message was.
    pub message: Message,
    /// Its revision, and what it was before: 0 if it is new.
    pub revision: u64,
    /// See `revision`.
    pub base_revision: u64,
    /// The envelope in wire form.
    pub envelope: Value,
    /// Components that made room.
    pub dropped: Vec<String>,
    /// Whether ids, types or edges changed.
    pub structural: bool,
    /// Each component that was sent: what was there before and what is there now.
    pub components: Vec<(Option<Arc<Entry>>, Arc<Entry>)>,
    /// The surface that is gone, if it was deleted.
    pub removed: Option<Box<Surface>>,
}

/// All surfaces.
pub struct Store {
    schemas: Arc<Schemas>,
    aliases: Vec<String>,
    limits: Limits,
    surfaces: HashMap<String, Surface>,
    accounts: Accounts,
    bytes: usize,
    seq: u64,
    serial: u64,
}

impl Store {
    /// A store without surfaces. `aliases` are further names of the basic catalog.
    pub fn new(schemas: Arc<Schemas>, limits: Limits, aliases: Vec<String>) -> Self {
        let (surfaces, accounts) = (HashMap::new(), Accounts::default());
        Self { schemas, aliases, limits, surfaces, accounts, bytes: 0, seq: 0, serial: 0 }
    }

    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Its schemas.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// The bytes of all surfaces.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of the last event.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The number of an event that changes no surface.
    pub fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// The surface of this id, for whoever may see it.
    pub fn get(&self, who: &Actor, id: &str) -> Option<&Surface> {
        self.surfaces.get(id).filter(|surface| sees(who, surface))
    }

    /// The surfaces that `who` may see, by creation.
    pub fn list(&self, who: &Actor) -> Vec<&Surface> {
        let mut all: Vec<_> = self.surfaces.values().filter(|it| sees(who, it)).collect();
        all.sort_by_key(|surface| surface.serial);
        all
    }

    /// A name that nobody had: what a peer without an endpoint makes is its own as long as it goes by one.
    pub fn stranger(&mut self) -> String {
        self.serial += 1;
        format!("{STRANGER}{}", self.serial)
    }

    /// Keeps a surface from expiring.
    pub fn touch(&mut self, id: &str, now: Time) {
        if let Some(surface) = self.surfaces.get_mut(id) {
            surface.touched_at = now;
        }
    }

    /// Applies one envelope, whole or not at all.
    ///
    /// # Errors
    /// Why nothing changed.
    pub fn apply(&mut self, change: Change<'_>) -> Result<Outcome, Fault> {
        let Change { envelope, who, owner, now } = change;
        let envelope = Envelope::read(envelope, &self.schemas, &self.aliases, &self.limits)?;
        let id = envelope.surface_id.clone();
        if envelope.message == Message::Create {
            return self.create(envelope, who, owner, now).map_err(|fault| fault.of(&id));
        }
        let surface = self.surfaces.get(&id).ok_or_else(|| Fault::Unknown(id.clone()))?;
        if !sees(who, surface) {
            return Err(Fault::Foreign(id));
        }
        match envelope.message {
            Message::Components => self.update_components(envelope, now),
            Message::Data => self.update_data(envelope, now),
            _ => Ok(self.delete(envelope)),
        }
        .map_err(|fault| fault.of(&id))
    }

    /// Removes what nobody touched for too long.
    pub fn reap(&mut self, now: Time) -> Vec<Outcome> {
        let oldest = self.limits.max_surface_age_secs;
        let age = |it: &Surface| u64::try_from((*now - *it.touched_at).num_seconds());
        let is_old = |it: &&Surface| age(it).is_ok_and(|age| age >= oldest);
        let mut old: Vec<_> = self.surfaces.values().filter(is_old).collect();
        old.sort_by_key(|surface| surface.serial);
        let ids: Vec<_> = old.into_iter().map(|surface| surface.id.clone()).collect();
        let delete = |id: String| {
            let wire =
                crate::surface::wire(Message::Delete, serde_json::json!({ "surfaceId": id }));
            self.delete(Envelope { message: Message::Delete, surface_id: id, wire })
        };
        ids.into_iter().map(delete).collect()
    }

    fn create(
        &mut self,
        envelope: Envelope,
        who: &Actor,
        owner: Option<&Owner>,
        now: Time,
    ) -> Result<Outcome, Fault> {
        let id = envelope.surface_id.clone();
        if self.surfaces.contains_key(&id) {
            return Err(Fault::Exists(id));
        }
        let created_by = creator(who, owner);
        let peer = peer(who, owner).map(Whole);
        let owner = owner.map(|it| shown(it, &self.limits)).transpose()?;
        let account = Account::of(&created_by, peer.as_ref());
        let own = self.accounts.held(&account).surfaces;
        within("maxSurfacesPerCreator", self.limits.max_surfaces_per_creator, own + 1)?;
        within("maxSurfaces", self.limits.max_surfaces, self.surfaces.len() + 1)?;
        let body = envelope.body();
        let catalog = body["catalogId"].as_str().and_then(|id| self.schemas.catalog(id));
        let theme = body.get("theme").cloned();
        let of_owner = owner.as_ref().map(|it| serde_json::to_string(it).map_or(0, |it| it.len()));
        let head_bytes = HEAD_BYTES
            + theme.as_ref().map_or(0, inspect::bytes)
            + inspect::text_bytes(&id)
            + of_owner.unwrap_or_default();
        let surface = Surface {
            id: id.clone(),
            catalog_id: catalog.map_or("", |it| it.id()),
            theme,
            send_data_model: body.get("sendDataModel") == Some(&Value::Bool(true)),
            components: Components::default(),
            model: Model::default(),
            owner,
            peer,
            created_by,
            account,
            revision: self.seq + 1,
            structure_revision: self.seq + 1,
            created_at: now,
            updated_at: now,
            touched_at: now,
            serial: self.serial + 1,
            head_bytes,
            shown: OnceLock::new(),
        };
        self.fits(&surface, 0, surface.bytes())?;
        self.bytes += surface.bytes();
        self.accounts.add(surface.account.clone(), surface.bytes());
        self.serial += 1;
        self.surfaces.insert(id, surface);
        Ok(self.outcome(envelope, 0, true))
    }

    fn update_components(&mut self, envelope: Envelope, now: Time) -> Result<Outcome, Fault> {
        let Some(surface) = self.surfaces.get(&envelope.surface_id) else {
            return Err(Fault::Unknown(envelope.surface_id));
        };
        let Some(catalog) = self.schemas.catalog(surface.catalog_id) else {
            return Err(Fault::Unknown(envelope.surface_id));
        };
        let sent = envelope.body().get("components").and_then(Value::as_array);
        let sent = sent.map_or(&[] as &[Value], Vec::as_slice);
        let sizes = envelope::check_components(sent, catalog, &self.limits)?;
        let each = sent.iter().zip(sizes);
        let new = each.map(|(value, bytes)| Entry::new(value.clone(), bytes, catalog)).collect();
        let plan = surface.components.plan(new, &self.limits)?;
        let before = surface.bytes();
        let after = before - surface.components.bytes() + plan.bytes;
        self.fits(surface, before, after)?;
        self.bytes = self.bytes - before + after;
        self.accounts.resize(&surface.account, before, after);
        let (structural, dropped) = (plan.structural, plan.dropped.clone());
        let mut outcome = self.outcome(envelope, 0, structural);
        if let Some(surface) = self.surfaces.get_mut(&outcome.surface_id) {
            outcome.base_revision = surface.revision;
            outcome.components = surface.components.commit(plan);
            surface.changed(outcome.revision, structural, now);
        }
        Ok(Outcome { dropped, ..outcome })
    }

    fn update_data(&mut self, envelope: Envelope, now: Time) -> Result<Outcome, Fault> {
        let Some(surface) = self.surfaces.get(&envelope.surface_id) else {
            return Err(Fault::Unknown(envelope.surface_id));
        };
        let body = envelope.body();
        let text = body.get("path").and_then(Value::as_str).unwrap_or("/");
        let path = Pointer::read(text, "updateDataModel.path", &self.limits)?;
        let plan = surface.model.plan(&path, body.get("value").cloned(), &self.limits)?;
        let before = surface.bytes();
        let after = before - surface.model.bytes() + plan.bytes_after();
        self.fits(surface, before, after)?;
        self.bytes = self.bytes - before + after;
        self.accounts.resize(&surface.account, before, after);
        let mut outcome = self.outcome(envelope, 0, false);
        if let Some(surface) = self.surfaces.get_mut(&outcome.surface_id) {
            outcome.base_revision = surface.revision;
            surface.model.commit(&path, plan);
            surface.changed(outcome.revision, false, now);
        }
        Ok(outcome)
    }

    fn delete(&mut self, envelope: Envelope) -> Outcome {
        let removed = self.surfaces.remove(&envelope.surface_id).map(Box::new);
        if let Some(surface) = &removed {
            self.bytes -= surface.bytes();
            self.accounts.remove(&surface.account, surface.bytes());
        }
        let base = removed.as_ref().map_or(0, |surface| surface.revision);
        Outcome { removed, ..self.outcome(envelope, base, true) }
    }

    /// Gives the change its number.
    fn outcome(&mut self, envelope: Envelope, base_revision: u64, structural: bool) -> Outcome {
        Outcome {
            surface_id: envelope.surface_id,
            message: envelope.message,
            revision: self.next_seq(),
            base_revision,
            envelope: envelope.wire,
            dropped: Vec::new(),
            structural,
            components: Vec::new(),
            removed: None,
        }
    }

    fn fits(&self, surface: &Surface, before: usize, after: usize) -> Result<(), Fault> {
        // What shrinks always may.
        if after <= before {
            return Ok(());
        }
        within("maxSurfaceBytes", self.limits.max_surface_bytes, after)?;
        let all = self.bytes - before + after;
        within("maxStoreBytes", self.limits.max_store_bytes, all)?;
        let own = self.accounts.held(&surface.account).bytes - before + after;
        within("maxCreatorBytes", self.limits.max_creator_bytes, own)
    }
}

impl Surface {
    fn changed(&mut self, revision: u64, structural: bool, now: Time) {
        self.revision = revision;
        if structural {
            self.structure_revision = revision;
        }
        (self.updated_at, self.touched_at) = (now, now);
        self.shown = OnceLock::new();
    }

    /// Whether an agent created it.
    pub fn is_of_agent(&self, agent: &str) -> bool {
        self.created_by.agent_id.as_deref() == Some(agent)
    }
}

fn creator(who: &Actor, owner: Option<&Owner>) -> Creator {
    let (kind, client_id, agent_id) = match who {
        Actor::Client(id) => (CreatorKind::Client, Some(id.clone()), None),
        Actor::Host(id) => (CreatorKind::Host, Some(id.clone()), None),
        Actor::Agent { client_id, agent_id } => {
            (CreatorKind::Agent, Some(client_id.clone()), Some(agent_id.clone()))
        }
        Actor::Peer { .. } => (CreatorKind::Peer, None, None),
        Actor::UiAgent => (CreatorKind::Host, None, None),
    };
    let kind = if matches!(owner, Some(Owner::A2a { .. })) { CreatorKind::Peer } else { kind };
    Creator { kind, client_id, agent_id }
}

/// Where what may speak for a new surface is: the peer that sends it, else the endpoint of its owner.
fn peer(who: &Actor, owner: Option<&Owner>) -> Option<String> {
    match (who, owner) {
        (Actor::Peer { endpoint, .. }, _) => endpoint.clone(),
        (_, Some(Owner::A2a { endpoint: Some(text), .. })) => {
            Some(Endpoint::read(text).ok()?.full().to_owned())
        }
        _ => None,
    }
}

/// An owner as it is shown, with ids that are no longer than others.
fn shown(owner: &Owner, limits: &Limits) -> Result<Owner, Fault> {
    let id = |id: Option<&String>| {
        within("maxIdBytes", limits.max_id_bytes, id.map_or(0, String::len)).map(|()| id.cloned())
    };
    Ok(match owner {
        Owner::A2a { task_id, context_id, endpoint } => Owner::A2a {
            task_id: id(task_id.as_ref())?,
            context_id: id(context_id.as_ref())?,
            endpoint: endpoint.as_ref().and_then(|it| Some(Endpoint::read(it).ok()?.shown())),
        },
        Owner::Agent { agent_id } => {
            within("maxIdBytes", limits.max_id_bytes, agent_id.len())?;
            owner.clone()
        }
    })
}

/// Whether a surface is there for somebody, to see and to change.
fn sees(who: &Actor, surface: &Surface) -> bool {
    match who {
        Actor::Client(_) | Actor::Host(_) | Actor::UiAgent => true,
        Actor::Agent { agent_id, .. } => surface.is_of_agent(agent_id),
        // Who is nowhere may be anybody.
        Actor::Peer { endpoint: None, .. } => false,
        Actor::Peer { endpoint: Some(theirs), context_id: context } => {
            let is_there = surface.peer.as_ref().is_some_and(|it| it.0 == *theirs);
            let owner = surface.owner.as_ref();
            is_there
                && matches!(owner, Some(Owner::A2a { context_id, .. }) if context_id == context)
        }
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "what `json!` makes is handed on")]
mod tests;
