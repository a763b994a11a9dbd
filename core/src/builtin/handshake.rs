//! `server.handshake`: settles the protocol version and the capabilities.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::HostMethods;
use crate::{
    contract::{access::Access, bounds, caller::Caller, method::Method},
    wire::error::{Result, RpcError, codes},
};

/// Settles the protocol version of a connection.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Handshake {
    /// The version that the client speaks; the reply repeats it.
    #[serde(default)]
    #[schemars(with = "u64", required)]
    pub protocol_version: Value,
    /// The client's own version, for the log.
    #[schemars(length(max = 64))]
    pub client_version: Option<String>,
    /// What the client cannot do without.
    #[schemars(length(max = 64))]
    pub required_capabilities: Option<Vec<String>>,
}

/// What was settled.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// The client's version, accepted.
    pub protocol_version: u64,
    /// Carport's own version.
    pub server_version: String,
    /// The client's version again.
    pub client_protocol_version: u64,
    /// What this build can do.
    pub capabilities: Vec<String>,
}

impl Method for Handshake {
    const NAME: &'static str = "server.handshake";
    const ACCESS: Access = Access::Public;
    const ORDERED: bool = true;
    type Plugin = HostMethods;
    type Reply = Settled;

    fn validate(&self) -> Result<()> {
        bounds::maybe_bytes("client_version", self.client_version.as_deref(), 0..=64)?;
        let required = self.required_capabilities.as_deref().unwrap_or_default();
        bounds::items("required_capabilities", required, 0..=64)
    }

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<Settled> {
        let accepted = &host.shared.settings.host.protocol_versions;
        let asked = self.protocol_version.as_u64().filter(|version| accepted.contains(version));
        let Some(version) = asked else {
            let why = format!("protocol version mismatch: this daemon accepts {accepted:?}");
            let error = RpcError::new(codes::PROTOCOL_MISMATCH, why);
            return Err(error.with("accepted", json!(accepted)));
        };
        let capabilities = host.capabilities();
        let required = self.required_capabilities.unwrap_or_default();
        let missing: Vec<_> =
            required.into_iter().filter(|it| !capabilities.contains(it)).collect();
        if !missing.is_empty() {
            let remedy = format!("this build lacks {}: add the plugins", missing.join(", "));
            return Err(RpcError::unavailable(missing, remedy));
        }
        let settled =
            caller.session().standing(|standing| *standing.protocol_version.get_or_insert(version));
        if settled != version {
            let why = format!("this connection settled on protocol version {settled} already");
            return Err(RpcError::conflict(why));
        }
        Ok(Settled {
            protocol_version: version,
            server_version: env!("CARGO_PKG_VERSION").into(),
            client_protocol_version: version,
            capabilities,
        })
    }
}
