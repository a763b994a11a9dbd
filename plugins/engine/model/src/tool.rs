//! What a client says about a tool of its own.

use carport_core::{Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of JSON of one schema.
const SCHEMA_BYTES: usize = 64 * 1024;

/// A tool. `{ "name": "t" }` is enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToolSchema {
    /// `[A-Za-z0-9_.:/-]`.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// For a model to read.
    #[serde(default)]
    #[schemars(length(max = 4096))]
    pub description: String,
    /// JSON Schema of the parameters; at most 64 KiB.
    #[serde(default = "anything")]
    pub parameters: Value,
    /// JSON Schema of the result, if results are to be checked; at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Value>,
    /// Whether calling it twice is calling it once.
    #[serde(default)]
    pub idempotent: bool,
    /// How long, in seconds, a result may stand for another call; idempotent tools only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub cache_ttl_secs: Option<u64>,
    /// How often it may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// So many calls in any window of that length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RateLimit {
    /// Calls in one window.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_calls: u32,
    /// Length of the window in seconds, above zero.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub interval_secs: f64,
}

fn anything() -> Value {
    Value::Object(Map::new())
}

impl ToolSchema {
    /// Its bounds; `field` is the path of this tool, such as `tools[2]`. Whether its schemas compile is
    /// for the one who compiles them to say.
    pub fn check(&self, field: &str) -> Result<()> {
        let path = |name: &str| format!("{field}.{name}");
        bounds::bytes(&path("name"), &self.name, 1..=128)?;
        let word = |letter: char| letter.is_ascii_alphanumeric() || "_.:/-".contains(letter);
        bounds::letters(&path("name"), &self.name, "[A-Za-z0-9_.:/-]", word)?;
        bounds::bytes(&path("description"), &self.description, 0..=4096)?;
        bounds::encoded(&path("parameters"), &self.parameters, SCHEMA_BYTES)?;
        bounds::encoded(&path("returns"), &self.returns, SCHEMA_BYTES)?;
        if let Some(seconds) = self.cache_ttl_secs {
            bounds::within(&path("cache_ttl_secs"), seconds, 1..=86_400)?;
        }
        self.rate_limit.map_or(Ok(()), |limit| limit.check(&path("rate_limit")))
    }
}

impl RateLimit {
    fn check(&self, field: &str) -> Result<()> {
        bounds::within(&format!("{field}.max_calls"), self.max_calls, 1..=1_000_000)?;
        match self.interval_secs > 0.0 {
            true => Ok(()),
            false => {
                let field = format!("{field}.interval_secs");
                let why = format!("must be above 0, got {}", self.interval_secs);
                Err(RpcError::invalid_params(&field, why).with("limit", 0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(value: Value) -> ToolSchema {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_name_is_enough() {
        let tool = tool(json!({ "name": "t" }));
        assert_eq!(tool.check("tools[0]"), Ok(()));
        let whole =
            json!({ "name": "t", "description": "", "parameters": {}, "idempotent": false });
        assert_eq!(serde_json::to_value(tool).unwrap(), whole);
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        for (value, field) in [
            (json!({ "name": "" }), "tools[0].name"),
            (json!({ "name": "a b" }), "tools[0].name"),
            (json!({ "name": "x".repeat(129) }), "tools[0].name"),
            (json!({ "name": "t", "description": "x".repeat(4097) }), "tools[0].description"),
            (
                json!({ "name": "t", "parameters": { "a": "x".repeat(65_536) } }),
                "tools[0].parameters",
            ),
            (json!({ "name": "t", "returns": { "a": "x".repeat(65_536) } }), "tools[0].returns"),
            (json!({ "name": "t", "cache_ttl_secs": 0 }), "tools[0].cache_ttl_secs"),
            (
                json!({ "name": "t", "rate_limit": { "max_calls": 0, "interval_secs": 1 } }),
                "tools[0].rate_limit.max_calls",
            ),
            (
                json!({ "name": "t", "rate_limit": { "max_calls": 1, "interval_secs": 0 } }),
                "tools[0].rate_limit.interval_secs",
            ),
        ] {
            let error = tool(value.clone()).check("tools[0]").unwrap_err();
            assert_eq!(error.field(), Some(field), "{value}");
            assert!(error.data.unwrap().get("limit").is_some());
        }
    }
}
