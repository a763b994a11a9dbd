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
use carport_a2ui_api::Surfaces;
use carport_agents_api::{Agent, Agents};
use carport_core::blocking_io;
use carport_engine_api::EngineRuntime;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Config,
    config::{Extended, ExtendedCard},
    drawing::{Drawing, EXTENSIONS, MEDIA_TYPES},
    http::{AuthMode, Place},
};

/// Where the daemon listens by itself, for a card that is asked for before it does.
const STANDARD_URL: &str = "ws://127.0.0.1:9170/";

/// The name of the one scheme by which callers of a listener say who they are.
const BEARER: &str = "bearer";

/// Media types that are always taken and made.
const MODES: [&str; 2] = ["text/plain", "application/json"];

/// What cards are made of.
pub(crate) struct CardSource {
    config: Config,
    /// The file in which the daemon says where it listens.
    endpoint: Option<PathBuf>,
    sources: Sources,
}

/// Who says what can be done here.
pub(crate) struct Sources {
    pub(crate) runtime: Arc<dyn EngineRuntime>,
    pub(crate) agents: Option<Arc<dyn Agents>>,
    pub(crate) drawing: Option<Arc<Drawing>>,
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
    pub(crate) fn new(config: Config, state_root: Option<&Path>, sources: Sources) -> Self {
        let endpoint = state_root.map(|root| root.join("run").join("endpoint.json"));
        Self { config, endpoint, sources }
    }

    /// The extended card of the daemon's own connection where there is no listener: no streams, and every caller
    /// is known.
    pub(crate) async fn of_connection(&self) -> AgentCard {
        let url = match (&self.config.url, self.endpoint.clone()) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(file)) => blocking_io(move || here(&file)).await.ok().flatten(),
            (None, None) => None,
        };
        let url = url.unwrap_or_else(|| STANDARD_URL.into());
        self.extend(self.card(&url, WEBSOCKET, self.capabilities(false, true)))
    }

    /// The card of a listener for callers that are known.
    pub(crate) fn extended(&self, place: &Place) -> AgentCard {
        self.extend(self.of_listener(place))
    }

    fn extend(&self, mut card: AgentCard) -> AgentCard {
        let Extended { description, documentation_url, skills } = self.config.extended.clone();
        card.description = description.unwrap_or(card.description);
        card.documentation_url = documentation_url.or(card.documentation_url);
        card.skills.retain(|known| skills.iter().all(|it| it.id != known.id));
        card.skills.extend(skills.into_iter().map(|it| AgentSkill {
            examples: it.examples,
            ..skill(it.id, it.name, it.description, it.tags)
        }));
        card
    }

    /// Media types that are taken and made.
    fn modes(&self) -> Vec<&'static str> {
        let drawn = self.sources.drawing.is_some().then_some(MEDIA_TYPES[0]);
        MODES.into_iter().chain(drawn).collect()
    }

    /// Media types of parts that are taken, in every spelling.
    pub(crate) fn takes(&self) -> Vec<&'static str> {
        let other = self.sources.drawing.is_some().then_some(MEDIA_TYPES[1]);
        self.modes().into_iter().chain(other).collect()
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
        if let Some(shared) = &place.shared {
            card.skills = skills(&shared.tools(), &[]);
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
        let own = self.sources.drawing.iter().flat_map(|it| drawn(it.surfaces()));
        let unsaid =
            |it: &AgentExtension| self.config.extensions.iter().all(|own| own.uri != it.uri);
        AgentCapabilities {
            streaming: Some(streaming),
            push_notifications: Some(self.config.push),
            extended_agent_card: Some(extended),
            extensions: declared.chain(own.filter(unsaid)).collect(),
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
        let modes: Vec<_> = self.modes().into_iter().map(str::to_owned).collect();
        AgentCard {
            name: config.agent_name.clone(),
            description: config.agent_description.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            supported_interfaces: vec![interface(Version::V1), interface(Version::V03)],
            capabilities,
            default_input_modes: modes.clone(),
            default_output_modes: modes,
            skills: skills(&self.sources.runtime.tools(), &self.agents()),
            provider: provider(&config.organization, &config.organization_url),
            documentation_url: None,
            icon_url: None,
            security_schemes: BTreeMap::new(),
            security_requirements: Vec::new(),
            signatures: Vec::new(),
        }
    }
}

impl CardSource {
    fn agents(&self) -> Vec<Agent> {
        self.sources.agents.as_ref().map_or_else(Vec::new, |it| it.list())
    }
}

fn provider(organization: &Option<String>, url: &Option<String>) -> Option<AgentProvider> {
    let (organization, url) = organization.clone().zip(url.clone())?;
    Some(AgentProvider { organization, url })
}

/// The extension by which surfaces are drawn here, in each version.
fn drawn(surfaces: &dyn Surfaces) -> impl Iterator<Item = AgentExtension> {
    let params = Map::from_iter([
        ("supportedCatalogIds".to_owned(), surfaces.catalog_ids().into()),
        ("acceptsInlineCatalogs".to_owned(), false.into()),
    ]);
    EXTENSIONS.into_iter().map(move |uri| AgentExtension {
        uri: uri.into(),
        description: Some("Surfaces of A2UI in data parts are drawn here.".into()),
        required: Some(false),
        params: Some(params.clone()),
    })
}

fn skill(id: String, name: String, description: String, tags: Vec<String>) -> AgentSkill {
    AgentSkill {
        id,
        name,
        description,
        tags,
        examples: Vec::new(),
        input_modes: Vec::new(),
        output_modes: Vec::new(),
        security_requirements: Vec::new(),
    }
}

/// One skill for each tool and each agent; without any, one for words, so that there always is one.
fn skills(tools: &[Value], agents: &[Agent]) -> Vec<AgentSkill> {
    let of_tool = |tool: &Value| {
        let description = tool["description"].as_str().unwrap_or_default().to_owned();
        let name = tool["name"].as_str()?.to_owned();
        Some(skill(name.clone(), name, description, vec!["tool".into()]))
    };
    let of_agent = |agent: &Agent| {
        let tags = ["agent".to_owned()].into_iter().chain(agent.capabilities.iter().cloned());
        let description = match agent.capabilities.as_slice() {
            [] => "An agent that this daemon runs.".to_owned(),
            known => format!("An agent that this daemon runs, for {}.", known.join(", ")),
        };
        skill(format!("agent:{}", agent.id), agent.name.clone(), description, tags.collect())
    };
    let mut skills: Vec<_> = tools.iter().filter_map(of_tool).collect();
    for skill in agents.iter().map(of_agent) {
        // A tool may be called as an agent's skill is.
        if skills.iter().all(|it| it.id != skill.id) {
            skills.push(skill);
        }
    }
    if skills.is_empty() {
        let (name, description) = ("chat".to_owned(), "Takes a message in words.".into());
        skills.push(skill(name.clone(), name.clone(), description, vec![name]));
    }
    skills
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn there_is_always_a_skill() {
        let ids = |tools: &[Value], agents: &[Agent]| {
            skills(tools, agents).into_iter().map(|it| it.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&[], &[]), ["chat"]);
        let agent = Agent {
            id: "helper".into(),
            name: "Helper".into(),
            capabilities: vec!["mail".into(), "web".into()],
            status: "stopped".into(),
            attached: false,
        };
        let tools = [json!({ "name": "a" }), json!({ "name": "b" })];
        assert_eq!(ids(&tools, std::slice::from_ref(&agent)), ["a", "b", "agent:helper"]);
        let told = skills(&[], &[agent]).remove(0);
        assert_eq!(told.tags, ["agent", "mail", "web"]);
        assert_eq!(told.description, "An agent that this daemon runs, for mail, web.");
    }
}
