//! `calculate`: the value of an arithmetic expression.

mod parse;

use carport_core::bounds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::{Basic, Root, ToolError};

/// Bytes of an expression.
const MAX_EXPRESSION: usize = 4096;
/// Whole numbers up to here are exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Evaluates an arithmetic expression in double precision: `+ - * / % ^`, parentheses, `pi`, `e`, and
/// the functions abs, sqrt, exp, ln, log10, log2, sin, cos, tan, asin, acos, atan, floor, ceil, round,
/// trunc, min, max. Angles are in radians.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Calculate {
    /// Such as `2 * (3 + 4) ^ 2` or `max(1, sqrt(2))`; at most 4,096 bytes.
    #[schemars(length(min = 1, max = 4096))]
    pub expression: String,
}

/// The value.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub struct Calculated {
    /// A number; a whole one without a fraction.
    #[schemars(with = "f64")]
    pub result: Value,
}

impl Basic for Calculate {
    const NAME: &'static str = "calculate";
    type Output = Calculated;

    fn run(self, _: &Root) -> Result<Calculated, ToolError> {
        bounds::bytes("expression", &self.expression, 1..=MAX_EXPRESSION)?;
        let value = parse::evaluate(&self.expression)
            .map_err(|fault| ToolError::Expression(fault.to_string()))?;
        let result = match value {
            whole if whole.fract() == 0.0 && whole.abs() <= EXACT => {
                Some(Number::from(whole as i64))
            }
            value => Number::from_f64(value),
        };
        Ok(Calculated { result: result.map_or(Value::Null, Value::Number) })
    }
}
