//! Agent cards: who an agent is, where it is reached and what it can do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    read::{Object, Path, Read, Reader, deserialize_as_read},
    security::{SecurityRequirement, SecurityScheme},
    version::Version,
};

/// The binding of JSON-RPC over HTTP.
pub const JSONRPC: &str = "JSONRPC";
/// The binding of REST.
pub const HTTP_JSON: &str = "HTTP+JSON";
/// The binding of A2A methods on the daemon's own WebSocket.
pub const WEBSOCKET: &str = "urn:carport:a2a:jsonrpc-websocket:1";

/// Who provides an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgentProvider {
    /// Its name.
    pub organization: String,
    /// Its site.
    pub url: String,
}

impl Read for AgentProvider {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut provider = Object::open(value, at, reader)?;
        let (organization, url) =
            (provider.must("organization", reader), provider.must("url", reader));
        Some(Self { organization: organization?, url: url? })
    }
}

/// Where and how an agent is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentInterface {
    /// Where.
    pub url: String,
    /// `JSONRPC`, `HTTP+JSON`, or a URI.
    pub protocol_binding: String,
    /// `1.0` or `0.3`.
    pub protocol_version: String,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Read for AgentInterface {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut interface = Object::open(value, at, reader)?;
        let url = interface.must_word("url", reader);
        if reader.is_v03() {
            let protocol_binding = interface.must_word("transport", reader)?;
            let protocol_version = Version::V03.text().into();
            return Some(Self { url: url?, protocol_binding, protocol_version, tenant: None });
        }
        let binding = interface.must_word("protocolBinding", reader);
        let version = interface.must_word("protocolVersion", reader);
        let tenant = interface.word("tenant", reader);
        let (url, protocol_binding, protocol_version) = (url?, binding?, version?);
        Some(Self { url, protocol_binding, protocol_version, tenant })
    }
}

/// An extension of the protocol.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AgentExtension {
    /// Its name.
    pub uri: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether a client has to speak it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Map<String, Value>>,
}

impl Read for AgentExtension {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut extension = Object::open(value, at, reader)?;
        let uri = extension.must_word("uri", reader);
        let description = extension.word("description", reader);
        let required = extension.maybe("required", reader);
        let params = extension.maybe("params", reader);
        Some(Self { uri: uri?, description, required, params })
    }
}

/// What an agent can do beside answering.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentCapabilities {
    /// Streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// Posts changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_notifications: Option<bool>,
    /// Has an extended card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extended_agent_card: Option<bool>,
    /// Extensions that it speaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<AgentExtension>,
}

impl Read for AgentCapabilities {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut capabilities = Object::open(value, at, reader)?;
        Some(Self {
            streaming: capabilities.maybe("streaming", reader),
            push_notifications: capabilities.maybe("pushNotifications", reader),
            extended_agent_card: capabilities.maybe("extendedAgentCard", reader),
            extensions: capabilities.list("extensions", reader),
        })
    }
}

/// Something that an agent can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentSkill {
    /// Unique on its card.
    pub id: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What it may be asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
    /// Media types that it takes, where they differ from the card's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_modes: Vec<String>,
    /// Media types that it makes, where they differ from the card's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_modes: Vec<String>,
    /// What it needs beside what the card says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_requirements: Vec<SecurityRequirement>,
}

impl Read for AgentSkill {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut skill = Object::open(value, at, reader)?;
        let id = skill.must_word("id", reader);
        let name = skill.must("name", reader);
        let description = skill.must("description", reader);
        let requirements = if reader.is_v03() { "security" } else { "securityRequirements" };
        let skill = Self {
            id: String::new(),
            name: String::new(),
            description: String::new(),
            tags: skill.list("tags", reader),
            examples: skill.list("examples", reader),
            input_modes: skill.list("inputModes", reader),
            output_modes: skill.list("outputModes", reader),
            security_requirements: skill.list(requirements, reader),
        };
        Some(Self { id: id?, name: name?, description: description?, ..skill })
    }
}

/// Who an agent is, where it is reached and what it can do.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentCard {
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// The version of the agent.
    pub version: String,
    /// Where it is reached, the preferred one first.
    pub supported_interfaces: Vec<AgentInterface>,
    /// What it can do beside answering.
    pub capabilities: AgentCapabilities,
    /// Media types that it takes.
    pub default_input_modes: Vec<String>,
    /// Media types that it makes.
    pub default_output_modes: Vec<String>,
    /// What it can do.
    pub skills: Vec<AgentSkill>,
    /// Who provides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<AgentProvider>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documentation_url: Option<String>,
    /// A picture of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    /// How callers say who they are, by names that requirements use.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub security_schemes: BTreeMap<String, SecurityScheme>,
    /// What callers need; one of them is enough.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_requirements: Vec<SecurityRequirement>,
    /// Signatures of the card.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Map<String, Value>>,
}

impl Read for AgentCard {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut card = Object::open(value, at, reader)?;
        let name = card.must("name", reader);
        let description = card.must("description", reader);
        let version = card.must("version", reader);
        let mut capabilities: Option<AgentCapabilities> = card.must("capabilities", reader);
        let (interfaces, requirements) = match reader.is_v03() {
            true => {
                let extended = card.maybe("supportsAuthenticatedExtendedCard", reader);
                if let Some(capabilities) = &mut capabilities {
                    capabilities.extended_agent_card = extended;
                }
                (read_v03_interfaces(&mut card, reader), "security")
            }
            false => (card.must("supportedInterfaces", reader), "securityRequirements"),
        };
        let provider = card.maybe("provider", reader);
        let lists =
            [card.list("defaultInputModes", reader), card.list("defaultOutputModes", reader)];
        let [default_input_modes, default_output_modes] = lists;
        Some(Self {
            supported_interfaces: interfaces?,
            capabilities: capabilities?,
            default_input_modes,
            default_output_modes,
            skills: card.list("skills", reader),
            provider,
            documentation_url: card.word("documentationUrl", reader),
            icon_url: card.word("iconUrl", reader),
            security_schemes: card.maybe("securitySchemes", reader).unwrap_or_default(),
            security_requirements: card.list(requirements, reader),
            signatures: card.list("signatures", reader),
            name: name?,
            description: description?,
            version: version?,
        })
    }
}

/// The interface that a card of v0.3 names first, and the others.
fn read_v03_interfaces(card: &mut Object<'_>, reader: &mut Reader) -> Option<Vec<AgentInterface>> {
    let url = card.must_word("url", reader)?;
    let binding = card.word("preferredTransport", reader);
    let first = AgentInterface {
        protocol_binding: binding.unwrap_or_else(|| JSONRPC.into()),
        protocol_version: Version::V03.text().into(),
        url,
        tenant: None,
    };
    let mut interfaces = vec![first];
    for other in card.list("additionalInterfaces", reader) {
        if !interfaces.contains(&other) {
            interfaces.push(other);
        }
    }
    Some(interfaces)
}

deserialize_as_read!(AgentCard);
