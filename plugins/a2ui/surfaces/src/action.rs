//! What a person did on a surface, and the message that tells it to the surface's owner.

use carport_core::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{VERSION, surface::Surface};

/// An action, complete.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Its name.
    pub name: String,
    /// The surface.
    pub surface_id: String,
    /// The component that it came from; empty if the renderer does not say.
    pub source_component_id: String,
    /// When it happened.
    pub timestamp: Time,
    /// What the component's context was, resolved.
    pub context: Map<String, Value>,
}

/// Whether the surface has the component that the action says it comes from, and that declares it.
pub fn declares(surface: &Surface, action: &Action) -> bool {
    let source = surface.components.get(&action.source_component_id);
    source.is_some_and(|it| it.value["action"]["event"]["name"].as_str() == Some(&*action.name))
}

/// The data parts that tell an owner of an action; the second one in the spelling of another family of daemons,
/// if both are asked for.
pub fn continuation(action: &Action, both: bool) -> Vec<Value> {
    let standard = json!([{ "version": VERSION, "action": action }]);
    let other = both.then(|| json!({ "a2uiAction": action }));
    [standard].into_iter().chain(other).collect()
}
