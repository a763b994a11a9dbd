//! Turns as clients send them, and how they are shortened until they fit. Pure.

use carport_core::{RpcError, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    free::Free,
    record::{Line, RunRecord, RunTurn, not_run},
};

/// No line of a file is longer, the newline aside.
pub(crate) const MAX_LINE: usize = 262_144;
/// Room in a line for what the daemon itself adds.
const RESERVE: usize = 64;
/// No string inside the free fields is longer.
const MAX_STRING: usize = 16_384;
const CUT: &str = "…[truncated]";
const DROPPED: &str = "…[truncated: turn exceeded 256 KiB]";

/// A turn to record. `index` is the daemon's, whatever is sent; other fields are dropped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewTurn {
    /// What the model saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Free>,
    /// The tool that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub tool: Option<String>,
    /// What it was called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Free>,
    /// What came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Free>,
    /// How a driven command ended; usually `{ status, exit_code?, duration_ms? }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cli_outcome: Option<Free>,
    /// Usually `not_run`, `passed`, `failed` or `inconclusive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier_verdict: Option<Free>,
    /// Whether a policy refused the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_rejected: Option<bool>,
}

/// A turn that does not fit however it is shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a turn exceeds 256 KiB in fields that are not shortened")]
pub(crate) struct TooLarge;

impl NewTurn {
    /// The line of this turn at its place. Long strings are cut; if that is not enough, the free fields
    /// say so instead.
    pub(crate) fn encode(self, index: u64, at: Time) -> Result<Line, TooLarge> {
        let mut turn = RunTurn {
            index,
            prompt: self.prompt,
            tool: self.tool,
            parameters: self.parameters,
            output: self.output,
            cli_outcome: self.cli_outcome.map(on_one_line),
            verifier_verdict: self.verifier_verdict.map_or_else(not_run, on_one_line),
            policy_rejected: self.policy_rejected,
            at,
        };
        change_free(&mut turn, shortened);
        let mut record = RunRecord::Turn(turn);
        if let Ok(line) = fitting(&record) {
            return Ok(line);
        }
        if let RunRecord::Turn(turn) = &mut record {
            change_free(turn, |_| Value::from(DROPPED).into());
        }
        fitting(&record)
    }

    pub(crate) fn validate(&self, field: &str) -> Result<(), RpcError> {
        let tool = self.tool.as_deref();
        carport_core::bounds::maybe_bytes(&format!("{field}.tool"), tool, 0..=256)
    }
}

fn fitting(record: &RunRecord) -> Result<Line, TooLarge> {
    let line = Line::of(record).map_err(|_| TooLarge)?;
    if line.text().len() + RESERVE <= MAX_LINE { Ok(line) } else { Err(TooLarge) }
}

fn change_free(turn: &mut RunTurn, change: fn(Free) -> Free) {
    for field in [&mut turn.prompt, &mut turn.parameters, &mut turn.output] {
        *field = field.take().map(change);
    }
}

/// The value with its long strings cut, on one line.
fn shortened(value: Free) -> Free {
    if value.longest() <= MAX_STRING {
        return on_one_line(value);
    }
    let mut whole = value.value().unwrap_or_default();
    cut_strings(&mut whole);
    whole.into()
}

/// A record is a line, whatever white space a client puts between its values.
fn on_one_line(value: Free) -> Free {
    match value.text().contains(['\n', '\r']) {
        true => value.value().unwrap_or_default().into(),
        false => value,
    }
}

fn cut_strings(value: &mut Value) {
    match value {
        Value::String(text) => cut(text),
        Value::Array(items) => items.iter_mut().for_each(cut_strings),
        Value::Object(members) => members.values_mut().for_each(cut_strings),
        _ => {}
    }
}

/// Cuts a text above the limit at the last character boundary that is not beyond it.
pub(crate) fn cut(text: &mut String) {
    if text.len() > MAX_STRING {
        text.truncate(text.floor_char_boundary(MAX_STRING));
        text.push_str(CUT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn turn(value: Value) -> NewTurn {
        serde_json::from_value(value).unwrap()
    }

    /// The record that is written for a turn.
    fn encoded(value: Value) -> Value {
        let line = turn(value).encode(1999, Time::default()).unwrap();
        assert!(line.text().len() <= MAX_LINE);
        serde_json::from_str(line.text()).unwrap()
    }

    #[test]
    fn a_long_string_is_cut_wherever_it_is() {
        let long = encoded(json!({ "output": { "a": ["x".repeat(5 << 20)] }, "tool": "t" }));
        let text = long["output"]["a"][0].as_str().unwrap();
        assert_eq!(text.len(), MAX_STRING + CUT.len());
        assert!(text.ends_with(CUT));
    }

    #[test]
    fn many_strings_give_way_to_a_marker_and_the_tool_stays() {
        let strings: Vec<_> = (0..40).map(|_| "x".repeat(MAX_STRING)).collect();
        let large = encoded(json!({ "tool": "t", "prompt": "p", "output": strings }));
        assert_eq!(large["tool"], "t");
        assert_eq!((&large["prompt"], &large["output"]), (&json!(DROPPED), &json!(DROPPED)));
        assert_eq!(large.get("parameters"), None);
    }

    #[test]
    fn what_is_large_elsewhere_does_not_fit() {
        let large = turn(json!({ "cli_outcome": "x".repeat(300 * 1024) }));
        assert_eq!(large.encode(0, Time::default()), Err(TooLarge));
    }

    #[test]
    fn an_index_of_any_shape_is_no_error() {
        for index in [json!(-1), json!("x"), json!(1.5), json!(null)] {
            assert_eq!(turn(json!({ "index": index })), NewTurn::default());
        }
    }

    #[test]
    fn a_turn_is_one_line_and_otherwise_as_it_was_sent() {
        let turn: NewTurn = serde_json::from_str(
            "{\"parameters\":{\"z\": 1,\"a\": 1.50},\"output\":{\n \"b\":\n[1,2]},\"cli_outcome\":[\n]}",
        )
        .unwrap();
        let line = turn.encode(0, Time::default()).unwrap();
        assert!(!line.text().contains('\n'));
        assert!(line.text().contains(r#""parameters":{"z": 1,"a": 1.50},"output":{"b":[1,2]}"#));
    }

    proptest! {
        #[test]
        fn a_turn_of_any_output_fits(words in prop::collection::vec(".{0,40}", 0..20), times in 1usize..3000) {
            let record = encoded(json!({ "output": words.join(" ").repeat(times) }));
            prop_assert!(record["output"].as_str().unwrap().len() <= MAX_STRING + CUT.len());
        }
    }
}
