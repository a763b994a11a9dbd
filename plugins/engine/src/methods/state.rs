//! `state.*`: the state of a connection, and of each of its tenants.

use carport_core::{Access, Caller, Method, Result, bounds};
use carport_engine_model::check_key;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Engine,
    state::{MAX_VALUE, Undo},
};

/// An empty tenant is none.
fn tenant(given: Option<&String>) -> &str {
    given.map_or("", String::as_str)
}

fn check_tenant(given: Option<&String>) -> Result<()> {
    bounds::bytes("tenant_id", tenant(given), 0..=128)
}

fn check(key: &str, given: Option<&String>) -> Result<()> {
    check_tenant(given)?;
    check_key("key", key, tenant(given))
}

/// Reads a state key; `null` if it is not there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct GetState {
    /// The key.
    #[schemars(length(min = 1, max = 512))]
    pub key: String,
    /// Whose key; nobody's if absent or empty.
    #[schemars(length(max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for GetState {
    const NAME: &'static str = "state.get";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Value;

    fn validate(&self) -> Result<()> {
        check(&self.key, self.tenant_id.as_ref())
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Value> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let state = runtime.state.lock();
        Ok(state.get(tenant(self.tenant_id.as_ref()), &self.key).cloned().unwrap_or_default())
    }
}

/// Writes a state key.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SetState {
    /// The key.
    #[schemars(length(min = 1, max = 512))]
    pub key: String,
    /// The value, at most 1 MiB; `null` if absent.
    #[serde(default)]
    pub value: Value,
    /// Whose key; nobody's if absent or empty.
    #[schemars(length(max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for SetState {
    const NAME: &'static str = "state.set";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = String;

    fn validate(&self) -> Result<()> {
        check(&self.key, self.tenant_id.as_ref())?;
        bounds::encoded("value", &self.value, MAX_VALUE)
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<String> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        let write = Map::from_iter([(self.key, self.value)]);
        let tenant = tenant(self.tenant_id.as_ref());
        runtime.state.lock().write(tenant, &write, &mut Undo::default())?;
        Ok("ok".into())
    }
}

/// Says whether a state key is there, also with a `null`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StateExists {
    /// The key.
    #[schemars(length(min = 1, max = 512))]
    pub key: String,
    /// Whose key; nobody's if absent or empty.
    #[schemars(length(max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for StateExists {
    const NAME: &'static str = "state.exists";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = bool;

    fn validate(&self) -> Result<()> {
        check(&self.key, self.tenant_id.as_ref())
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<bool> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        Ok(runtime.state.lock().has(tenant(self.tenant_id.as_ref()), &self.key))
    }
}

/// Lists the state keys, sorted.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StateKeys {
    /// Whose keys; nobody's if absent or empty.
    #[schemars(length(max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for StateKeys {
    const NAME: &'static str = "state.keys";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Vec<String>;

    fn validate(&self) -> Result<()> {
        check_tenant(self.tenant_id.as_ref())
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Vec<String>> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        Ok(runtime.state.lock().keys(tenant(self.tenant_id.as_ref())))
    }
}

/// Reads every state key with its value.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StateSnapshot {
    /// Whose keys; nobody's if absent or empty.
    #[schemars(length(max = 128))]
    pub tenant_id: Option<String>,
}

impl Method for StateSnapshot {
    const NAME: &'static str = "state.snapshot";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Engine;
    type Reply = Map<String, Value>;

    fn validate(&self) -> Result<()> {
        check_tenant(self.tenant_id.as_ref())
    }

    async fn run(self, engine: &Engine, caller: &Caller) -> Result<Map<String, Value>> {
        let runtime = engine.hub.runtime(caller.session()).await?;
        Ok(runtime.state.lock().snapshot(tenant(self.tenant_id.as_ref())))
    }
}
