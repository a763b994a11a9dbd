//! A surface: what it is made of, how it is shown, and the envelopes that make it anew.

use std::sync::{Arc, OnceLock};

use carport_a2ui_api::{Creator, Owner, Snapshot};
use carport_a2ui_validate::Message;
use carport_core::Time;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json, value::to_raw_value};

use crate::{
    VERSION,
    components::{Components, Entry},
    data_model::Model,
    inspect::bytes,
    pointer::Pointer,
};

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

    /// The envelopes that make the surface anew, none of more than `most` bytes.
    pub fn envelopes(&self, most: usize) -> Vec<Value> {
        let id = &self.id;
        let mut create = json!({
            "surfaceId": id, "catalogId": self.catalog_id, "sendDataModel": self.send_data_model,
        });
        if let Some(theme) = &self.theme {
            create["theme"] = theme.clone();
        }
        let mut all = vec![wire(Message::Create, create)];
        let mut batch: Vec<&Arc<Entry>> = Vec::new();
        let mut size = HEAD_BYTES;
        let flush = |batch: &mut Vec<&Arc<Entry>>| {
            let values: Vec<_> = batch.drain(..).map(|entry| &entry.value).collect();
            (!values.is_empty()).then(|| {
                wire(Message::Components, json!({ "surfaceId": id, "components": values }))
            })
        };
        for entry in self.components.iter() {
            if size + entry.bytes + 1 > most {
                all.extend(flush(&mut batch));
                size = HEAD_BYTES;
            }
            size += entry.bytes + 1;
            batch.push(entry);
        }
        all.extend(flush(&mut batch));
        self.data("", self.model.root(), most, &mut all);
        all
    }

    /// Writes that make `value` at `path`. What is too long for one is written piece by piece.
    fn data(&self, path: &str, value: &Value, most: usize, all: &mut Vec<Value>) {
        let mut write = |value: Value| {
            let path = if path.is_empty() { "/" } else { path };
            let body = json!({ "surfaceId": self.id, "path": path, "value": value });
            all.push(wire(Message::Data, body));
        };
        let fits = bytes(value) + path.len() * 2 + HEAD_BYTES <= most;
        match value {
            Value::Object(members) if !fits => {
                write(json!({}));
                for (name, member) in members {
                    self.data(&Pointer::below(path, name), member, most, all);
                }
            }
            Value::Array(items) if !fits => {
                write(json!([]));
                for (at, item) in items.iter().enumerate() {
                    self.data(&Pointer::below(path, &at.to_string()), item, most, all);
                }
            }
            value => write(value.clone()),
        }
    }
}

/// A message in its envelope.
pub(crate) fn wire(message: Message, body: Value) -> Value {
    let version = ("version".to_owned(), VERSION.into());
    Map::from_iter([version, (message.key().to_owned(), body)]).into()
}
