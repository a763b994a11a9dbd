//! `host.register_methods`, `host.unregister_methods`: methods that a connection offers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HostMethods;
use crate::{
    contract::{access::Access, bounds, caller::Caller, method::Method},
    dispatch::added::spec::{MethodSpec, check_namespace, compile},
    wire::error::Result,
};

/// Offers methods that are done by this connection. All of them are taken in, or none.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RegisterMethods {
    /// The namespace, which is this connection's until it gives it up: `[a-z][a-z0-9_]{1,31}`.
    #[schemars(length(min = 2, max = 32))]
    pub namespace: String,
    /// The methods.
    #[schemars(length(min = 1, max = 128))]
    pub methods: Vec<MethodSpec>,
    /// Whether the methods become the whole of the namespace.
    #[serde(default)]
    pub replace: bool,
}

/// What changed.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MethodsRegistered {
    /// The namespace.
    pub namespace: String,
    /// Methods that can be called now.
    pub registered: Vec<String>,
    /// Methods that no longer can.
    pub removed: Vec<String>,
}

impl Method for RegisterMethods {
    const NAME: &'static str = "host.register_methods";
    const ACCESS: Access = Access::Host;
    type Plugin = HostMethods;
    type Reply = MethodsRegistered;

    fn validate(&self) -> Result<()> {
        bounds::bytes("namespace", &self.namespace, 2..=32)?;
        bounds::items("methods", &self.methods, 1..=128)
    }

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<MethodsRegistered> {
        let Self { namespace, methods, replace } = self;
        check_namespace(&host.shared.registry, &namespace)?;
        let methods = compile(&namespace, methods)?;
        let changed = host.shared.added.register(caller.session(), &namespace, methods, replace)?;
        let (registered, removed) = (changed.registered, changed.removed);
        Ok(MethodsRegistered { namespace, registered, removed })
    }
}

/// Withdraws methods that this connection offers.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct UnregisterMethods {
    /// The namespace.
    pub namespace: String,
    /// Their full names; all of them if absent.
    pub methods: Option<Vec<String>>,
}

/// What changed.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MethodsRemoved {
    /// The namespace.
    pub namespace: String,
    /// Methods that can no longer be called.
    pub removed: Vec<String>,
}

impl Method for UnregisterMethods {
    const NAME: &'static str = "host.unregister_methods";
    const ACCESS: Access = Access::Host;
    type Plugin = HostMethods;
    type Reply = MethodsRemoved;

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<MethodsRemoved> {
        let Self { namespace, methods } = self;
        let changed = host.shared.added.unregister(caller.session(), &namespace, methods)?;
        Ok(MethodsRemoved { namespace, removed: changed.removed })
    }
}
