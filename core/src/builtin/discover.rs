//! `rpc.discover` and `server.schema`: what this daemon can be asked.

use std::{borrow::Cow, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
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
    type Reply = OpenRpc;

    async fn run(self, host: &HostMethods, caller: &Caller) -> Result<OpenRpc> {
        let linked = host.linked_document();
        // Methods that connections added are no stranger's business.
        let added = match caller.identity() {
            Identity::Nobody => Vec::new(),
            _ => openrpc::added(&host.shared.added.routes()),
        };
        if added.is_empty() {
            return Ok(OpenRpc(linked.text.clone()));
        }
        let mut document = linked.value.clone();
        if let Some(Value::Array(methods)) = document.get_mut("methods") {
            methods.extend(added);
        }
        to_raw_value(&document).map(|text| OpenRpc(text.into())).map_err(RpcError::internal)
    }
}

/// An OpenRPC 1.3 document.
#[derive(Debug, Clone, Serialize)]
pub struct OpenRpc(Arc<RawValue>);

impl JsonSchema for OpenRpc {
    fn schema_name() -> Cow<'static, str> {
        "OpenRpc".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "description": "An OpenRPC 1.3 document." })
    }
}

/// The document of the linked methods: the same for the life of a host.
pub(super) struct LinkedDocument {
    value: Value,
    text: Arc<RawValue>,
    digest: String,
}

impl HostMethods {
    /// Written once, when somebody first asks.
    fn linked_document(&self) -> &LinkedDocument {
        self.document.get_or_init(|| {
            let value = openrpc::document(&self.shared.registry, &self.shared.settings);
            // `serde_json` keeps the keys of an object sorted, and writes no spaces.
            let text = to_raw_value(&value).expect("every key of a `Value` is a string");
            let digest = Sha256::digest(text.get());
            let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            LinkedDocument { value, text: text.into(), digest }
        })
    }
}

/// The document of the linked methods alone, with a digest that changes when it does.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ServerSchema {}

/// The document and its digest.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SchemaDocument {
    /// Of the linked methods alone.
    pub schema: OpenRpc,
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
        let linked = host.linked_document();
        let server_version = env!("CARGO_PKG_VERSION").to_owned();
        let car_version = host.shared.settings.host.car_version.clone();
        Ok(SchemaDocument {
            schema: OpenRpc(linked.text.clone()),
            digest: linked.digest.clone(),
            digest_algorithm: "sha256".into(),
            car_version: car_version.unwrap_or_else(|| server_version.clone()),
            server_version,
        })
    }
}
