//! `a2ui.action`: what a person did.

use carport_a2ui_surfaces::{Action, shallow};
use carport_a2ui_validate::VERSIONS;
use carport_core::{Access, Caller, HostEvent, Method, Result, RpcError, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Route, take};
use crate::{A2ui, service::actor};

/// Tells of an action on a surface: to subscribers, to the host's log, and to the peer that owns the surface.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Act {
    /// As they were sent: an action, or an envelope with one.
    pub params: Map<String, Value>,
}

/// Tells of an action on a surface: to subscribers, to the host's log, and to the peer that owns the surface.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema of what is read by hand")]
struct Params {
    /// The action's name; `action` is the same. An envelope `{version, action: {...}}` is read as well.
    name: Option<String>,
    /// The surface.
    surface_id: Option<String>,
    /// The component that it comes from.
    source_component_id: Option<String>,
    /// When it happened; absent is now.
    timestamp: Option<Time>,
    /// The component's context, resolved.
    context: Option<Map<String, Value>>,
    /// What the renderer's data model is, for an owner that asked for it.
    data_model: Option<Value>,
}

impl JsonSchema for Act {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Act".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Params::json_schema(generator)
    }
}

/// An action that was told.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Acted {
    /// What stands in the host's log, which every agent may read: the action without its context.
    pub event: HostEvent,
    /// Where it went beside that.
    pub route: Route,
}

impl Method for Act {
    const NAME: &'static str = "a2ui.action";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = Acted;

    async fn run(self, a2ui: &A2ui, caller: &Caller) -> Result<Acted> {
        let service = &a2ui.service;
        let (limit, got) = (service.config.limits.max_action_bytes, bytes(&self.params));
        if got > limit {
            let error = RpcError::limit("bytes of an action", limit as u64);
            return Err(error.with("field", "maxActionBytes").with("got", got));
        }
        shallow(&self.params, &service.config.limits)?;
        let (action, data_model) = read(self.params, service.clock.now())?;
        let (event, route) = service.act(&actor(caller), action, data_model).await?;
        Ok(Acted { event, route })
    }
}

fn bytes(params: &Map<String, Value>) -> usize {
    serde_json::to_vec(params).map_or(usize::MAX, |it| it.len())
}

/// Reads an action that is bare or wrapped, and fills in what may be missing.
fn read(mut params: Map<String, Value>, now: Time) -> Result<(Action, Option<Value>)> {
    let mut data_model = params.remove("dataModel").filter(|it| !it.is_null());
    if let Some(Value::Object(action)) = params.get_mut("action") {
        let mut action = std::mem::take(action);
        let version: Option<String> = take(&mut params, "version")?;
        if version.is_some_and(|it| !VERSIONS.contains(&&*it)) {
            let why = format!("must be {}", VERSIONS.join(" or "));
            let error = RpcError::invalid_params("version", why);
            return Err(error
                .with("reason", "unsupported_version")
                .with("versions", json!(VERSIONS)));
        }
        data_model = data_model.or_else(|| action.remove("dataModel").filter(|it| !it.is_null()));
        params = action;
    }
    let missing = |field: &str| RpcError::invalid_params(field, "is required");
    let name = match take(&mut params, "name")? {
        Some(name) => name,
        None => take(&mut params, "action")?.ok_or_else(|| missing("name"))?,
    };
    let action = Action {
        name,
        surface_id: take(&mut params, "surfaceId")?.ok_or_else(|| missing("surfaceId"))?,
        source_component_id: take(&mut params, "sourceComponentId")?.unwrap_or_default(),
        timestamp: take(&mut params, "timestamp")?.unwrap_or(now),
        context: take(&mut params, "context")?.unwrap_or_default(),
    };
    Ok((action, data_model))
}
