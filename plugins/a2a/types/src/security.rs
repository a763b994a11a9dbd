//! What a card says of credentials.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::read::{Object, Path, Read, Reader};

/// How callers say who they are.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum SecurityScheme {
    /// A key in a header, the query or a cookie.
    ApiKeySecurityScheme {
        /// For people.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// `header`, `query` or `cookie`.
        location: String,
        /// The name of the header, parameter or cookie.
        name: String,
    },
    /// The header `Authorization`.
    HttpAuthSecurityScheme {
        /// For people.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Its scheme, such as `Bearer`.
        scheme: String,
        /// What a bearer token looks like.
        #[serde(skip_serializing_if = "Option::is_none")]
        bearer_format: Option<String>,
    },
    /// OAuth 2.
    #[serde(rename = "oauth2SecurityScheme")]
    OAuth2SecurityScheme {
        /// For people.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Its flows by kind; one in v1.0. v0.3 has no `deviceCode`.
        flows: Map<String, Value>,
        /// Where its metadata are.
        #[serde(skip_serializing_if = "Option::is_none")]
        oauth2_metadata_url: Option<String>,
    },
    /// OpenID Connect.
    OpenIdConnectSecurityScheme {
        /// For people.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Where its metadata are.
        open_id_connect_url: String,
    },
    /// A certificate of the client.
    MtlsSecurityScheme {
        /// For people.
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<String>,
    },
}

impl Read for SecurityScheme {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let mut scheme = Object::open(value, at, reader)?;
        if reader.is_v03() {
            let kind = scheme.must_word("type", reader)?;
            return read_scheme(&kind, scheme, reader);
        }
        for (member, kind) in [
            ("apiKeySecurityScheme", "apiKey"),
            ("httpAuthSecurityScheme", "http"),
            ("oauth2SecurityScheme", "oauth2"),
            ("openIdConnectSecurityScheme", "openIdConnect"),
            ("mtlsSecurityScheme", "mutualTLS"),
        ] {
            if scheme.has(member) {
                let members: Map<String, Value> = scheme.must(member, reader)?;
                let at = Path::Member(at, member);
                let inner = Object::open(members.into(), &at, reader)?;
                return read_scheme(kind, inner, reader);
            }
        }
        scheme.fault_here("must have a known scheme", reader)
    }
}

fn read_scheme(kind: &str, mut it: Object<'_>, reader: &mut Reader) -> Option<SecurityScheme> {
    let description = it.word("description", reader);
    Some(match kind {
        "apiKey" => {
            let place = if reader.is_v03() { "in" } else { "location" };
            let (location, name) = (it.must_word(place, reader), it.must_word("name", reader));
            let (location, name) = (location?, name?);
            SecurityScheme::ApiKeySecurityScheme { description, location, name }
        }
        "http" => {
            let (scheme, bearer_format) =
                (it.must_word("scheme", reader)?, it.word("bearerFormat", reader));
            SecurityScheme::HttpAuthSecurityScheme { description, scheme, bearer_format }
        }
        "oauth2" => {
            let (flows, oauth2_metadata_url) =
                (it.must("flows", reader)?, it.word("oauth2MetadataUrl", reader));
            SecurityScheme::OAuth2SecurityScheme { description, flows, oauth2_metadata_url }
        }
        "openIdConnect" => {
            let open_id_connect_url = it.must_word("openIdConnectUrl", reader)?;
            SecurityScheme::OpenIdConnectSecurityScheme { description, open_id_connect_url }
        }
        "mutualTLS" => SecurityScheme::MtlsSecurityScheme { description },
        _ => return it.fault_here("must have a known scheme", reader),
    })
}

/// A list of scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Scopes {
    /// The scopes.
    pub list: Vec<String>,
}

impl Read for Scopes {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        match reader.is_v03() {
            true => Some(Self { list: Read::read(value, at, reader)? }),
            false => Some(Self { list: Object::open(value, at, reader)?.list("list", reader) }),
        }
    }
}

/// Schemes that are needed together, with their scopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SecurityRequirement {
    /// Scopes by the name of the scheme.
    pub schemes: BTreeMap<String, Scopes>,
}

impl Read for SecurityRequirement {
    fn read(value: Value, at: &Path<'_>, reader: &mut Reader) -> Option<Self> {
        let schemes = match reader.is_v03() {
            true => Read::read(value, at, reader)?,
            false => Object::open(value, at, reader)?.maybe("schemes", reader).unwrap_or_default(),
        };
        Some(Self { schemes })
    }
}
