//! JSON Schemas of tools, compiled once and asked at every call.

use carport_core::{Result, RpcError};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Violations that one error reports.
const MAX_REPORTED: usize = 5;

/// Compiles a schema. It loads nothing: a reference that leads out of it does not compile. Patterns
/// take linear time. `field` is its path.
pub(crate) fn compile(field: &str, schema: &Value) -> Result<Validator> {
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    options.build(schema).map_err(|error| {
        let path = format!("{field}{}", error.instance_path());
        RpcError::invalid_params(&path, format!("does not compile: {error}"))
    })
}

/// What in `value` breaks the schema, named by place and rule and not by value.
pub(crate) fn violations(schema: &Validator, value: &Value) -> Vec<String> {
    if schema.is_valid(value) {
        return Vec::new();
    }
    let mut found: Vec<_> = schema
        .iter_errors(value)
        .take(MAX_REPORTED)
        .map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/".to_owned() } else { place };
            format!("{place}: {}", error.masked_with("the value"))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_violation_names_the_place_and_not_the_value() {
        let schema = json!({ "properties": { "n": { "type": "integer" } }, "required": ["m"] });
        let schema = compile("tools[0].parameters", &schema).unwrap();
        assert!(violations(&schema, &json!({ "n": 1, "m": 2 })).is_empty());
        let said = violations(&schema, &json!({ "n": "hunter2" })).join("; ");
        assert!(said.contains("/n: ") && said.contains("\"m\""), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn a_schema_that_leads_elsewhere_or_is_none_does_not_compile() {
        for bad in [
            json!({ "$ref": "http://example.org/s.json" }),
            json!({ "$ref": "file:///etc/passwd" }),
            json!({ "type": "no such type" }),
            json!(7),
            json!({ "pattern": "(" }),
        ] {
            let error = compile("tools[0].parameters", &bad).unwrap_err();
            assert!(error.field().unwrap().starts_with("tools[0].parameters"), "{bad}");
        }
        assert!(compile("p", &json!({})).is_ok());
        assert!(compile("p", &json!(true)).is_ok());
    }

    #[test]
    fn a_schema_that_refers_to_itself_does_not_run_for_ever() {
        let schema = json!({ "$ref": "#" });
        if let Ok(schema) = compile("p", &schema) {
            violations(&schema, &json!({ "a": 1 }));
        }
    }
}
