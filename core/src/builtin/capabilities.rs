//! `capabilities.list`: what this build can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::HostMethods;
use crate::{
    contract::{access::Access, caller::Caller, method::Method},
    wire::error::Result,
};

/// Lists the plugins and capabilities of this build.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ListCapabilities {}

/// What this build can do.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// Ids of plugins and of single abilities, sorted.
    pub capabilities: Vec<String>,
    /// The linked plugins in start order.
    pub plugins: Vec<LinkedPlugin>,
    /// Protocol versions that the handshake accepts.
    pub protocol_versions: Vec<u64>,
    /// Carport's own version.
    pub server_version: String,
}

/// A linked plugin.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct LinkedPlugin {
    /// Its id.
    pub id: String,
    /// The version of its crate.
    pub version: String,
    /// What its methods' names start with.
    pub namespaces: Vec<String>,
}

impl Method for ListCapabilities {
    const NAME: &'static str = "capabilities.list";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = Capabilities;

    async fn run(self, host: &HostMethods, _: &Caller) -> Result<Capabilities> {
        let plugins = host.shared.registry.plugins.iter().map(|row| LinkedPlugin {
            id: row.id.into(),
            version: row.version.into(),
            namespaces: row.namespaces.iter().map(|it| (*it).to_owned()).collect(),
        });
        Ok(Capabilities {
            capabilities: host.capabilities(),
            plugins: plugins.collect(),
            protocol_versions: host.shared.settings.host.protocol_versions.clone(),
            server_version: env!("CARGO_PKG_VERSION").into(),
        })
    }
}

impl HostMethods {
    /// Ids of the linked plugins, and of single abilities that some builds lack.
    pub(super) fn capabilities(&self) -> Vec<String> {
        let registry = &self.shared.registry;
        let mut all: Vec<_> = registry.plugins.iter().map(|row| row.id.to_owned()).collect();
        all.extend(["approvals", "dynamic-methods"].map(str::to_owned));
        let abilities = [("runs.export", "runs.export"), ("tools.poll", "tools.detached")];
        let present = abilities.iter().filter(|(method, _)| registry.methods.contains_key(method));
        all.extend(present.map(|(_, ability)| (*ability).to_owned()));
        all.sort();
        all
    }
}
