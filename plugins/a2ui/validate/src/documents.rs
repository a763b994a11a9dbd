//! The documents that are compiled, and the three places where what is compiled is written otherwise.
//!
//! The official schemas name a catalog by the placeholder `catalog.json`, so each catalog is compiled with
//! a set of documents of its own. Three places are replaced by others that admit the same values:
//!
//! - `FunctionCall` chooses between all functions by trying each. Here the name chooses one function, so
//!   that a fault of a call is that of its own function.
//! - The arguments of a call are held against `DynamicValue` or any object. That is any value but null,
//!   and saying so keeps nested calls from being tried anew at every level.
//! - The components of `updateComponents` are only objects here: each is held against its own schema.

use jsonschema::{Draft, Registry, Validator};
use serde_json::{Map, Value, json};

/// The id of the catalog that A2UI comes with.
pub const BASIC: &str = "https://a2ui.org/specification/v0_9/catalogs/basic/catalog.json";
/// Another id of it, in use by agents.
pub const BASIC_ALIAS: &str = "https://a2ui.org/specification/v0_9/basic_catalog.json";
/// The id of Carport's own catalog: the basic one and six more components.
pub const EXTENDED: &str = "urn:carport:a2ui:catalog:extended:1";

pub(crate) const PLACEHOLDER: &str = "https://a2ui.org/specification/v0_9/catalog.json";
pub(crate) const COMMON: &str = "https://a2ui.org/specification/v0_9/common_types.json";
pub(crate) const ENVELOPES: &str = "https://a2ui.org/specification/v0_9/server_to_client.json";

/// The documents as they came.
pub(crate) struct Documents {
    pub(crate) common: Value,
    pub(crate) envelopes: Value,
    pub(crate) basic: Value,
    pub(crate) extended: Value,
    client: Value,
}

impl Documents {
    pub(crate) fn read() -> Result<Self, String> {
        let read = |name: &str, text: &str| {
            serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))
        };
        Ok(Self {
            common: read("common types", include_str!("../../data/schemas/common_types.json"))?,
            envelopes: read("envelopes", include_str!("../../data/schemas/server_to_client.json"))?,
            basic: read("basic catalog", include_str!("../../data/schemas/basic_catalog.json"))?,
            extended: read("catalog", include_str!("../../data/schemas/extended_catalog.json"))?,
            client: read("messages", include_str!("../../data/schemas/client_to_server.json"))?,
        })
    }

    pub(crate) fn catalog(&self, id: &str) -> &Value {
        if id == EXTENDED { &self.extended } else { &self.basic }
    }

    pub(crate) fn client_message(&self) -> Result<Validator, String> {
        let options = jsonschema::options().with_draft(Draft::Draft202012).offline();
        let compiled = options.should_validate_formats(true).build(&self.client);
        compiled.map_err(|error| format!("messages of renderers: {error}"))
    }

    /// The documents as they are compiled for a catalog, with what was replaced.
    pub(crate) fn for_catalog(&self, id: &str) -> Set {
        let catalog = self.catalog(id).clone();
        let names: Vec<_> = members(&catalog["functions"]).cloned().collect();
        let mut common = self.common.clone();
        common["$defs"]["FunctionCall"] = call_by_name(&common["$defs"]["FunctionCall"], &names);
        let mut envelopes = self.envelopes.clone();
        let components = "/$defs/UpdateComponentsMessage/properties/updateComponents/properties/components/items";
        if let Some(items) = envelopes.pointer_mut(components) {
            *items = json!({ "type": "object" });
        }
        Set { common, envelopes, basic: self.basic.clone(), catalog }
    }

    /// The documents unchanged, for tests that compare.
    #[cfg(test)]
    pub(crate) fn unchanged(&self, id: &str) -> Set {
        Set {
            common: self.common.clone(),
            envelopes: self.envelopes.clone(),
            basic: self.basic.clone(),
            catalog: self.catalog(id).clone(),
        }
    }
}

/// The documents of one catalog.
pub(crate) struct Set {
    common: Value,
    envelopes: Value,
    basic: Value,
    catalog: Value,
}

impl Set {
    /// Makes them known to each other. The catalog also goes by its placeholder.
    pub(crate) fn registry(&self) -> Result<Registry<'_>, String> {
        let placed = Registry::new()
            .add(COMMON, &self.common)
            .and_then(|it| it.add(ENVELOPES, &self.envelopes))
            .and_then(|it| it.add(BASIC, &self.basic))
            .and_then(|it| it.add(EXTENDED, &self.catalog))
            .and_then(|it| it.add(PLACEHOLDER, &self.catalog))
            .and_then(|it| it.prepare());
        placed.map_err(|error| error.to_string())
    }
}

/// Compiles what `reference` points to.
pub(crate) fn compile(registry: &Registry<'_>, reference: &str) -> Result<Validator, String> {
    let options = jsonschema::options().with_draft(Draft::Draft202012).offline();
    let options = options.with_registry(registry).should_validate_formats(true);
    let compiled = options.build(&json!({ "$ref": reference }));
    compiled.map_err(|error| format!("{reference}: {error}"))
}

/// The call of a function whose name chooses what its arguments are held against.
fn call_by_name(official: &Value, names: &[String]) -> Value {
    let mut properties = official["properties"].clone();
    properties["call"]["enum"] = json!(names);
    let not_null = json!(["string", "number", "boolean", "array", "object"]);
    properties["args"]["additionalProperties"] = json!({ "type": not_null });
    let case = |name: &String| {
        json!({
            "if": { "required": ["call"], "properties": { "call": { "const": name } } },
            "then": { "$ref": format!("{PLACEHOLDER}#/functions/{name}") },
        })
    };
    json!({
        "type": "object",
        "properties": properties,
        "required": official["required"],
        "allOf": names.iter().map(case).collect::<Vec<_>>(),
    })
}

/// The names of an object's members.
pub(crate) fn members(object: &Value) -> impl Iterator<Item = &String> {
    object.as_object().into_iter().flat_map(Map::keys)
}
