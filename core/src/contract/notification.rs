//! What the host says unasked.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

/// A notification to a client. `Self` is its parameters.
pub trait Notification: Serialize + JsonSchema + Send + Sync + 'static {
    /// Wire name.
    const NAME: &'static str;
}

/// A [`Notification`] with its type erased, for discovery.
pub struct NotificationEntry {
    /// Wire name.
    pub name: &'static str,
    pub(crate) params: fn(&mut SchemaGenerator) -> Schema,
}

inventory::collect!(NotificationEntry);

impl NotificationEntry {
    /// The row of `N`.
    pub const fn of<N: Notification>() -> Self {
        Self { name: N::NAME, params: |generator| generator.subschema_for::<N>() }
    }
}
