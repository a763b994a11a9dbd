//! Guards and strategies by tables, and fifty surfaces with agents that undo what is patched.

mod guards;
mod hostile;
mod memories;
mod simulation;
mod strategies;

use std::sync::{Arc, LazyLock};

use carport_a2ui_api::Actor;
use carport_a2ui_surfaces::{Change, Limits, Outcome, Store};
use carport_a2ui_validate::Schemas;
use carport_core::Time;
use serde_json::{Value, json};

use crate::*;

static SCHEMAS: LazyLock<Arc<Schemas>> = LazyLock::new(|| Schemas::compile().unwrap().into());

/// A surface `s` with its loop and a clock in milliseconds.
pub(super) struct Scene {
    pub(super) store: Store,
    pub(super) loops: Loops,
    pub(super) now: i64,
    pub(super) mode: Mode,
}

pub(super) fn time(ms: i64) -> Time {
    (*Time::default() + chrono::TimeDelta::milliseconds(ms)).into()
}

impl Scene {
    pub(super) fn new(components: Value) -> Self {
        Self::within(Limits::default(), components)
    }

    pub(super) fn within(limits: Limits, components: Value) -> Self {
        let store = Store::new(SCHEMAS.clone(), limits, Vec::new());
        let mut scene = Self { store, loops: Loops::default(), now: 0, mode: Mode::Patch };
        scene.send(json!({ "createSurface": { "surfaceId": "s" } }));
        scene.draw(components);
        scene
    }

    pub(super) fn send_as(&mut self, who: &Actor, envelope: Value) -> Outcome {
        let now = time(self.now);
        let outcome =
            self.store.apply(Change { envelope: envelope.clone(), who, owner: None, now });
        let outcome = outcome.unwrap_or_else(|fault| panic!("{envelope}: {fault:?}"));
        let surface = self.store.get(&Actor::UiAgent, &outcome.surface_id);
        self.loops.observe(&outcome, *who == Actor::UiAgent, surface);
        outcome
    }

    pub(super) fn send(&mut self, envelope: Value) -> Outcome {
        self.send_as(&Actor::Client("c".into()), envelope)
    }

    pub(super) fn draw(&mut self, components: Value) {
        self.send(json!({ "updateComponents": { "surfaceId": "s", "components": components } }));
    }

    pub(super) fn revision(&self) -> u64 {
        self.store.get(&Actor::UiAgent, "s").unwrap().revision
    }

    pub(super) fn component(&self, id: &str) -> Value {
        let surface = self.store.get(&Actor::UiAgent, "s").unwrap();
        surface.components.get(id).map_or(Value::Null, |it| it.value.clone())
    }

    /// A report of the renderer `r` on the surface as it is.
    pub(super) fn report(&self, findings: Value) -> Report {
        let mut report = json!({
            "surfaceId": "s", "revision": self.revision(), "clientId": "r",
            "viewport": { "width": 375, "height": 600 }, "findings": findings,
        });
        report["renderer"] = json!({ "catalogs": [carport_a2ui_validate::BASIC] });
        serde_json::from_value(report).unwrap()
    }

    /// The same of another renderer.
    pub(super) fn report_of(&self, client: &str, findings: Value) -> Report {
        Report { client_id: Some(client.to_owned()), ..self.report(findings) }
    }

    /// Decides on a report and does what comes of it.
    pub(super) fn tell(&mut self, report: &Report) -> Verdict {
        let surface = self.store.get(&Actor::UiAgent, &report.surface_id).unwrap();
        let catalog = self.store.schemas().catalog(surface.catalog_id).unwrap();
        let (now, mode, limits) = (time(self.now), self.mode, self.store.limits());
        let verdict = self.loops.decide(&Input { surface, catalog, report, now, mode, limits });
        if let Some(patch) = &verdict.patch {
            let outcome = self.send_as(&Actor::UiAgent, patch.envelope.clone());
            self.loops.patched(&outcome, patch, report);
        }
        verdict
    }

    /// The same findings twice, so that they are confirmed.
    pub(super) fn confirm(&mut self, findings: Value) -> Verdict {
        let first = self.tell(&self.report(findings.clone()));
        assert!(first.patch.is_none(), "one report is enough for {findings}");
        self.now += 500;
        self.tell(&self.report(findings))
    }
}

pub(super) fn row() -> Value {
    json!([
        { "id": "root", "component": "Row", "children": ["a", "b"], "justify": "center" },
        { "id": "a", "component": "Text", "text": "a" },
        { "id": "b", "component": "Text", "text": "b" },
    ])
}

pub(super) fn overflow(id: &str) -> Value {
    json!({ "code": "content_overflow_x", "componentId": id, "data": { "px": 40 } })
}
