//! Messages and parts of v0.3.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    bytes,
    message::{self, Content, WRAPPED},
};

/// A piece of a message or an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Part {
    /// Text.
    Text {
        /// The text.
        text: String,
        /// Anything else.
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Map<String, Value>>,
    },
    /// A JSON object.
    Data {
        /// The object, or `{ "value": x }` for an `x` that is none.
        data: Map<String, Value>,
        /// Anything else; `data_part_compat` says that the object wraps a value.
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Map<String, Value>>,
    },
    /// A file.
    File {
        /// The file.
        file: File,
        /// Anything else.
        #[serde(skip_serializing_if = "Option::is_none")]
        metadata: Option<Map<String, Value>>,
    },
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Its content.
    #[serde(flatten)]
    pub content: FileContent,
    /// Its media type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FileContent {
    /// Bytes, on the wire as base64.
    Bytes(
        #[serde(serialize_with = "bytes::serialize")]
        #[schemars(with = "String")]
        Vec<u8>,
    ),
    /// Where the content is.
    Uri(String),
}

impl From<message::Part> for Part {
    fn from(part: message::Part) -> Self {
        let message::Part { content, metadata, filename, media_type } = part;
        let file = |content, metadata| {
            let file = File { content, mime_type: media_type, name: filename };
            Self::File { file, metadata }
        };
        match content {
            Content::Text(text) => Self::Text { text, metadata },
            Content::Raw(bytes) => file(FileContent::Bytes(bytes), metadata),
            Content::Url(uri) => file(FileContent::Uri(uri), metadata),
            Content::Data(data) => wrap(data, metadata),
        }
    }
}

/// A data part. What is no object is wrapped, and so is an object whose metadata would otherwise say of
/// it that it wraps something.
fn wrap(data: Value, metadata: Option<Map<String, Value>>) -> Part {
    let marked = metadata.as_ref().is_some_and(|it| it.contains_key(WRAPPED));
    match data {
        Value::Object(data) if !marked => Part::Data { data, metadata },
        data => {
            let mut metadata = metadata.unwrap_or_default();
            metadata.insert(WRAPPED.into(), true.into());
            let data = Map::from_iter([("value".to_owned(), data)]);
            Part::Data { data, metadata: Some(metadata) }
        }
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "message", rename_all = "camelCase")]
pub struct Message {
    /// Made by whoever speaks; no key.
    pub message_id: String,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// The task that it goes on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// `user` or `agent`.
    pub role: &'static str,
    /// What is said.
    pub parts: Vec<Part>,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// URIs of the extensions that it uses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
    /// Tasks that it speaks of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference_task_ids: Vec<String>,
}

impl From<message::Message> for Message {
    fn from(message: message::Message) -> Self {
        Self {
            message_id: message.message_id,
            context_id: message.context_id,
            task_id: message.task_id,
            role: message.role.v03(),
            parts: message.parts.into_iter().map(Part::from).collect(),
            metadata: message.metadata,
            extensions: message.extensions,
            reference_task_ids: message.reference_task_ids,
        }
    }
}
