//! `a2ui.apply`: one envelope.

use carport_a2ui_api::ApplyResult;
use carport_core::{Access, Caller, Method, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::take;
use crate::{A2ui, service::actor};

/// Applies one envelope, whole or not at all. The parameters are the envelope, or hold it as `envelope`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Apply {
    /// As they were sent: within an envelope null is a value.
    pub params: Map<String, Value>,
}

/// Applies one envelope, whole or not at all. The parameters are the envelope, or hold it as `envelope`.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema of what is read by hand")]
struct Params {
    /// The envelope: `version` and one of `createSurface`, `updateComponents`, `updateDataModel` and
    /// `deleteSurface`. These may also stand beside each other here.
    envelope: Option<Map<String, Value>>,
    /// Whether the surface is left out of the answer.
    lean: Option<bool>,
    /// `v0.9` or `v0.9.1`; absent is `v0.9`.
    version: Option<String>,
    /// Makes an empty surface.
    create_surface: Option<Map<String, Value>>,
    /// Replaces components, or adds them.
    update_components: Option<Map<String, Value>>,
    /// Replaces data, or removes it where there is no `value`.
    update_data_model: Option<Map<String, Value>>,
    /// Removes a surface.
    delete_surface: Option<Map<String, Value>>,
}

impl JsonSchema for Apply {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Apply".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Params::json_schema(generator)
    }
}

impl Method for Apply {
    const NAME: &'static str = "a2ui.apply";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = A2ui;
    type Reply = ApplyResult;

    async fn run(mut self, a2ui: &A2ui, caller: &Caller) -> Result<ApplyResult> {
        let lean = take(&mut self.params, "lean")?.unwrap_or(false);
        let wrapped = self.params.remove("envelope").filter(|it| !it.is_null());
        let envelope = wrapped.unwrap_or_else(|| self.params.into());
        a2ui.service.apply_as(&actor(caller), envelope, lean)
    }
}
