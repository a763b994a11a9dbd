//! What the host asks of a client.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};

/// A request to a client. `Self` is its parameters.
pub trait ClientRequest: Serialize + JsonSchema + Send + Sync + 'static {
    /// Wire name.
    const NAME: &'static str;
    /// What the client answers.
    type Reply: DeserializeOwned + JsonSchema + Send + 'static;
}

/// A [`ClientRequest`] with its type erased, for discovery.
pub struct ClientRequestEntry {
    /// Wire name.
    pub name: &'static str,
    pub(crate) params: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) reply: fn(&mut SchemaGenerator) -> Schema,
}

inventory::collect!(ClientRequestEntry);

impl ClientRequestEntry {
    /// The row of `R`.
    pub const fn of<R: ClientRequest>() -> Self {
        Self { name: R::NAME, params: generate::<R>, reply: generate::<R::Reply> }
    }
}

fn generate<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}
