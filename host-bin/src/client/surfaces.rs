//! What the A2UI plugin says on the wire, as far as commands show it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::link::{CallError, Link, Notice};

/// A surface. What a command does not show is kept for `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Surface {
    pub(crate) surface_id: String,
    pub(crate) catalog_id: String,
    pub(crate) components: Vec<Value>,
    pub(crate) data_model: Value,
    pub(crate) created_by: Creator,
    pub(crate) revision: u64,
    pub(crate) updated_at: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// Who created a surface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Creator {
    pub(crate) kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent_id: Option<String>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// What came of an envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Applied {
    pub(crate) surface_id: String,
    pub(crate) deleted: bool,
    pub(crate) revision: u64,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// Something that happened to a surface or on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) result: Value,
    pub(crate) seq: u64,
    /// The surface's revision after it, and before it: 0 if it is new.
    pub(crate) revision: u64,
    /// See `revision`.
    pub(crate) base_revision: u64,
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) envelopes: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) strategy: Option<String>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl Event {
    /// The event, if the notification is one.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        (notice.method == "a2ui.event").then(|| Self::deserialize(&notice.params).ok()).flatten()
    }

    /// The surface that it is about.
    pub(crate) fn surface_id(&self) -> &str {
        self.result["surfaceId"].as_str().unwrap_or("?")
    }
}

/// The beginning of a subscription.
#[derive(Debug, Deserialize)]
pub(crate) struct Followed {
    pub(crate) seq: u64,
    #[serde(default)]
    pub(crate) surfaces: Vec<Surface>,
}

/// The surfaces that a connection may see, by creation.
pub(crate) async fn list(link: &Link) -> Result<Vec<Surface>, CallError> {
    link.ask("a2ui.surfaces", &json!({})).await
}

/// One surface, if there is one that the connection may see.
pub(crate) async fn get(link: &Link, id: &str) -> Result<Option<Surface>, CallError> {
    link.ask("a2ui.get", &json!({ "surfaceId": id })).await
}

/// Applies an envelope.
pub(crate) async fn apply(link: &Link, envelope: &Value) -> Result<Applied, CallError> {
    link.ask("a2ui.apply", &json!({ "envelope": envelope, "lean": true })).await
}

/// What there is, and every event after it.
pub(crate) async fn follow(link: &Link) -> Result<Followed, CallError> {
    link.ask("a2ui/subscribe", &json!({ "snapshot": true, "lean": true })).await
}
