//! Plain types of surfaces: who draws them, who owns them and what came of an envelope.

use std::{fmt, sync::Arc};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Value, value::RawValue};

/// Who changes or looks at surfaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A connection with the daemon token, by its `client_id`.
    Client(String),
    /// A connection with the host token.
    Host(String),
    /// An agent's connection.
    Agent {
        /// The connection.
        client_id: String,
        /// The agent.
        agent_id: String,
    },
    /// Whoever answers at this endpoint, in this context.
    Peer {
        /// All of its URL, or a name that is no URL: that of a caller, or one for as long as one payload. Who has
        /// neither sees nothing.
        endpoint: Option<String>,
        /// Its context.
        context_id: Option<String>,
    },
    /// The daemon itself, repairing.
    UiAgent,
}

/// Whom the actions of a surface go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Owner {
    /// An A2A peer.
    A2a {
        /// The task that it is working on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        task_id: Option<String>,
        /// The conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context_id: Option<String>,
        /// Where it is: origin and path, without a query.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        endpoint: Option<String>,
    },
    /// An agent of this daemon.
    Agent {
        /// The agent.
        agent_id: String,
    },
}

/// Who created a surface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Creator {
    /// What it is.
    pub kind: CreatorKind,
    /// The connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
}

/// What created a surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CreatorKind {
    /// A client.
    Client,
    /// An agent.
    Agent,
    /// A host.
    Host,
    /// An A2A peer.
    Peer,
}

/// How an endpoint is authenticated to. It is never serialized, and its values are never printed.
#[derive(Clone, Default)]
pub enum RouteAuth {
    /// Not at all.
    #[default]
    None,
    /// By a bearer token.
    Bearer(SecretString),
    /// By a header.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: SecretString,
    },
}

impl fmt::Debug for RouteAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Bearer(_) => "Bearer(..)",
            Self::Header { .. } => "Header(..)",
        })
    }
}

/// The most bytes of a credential.
const MOST_CREDENTIAL: usize = 8192;
/// Headers that are the transport's own.
const NOT_FOR_ROUTES: [&str; 5] =
    ["host", "content-length", "content-type", "transfer-encoding", "connection"];

/// `RouteAuth` as it is sent.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Sent {
    /// No authentication.
    None,
    /// A bearer token.
    Bearer {
        /// The token.
        token: String,
    },
    /// A header.
    Header {
        /// An HTTP token.
        name: String,
        /// Its value.
        value: String,
    },
}

impl<'de> Deserialize<'de> for RouteAuth {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let is_value = |text: &str| {
            let clean = !text.contains(['\r', '\n', '\0']);
            clean && (1..=MOST_CREDENTIAL).contains(&text.len())
        };
        let in_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match Sent::deserialize(from)? {
            Sent::None => Ok(Self::None),
            Sent::Bearer { token } if is_value(&token) => Ok(Self::Bearer(token.into())),
            Sent::Header { name, .. }
                if name.is_empty()
                    || name.len() > 256
                    || !name.bytes().all(in_token)
                    || NOT_FOR_ROUTES.contains(&&*name.to_ascii_lowercase()) =>
            {
                Err(D::Error::custom(
                    "a header's name must be an HTTP token that is not the transport's",
                ))
            }
            Sent::Header { name, value } if is_value(&value) => {
                Ok(Self::Header { name, value: value.into() })
            }
            _ => {
                Err(D::Error::custom("a credential must have 1..=8192 bytes without CR, LF or NUL"))
            }
        }
    }
}

impl JsonSchema for RouteAuth {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RouteAuth".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Sent::json_schema(generator)
    }
}

/// A surface as JSON, made once and shared.
#[derive(Debug, Clone)]
pub struct Snapshot(pub Arc<RawValue>);

impl Snapshot {
    /// The JSON as a value.
    pub fn value(&self) -> Value {
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(from).map(|raw| Self(raw.into()))
    }
}

impl JsonSchema for Snapshot {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Surface".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        WireSurface::json_schema(generator)
    }
}

/// A surface.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "the schema of what is written by hand")]
struct WireSurface {
    /// Its id.
    surface_id: String,
    /// `v0.9`.
    version: String,
    /// Its catalog.
    catalog_id: String,
    /// Its theme, or null.
    theme: Option<Value>,
    /// Whether its data goes back to its owner with actions.
    send_data_model: bool,
    /// Its components, in order of first arrival.
    components: Vec<Value>,
    /// Its data.
    data_model: Value,
    /// Whom its actions go to, or null.
    owner: Option<Owner>,
    /// Who created it.
    created_by: Creator,
    /// The number of its last change.
    revision: u64,
    /// The number of the last change of ids, types or edges.
    structure_revision: u64,
    /// When it was created.
    created_at: carport_core::Time,
    /// When it was changed last.
    updated_at: carport_core::Time,
}

/// What came of an envelope.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyResult {
    /// The surface.
    pub surface_id: String,
    /// Whether it is gone.
    pub deleted: bool,
    /// What it is now. Absent after a deletion, and where less was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<Snapshot>,
    /// The number of the change.
    pub revision: u64,
}

/// What came of a payload.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ingested {
    /// What took effect, in order.
    pub applied: Vec<ApplyResult>,
    /// What did not.
    pub errors: Vec<IngestError>,
}

/// An envelope of a payload that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IngestError {
    /// Which of the envelopes that were found, from 0.
    pub index: usize,
    /// Where in the payload it is, as a JSON pointer.
    pub path: String,
    /// The code of `error`.
    pub code: i32,
    /// For people.
    pub message: String,
    /// For programs.
    pub data: Value,
}
