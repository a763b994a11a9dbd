//! Cards that either version can say: all interfaces are of v0.3 and have no tenant.

use std::collections::BTreeMap;

use carport_a2a_types::{
    card::{
        AgentCapabilities, AgentCard, AgentExtension, AgentInterface, AgentProvider, AgentSkill,
    },
    security::{Scopes, SecurityRequirement, SecurityScheme},
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};
use serde_json::{Map, Value, json};

use crate::made::{metadata, word};

fn words() -> impl Strategy<Value = Vec<String>> {
    vec(word(), 0..3)
}

fn interfaces() -> impl Strategy<Value = Vec<AgentInterface>> {
    // The one of v0.3 that a card names first is not named again among the others.
    btree_map(word(), word(), 1..4).prop_map(|all| {
        let interface = |(url, protocol_binding)| AgentInterface {
            url,
            protocol_binding,
            protocol_version: "0.3".into(),
            tenant: None,
        };
        all.into_iter().map(interface).collect()
    })
}

fn extension() -> impl Strategy<Value = AgentExtension> {
    (word(), option::of(word()), option::of(any::<bool>()), metadata()).prop_map(
        |(uri, description, required, params)| AgentExtension {
            uri,
            description,
            required,
            params,
        },
    )
}

fn capabilities() -> impl Strategy<Value = AgentCapabilities> {
    let flags = || option::of(any::<bool>());
    (flags(), flags(), flags(), vec(extension(), 0..2)).prop_map(
        |(streaming, push_notifications, extended_agent_card, extensions)| AgentCapabilities {
            streaming,
            push_notifications,
            extended_agent_card,
            extensions,
        },
    )
}

/// Flows of OAuth that both versions have.
fn flows() -> impl Strategy<Value = Map<String, Value>> {
    let scopes = || btree_map(word(), word(), 0..2);
    let code = (word(), word(), option::of(word()), scopes()).prop_map(
        |(authorization, token, refresh, scopes)| {
            let mut flow =
                json!({ "authorizationUrl": authorization, "tokenUrl": token, "scopes": scopes });
            if let Some(url) = refresh {
                flow["refreshUrl"] = url.into();
            }
            ("authorizationCode", flow)
        },
    );
    let credentials = (word(), scopes()).prop_map(|(token, scopes)| {
        ("clientCredentials", json!({ "tokenUrl": token, "scopes": scopes }))
    });
    prop_oneof![code, credentials]
        .prop_map(|(name, flow)| Map::from_iter([(name.to_owned(), flow)]))
}

fn scheme() -> impl Strategy<Value = SecurityScheme> {
    let description = || option::of(word());
    let place = prop::sample::select(vec!["cookie", "header", "query"]);
    prop_oneof![
        (description(), place, word()).prop_map(|(description, location, name)| {
            SecurityScheme::ApiKeySecurityScheme { description, location: location.into(), name }
        }),
        (description(), word(), option::of(word())).prop_map(
            |(description, scheme, bearer_format)| {
                SecurityScheme::HttpAuthSecurityScheme { description, scheme, bearer_format }
            }
        ),
        (description(), flows(), option::of(word())).prop_map(
            |(description, flows, oauth2_metadata_url)| {
                SecurityScheme::OAuth2SecurityScheme { description, flows, oauth2_metadata_url }
            }
        ),
        (description(), word()).prop_map(|(description, open_id_connect_url)| {
            SecurityScheme::OpenIdConnectSecurityScheme { description, open_id_connect_url }
        }),
        description().prop_map(|description| SecurityScheme::MtlsSecurityScheme { description }),
    ]
}

fn requirements() -> impl Strategy<Value = Vec<SecurityRequirement>> {
    let scopes = words().prop_map(|list| Scopes { list });
    vec(btree_map(word(), scopes, 1..3).prop_map(|schemes| SecurityRequirement { schemes }), 0..2)
}

fn skill() -> impl Strategy<Value = AgentSkill> {
    (word(), word(), word(), (words(), words(), words(), words()), requirements()).prop_map(
        |(id, name, description, lists, security_requirements)| AgentSkill {
            id,
            name,
            description,
            tags: lists.0,
            examples: lists.1,
            input_modes: lists.2,
            output_modes: lists.3,
            security_requirements,
        },
    )
}

fn signature() -> impl Strategy<Value = Map<String, Value>> {
    (word(), word(), metadata()).prop_map(|(protected, signature, header)| {
        let mut members = vec![("protected", protected.into()), ("signature", signature.into())];
        members.extend(header.map(|it| ("header", it.into())));
        members.into_iter().map(|(name, value): (_, Value)| (name.to_owned(), value)).collect()
    })
}

pub(crate) fn card() -> impl Strategy<Value = AgentCard> {
    let who = (word(), word(), word(), option::of((word(), word())));
    let links = (option::of(word()), option::of(word()));
    let lists = (words(), words(), vec(skill(), 0..3), vec(signature(), 0..2));
    let security =
        (btree_map(word(), scheme(), 0..3).prop_map(BTreeMap::from_iter), requirements());
    (who, interfaces(), capabilities(), links, lists, security).prop_map(
        |(who, supported_interfaces, capabilities, links, lists, security)| AgentCard {
            name: who.0,
            description: who.1,
            version: who.2,
            supported_interfaces,
            capabilities,
            default_input_modes: lists.0,
            default_output_modes: lists.1,
            skills: lists.2,
            provider: who.3.map(|(organization, url)| AgentProvider { organization, url }),
            documentation_url: links.0,
            icon_url: links.1,
            security_schemes: security.0,
            security_requirements: security.1,
            signatures: lists.3,
        },
    )
}
