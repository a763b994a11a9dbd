//! The store: examples, rules, bounds, refusals that change nothing, and a simple model beside it.

mod bounds;
mod examples;
mod fuzz;
mod rules;

use std::sync::{Arc, LazyLock};

use carport_a2ui_api::Actor;
use serde_json::{Value, json};

use super::*;

pub(super) static SCHEMAS: LazyLock<Arc<Schemas>> =
    LazyLock::new(|| Schemas::compile().unwrap().into());

pub(super) fn store() -> Store {
    with_limits(|_| {})
}

pub(super) fn with_limits(change: impl FnOnce(&mut Limits)) -> Store {
    let mut limits = Limits::default();
    change(&mut limits);
    Store::new(SCHEMAS.clone(), limits, vec!["urn:other:name".into()])
}

pub(super) fn client() -> Actor {
    Actor::Client("c-1".into())
}

pub(super) fn agent(id: &str) -> Actor {
    Actor::Agent { client_id: format!("c-{id}"), agent_id: id.into() }
}

impl Store {
    pub(super) fn send(&mut self, who: &Actor, envelope: Value) -> Result<Outcome, Fault> {
        self.apply(Change { envelope, who, owner: None, now: Time::default() })
    }

    /// Everything that anybody can see of it.
    pub(super) fn written(&self) -> String {
        let all: Vec<_> = self.list(&client()).into_iter().map(Surface::snapshot).collect();
        format!("{} {} {}", json!(all), self.bytes, self.seq)
    }
}

/// Sends and expects it to work.
pub(super) fn send(store: &mut Store, envelope: Value) -> Outcome {
    store.send(&client(), envelope.clone()).unwrap_or_else(|fault| panic!("{envelope}: {fault:?}"))
}

pub(super) fn create(store: &mut Store, id: &str) {
    send(store, json!({ "createSurface": { "surfaceId": id } }));
}

pub(super) fn components(id: &str, components: Value) -> Value {
    json!({ "version": "v0.9", "updateComponents": { "surfaceId": id, "components": components } })
}

pub(super) fn column(id: &str, children: &[&str]) -> Value {
    json!({ "id": id, "component": "Column", "children": children })
}

pub(super) fn text(id: &str) -> Value {
    json!({ "id": id, "component": "Text", "text": "t" })
}
