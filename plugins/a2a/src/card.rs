//! The agent card, made of the configuration and the engine's tools at each request.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use carport_a2a_types::{
    Version,
    card::{AgentCapabilities, AgentCard, AgentInterface, AgentProvider, AgentSkill, WEBSOCKET},
};
use carport_core::blocking_io;
use carport_engine_api::EngineRuntime;
use serde::Deserialize;
use serde_json::Value;

use crate::Config;

/// Where the daemon listens by itself, for a card that is asked for before it does.
const STANDARD_URL: &str = "ws://127.0.0.1:9170/";

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
        let interface = |version: Version| AgentInterface {
            url: url.clone(),
            protocol_binding: WEBSOCKET.into(),
            protocol_version: version.text().into(),
            tenant: None,
        };
        let capabilities = AgentCapabilities {
            streaming: Some(false),
            push_notifications: Some(false),
            extended_agent_card: Some(true),
            extensions: Vec::new(),
        };
        self.card(vec![interface(Version::V1), interface(Version::V03)], capabilities)
    }

    fn card(&self, interfaces: Vec<AgentInterface>, capabilities: AgentCapabilities) -> AgentCard {
        let config = &self.config;
        let provider = config.organization.clone().zip(config.organization_url.clone());
        AgentCard {
            name: config.agent_name.clone(),
            description: config.agent_description.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            supported_interfaces: interfaces,
            capabilities,
            default_input_modes: MODES.map(str::to_owned).into(),
            default_output_modes: MODES.map(str::to_owned).into(),
            skills: skills(&self.runtime.tools()),
            provider: provider.map(|(organization, url)| AgentProvider { organization, url }),
            documentation_url: None,
            icon_url: None,
            security_schemes: BTreeMap::new(),
            security_requirements: Vec::new(),
            signatures: Vec::new(),
        }
    }
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
