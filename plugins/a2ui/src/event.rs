//! `a2ui.event`: what subscribers hear.

use std::sync::Arc;

use carport_core::Notification;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use serde_json::{Value, value::RawValue, value::to_raw_value};

/// Something happened to a surface or on it.
#[derive(Debug, Clone)]
pub struct A2uiEvent(Arc<RawValue>);

impl Serialize for A2uiEvent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl JsonSchema for A2uiEvent {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "A2uiEvent".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        News::<Value>::json_schema(generator)
    }
}

impl Notification for A2uiEvent {
    const NAME: &'static str = "a2ui.event";
}

/// What kind of event it is.
pub(crate) mod kinds {
    pub(crate) const UPDATED: &str = "a2ui.surface_updated";
    pub(crate) const DELETED: &str = "a2ui.surface_deleted";
    pub(crate) const ACTION: &str = "a2ui.action";
    pub(crate) const REPORT: &str = "a2ui.render_report";
    pub(crate) const ADVICE: &str = "a2ui.advice";
}

/// Something happened to a surface or on it.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct News<R> {
    /// What happened.
    pub(crate) kind: &'static str,
    /// By kind.
    pub(crate) result: R,
    /// Counts all events by one.
    pub(crate) seq: u64,
    /// The surface's revision after the event.
    pub(crate) revision: u64,
    /// The surface's revision before it: 0 if it is new.
    pub(crate) base_revision: u64,
    /// The messages that took effect.
    pub(crate) envelopes: Vec<Value>,
    /// Who did it: `agent`, `client`, `host`, `peer`, `ui_agent` or `reaper`.
    pub(crate) source: &'static str,
    /// Components that made room.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) dropped: Vec<String>,
    /// How the daemon repaired it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strategy: Option<&'static str>,
    /// What it repaired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) findings: Option<Value>,
}

impl<R: Serialize> News<R> {
    /// The event, written once for all who hear it.
    pub(crate) fn written(&self) -> A2uiEvent {
        // Texts, numbers and JSON: nothing that cannot be written.
        A2uiEvent(to_raw_value(self).unwrap_or_default().into())
    }

    /// The same event with another result.
    pub(crate) fn with<T>(&self, result: T) -> News<T> {
        News {
            result,
            kind: self.kind,
            seq: self.seq,
            revision: self.revision,
            base_revision: self.base_revision,
            envelopes: self.envelopes.clone(),
            source: self.source,
            dropped: self.dropped.clone(),
            strategy: self.strategy,
            findings: self.findings.clone(),
        }
    }
}
