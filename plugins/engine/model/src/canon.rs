//! Canonical JSON and its SHA-256: one value, one text.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use crate::{operation::Operation, proposal::Action};

/// Canonical JSON: keys sorted by code point, no spaces, and each number in one form, so that `1.0` and
/// `1` are the same text.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

/// The canonical JSON of an object.
pub fn canonical_object(members: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_object(members, &mut text);
    text
}

/// SHA-256 of the canonical JSON, as 64 lowercase hex digits.
pub fn digest(value: &Value) -> String {
    sha256(&canonical(value))
}

/// [`digest`] of an object.
pub fn digest_object(members: &Map<String, Value>) -> String {
    sha256(&canonical_object(members))
}

/// [`Operation::fingerprint`] of an action whose references are not filled in.
pub fn fingerprint(action: &Action) -> String {
    action.operation().fingerprint()
}

impl Operation<'_> {
    /// What it is known by, whatever its ids: [`digest`] of `{ type, tool, parameters }`, where `tool` is
    /// `null` unless it is a tool call.
    pub fn fingerprint(&self) -> String {
        let mut text = String::from(r#"{"parameters":"#);
        write_object(self.parameters, &mut text);
        text.push_str(r#","tool":"#);
        match self.tool {
            Some(tool) => write_text(tool, &mut text),
            None => text.push_str("null"),
        }
        text.push_str(r#","type":"#);
        write_text(self.kind.name(), &mut text);
        text.push('}');
        sha256(&text)
    }
}

fn sha256(text: &str) -> String {
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn write_value(value: &Value, to: &mut String) {
    match value {
        Value::Null => to.push_str("null"),
        Value::Bool(true) => to.push_str("true"),
        Value::Bool(false) => to.push_str("false"),
        Value::Number(number) => to.push_str(&number_text(number)),
        Value::String(text) => write_text(text, to),
        Value::Array(items) => {
            to.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    to.push(',');
                }
                write_value(item, to);
            }
            to.push(']');
        }
        Value::Object(members) => write_object(members, to),
    }
}

/// The map is sorted as it stands: by the bytes of UTF-8, which is by code point.
fn write_object(members: &Map<String, Value>, to: &mut String) {
    to.push('{');
    for (at, (key, value)) in members.iter().enumerate() {
        if at > 0 {
            to.push(',');
        }
        write_text(key, to);
        to.push(':');
        write_value(value, to);
    }
    to.push('}');
}

fn write_text(text: &str, to: &mut String) {
    // A string always has JSON.
    to.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// A whole number as its digits if 64 bits hold it, whether it was read as a float or not; any other
/// in the fewest digits that read back to it.
pub(crate) fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 => whole(float),
        _ => None,
    }
    .unwrap_or_else(|| number.to_string())
}

/// Below 2^64 and not below -2^63 the conversion is exact, for the float has no fraction.
fn whole(float: f64) -> Option<String> {
    const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
    match float {
        _ if (-TWO_POW_63..0.0).contains(&float) => Some((float as i64).to_string()),
        _ if (0.0..2.0 * TWO_POW_63).contains(&float) => Some((float as u64).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_and_numbers_have_one_form() {
        let value = json!({ "b": [1.0, -0.0, 1.5, 1e300, -2.0], "a": { "é": null, "z": "\n\"" }, "B": true });
        assert_eq!(
            canonical(&value),
            r#"{"B":true,"a":{"z":"\n\"","é":null},"b":[1,0,1.5,1e+300,-2]}"#
        );
        for (float, whole) in [
            (json!(9_223_372_036_854_775_808.0), json!(9_223_372_036_854_775_808u64)),
            (json!(-9_223_372_036_854_775_808.0), json!(i64::MIN)),
            (json!(1e16), json!(10_000_000_000_000_000u64)),
        ] {
            assert_eq!(canonical(&float), canonical(&whole));
        }
    }

    /// Against `printf '%s' '<text>' | sha256sum`.
    #[test]
    fn digests_are_what_other_programs_compute() {
        let empty = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(digest(&json!({})), empty);
        let action: Action = serde_json::from_value(json!({
            "id": "a", "type": "tool_call", "tool": "t", "parameters": { "b": 1.0, "a": "x" },
        }))
        .unwrap();
        let text = r#"{"parameters":{"a":"x","b":1},"tool":"t","type":"tool_call"}"#;
        assert_eq!(fingerprint(&action), sha256(text));
        let mut other = Action { id: "b".into(), max_retries: 1, ..action.clone() };
        assert_eq!(fingerprint(&action), fingerprint(&other));
        other.tool = Some("u".into());
        assert_ne!(fingerprint(&action), fingerprint(&other));
    }

    #[test]
    fn a_tool_that_is_ignored_is_no_part_of_the_operation() {
        let read = json!({ "id": "a", "type": "state_read", "parameters": { "key": "k" } });
        let mut action: Action = serde_json::from_value(read).unwrap();
        let without = fingerprint(&action);
        action.tool = Some("t".into());
        assert_eq!(fingerprint(&action), without);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_to_the_same_text(value in crate::tests::json()) {
            let text = canonical(&value);
            let back: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(canonical(&back), text);
            prop_assert!(crate::operator::equal(&value, &back));
        }
    }
}
