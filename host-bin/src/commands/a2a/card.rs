//! `carport a2a card`: who an agent is, where it is reached and what it can do.

use carport_a2a::{ListPeers, Status};
use carport_a2a_outbound::Target;
use carport_a2a_types::{
    Version,
    card::{AgentCapabilities, AgentCard},
    read::read,
    security::{SecurityRequirement, SecurityScheme},
};
use serde_json::json;

use super::{
    place::{self, unknown},
    serve::card_url,
};
use crate::{
    client::{a2a, link::Link},
    exit::Exit,
    output::{Cell, Output, Table, Tone, one_line},
};

/// Whose card.
#[derive(Debug, clap::Args)]
pub(super) struct Card {
    /// The agent: its URL or that of its card, or a peer by its name (default: this daemon)
    #[arg(value_name = "URL|PEER")]
    whose: Option<String>,
}

impl Card {
    /// The URL, if it was given.
    pub(super) fn url(&self) -> Result<Option<Target>, Exit> {
        self.whose.as_deref().map_or(Ok(None), place::url)
    }
}

/// The card of this daemon, or of a peer that it knows.
pub(super) async fn run(wanted: &Card, link: &Link, output: Output) -> Result<(), Exit> {
    if let Some(name) = wanted.whose.as_deref().filter(|it| *it != ".") {
        let peers = link.call(ListPeers {}).await?.peers;
        let peer = peers.iter().find(|it| it.slug == name).ok_or_else(|| unknown(name))?;
        let url = Target::parse(&peer.url);
        return far(&url.map_err(|why| Exit::failed(format!("its URL {why}")))?, output).await;
    }
    let whole = link.raw("GetExtendedAgentCard", &json!({})).await.map_err(a2a::refused)?;
    if output.is_json() {
        return output.document(&whole);
    }
    let card = read(whole, Version::V1);
    show(&card.map_err(|error| Exit::failed(error.message()))?, output)?;
    match card_url(&link.call(Status {}).await?) {
        Some(url) => output.note(format_args!("by HTTP it is at {url}")),
        None => output.note("by HTTP nobody reaches it: `carport a2a serve` starts a listener"),
    }
    Ok(())
}

/// The card of an agent elsewhere.
pub(super) async fn far(url: &Target, output: Output) -> Result<(), Exit> {
    let (card, whole) = a2a::card(url).await?;
    match output.is_json() {
        true => output.document(&whole),
        false => show(&card, output),
    }
}

fn show(card: &AgentCard, output: Output) -> Result<(), Exit> {
    lines(card).iter().try_for_each(|line| output.line(line))?;
    output.line("")?;
    output.table(&skills(card), "no skills")
}

fn lines(card: &AgentCard) -> Vec<String> {
    let label = |word: &str, text: String| {
        format!("{} {}", Tone::Faint.paint(format!("{word:<12}")), one_line(&text))
    };
    let named = format!("{} {}", Tone::Name.paint(one_line(&card.name)), one_line(&card.version));
    let mut lines = vec![named, one_line(&card.description).into_owned()];
    if let Some(provider) = &card.provider {
        lines.push(label("provider", format!("{}, {}", provider.organization, provider.url)));
    }
    for interface in &card.supported_interfaces {
        let (binding, version) = (&interface.protocol_binding, &interface.protocol_version);
        lines.push(label("interface", format!("{}  {binding} {version}", interface.url)));
    }
    lines.push(label("can", capabilities(&card.capabilities)));
    lines.push(label("security", security(card)));
    lines.push(label("takes", card.default_input_modes.join(", ")));
    lines.push(label("gives", card.default_output_modes.join(", ")));
    lines
}

fn capabilities(of: &AgentCapabilities) -> String {
    let flags = [
        (of.streaming, "streaming"),
        (of.push_notifications, "push notifications"),
        (of.extended_agent_card, "extended card"),
    ];
    let said = flags.into_iter().filter(|it| it.0 == Some(true)).map(|it| it.1.to_owned());
    let extensions = of.extensions.iter().map(|it| match it.required {
        Some(true) => format!("{} (required)", it.uri),
        _ => it.uri.clone(),
    });
    let all: Vec<_> = said.chain(extensions).collect();
    if all.is_empty() { "answer, and no more".into() } else { all.join(", ") }
}

/// What a caller has to show: one of the requirements is enough, and all of its schemes are needed.
fn security(card: &AgentCard) -> String {
    let scheme = |name: &String| match card.security_schemes.get(name) {
        Some(SecurityScheme::HttpAuthSecurityScheme { scheme, .. }) => format!("{scheme} token"),
        Some(SecurityScheme::ApiKeySecurityScheme { location, name, .. }) => {
            format!("key `{name}` in the {location}")
        }
        Some(SecurityScheme::OAuth2SecurityScheme { .. }) => "OAuth 2".into(),
        Some(SecurityScheme::OpenIdConnectSecurityScheme { .. }) => "OpenID Connect".into(),
        Some(SecurityScheme::MtlsSecurityScheme { .. }) => "client certificate".into(),
        None => name.clone(),
    };
    let requirement =
        |it: &SecurityRequirement| it.schemes.keys().map(scheme).collect::<Vec<_>>().join(" and ");
    match card.security_requirements.as_slice() {
        [] => "none asked for".into(),
        all => all.iter().map(requirement).collect::<Vec<_>>().join(", or "),
    }
}

fn skills(card: &AgentCard) -> Table {
    let mut table = Table::new(["skill", "tags", "description"]);
    for skill in &card.skills {
        table.row([
            Cell::new(&skill.id).tone(Tone::Name),
            Cell::new(skill.tags.join(", ")),
            Cell::new(skill.description.split_whitespace().collect::<Vec<_>>().join(" ")),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_of_either_version_reads_as_one() {
        let v1 = json!({
            "name": "A\u{1b}[2J", "description": "does things", "version": "7",
            "supportedInterfaces": [{ "url": "https://a/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }],
            "capabilities": { "streaming": true, "extensions": [{ "uri": "urn:x", "required": true }] },
            "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
            "skills": [{ "id": "s", "name": "S", "description": "d", "tags": ["t"] }],
            "provider": { "organization": "O", "url": "https://o" },
            "securitySchemes": { "b": { "httpAuthSecurityScheme": { "scheme": "Bearer" } } },
            "securityRequirements": [{ "schemes": { "b": { "list": [] }, "other": { "list": [] } } }],
        });
        let card: AgentCard = read(v1, Version::V1).unwrap();
        let plain = anstream::adapter::strip_str(&lines(&card).join("\n")).to_string();
        assert_eq!(
            plain,
            "A\\u{1b}[2J 7\ndoes things\nprovider     O, https://o\n\
             interface    https://a/  JSONRPC 1.0\ncan          streaming, urn:x (required)\n\
             security     Bearer token and other\ntakes        text/plain\ngives        text/plain"
        );
        let older = json!({
            "name": "B", "description": "", "version": "1", "protocolVersion": "0.3.0", "url": "https://b/",
            "preferredTransport": "JSONRPC", "capabilities": {}, "defaultInputModes": [],
            "defaultOutputModes": [], "skills": [],
        });
        let card: AgentCard = read(older, Version::V03).unwrap();
        let plain = anstream::adapter::strip_str(&lines(&card).join("\n")).to_string();
        assert!(plain.contains("interface    https://b/  JSONRPC 0.3\n"), "{plain}");
        assert!(plain.contains("security     none asked for"), "{plain}");
    }
}
