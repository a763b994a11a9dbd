//! A surface: what it is made of, and how it is shown.

use std::sync::{Arc, OnceLock};

use carport_a2ui_api::{Creator, Owner, Snapshot};
use carport_a2ui_validate::Message;
use carport_core::Time;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, value::to_raw_value};

use crate::{VERSION, components::Components, data_model::Model, endpoint::Whole, store::Account};

/// What the head of a surface takes at the most beside its theme: ids, owner, creator, times.
pub(crate) const HEAD_BYTES: usize = 1024;

/// A surface.
#[derive(Debug)]
pub struct Surface {
    /// Its id.
    pub id: String,
    /// The id of its catalog.
    pub catalog_id: &'static str,
    /// Its theme.
    pub theme: Option<Value>,
    /// Whether its data goes back to its owner with actions.
    pub send_data_model: bool,
    /// Its components.
    pub components: Components,
    /// Its data.
    pub model: Model,
    /// Whom its actions go to.
    pub owner: Option<Owner>,
    /// Who created it.
    pub created_by: Creator,
    /// The number of its last change.
    pub revision: u64,
    /// The number of the last change of ids, types or edges.
    pub structure_revision: u64,
    /// When it was created.
    pub created_at: Time,
    /// When it was changed last.
    pub updated_at: Time,
    /// When it was changed, acted on or replayed last.
    pub touched_at: Time,
    /// Where its owner is.
    pub(crate) peer: Option<Whole>,
    /// Whose quota it counts in.
    pub(crate) account: Account,
    /// Counts surfaces by creation.
    pub(crate) serial: u64,
    pub(crate) head_bytes: usize,
    pub(crate) shown: OnceLock<Snapshot>,
}

/// A surface as it is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    surface_id: &'a str,
    version: &'static str,
    catalog_id: &'a str,
    theme: &'a Option<Value>,
    send_data_model: bool,
    #[serde(serialize_with = "values")]
    components: &'a Components,
    data_model: &'a Value,
    owner: &'a Option<Owner>,
    created_by: &'a Creator,
    revision: u64,
    structure_revision: u64,
    created_at: Time,
    updated_at: Time,
}

fn values<S: Serializer>(components: &&Components, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(components.iter().map(|entry| &entry.value))
}

impl Surface {
    /// The surface as JSON, made once for each change.
    pub fn snapshot(&self) -> Snapshot {
        self.shown.get_or_init(|| Snapshot(self.written())).clone()
    }

    fn written(&self) -> Arc<serde_json::value::RawValue> {
        let wire = Wire {
            surface_id: &self.id,
            version: VERSION,
            catalog_id: self.catalog_id,
            theme: &self.theme,
            send_data_model: self.send_data_model,
            components: &self.components,
            data_model: self.model.root(),
            owner: &self.owner,
            created_by: &self.created_by,
            revision: self.revision,
            structure_revision: self.structure_revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
        };
        // Maps with texts as keys and numbers that are finite: nothing that JSON cannot hold.
        to_raw_value(&wire).unwrap_or_default().into()
    }

    /// The bytes of its JSON, or a few more.
    pub(crate) fn bytes(&self) -> usize {
        self.head_bytes + self.components.bytes() + self.model.bytes()
    }
}

/// A message in its envelope.
pub(crate) fn wire(message: Message, body: Value) -> Value {
    let version = ("version".to_owned(), VERSION.into());
    Map::from_iter([version, (message.key().to_owned(), body)]).into()
}
