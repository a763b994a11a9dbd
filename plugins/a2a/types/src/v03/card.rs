//! The card of v0.3, and one that is a card of both versions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    card::{self, AgentExtension, AgentProvider},
    security::{SecurityRequirement, SecurityScheme},
    version::Version,
};

/// Where and how else an agent is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgentInterface {
    /// Where.
    pub url: String,
    /// `JSONRPC` or `HTTP+JSON`.
    pub transport: String,
}

/// What an agent can do beside answering.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming: Option<bool>,
    /// Posts changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push_notifications: Option<bool>,
    /// Whether a task tells its former states; never here.
    pub state_transition_history: bool,
    /// Extensions that it speaks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<AgentExtension>,
}

type Requirement = BTreeMap<String, Vec<String>>;

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
    /// Media types that it takes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_modes: Vec<String>,
    /// Media types that it makes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_modes: Vec<String>,
    /// What it needs beside what the card says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<Requirement>,
}

impl From<card::AgentSkill> for AgentSkill {
    fn from(skill: card::AgentSkill) -> Self {
        Self {
            id: skill.id,
            name: skill.name,
            description: skill.description,
            tags: skill.tags,
            examples: skill.examples,
            input_modes: skill.input_modes,
            output_modes: skill.output_modes,
            security: skill.security_requirements.into_iter().map(requirement).collect(),
        }
    }
}

fn requirement(requirement: SecurityRequirement) -> Requirement {
    requirement.schemes.into_iter().map(|(name, scopes)| (name, scopes.list)).collect()
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
    /// `0.3.0`.
    pub protocol_version: &'static str,
    /// Where it is reached.
    pub url: String,
    /// How.
    pub preferred_transport: String,
    /// Where and how else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_interfaces: Vec<AgentInterface>,
    /// What it can do beside answering.
    pub capabilities: Capabilities,
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
    /// Whether it has another card for those it knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supports_authenticated_extended_card: Option<bool>,
    /// How callers say who they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub security_schemes: BTreeMap<String, Value>,
    /// What callers need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security: Vec<Requirement>,
    /// Signatures of the card.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Map<String, Value>>,
}

impl AgentCard {
    /// The card of v0.3, if the agent is reached by it at all.
    pub fn of(card: card::AgentCard) -> Option<Self> {
        let speaks = |it: &card::AgentInterface| it.protocol_version == Version::V03.text();
        let mut interfaces = card.supported_interfaces.into_iter().filter(speaks);
        let first = interfaces.next()?;
        let others =
            interfaces.map(|it| AgentInterface { url: it.url, transport: it.protocol_binding });
        Some(Self {
            name: card.name,
            description: card.description,
            version: card.version,
            protocol_version: "0.3.0",
            url: first.url,
            preferred_transport: first.protocol_binding,
            additional_interfaces: others.collect(),
            capabilities: Capabilities {
                streaming: card.capabilities.streaming,
                push_notifications: card.capabilities.push_notifications,
                state_transition_history: false,
                extensions: card.capabilities.extensions,
            },
            default_input_modes: card.default_input_modes,
            default_output_modes: card.default_output_modes,
            skills: card.skills.into_iter().map(AgentSkill::from).collect(),
            provider: card.provider,
            documentation_url: card.documentation_url,
            icon_url: card.icon_url,
            supports_authenticated_extended_card: card.capabilities.extended_agent_card,
            security_schemes: schemes(card.security_schemes),
            security: card.security_requirements.into_iter().map(requirement).collect(),
            signatures: card.signatures,
        })
    }
}

fn schemes(schemes: BTreeMap<String, SecurityScheme>) -> BTreeMap<String, Value> {
    schemes.into_iter().map(|(name, scheme)| (name, scheme_of(scheme))).collect()
}

/// A scheme as OpenAPI writes it, with `type` instead of a wrapper.
fn scheme_of(scheme: SecurityScheme) -> Value {
    use SecurityScheme::{
        ApiKeySecurityScheme, HttpAuthSecurityScheme, MtlsSecurityScheme, OAuth2SecurityScheme,
        OpenIdConnectSecurityScheme,
    };
    let mut members = match scheme {
        ApiKeySecurityScheme { description, location, name } => {
            json!({ "type": "apiKey", "in": location, "name": name, "description": description })
        }
        HttpAuthSecurityScheme { description, scheme, bearer_format } => json!({
            "type": "http", "scheme": scheme, "bearerFormat": bearer_format, "description": description,
        }),
        OAuth2SecurityScheme { description, mut flows, oauth2_metadata_url } => {
            flows.remove("deviceCode");
            json!({
                "type": "oauth2", "flows": flows, "oauth2MetadataUrl": oauth2_metadata_url,
                "description": description,
            })
        }
        OpenIdConnectSecurityScheme { description, open_id_connect_url } => json!({
            "type": "openIdConnect", "openIdConnectUrl": open_id_connect_url, "description": description,
        }),
        MtlsSecurityScheme { description } => {
            json!({ "type": "mutualTLS", "description": description })
        }
    };
    if let Value::Object(members) = &mut members {
        members.retain(|_, value| !value.is_null());
    }
    members
}

/// A card that clients of either version can read: that of v1.0 with the members of v0.3 added.
pub fn union(card: &card::AgentCard) -> Value {
    let mut both = serde_json::to_value(card).unwrap_or_default();
    if let Some(older) = AgentCard::of(card.clone()) {
        add(&mut both, serde_json::to_value(older).unwrap_or_default());
    }
    both
}

/// Adds to `value` what `more` has beyond it, item by item where both are lists of one length.
fn add(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(members), Value::Object(more)) => {
            for (name, more) in more {
                match members.get_mut(&name) {
                    Some(member) => add(member, more),
                    None => drop(members.insert(name, more)),
                }
            }
        }
        (Value::Array(items), Value::Array(more)) if items.len() == more.len() => {
            items.iter_mut().zip(more).for_each(|(item, more)| add(item, more));
        }
        _ => {}
    }
}
