//! The tools of one runtime: a client's own and those that run in the daemon.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use carport_core::{Result, RpcError};
use carport_engine_api::HostTool;
use carport_engine_model::{SlidingWindow, ToolSchema};
use serde_json::{Map, Value};

use super::schema::{Schema, compile, violations};

/// Tools of one runtime.
pub(crate) const MAX_TOOLS: usize = 512;

/// A tool, ready to be called.
pub(crate) struct Tool {
    pub(crate) schema: ToolSchema,
    parameters: Option<Schema>,
    returns: Option<Schema>,
    /// What runs it; the client if nothing does.
    pub(crate) host: Option<Arc<dyn HostTool>>,
}

impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tool").field("name", &self.schema.name).finish_non_exhaustive()
    }
}

impl Tool {
    /// Checks a tool and compiles its schemas; `field` is its path.
    pub(crate) fn of_client(schema: ToolSchema, field: &str) -> Result<Self> {
        schema.check(field)?;
        // Most tools are checked by nothing but their name.
        let parameters = match &schema.parameters {
            Value::Object(members) if members.is_empty() => None,
            parameters => Some(compile(&format!("{field}.parameters"), parameters)?),
        };
        let returns = schema.returns.as_ref();
        let returns = returns.map(|it| compile(&format!("{field}.returns"), it)).transpose()?;
        Ok(Self { schema, parameters, returns, host: None })
    }

    /// A tool that runs in the daemon.
    pub(crate) fn of_host(tool: Arc<dyn HostTool>) -> Result<Self> {
        let schema: ToolSchema = serde_json::from_value(tool.schema())
            .map_err(|error| RpcError::invalid_params("schema", error))?;
        Ok(Self { host: Some(tool), ..Self::of_client(schema, "schema")? })
    }

    pub(crate) fn name(&self) -> String {
        self.schema.name.clone()
    }

    /// What in the parameters of a call breaks the schema.
    pub(crate) fn misfit(&self, parameters: &Map<String, Value>) -> Option<String> {
        self.errors(parameters).filter(|errors| !errors.is_empty()).map(|errors| errors.join("; "))
    }

    /// What in the parameters of a call breaks the schema, one by one; `None` without a schema.
    pub(crate) fn errors(&self, parameters: &Map<String, Value>) -> Option<Vec<String>> {
        let schema = self.parameters.as_ref()?;
        Some(violations(schema, &Value::Object(parameters.clone())))
    }

    /// What in a result breaks what the tool promises.
    pub(crate) fn broken_promise(&self, result: &Value) -> Option<String> {
        let found = self.returns.as_ref().map(|schema| violations(schema, result));
        found.filter(|errors| !errors.is_empty()).map(|errors| errors.join("; "))
    }

    /// How long, in seconds, its results may stand for calls.
    pub(crate) fn cache_life(&self) -> Option<u64> {
        self.schema.cache_ttl_secs.filter(|_| self.schema.idempotent)
    }
}

/// The tools of a runtime, by name, with the calls that their limits have counted.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    by_name: BTreeMap<String, (Arc<Tool>, Option<SlidingWindow>)>,
}

impl Tools {
    /// Adds tools, all of them or none; each takes the place of an earlier one of its name. Returns
    /// the names.
    pub(crate) fn add(&mut self, tools: Vec<Tool>) -> Result<Vec<String>> {
        let names: Vec<_> = tools.iter().map(Tool::name).collect();
        self.has_room(&names)?;
        for tool in tools {
            let window = tool.schema.rate_limit.map(SlidingWindow::new);
            self.by_name.insert(tool.schema.name.clone(), (Arc::new(tool), window));
        }
        Ok(names)
    }

    /// Whether tools of these names fit.
    pub(crate) fn has_room(&self, names: &[String]) -> Result<()> {
        let new: BTreeSet<_> =
            names.iter().filter(|name| !self.by_name.contains_key(*name)).collect();
        match self.by_name.len() + new.len() {
            0..=MAX_TOOLS => Ok(()),
            got => {
                let error = RpcError::limit("tools of a connection", MAX_TOOLS as u64);
                Err(error.with("got", got))
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.by_name.remove(name).is_some()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Tool>> {
        self.by_name.get(name).map(|(tool, _)| tool.clone())
    }

    /// The calls that a tool's limit has counted, if it has a limit.
    pub(crate) fn window(&mut self, name: &str) -> Option<&mut SlidingWindow> {
        self.by_name.get_mut(name)?.1.as_mut()
    }

    /// Sorted by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Tool>> {
        self.by_name.values().map(|(tool, _)| tool)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(value: Value) -> Tool {
        Tool::of_client(serde_json::from_value(value).unwrap(), "tools[0]").unwrap()
    }

    #[test]
    fn a_name_again_takes_the_place_and_so_many_fit() {
        let mut tools = Tools::default();
        let named = |n: usize| tool(json!({ "name": format!("t{n:03}") }));
        assert_eq!(tools.add((0..MAX_TOOLS).map(named).collect()).unwrap().len(), MAX_TOOLS);
        assert!(tools.add(vec![named(MAX_TOOLS)]).is_err());
        let again = tool(json!({ "name": "t000", "description": "again" }));
        tools.add(vec![again]).unwrap();
        assert_eq!(tools.get("t000").unwrap().schema.description, "again");
        assert_eq!(tools.all().count(), MAX_TOOLS);
        assert!(tools.remove("t001") && !tools.remove("t001"));
    }
}
