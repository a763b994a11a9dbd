//! What a connection says about a method that it adds, checked and compiled. Pure.

use std::{collections::BTreeSet, time::Duration};

use jsonschema::{PatternOptions, Validator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    contract::{access::Access, bounds},
    dispatch::registry::{Registry, namespace_of},
    wire::error::{Result, RpcError},
};

/// Bytes of one schema.
const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// Bytes of all schemas of a connection.
pub(crate) const MAX_SCHEMA_BYTES_OF_SESSION: usize = 1 << 20;
/// Levels of a schema.
const MAX_SCHEMA_DEPTH: usize = 32;
/// Methods in one call.
const MAX_METHODS_OF_CALL: usize = 128;
/// Namespaces that are nobody's to take.
const RESERVED: [&str; 7] = ["rpc", "server", "session", "host", "system", "carport", "car"];

/// A method that a connection offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MethodSpec {
    /// The full wire name: the namespace, a dot, one to three parts of `[a-z][a-z0-9_]*`.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// JSON Schema 2020-12 of the parameters; only local references.
    pub params_schema: Map<String, Value>,
    /// Who may call.
    pub access: AddedAccess,
    /// Whether a person must say yes first.
    #[serde(default)]
    pub needs_approval: bool,
    /// Whether a caller's connection waits for the answer.
    #[serde(default)]
    pub ordered: bool,
    /// JSON Schema 2020-12 of the result; what does not fit reaches nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_schema: Option<Map<String, Value>>,
    /// For people.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub description: String,
    /// How long a call may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub deadline_ms: Option<u64>,
}

/// Who may call an added method. The daemon could not say who owns what it touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddedAccess {
    /// Anyone who proved an identity.
    Authenticated,
    /// Only hosts.
    Host,
}

impl From<AddedAccess> for Access {
    fn from(access: AddedAccess) -> Self {
        match access {
            AddedAccess::Authenticated => Self::Authenticated,
            AddedAccess::Host => Self::Host,
        }
    }
}

/// A spec whose schemas are ready to check calls.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) spec: MethodSpec,
    pub(crate) params: Validator,
    pub(crate) result: Option<Validator>,
    pub(crate) schema_bytes: usize,
}

impl Compiled {
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.spec.deadline_ms.map(Duration::from_millis)
    }
}

/// A namespace that a connection may take.
pub(crate) fn check_namespace(registry: &Registry, namespace: &str) -> Result<()> {
    let refuse = |why: String| Err(RpcError::invalid_params("namespace", why));
    if !(2..=32).contains(&namespace.len()) || !is_word(namespace) {
        return refuse("must be [a-z][a-z0-9_]{1,31}".into());
    }
    if RESERVED.contains(&namespace) || registry.claims(namespace) {
        return refuse(format!("`{namespace}` belongs to the daemon"));
    }
    Ok(())
}

/// Checks and compiles every method of a call; an error names the first that is refused.
pub(crate) fn compile(namespace: &str, specs: Vec<MethodSpec>) -> Result<Vec<Compiled>> {
    bounds::items("methods", &specs, 1..=MAX_METHODS_OF_CALL)?;
    let mut names = BTreeSet::new();
    let mut compiled = Vec::new();
    for (at, spec) in specs.into_iter().enumerate() {
        let field = |name: &str| format!("methods[{at}].{name}");
        check_name(&field("name"), namespace, &spec.name)?;
        if !names.insert(spec.name.clone()) {
            return Err(RpcError::invalid_params(&field("name"), "is given twice"));
        }
        bounds::bytes(&field("description"), &spec.description, 0..=4096)?;
        bounds::within(&field("deadline_ms"), spec.deadline_ms.unwrap_or(1), 1..=86_400_000)?;
        let (params, mut schema_bytes) = validator(&field("params_schema"), &spec.params_schema)?;
        accepts_objects(&field("params_schema"), &spec.params_schema)?;
        let result = match &spec.result_schema {
            None => None,
            Some(schema) => {
                let (result, bytes) = validator(&field("result_schema"), schema)?;
                schema_bytes += bytes;
                Some(result)
            }
        };
        compiled.push(Compiled { spec, params, result, schema_bytes });
    }
    Ok(compiled)
}

fn check_name(field: &str, namespace: &str, name: &str) -> Result<()> {
    bounds::bytes(field, name, 1..=128)?;
    let parts: Vec<_> = name.split('.').skip(1).collect();
    let well_formed = (1..=3).contains(&parts.len()) && parts.iter().all(|part| is_word(part));
    match namespace_of(name) == namespace && well_formed {
        true => Ok(()),
        false => {
            let why = format!("must be `{namespace}.` and one to three parts [a-z][a-z0-9_]*");
            Err(RpcError::invalid_params(field, why))
        }
    }
}

fn is_word(text: &str) -> bool {
    let rest =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.chars().all(rest)
}

/// Compiles a schema that is small, shallow and refers to nothing outside itself.
fn validator(field: &str, schema: &Map<String, Value>) -> Result<(Validator, usize)> {
    let schema = Value::Object(schema.clone());
    let bytes = schema.to_string().len();
    let limit = |what: &str, limit: usize| {
        RpcError::limit(format!("`{field}`: {what}"), limit as u64).with("field", field)
    };
    if bytes > MAX_SCHEMA_BYTES {
        return Err(limit("bytes of a schema", MAX_SCHEMA_BYTES));
    }
    inspect(field, &schema, 1).map_err(|refused| match refused {
        Inspected::Deep => limit("levels of a schema", MAX_SCHEMA_DEPTH),
        Inspected::Foreign(path) => {
            RpcError::invalid_params(&path, "only local references (`#...`) are possible")
        }
    })?;
    let compiled = jsonschema::draft202012::options()
        .with_pattern_options(PatternOptions::regex())
        .build(&schema);
    let compiled = compiled.map_err(|error| {
        let path = format!("{field}{}", error.instance_path());
        RpcError::invalid_params(&path, format!("does not compile: {error}"))
    })?;
    Ok((compiled, bytes))
}

enum Inspected {
    Deep,
    Foreign(String),
}

fn inspect(path: &str, value: &Value, depth: usize) -> std::result::Result<(), Inspected> {
    if depth > MAX_SCHEMA_DEPTH {
        return Err(Inspected::Deep);
    }
    match value {
        Value::Object(members) => members.iter().try_for_each(|(key, value)| {
            let path = format!("{path}/{key}");
            let refers = matches!(key.as_str(), "$ref" | "$dynamicRef" | "$schema" | "$id");
            match (refers, key.as_str(), value) {
                (true, "$schema", _) => Ok(()),
                (true, _, Value::String(target)) if !target.starts_with('#') => {
                    Err(Inspected::Foreign(path))
                }
                _ => inspect(&path, value, depth + 1),
            }
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(at, value)| inspect(&format!("{path}/{at}"), value, depth + 1)),
        _ => Ok(()),
    }
}

/// Parameters are an object, so that a schema which admits none could never be met.
fn accepts_objects(field: &str, schema: &Map<String, Value>) -> Result<()> {
    let accepts = match schema.get("type") {
        None => true,
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        Some(_) => false,
    };
    match accepts {
        true => Ok(()),
        false => Err(RpcError::invalid_params(&format!("{field}/type"), "must accept objects")),
    }
}
