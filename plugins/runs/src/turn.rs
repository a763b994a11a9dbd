//! Turns as clients send them, and how they are shortened until they fit. Pure.

use carport_core::{RpcError, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::record::{Line, RunRecord, RunTurn};

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
    pub prompt: Option<Value>,
    /// The tool that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub tool: Option<String>,
    /// What it was called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Value>,
    /// What came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// How a driven command ended; usually `{ status, exit_code?, duration_ms? }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cli_outcome: Option<Value>,
    /// Usually `not_run`, `passed`, `failed` or `inconclusive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier_verdict: Option<Value>,
    /// Whether a policy refused the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_rejected: Option<bool>,
}

/// A turn that does not fit however it is shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a turn exceeds 256 KiB in fields that are not shortened")]
pub(crate) struct TooLarge;

impl NewTurn {
    /// Cuts long strings; if the turn is still too large, its free fields say so instead.
    pub(crate) fn shorten(&mut self) -> Result<(), TooLarge> {
        for field in [&mut self.prompt, &mut self.parameters, &mut self.output] {
            field.iter_mut().for_each(cut_strings);
        }
        if self.fits() {
            return Ok(());
        }
        let free = [&mut self.prompt, &mut self.parameters, &mut self.output];
        for value in free.into_iter().flatten() {
            *value = DROPPED.into();
        }
        if self.fits() { Ok(()) } else { Err(TooLarge) }
    }

    fn fits(&self) -> bool {
        let stamped = RunRecord::Turn(self.clone().stamp(u64::from(u32::MAX), Time::default()));
        Line::of(&stamped).is_ok_and(|line| line.text().len() + RESERVE <= MAX_LINE)
    }

    /// The record of this turn at its place.
    pub(crate) fn stamp(self, index: u64, at: Time) -> RunTurn {
        RunTurn {
            index,
            prompt: self.prompt,
            tool: self.tool,
            parameters: self.parameters,
            output: self.output,
            cli_outcome: self.cli_outcome,
            verifier_verdict: self.verifier_verdict.unwrap_or_else(|| "not_run".into()),
            policy_rejected: self.policy_rejected,
            at,
        }
    }

    pub(crate) fn validate(&self, field: &str) -> Result<(), RpcError> {
        let tool = self.tool.as_deref();
        carport_core::bounds::maybe_bytes(&format!("{field}.tool"), tool, 0..=256)
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

    #[test]
    fn a_long_string_is_cut_wherever_it_is() {
        let mut long = turn(json!({ "output": { "a": ["x".repeat(5 << 20)] }, "tool": "t" }));
        long.shorten().unwrap();
        let text = long.output.unwrap()["a"][0].as_str().unwrap().to_owned();
        assert_eq!(text.len(), MAX_STRING + CUT.len());
        assert!(text.ends_with(CUT));
    }

    #[test]
    fn many_strings_give_way_to_a_marker_and_the_tool_stays() {
        let strings: Vec<_> = (0..40).map(|_| "x".repeat(MAX_STRING)).collect();
        let mut large = turn(json!({ "tool": "t", "prompt": "p", "output": strings }));
        large.shorten().unwrap();
        assert_eq!(large.tool.as_deref(), Some("t"));
        assert_eq!((large.prompt, large.output), (Some(DROPPED.into()), Some(DROPPED.into())));
        assert_eq!(large.parameters, None);
    }

    #[test]
    fn what_is_large_elsewhere_does_not_fit() {
        let mut large = turn(json!({ "cli_outcome": "x".repeat(300 * 1024) }));
        assert_eq!(large.shorten(), Err(TooLarge));
    }

    #[test]
    fn an_index_of_any_shape_is_no_error() {
        for index in [json!(-1), json!("x"), json!(1.5), json!(null)] {
            assert_eq!(turn(json!({ "index": index })), NewTurn::default());
        }
    }

    proptest! {
        #[test]
        fn a_shortened_turn_fits_and_stays_as_it_is(words in prop::collection::vec(".{0,40}", 0..20), times in 1usize..3000) {
            let mut turn = turn(json!({ "output": words.join(" ").repeat(times) }));
            prop_assert!(turn.shorten().is_ok());
            let once = turn.clone();
            let line = Line::of(&RunRecord::Turn(once.clone().stamp(1999, Time::default()))).unwrap();
            prop_assert!(line.text().len() <= MAX_LINE);
            prop_assert!(once.output.unwrap().as_str().unwrap().len() <= MAX_STRING + CUT.len());
        }
    }
}
