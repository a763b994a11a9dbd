//! A manifest with every member that it was written with, and the form of it that is signed.

use std::borrow::Cow;

use carport_core::{Result, RpcError, bounds};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{error::BundleError, manifest::AgentManifest, toml};

/// How large a manifest may be, in bytes of JSON.
const MAX_BYTES: usize = 256 * 1024;

/// How long the TOML text of a manifest may be, in bytes.
pub const MAX_TEXT: usize = 1024 * 1024;

/// A manifest as it was written, members that this build does not know included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document(Map<String, Value>);

impl JsonSchema for Document {
    fn schema_name() -> Cow<'static, str> {
        AgentManifest::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        AgentManifest::json_schema(generator)
    }
}

impl Document {
    /// A manifest from its members.
    pub fn new(members: Map<String, Value>) -> Self {
        Self(members)
    }

    /// Reads a TOML text of at most [`MAX_TEXT`].
    pub fn from_toml(text: &str) -> Result<Self, BundleError> {
        if text.len() > MAX_TEXT {
            let why = "must be at most 1 MiB as TOML";
            return Err(BundleError::Value { path: "params".into(), why });
        }
        toml::read(text).map(Self)
    }

    /// Writes it as a TOML text, its tables sorted. Reading that gives the same canonical form; what
    /// could not be read again, for its length or because TOML does not nest so deep, is an error.
    pub fn to_toml(&self) -> Result<String, BundleError> {
        let text = toml::write(&self.0)?;
        Self::from_toml(&text)?;
        Ok(text)
    }

    /// What this build reads of it, checked. An error names the member as a path.
    pub fn manifest(&self) -> Result<AgentManifest> {
        bounds::encoded("params", &self.0, MAX_BYTES)?;
        let read = serde_path_to_error::deserialize(Value::Object(self.0.clone()));
        let manifest: AgentManifest = read.map_err(|error| {
            let (path, why) = (error.path().to_string(), error.inner().to_string());
            let missing = why.strip_prefix("missing field `").and_then(|it| it.strip_suffix('`'));
            match (path.as_str(), missing) {
                (".", Some(name)) => RpcError::invalid_params(name, &why),
                (path, Some(name)) => RpcError::invalid_params(&format!("{path}.{name}"), &why),
                (path, None) => RpcError::invalid_params(path, &why),
            }
        })?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// The form that is signed: JSON in UTF-8 without white space, the keys of each object sorted by
    /// code point, `publisher.signature` and members that are `null` left out. A number that is whole and
    /// below 2^53 has no fraction, and neither has any integer; every other float has the fewest digits that
    /// read back as the same 64 bits, with a fraction (`0.00001`, `9007199254740992.0`), or, below 1e-5 and
    /// from 1e16 on, with an exponent that has no leading zero (`1.5e-7`, `1e+16`). Of a text only `"`, `\` and control characters are escaped, as shortly as JSON can.
    pub fn canonical(&self) -> String {
        let mut members = self.0.clone();
        if let Some(Value::Object(publisher)) = members.get_mut("publisher") {
            publisher.remove("signature");
        }
        let mut text = String::new();
        object(&members, &mut text);
        text
    }

    /// A member of the table `publisher`, if it is a text.
    pub(crate) fn of_publisher(&self, member: &str) -> Option<&str> {
        self.0.get("publisher")?.get(member)?.as_str()
    }
}

fn object(members: &Map<String, Value>, text: &mut String) {
    let mut sorted: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    text.push('{');
    for (at, (key, value)) in sorted.into_iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push(':');
        write(value, text);
    }
    text.push('}');
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Object(members) => object(members, text),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        // What TOML writes as `1.0` a JSON writer may send as `1`.
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().unwrap_or_default();
            match float.fract() == 0.0 && float.abs() < MAX_WHOLE {
                true => text.push_str(&(float as i64).to_string()),
                false => text.push_str(&number.to_string()),
            }
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Up to here a float is every whole number: 2^53.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;
