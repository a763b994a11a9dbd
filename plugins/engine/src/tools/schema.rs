//! JSON Schemas of tools, compiled once and asked at every call.

use carport_core::{Result, RpcError};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::cost::Cost;

/// Violations that one error reports.
const MAX_REPORTED: usize = 5;

/// A schema that is ready, with what it costs to hold a value against it.
pub(crate) struct Schema {
    validator: Validator,
    cost: Cost,
}

/// Compiles a schema. It loads nothing: a reference that leads out of it does not compile. Patterns
/// take linear time. One that a small value could keep busy is refused before. `field` is its path.
pub(crate) fn compile(field: &str, schema: &Value) -> Result<Schema> {
    let cost = Cost::of(schema).map_err(|error| RpcError::invalid_params(field, error))?;
    let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
    let validator = options.build(schema).map_err(|error| {
        let path = format!("{field}{}", error.instance_path());
        RpcError::invalid_params(&path, format!("does not compile: {error}"))
    })?;
    Ok(Schema { validator, cost })
}

/// What in `value` breaks the schema, named by place and rule and not by value.
pub(crate) fn violations(schema: &Schema, value: &Value) -> Vec<String> {
    if !schema.cost.bears(value) {
        return vec!["/: too large or too deep to be held against this schema".into()];
    }
    let schema = &schema.validator;
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
            let error = compile("tools[0].parameters", &bad).err().unwrap();
            assert!(error.field().unwrap().starts_with("tools[0].parameters"), "{bad}");
        }
        assert!(compile("p", &json!({})).is_ok());
        assert!(compile("p", &json!(true)).is_ok());
    }

    #[test]
    fn a_schema_that_costs_too_much_is_refused_and_names_its_field() {
        let error = compile("tools[0].returns", &json!({ "$ref": "#" })).err().unwrap();
        assert_eq!(error.field(), Some("tools[0].returns"));
    }

    /// As many references, and as deep a value, as the bounds let through.
    #[test]
    fn what_is_let_through_fits_the_stack() {
        let mut defs = serde_json::Map::new();
        for n in 0..250 {
            let next = json!({ "$ref": format!("#/$defs/a{}", n + 1) });
            defs.insert(format!("a{n}"), json!({ "properties": { "x": next } }));
        }
        defs.insert("a250".into(), json!({ "type": "integer" }));
        assert!(compile("p", &json!({ "$defs": defs, "$ref": "#/$defs/a0" })).is_ok());
        let mut defs = serde_json::Map::new();
        for n in 0..7 {
            defs.insert(format!("a{n}"), json!({ "$ref": format!("#/$defs/a{}", n + 1) }));
        }
        defs.insert("a7".into(), json!({ "properties": { "x": { "$ref": "#/$defs/a0" } } }));
        let schema = compile("p", &json!({ "$defs": defs, "$ref": "#/$defs/a0" })).unwrap();
        let nested = |levels| (0..levels).fold(json!({}), |value, _| json!({ "x": value }));
        assert!(violations(&schema, &nested(100)).is_empty());
        assert_eq!(violations(&schema, &nested(127)).len(), 1);
    }
}
