//! `rpc.discover` and `server.schema`: what this daemon can be asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{HostMethods, openrpc};
use crate::{
    contract::{
        access::{Access, Identity},
        caller::Caller,
        method::Method,
    },
    wire::error::{Result, RpcError},
};

/// Describes every method, notification and client request, as an OpenRPC 1.3 document.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Discover {}

impl Method for Discover {
    const NAME: &'static str = "rpc.discover";
    const ACCESS: Access = Access::Public;
    type Plugin = HostMethods;
    type Reply = Value;

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<Value> {
        let shared = &host.shared;
        let mut document = openrpc::document(&shared.registry, &shared.settings);
        // Methods that connections added are no stranger's business.
        if *caller.identity() != Identity::Nobody
            && let Some(Value::Array(methods)) = document.get_mut("methods")
        {
            methods.extend(shared.added.describe());
        }
        Ok(document)
    }
}

/// The document of the linked methods alone, with a digest that changes when it does.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ServerSchema {}

/// The document and its digest.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SchemaDocument {
    /// An OpenRPC 1.3 document.
    pub schema: Value,
    /// Lowercase hex SHA-256 of its canonical JSON: keys sorted, no spaces.
    pub digest: String,
    /// Always `sha256`.
    pub digest_algorithm: String,
    /// The CAR version that the operator wants shown, else `server_version`.
    pub car_version: String,
    /// Carport's own version.
    pub server_version: String,
}

impl Method for ServerSchema {
    const NAME: &'static str = "server.schema";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = HostMethods;
    type Reply = SchemaDocument;

    async fn run(self, host: &HostMethods, _: &Caller) -> Result<SchemaDocument> {
        let shared = &host.shared;
        let schema = openrpc::document(&shared.registry, &shared.settings);
        // `serde_json` keeps the keys of an object sorted, and writes no spaces.
        let canonical = serde_json::to_vec(&schema).map_err(RpcError::internal)?;
        let digest = Sha256::digest(&canonical).iter().map(|byte| format!("{byte:02x}")).collect();
        let server_version = env!("CARGO_PKG_VERSION").to_owned();
        let car_version = shared.settings.host.car_version.clone();
        Ok(SchemaDocument {
            schema,
            digest,
            digest_algorithm: "sha256".into(),
            car_version: car_version.unwrap_or_else(|| server_version.clone()),
            server_version,
        })
    }
}
