//! The official schemas of A2A in either version, as tests ask them.

use std::{collections::HashMap, sync::LazyLock};

use carport_a2a_types::Version;
use carport_core::Guarded;
use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

const V1: &str = include_str!("../data/schema-1.0.json");
const V03: &str = include_str!("../data/schema-0.3.json");

/// What the proto of v1.0 marks as required, which the bundle that was made of it does not say.
const REQUIRED: [(&str, &[&str]); 20] = [
    ("Task", &["id", "status"]),
    ("TaskStatus", &["state"]),
    ("Message", &["messageId", "role", "parts"]),
    ("Artifact", &["artifactId", "parts"]),
    ("TaskStatusUpdateEvent", &["taskId", "contextId", "status"]),
    ("TaskArtifactUpdateEvent", &["taskId", "contextId", "artifact"]),
    ("SendMessageRequest", &["message"]),
    ("ListTasksResponse", &["tasks", "nextPageToken", "pageSize", "totalSize"]),
    ("TaskPushNotificationConfig", &["url"]),
    ("AuthenticationInfo", &["scheme"]),
    (
        "AgentCard",
        &[
            "name",
            "description",
            "supportedInterfaces",
            "version",
            "capabilities",
            "defaultInputModes",
            "defaultOutputModes",
            "skills",
        ],
    ),
    ("AgentInterface", &["url", "protocolBinding", "protocolVersion"]),
    ("AgentProvider", &["url", "organization"]),
    ("AgentSkill", &["id", "name", "description", "tags"]),
    ("AgentCardSignature", &["protected", "signature"]),
    ("APIKeySecurityScheme", &["location", "name"]),
    ("HTTPAuthSecurityScheme", &["scheme"]),
    ("OAuth2SecurityScheme", &["flows"]),
    ("OpenIdConnectSecurityScheme", &["openIdConnectUrl"]),
    ("ClientCredentialsOAuthFlow", &["tokenUrl", "scopes"]),
];

/// Of which members the proto of v1.0 has exactly one, which the bundle does not say either.
const ONE_OF: [(&str, &[&str]); 5] = [
    ("Part", &["text", "raw", "url", "data"]),
    ("SendMessageResponse", &["task", "message"]),
    ("StreamResponse", &["task", "message", "statusUpdate", "artifactUpdate"]),
    (
        "SecurityScheme",
        &[
            "apiKeySecurityScheme",
            "httpAuthSecurityScheme",
            "oauth2SecurityScheme",
            "openIdConnectSecurityScheme",
            "mtlsSecurityScheme",
        ],
    ),
    (
        "OAuthFlows",
        &["authorizationCode", "clientCredentials", "implicit", "password", "deviceCode"],
    ),
];

/// What was asked for is compiled once.
static COMPILED: LazyLock<Guarded<HashMap<(bool, String), Validator>>> =
    LazyLock::new(Guarded::default);

/// The definitions of v1.0 have titles for names, and point to each other by the files that were bundled:
/// `Task Status` is `lf.a2a.v1.TaskStatus.jsonschema.json`. Here they point to each other by their names.
fn point_within(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref") {
                let file = target.strip_suffix(".jsonschema.json").unwrap();
                *target = format!("#/definitions/{}", file.rsplit('.').next().unwrap());
            }
            members.values_mut().for_each(point_within);
        }
        Value::Array(items) => items.iter_mut().for_each(point_within),
        _ => {}
    }
}

fn definitions(version: Version) -> Value {
    let text = if version == Version::V1 { V1 } else { V03 };
    let mut definitions = serde_json::from_str::<Value>(text).unwrap()["definitions"].take();
    if version == Version::V1 {
        point_within(&mut definitions);
        let Value::Object(named) = definitions else { panic!("an object") };
        let named = named.into_iter().map(|(title, it)| (title.replace(' ', ""), it));
        definitions = Value::Object(named.collect::<Map<_, _>>());
        for (kind, members) in REQUIRED {
            definitions[kind]["required"] = json!(members);
        }
        for (kind, members) in ONE_OF {
            let each = members.iter().map(|member| json!({ "required": [member] }));
            definitions[kind]["oneOf"] = each.collect();
        }
    }
    definitions
}

fn compile(version: Version, kind: &str) -> Validator {
    let definitions = definitions(version);
    assert!(definitions.get(kind).is_some(), "no definition of {kind}");
    let draft = if version == Version::V1 { Draft::Draft202012 } else { Draft::Draft7 };
    let schema = json!({ "allOf": [{ "$ref": format!("#/definitions/{kind}") }], "definitions": definitions });
    let options = jsonschema::options().with_draft(draft).offline();
    options.should_validate_formats(true).build(&schema).unwrap()
}

/// What the definition of this name says against a value; its name is that of the type in the proto or the schema.
pub(crate) fn faults(version: Version, kind: &str, value: &Value) -> Vec<String> {
    let mut compiled = COMPILED.lock();
    let key = (version == Version::V1, kind.to_owned());
    let validator = compiled.entry(key).or_insert_with(|| compile(version, kind));
    let told = validator.iter_errors(value);
    told.map(|it| format!("{kind} at `{}`: {it}", it.instance_path())).collect()
}

/// What is wrong with the details of an error, of which the first has to be an `ErrorInfo` as google/rpc/error_details.proto
/// describes it.
pub(crate) fn faults_of_details(details: &Value) -> Vec<String> {
    let info = &details[0];
    let is_upper = |it: &str| {
        let inner = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
        it.len() <= 63 && it.starts_with(|c: char| c.is_ascii_uppercase()) && it.bytes().all(inner)
    };
    let is_key = |it: &str| {
        let inner = |it: u8| it.is_ascii_alphanumeric() || it == b'_' || it == b'-';
        it.len() <= 64 && it.starts_with(|c: char| c.is_ascii_lowercase()) && it.bytes().all(inner)
    };
    let facts = info["metadata"].as_object();
    let checks = [
        ("type", info["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"),
        ("reason", info["reason"].as_str().is_some_and(is_upper)),
        ("domain", info["domain"] == "a2a-protocol.org"),
        (
            "metadata",
            facts.is_some_and(|it| it.iter().all(|(key, it)| is_key(key) && it.is_string())),
        ),
    ];
    let wrong = checks.into_iter().filter(|(_, good)| !good);
    wrong.map(|(member, _)| format!("ErrorInfo, {member}: {info}")).collect()
}
