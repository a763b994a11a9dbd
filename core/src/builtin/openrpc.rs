//! The OpenRPC 1.3 document of a build, written by the rows themselves.

use std::sync::Arc;

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use crate::{
    contract::{
        client_request::ClientRequestEntry, method::MethodEntry, notification::NotificationEntry,
        plugin::PluginEntry,
    },
    dispatch::{
        added::call::AddedMethod,
        config::Settings,
        registry::Registry,
        route::{Route, needs_approval},
    },
};

/// The document of the linked methods. The same build gives the same bytes.
pub(crate) fn document(registry: &Registry, settings: &Settings) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    let rows = registry.methods.iter();
    let methods: Vec<_> = rows
        .map(|(name, (entry, plugin))| method(name, entry, plugin, settings, &mut generator))
        .collect();
    let mut notifications: Vec<_> = inventory::iter::<NotificationEntry>.into_iter().collect();
    notifications.sort_by_key(|row| row.name);
    let notifications: Vec<_> = notifications
        .into_iter()
        .map(|row| json!({ "name": row.name, "params": (row.params)(&mut generator) }))
        .collect();
    let mut requests: Vec<_> = inventory::iter::<ClientRequestEntry>.into_iter().collect();
    requests.sort_by_key(|row| row.name);
    let requests: Vec<_> = requests
        .into_iter()
        .map(|row| {
            let params = (row.params)(&mut generator);
            json!({ "name": row.name, "params": params, "result": (row.reply)(&mut generator) })
        })
        .collect();
    json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Carport",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An open runtime daemon for AI agents.",
            "license": { "name": "Apache-2.0" },
        },
        "methods": methods,
        "components": { "schemas": generator.take_definitions(true) },
        "x-notifications": notifications,
        "x-client-requests": requests,
    })
}

fn method(
    name: &str,
    entry: &MethodEntry,
    plugin: &PluginEntry,
    settings: &Settings,
    generator: &mut SchemaGenerator,
) -> Value {
    let params = (entry.params)(generator);
    let deadline = settings.deadlines.of(name, entry.deadline);
    // OpenRPC has no word for an array of any length; its items are described beside it.
    let (structure, listed) = match (entry.takes.object, entry.takes.array) {
        (true, true) => ("either", parameters(&params)),
        (true, false) => ("by-name", parameters(&params)),
        (false, _) => ("by-position", Vec::new()),
    };
    let mut row = json!({
        "name": name,
        "summary": summary(&params),
        "paramStructure": structure,
        "params": listed,
        "result": { "name": "result", "schema": (entry.reply)(generator) },
        "x-access": entry.access,
        "x-ordered": entry.ordered,
        "x-needs-approval": needs_approval(settings, name, entry.needs_approval),
        "x-plugin": plugin.id,
        "x-deadline-ms": deadline.as_millis() as u64,
    });
    if !entry.takes.object {
        row["x-params-schema"] = Value::from(params);
    }
    row
}

/// Rows of methods that connections added.
pub(super) fn added(routes: &[Arc<Route>]) -> Vec<Value> {
    routes.iter().filter_map(|route| Some(added_method(route, route.added()?))).collect()
}

fn added_method(route: &Route, method: &AddedMethod) -> Value {
    let spec = &method.compiled().spec;
    let mut parameters = parameters(&Schema::from(spec.params_schema.clone()));
    // A reference points into the offered schema, which is kept whole beside the parameters.
    let refers = |schema: &Value| schema.to_string().contains("\"$ref\"");
    for parameter in parameters.iter_mut().filter(|it| refers(it)) {
        parameter["schema"] = json!(true);
    }
    let result = spec.result_schema.as_ref().map(|it| json!(it)).filter(|it| !refers(it));
    json!({
        "name": spec.name,
        "summary": spec.description,
        "paramStructure": "by-name",
        "params": parameters,
        "result": { "name": "result", "schema": result.unwrap_or(json!(true)) },
        "x-access": route.access,
        "x-ordered": route.ordered,
        "x-needs-approval": route.gated,
        "x-deadline-ms": route.deadline.as_millis() as u64,
        "x-params-schema": spec.params_schema,
        "x-provider": { "client_id": method.provider_id() },
    })
}

/// A doc comment is the `description` that schemars writes.
fn summary(schema: &Schema) -> Value {
    schema.get("description").cloned().unwrap_or_default()
}

/// OpenRPC lists parameters one by one; they are the members of the parameters' object.
fn parameters(params: &Schema) -> Vec<Value> {
    let required = params.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
    let empty = Map::new();
    let members = params.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let mut list: Vec<_> = members
        .iter()
        .map(|(name, schema)| {
            json!({ "name": name, "required": is_required(name), "schema": schema })
        })
        .collect();
    // OpenRPC wants required parameters first.
    list.sort_by_key(|it| it["required"] != true);
    list
}
