//! Peers: the name that a peer gets, and which interface of its card is used.

use carport_a2a_types::card::{AgentCard, AgentInterface, JSONRPC};

use crate::target::Target;

/// The interface of a card to post to: the first of JSON-RPC that is of the origin that was asked. A
/// card that points elsewhere is not followed: whoever answers for one origin must not say where
/// another one's credentials go.
pub fn choose_interface<'a>(card: &'a AgentCard, asked: &Target) -> Option<&'a AgentInterface> {
    let of_origin = |url: &str| Target::parse(url).is_ok_and(|it| it.same_origin(asked));
    let mut interfaces = card.supported_interfaces.iter();
    interfaces.find(|it| it.protocol_binding == JSONRPC && of_origin(&it.url))
}

/// A short name for a peer, of the letters `a-z 0-9 _` with a letter first, that nobody has yet.
pub fn slug(target: &Target, taken: impl Fn(&str) -> bool) -> String {
    let letter = |it: char| if it.is_ascii_alphanumeric() { it.to_ascii_lowercase() } else { '_' };
    let mut name: String = target.host().chars().map(letter).collect();
    if !name.starts_with(|it: char| it.is_ascii_lowercase()) {
        name.insert_str(0, "peer_");
    }
    let numbered = (2..).map(|number: u32| format!("{name}_{number}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|it| !taken(it)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use carport_a2a_types::{Version, read::read};
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_interface_of_the_same_origin_is_used() {
        let interface = |url: &str, binding: &str| json!({ "url": url, "protocolBinding": binding, "protocolVersion": "1.0" });
        let card = json!({
            "name": "a", "description": "", "version": "1", "capabilities": {},
            "supportedInterfaces": [
                interface("https://elsewhere.example/", "JSONRPC"),
                interface("https://a.example/rest", "HTTP+JSON"),
                interface("https://a.example/rpc", "JSONRPC"),
            ],
        });
        let card: AgentCard = read(card, Version::V1).unwrap();
        let chosen = |url| choose_interface(&card, &Target::parse(url).unwrap());
        assert_eq!(chosen("https://a.example").unwrap().url, "https://a.example/rpc");
        assert_eq!(chosen("http://a.example"), None);
        assert_eq!(chosen("https://b.example"), None);
    }

    #[test]
    fn a_slug_is_a_word_that_nobody_has() {
        let named =
            |url, taken: &[&str]| slug(&Target::parse(url).unwrap(), |it| taken.contains(&it));
        assert_eq!(named("https://A-b.example:8/x", &[]), "a_b_example");
        assert_eq!(named("https://a.example", &["a_example", "a_example_2"]), "a_example_3");
        assert_eq!(named("https://10.0.0.1", &[]), "peer_10_0_0_1");
    }
}
