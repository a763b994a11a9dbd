//! The agent card, made of the configuration and the engine's tools at each request.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use carport_a2a_types::{
    Version,
    card::{
        AgentCapabilities, AgentCard, AgentExtension, AgentInterface, AgentProvider, AgentSkill,
        HTTP_JSON, JSONRPC, WEBSOCKET,
    },
    security::{Scopes, SecurityRequirement, SecurityScheme},
};
use carport_core::blocking_io;
use carport_engine_api::EngineRuntime;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Config,
    config::ExtendedCard,
    http::{AuthMode, Place},
};

/// Where the daemon listens by itself, for a card that is asked for before it does.
const STANDARD_URL: &str = "ws://127.0.0.1:9170/";

/// The name of the one scheme by which callers of a listener say who they are.
const BEARER: &str = "bearer";

/// Media types that are taken and made.
pub(crate) const MODES: [&str; 2] = ["text/plain", "application/json"];

/// What cards are made of.
pub(crate) struct CardSource {
    config: Config,
    /// The file in which the daemon says where it listens.
    endpoint: Option<PathBuf>,
    runtime: Arc<dyn EngineRuntime>,
}

/// What a daemon writes down once it listens.
#[derive(Deserialize)]
struct Endpoint {
    url: String,
    pid: u32,
}

fn here(endpoint: &Path) -> std::io::Result<Option<String>> {
    let endpoint: Endpoint = serde_json::from_slice(&std::fs::read(endpoint)?)?;
    Ok((endpoint.pid == std::process::id()).then_some(endpoint.url))
}

impl CardSource {
    pub(crate) fn new(
        config: Config,
        state_root: Option<&Path>,
        runtime: Arc<dyn EngineRuntime>,
    ) -> Self {
        let endpoint = state_root.map(|root| root.join("run").join("endpoint.json"));
        Self { config, endpoint, runtime }
    }

    /// The card of the daemon's own connection: no streams, no posts, and every caller is known.
    pub(crate) async fn of_connection(&self) -> AgentCard {
        let url = match (&self.config.url, self.endpoint.clone()) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(file)) => blocking_io(move || here(&file)).await.ok().flatten(),
            (None, None) => None,
        };
        let url = url.unwrap_or_else(|| STANDARD_URL.into());
        self.card(&url, WEBSOCKET, self.capabilities(false, true))
    }

    /// The card of a listener.
    pub(crate) fn of_listener(&self, place: &Place) -> AgentCard {
        let capabilities = self.capabilities(self.config.streaming, self.shows_extended(place));
        let mut card = self.card(&format!("{}/", place.public_url), JSONRPC, capabilities);
        if self.config.rest {
            card.supported_interfaces.push(AgentInterface {
                url: place.public_url.clone(),
                protocol_binding: HTTP_JSON.into(),
                protocol_version: Version::V1.text().into(),
                tenant: None,
            });
        }
        let set = |member: &mut String, value: &Option<String>| {
            if let Some(value) = value {
                member.clone_from(value);
            }
        };
        set(&mut card.name, &place.agent_name);
        set(&mut card.description, &place.agent_description);
        if let Some(provider) = provider(&place.organization, &place.organization_url) {
            card.provider = Some(provider);
        }
        if place.auth == AuthMode::Bearer {
            let (scheme, description) = ("Bearer".into(), None);
            let scheme =
                SecurityScheme::HttpAuthSecurityScheme { description, scheme, bearer_format: None };
            card.security_schemes.insert(BEARER.into(), scheme);
            let schemes = BTreeMap::from([(BEARER.to_owned(), Scopes::default())]);
            card.security_requirements.push(SecurityRequirement { schemes });
        }
        card
    }

    /// Whether callers of a listener may see the extended card.
    pub(crate) fn shows_extended(&self, place: &Place) -> bool {
        place.auth == AuthMode::Bearer || self.config.extended_card == ExtendedCard::Loopback
    }

    /// The extensions that a call has to name.
    pub(crate) fn required_extensions(&self) -> impl Iterator<Item = &str> {
        let all = self.config.extensions.iter();
        all.filter(|it| it.required).map(|it| it.uri.as_str())
    }

    fn capabilities(&self, streaming: bool, extended: bool) -> AgentCapabilities {
        let declared = self.config.extensions.iter().map(|it| AgentExtension {
            uri: it.uri.clone(),
            description: it.description.clone(),
            required: it.required.then_some(true),
            params: None,
        });
        AgentCapabilities {
            streaming: Some(streaming),
            push_notifications: Some(self.config.push),
            extended_agent_card: Some(extended),
            extensions: declared.collect(),
        }
    }

    fn card(&self, url: &str, binding: &str, capabilities: AgentCapabilities) -> AgentCard {
        let config = &self.config;
        let interface = |version: Version| AgentInterface {
            url: url.to_owned(),
            protocol_binding: binding.to_owned(),
            protocol_version: version.text().into(),
            tenant: None,
        };
        AgentCard {
            name: config.agent_name.clone(),
            description: config.agent_description.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            supported_interfaces: vec![interface(Version::V1), interface(Version::V03)],
            capabilities,
            default_input_modes: MODES.map(str::to_owned).into(),
            default_output_modes: MODES.map(str::to_owned).into(),
            skills: skills(&self.runtime.tools()),
            provider: provider(&config.organization, &config.organization_url),
            documentation_url: None,
            icon_url: None,
            security_schemes: BTreeMap::new(),
            security_requirements: Vec::new(),
            signatures: Vec::new(),
        }
    }
}

fn provider(organization: &Option<String>, url: &Option<String>) -> Option<AgentProvider> {
    let (organization, url) = organization.clone().zip(url.clone())?;
    Some(AgentProvider { organization, url })
}

/// One skill for each tool; without any, one for words, so that there always is one.
fn skills(tools: &[Value]) -> Vec<AgentSkill> {
    let skill = |name: &str, description: &str, tag: &str| AgentSkill {
        id: name.into(),
        name: name.into(),
        description: description.into(),
        tags: vec![tag.into()],
        examples: Vec::new(),
        input_modes: Vec::new(),
        output_modes: Vec::new(),
        security_requirements: Vec::new(),
    };
    let of_tool = |tool: &Value| {
        let description = tool["description"].as_str().unwrap_or_default();
        tool["name"].as_str().map(|name| skill(name, description, "tool"))
    };
    let skills: Vec<_> = tools.iter().filter_map(of_tool).collect();
    match skills.is_empty() {
        true => vec![skill("chat", "Takes a message in words.", "chat")],
        false => skills,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn there_is_always_a_skill() {
        let ids = |tools: &[Value]| skills(tools).into_iter().map(|it| it.id).collect::<Vec<_>>();
        assert_eq!(ids(&[]), ["chat"]);
        assert_eq!(ids(&[json!({ "name": "a" }), json!({ "name": "b" })]), ["a", "b"]);
    }
}
