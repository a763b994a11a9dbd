//! One suite over every registered method of the full build.

use std::{collections::BTreeMap, fmt::Write as _};

use carport_core::{
    RpcError, codes,
    testing::{TestClient, TestHost},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Everything that the document says of one method.
struct Described {
    name: String,
    access: String,
    parameters: Vec<(String, bool, Value)>,
    row: Value,
}

impl Described {
    /// Arrays and objects that its parameters cannot be.
    fn wrong_shapes(&self) -> Vec<Value> {
        match self.row["paramStructure"].as_str() {
            Some("by-name") => vec![json!([]), json!([1, 2])],
            Some("by-position") => vec![json!({}), json!([1, 2])],
            _ => Vec::new(),
        }
    }
}

async fn described(host: &TestHost) -> Vec<Described> {
    let rows: BTreeMap<String, Value> = host.openrpc().await;
    let parameter = |it: &Value| {
        let name = it["name"].as_str().unwrap().to_owned();
        (name, it["required"] == true, it["schema"].clone())
    };
    rows.into_iter()
        .map(|(name, row)| Described {
            access: row["x-access"].as_str().unwrap().to_owned(),
            parameters: row["params"].as_array().unwrap().iter().map(parameter).collect(),
            name,
            row,
        })
        .collect()
}

/// Whether a method has a name of A2A v1.0: words without a space between them.
fn is_of_a2a(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphabetic())
}

/// The parameter that an error names; A2A has a list of them in the place of the core's `field`.
fn named(error: &RpcError) -> Option<&str> {
    let of_a2a = || error.data.as_ref()?.get(1)?["fieldViolations"][0]["field"].as_str();
    error.field().or_else(of_a2a)
}

/// Somebody whom the method admits, on a connection of their own.
async fn admitted(host: &TestHost, access: &str) -> TestClient {
    match access {
        "public" => host.stranger().await,
        "host" | "agent-owner" => host.host().await,
        _ => host.client().await,
    }
}

#[tokio::test]
async fn every_method_has_a_name_documentation_access_and_schemas_that_compile() {
    let host = TestHost::start().await;
    let document = host.stranger().await.raw("rpc.discover", json!({})).await.unwrap();
    let methods = described(&host).await;
    assert!(methods.len() >= 30, "the full build is linked");
    for method in &methods {
        let name = &method.name;
        assert!(
            name.len() <= 128
                && (name.contains(['.', '/'])
                    || is_of_a2a(name)
                    || ["verify", "transcribe", "synthesize"].contains(&name.as_str())),
            "{name}"
        );
        assert!(
            method.row["summary"].as_str().is_some_and(|it| it.len() > 5),
            "{name}: no doc comment"
        );
        let known = ["public", "authenticated", "agent-owner", "host"];
        assert!(known.contains(&method.access.as_str()), "{name}: {}", method.access);
        let schemas = method.parameters.iter().map(|(_, _, schema)| schema);
        for schema in schemas.chain([&method.row["result"]["schema"]]) {
            let mut schema = schema.clone();
            if let Some(object) = schema.as_object_mut() {
                object.insert("components".into(), document["components"].clone());
            }
            let compiled = jsonschema::draft202012::new(&schema);
            assert!(compiled.is_ok(), "{name}: {:?}", compiled.err());
        }
        for (parameter, _, schema) in &method.parameters {
            let documented = schema["description"].is_string()
                || schema["$ref"].is_string()
                || schema["anyOf"].is_array()
                || schema.as_bool().is_some();
            assert!(documented, "{name}: parameter `{parameter}` has no doc comment");
        }
    }
}

#[tokio::test]
async fn every_method_that_is_not_public_refuses_strangers_and_hangs_up() {
    let host = TestHost::start().await;
    for method in described(&host).await.iter().filter(|it| it.access != "public") {
        let mut stranger = host.stranger().await;
        let error = stranger.raw(&method.name, json!({})).await.unwrap_err();
        assert_eq!(error.code, codes::NOT_AUTHENTICATED, "{}", method.name);
        assert_eq!(stranger.closed().await, Some(1008), "{}", method.name);
    }
}

#[tokio::test]
async fn every_host_method_refuses_clients_and_agents() {
    let host = TestHost::start().await;
    for method in described(&host).await.iter().filter(|it| it.access == "host") {
        for mut other in [host.client().await, host.agent("someone").await] {
            let error = other.raw(&method.name, json!({})).await.unwrap_err();
            assert_eq!(error.code, codes::FORBIDDEN, "{}", method.name);
        }
    }
}

#[tokio::test]
async fn garbage_is_an_error_with_a_field_and_never_a_panic() {
    let host = TestHost::start().await;
    let deep = (0..100).fold(json!(0), |deep, _| json!([deep]));
    let garbage = [
        json!(null),
        json!(-1),
        json!(1.5),
        json!("x".repeat(50_000)),
        json!([]),
        json!({ "a": 1 }),
        json!(true),
        deep,
    ];
    for method in described(&host).await {
        let wrong = method.wrong_shapes();
        for params in wrong.into_iter().chain([json!("x"), json!(7), json!(true)]) {
            let mut client = admitted(&host, &method.access).await;
            let error = client.raw(&method.name, params.clone()).await.unwrap_err();
            assert_eq!(error.code, codes::INVALID_PARAMS, "{} {params}", method.name);
        }
        for (parameter, ..) in &method.parameters {
            for value in &garbage {
                let mut params = valid(&method);
                params.insert(parameter.clone(), value.clone());
                let mut client = admitted(&host, &method.access).await;
                if let Err(error) = client.raw(&method.name, Value::Object(params)).await {
                    let is_told = error.code != codes::INVALID_PARAMS || named(&error).is_some();
                    assert!(
                        error.code != codes::INTERNAL && is_told,
                        "{}: `{parameter}`: {error:?}",
                        method.name
                    );
                }
            }
        }
    }
}

/// A value beyond each bound that a schema states is refused, with the field's name: what discovery
/// says and what `validate` does cannot drift apart.
#[tokio::test]
async fn the_bounds_that_schemas_state_are_the_bounds_that_hold() {
    let host = TestHost::start().await;
    let mut checked = 0;
    for method in described(&host).await {
        for (parameter, _, schema) in &method.parameters {
            for beyond in beyond(schema) {
                let mut params = valid(&method);
                params.insert(parameter.clone(), beyond.clone());
                let mut client = admitted(&host, &method.access).await;
                let answer = client.raw(&method.name, Value::Object(params)).await;
                let error = answer.expect_err(&format!("{}: `{parameter}`", method.name));
                // What this build cannot do is said before its parameters are looked at.
                if error.code == codes::UNAVAILABLE {
                    continue;
                }
                let field = named(&error).unwrap_or_default();
                assert!(
                    error.code == codes::INVALID_PARAMS && field.starts_with(parameter.as_str()),
                    "{}: `{parameter}` beyond its bound: {error:?}",
                    method.name
                );
                // A2A tells a limit in words.
                let data = error.data.unwrap();
                let is_told = data.is_array() || !data["limit"].is_null();
                assert!(is_told, "{}: `{parameter}`: no limit", method.name);
                checked += 1;
            }
        }
    }
    assert!(checked >= 60, "only {checked} bounds were found");
}

/// Values just outside the bounds that a schema states.
fn beyond(schema: &Value) -> Vec<Value> {
    let mut beyond = Vec::new();
    let bound = |name: &str| schema[name].as_u64();
    if let Some(most) = bound("maxLength") {
        beyond.push(json!("a".repeat(most as usize + 1)));
    }
    if bound("minLength").is_some_and(|least| least > 0) {
        beyond.push(json!(""));
    }
    if let Some(most) = bound("maximum") {
        beyond.push(json!(most + 1));
    }
    if let Some(least) = bound("minimum").filter(|least| *least > 0) {
        beyond.push(json!(least - 1));
    }
    if let Some(most) = bound("maxItems").filter(|_| schema["items"]["type"] == "string") {
        beyond.push(json!(vec!["a"; most as usize + 1]));
    }
    beyond
}

/// The least that a method takes.
fn valid(method: &Described) -> Map<String, Value> {
    let required = method.parameters.iter().filter(|(_, required, _)| *required);
    let mut params: Map<String, Value> =
        required.map(|(name, _, schema)| (name.clone(), least(name, schema))).collect();
    let more = match method.name.as_str() {
        "host.resolve_approval" => json!({ "approved": true }),
        "registry.register" => json!({ "entry": { "name": "a", "dashboard_url": "http://a" } }),
        "policy.register" => json!({ "target": "t" }),
        "permission.approve" | "permission.reject" => {
            json!({ "fingerprint": "0".repeat(64), "required_tier": "read_only" })
        }
        "voice.enroll_speaker" => json!({ "audio": { "audio_b64": "UklGRg==" } }),
        "voice.prepare" => json!({ "what": "stt" }),
        _ => json!({}),
    };
    params.extend(more.as_object().cloned().unwrap_or_default());
    params
}

fn least(name: &str, schema: &Value) -> Value {
    match (name, schema["type"].as_str()) {
        ("methods", _) => json!([{ "name": "aa.a", "params_schema": {}, "access": "host" }]),
        ("status", _) => json!("idle"),
        ("outcome", _) => json!({}),
        ("turns", _) => json!([{}]),
        ("proposal", _) => json!({ "actions": [] }),
        ("chunk", _) => json!({ "kind": "text", "text": "a" }),
        ("decision", _) => json!({ "kind": "allow" }),
        ("rule", _) => json!("deny_tool"),
        ("entry", _) => json!({ "name": "a", "dashboard_url": "http://127.0.0.1:1" }),
        ("tier", _) => json!("read_only"),
        (_, Some("integer")) => json!(schema["minimum"].as_u64().unwrap_or(1)),
        (_, Some("boolean")) => json!(true),
        (_, Some("array")) => json!([]),
        (_, Some("object")) => json!({}),
        _ => json!("a".repeat(schema["minLength"].as_u64().unwrap_or(1).max(1) as usize)),
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,12}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn random_parameters_never_make_a_method_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (host, methods) = runtime.block_on(async {
        let host = TestHost::start().await;
        let methods = described(&host).await;
        (host, methods)
    });
    let config = ProptestConfig::with_cases(400);
    let pick = prop::sample::select((0..methods.len()).collect::<Vec<_>>());
    proptest!(config, |(at in pick, values in prop::collection::vec(any_json(), 8))| {
        let method = &methods[at];
        let names = method.parameters.iter().map(|(name, ..)| name.clone());
        let params: Map<String, Value> = names.zip(values).collect();
        let error = runtime.block_on(async {
            let mut client = admitted(&host, &method.access).await;
            client.raw(&method.name, Value::Object(params)).await.err()
        });
        let mut text = String::new();
        let _ = write!(text, "{}: {error:?}", method.name);
        prop_assert!(error.is_none_or(|error| error.code != codes::INTERNAL), "{}", text);
    });
}
