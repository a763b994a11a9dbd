//! A message and its parts.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    bytes,
    read::{Object, Path, Read, Reader, are_shallow, deserialize_as_read, read_named},
};

/// Parts of one message.
pub const MAX_PARTS: usize = 100;

/// The metadata of a data part of v0.3 that wraps what is no object.
pub(crate) const WRAPPED: &str = "data_part_compat";

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Role {
    /// The client.
    #[serde(rename = "ROLE_USER")]
    User,
    /// The agent.
    #[serde(rename = "ROLE_AGENT")]
    Agent,
}

impl Role {
    /// The word of v0.3.
    pub const fn v03(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Agent => "agent",
        }
    }
}

impl Read for Role {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let by_name = |name: &str| match name {
            "ROLE_USER" | "user" => Some(Self::User),
            "ROLE_AGENT" | "agent" => Some(Self::Agent),
            _ => None,
        };
        let by_number = |number| match number {
            1 => Some(Self::User),
            2 => Some(Self::Agent),
            _ => None,
        };
        match read_named(&value, by_name, by_number) {
            Some(role) => Some(role),
            None => reader.fault(at, "must be ROLE_USER or ROLE_AGENT"),
        }
    }
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// Text.
    Text(String),
    /// Bytes, on the wire as base64.
    Raw(
        #[serde(serialize_with = "bytes::serialize")]
        #[schemars(with = "String")]
        Vec<u8>,
    ),
    /// Where the content is. It is never fetched.
    Url(String),
    /// Any JSON value.
    Data(Value),
}

/// A piece of a message or an artifact.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// What it holds.
    #[serde(flatten)]
    pub content: Content,
    /// Anything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    /// The name of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// The media type of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

impl Part {
    /// A part with this content and nothing else.
    pub const fn of(content: Content) -> Self {
        Self { content, metadata: None, filename: None, media_type: None }
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Content::Text(text.into()))
    }

    /// Whether what it holds nests no deeper than it may.
    pub fn is_shallow(&self) -> bool {
        let data = match &self.content {
            Content::Data(data) => Some(data),
            _ => None,
        };
        are_shallow(data) && are_shallow(self.metadata.iter().flat_map(Map::values))
    }

    /// The media type that it says, or that its content has by nature.
    pub fn effective_media_type(&self) -> Option<&str> {
        let by_nature = match self.content {
            Content::Text(_) => Some("text/plain"),
            Content::Data(_) => Some("application/json"),
            Content::Raw(_) | Content::Url(_) => None,
        };
        self.media_type.as_deref().or(by_nature)
    }
}

impl Read for Part {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut part = Object::open(value, at, reader)?;
        match reader.is_v03() && part.has("file") {
            true => {
                let file: FilePart = part.must("file", reader)?;
                let metadata = part.maybe("metadata", reader);
                Some(Self { metadata, ..file.0 })
            }
            false => read_plain(part, reader),
        }
    }
}

fn read_plain(mut part: Object<'_>, reader: &mut Reader) -> Option<Part> {
    let mut metadata: Option<Map<String, Value>> = part.maybe("metadata", reader);
    let data = part.take_or_null("data");
    if !are_shallow(&data) {
        return part.too_deep("data", reader);
    }
    let text = part.maybe("text", reader);
    let (raw, url) = (part.maybe("raw", reader), part.word("url", reader));
    // A `null` is data only where nothing else is there: clients write it for what they left out.
    let others = text.is_some() || raw.is_some() || url.is_some();
    let data = data.filter(|it| !(it.is_null() && others));
    let mut found = [
        text.map(Content::Text),
        raw.map(|Base64(bytes)| Content::Raw(bytes)),
        url.map(Content::Url),
        data.map(|data| match reader.is_v03() {
            true => Content::Data(unwrap(data, &mut metadata)),
            false => Content::Data(data),
        }),
    ]
    .into_iter()
    .flatten();
    let (Some(content), None) = (found.next(), found.next()) else {
        return part.fault_here("must have exactly one of text, raw, url and data", reader);
    };
    let (filename, media_type) = (part.word("filename", reader), part.word("mediaType", reader));
    Some(Part { content, metadata, filename, media_type })
}

/// The value that a data part of v0.3 wraps, if its metadata says that it does.
fn unwrap(data: Value, metadata: &mut Option<Map<String, Value>>) -> Value {
    let Some(members) = metadata else { return data };
    if members.get(WRAPPED) != Some(&Value::Bool(true)) {
        return data;
    }
    let Value::Object(mut wrapper) = data else { return data };
    let Some(value) = wrapper.remove("value") else { return wrapper.into() };
    members.remove(WRAPPED);
    if members.is_empty() {
        *metadata = None;
    }
    value
}

struct Base64(Vec<u8>);

impl Read for Base64 {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let text = String::read(value, at, reader)?;
        match bytes::decode_base64(&text) {
            Some(bytes) => Some(Self(bytes)),
            None => reader.fault(at, "must be base64"),
        }
    }
}

/// What the member `file` of a part of v0.3 says.
struct FilePart(Part);

impl Read for FilePart {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut file = Object::open(value, at, reader)?;
        let bytes = file.maybe("bytes", reader).map(|Base64(bytes)| Content::Raw(bytes));
        let uri = file.word("uri", reader).map(Content::Url);
        let (filename, media_type) = (file.word("name", reader), file.word("mimeType", reader));
        let content = match (bytes, uri) {
            (Some(content), None) | (None, Some(content)) => content,
            _ => return file.fault_here("must have exactly one of bytes and uri", reader),
        };
        Some(Self(Part { content, metadata: None, filename, media_type }))
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Made by whoever speaks; no key.
    #[schemars(length(min = 1))]
    pub message_id: String,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_id: Option<String>,
    /// The task that it goes on with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
    /// Who speaks.
    pub role: Role,
    /// What is said.
    #[schemars(length(min = 1, max = 100))]
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

impl Message {
    /// A message of the agent with one text.
    pub fn of_agent(message_id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            message_id: message_id.into(),
            context_id: None,
            task_id: None,
            role: Role::Agent,
            parts: vec![Part::text(text)],
            metadata: None,
            extensions: Vec::new(),
            reference_task_ids: Vec::new(),
        }
    }

    /// The first text that it holds.
    pub fn first_text(&self) -> Option<&str> {
        self.parts.iter().find_map(|part| match &part.content {
            Content::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }
}

impl Read for Message {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut message = Object::open(value, at, reader)?;
        let message_id = message.must_word("messageId", reader);
        let role = message.must("role", reader);
        let parts = message.must("parts", reader).and_then(|parts: Vec<Part>| {
            let count = parts.len();
            match (1..=MAX_PARTS).contains(&count) {
                true => Some(parts),
                false => {
                    let why = format!("must have 1..={MAX_PARTS} items, got {count}");
                    message.fault("parts", why, reader)
                }
            }
        });
        let context_id = message.short_word("contextId", reader);
        let task_id = message.short_word("taskId", reader);
        let metadata = message.maybe("metadata", reader);
        let extensions = message.list("extensions", reader);
        let reference_task_ids = message.list("referenceTaskIds", reader);
        let (message_id, role, parts) = (message_id?, role?, parts?);
        Some(Self {
            message_id,
            context_id,
            task_id,
            role,
            parts,
            metadata,
            extensions,
            reference_task_ids,
        })
    }
}

deserialize_as_read!(Message, Part);
