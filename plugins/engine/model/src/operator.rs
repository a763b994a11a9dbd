//! How a state value is compared: preconditions and assertions.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::{canon::number_text, proposal::Precondition, state::StateView};

/// A comparison by its name on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// JSON equality, numbers by value. An absent key equals nothing.
    Eq,
    /// Not [`Self::Eq`], so an absent key is unequal to everything.
    Neq,
    /// Both are numbers, and greater.
    Gt,
    /// Both are numbers, and less.
    Lt,
    /// Both are numbers, and not less.
    Gte,
    /// Both are numbers, and not greater.
    Lte,
    /// The key is there, also with a `null`.
    Exists,
    /// The key is not there.
    NotExists,
    /// The state has this text in a string or this value in an array.
    Contains,
}

/// Why a condition does not hold. Names keys and operators, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// No such comparison.
    #[error("unknown operator '{operator}' on '{key}'")]
    UnknownOperator {
        /// The state key.
        key: String,
        /// The name.
        operator: String,
    },
    /// A precondition.
    #[error("precondition '{key}' {operator} does not hold{}", quoted(.description))]
    Precondition {
        /// The state key.
        key: String,
        /// The comparison.
        operator: String,
        /// In the author's words.
        description: String,
    },
    /// An assertion.
    #[error("assertion '{key}' {operator} does not hold")]
    Assertion {
        /// The state key.
        key: String,
        /// The comparison.
        operator: String,
    },
}

fn quoted(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(": {description}") }
}

impl Operator {
    /// The operator of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "neq" => Self::Neq,
            "gt" => Self::Gt,
            "lt" => Self::Lt,
            "gte" => Self::Gte,
            "lte" => Self::Lte,
            "exists" => Self::Exists,
            "not_exists" => Self::NotExists,
            "contains" => Self::Contains,
            _ => return None,
        })
    }

    /// Whether `actual`, the state's value if the key is there, compares so with `expected`.
    pub fn holds(self, actual: Option<&Value>, expected: &Value) -> bool {
        let compared = |wanted: fn(Ordering) -> bool| {
            actual.and_then(|actual| compare(actual, expected)).is_some_and(wanted)
        };
        match self {
            Self::Eq => actual.is_some_and(|actual| equal(actual, expected)),
            Self::Neq => !Self::Eq.holds(actual, expected),
            Self::Gt => compared(Ordering::is_gt),
            Self::Lt => compared(Ordering::is_lt),
            Self::Gte => compared(Ordering::is_ge),
            Self::Lte => compared(Ordering::is_le),
            Self::Exists => actual.is_some(),
            Self::NotExists => actual.is_none(),
            Self::Contains => match (actual, expected) {
                (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
                (Some(Value::Array(items)), item) => items.iter().any(|it| equal(it, item)),
                _ => false,
            },
        }
    }
}

impl Precondition {
    /// Whether it holds in this state.
    pub fn check(&self, state: &dyn StateView) -> Result<(), Unmet> {
        let (key, operator) = (self.key.clone(), self.operator.clone());
        match Operator::named(&self.operator) {
            None => Err(Unmet::UnknownOperator { key, operator }),
            Some(it) if it.holds(state.get(&self.key), &self.value) => Ok(()),
            Some(_) => {
                let description = self.description.clone();
                Err(Unmet::Precondition { key, operator, description })
            }
        }
    }
}

/// What an assertion compares.
#[derive(Debug, Clone, PartialEq)]
pub struct Assertion<'a> {
    /// The state key.
    pub key: &'a str,
    /// The comparison; `eq` if absent.
    pub operator: &'a str,
    /// `expected`, else `value`, else `null`.
    pub expected: &'a Value,
}

impl<'a> Assertion<'a> {
    /// Reads the parameters of an assertion; none without a string `key`, or if `operator` is no string.
    pub fn of(parameters: &'a Map<String, Value>) -> Option<Self> {
        // In parameters, `null` means absent.
        let given = |name: &str| parameters.get(name).filter(|value| !value.is_null());
        let key = given("key")?.as_str()?;
        let operator = given("operator").map_or(Some("eq"), Value::as_str)?;
        let expected = given("expected").or_else(|| given("value")).unwrap_or(&Value::Null);
        Some(Self { key, operator, expected })
    }

    /// Whether it holds in this state.
    pub fn check(&self, state: &dyn StateView) -> Result<(), Unmet> {
        let (key, operator) = (self.key.to_owned(), self.operator.to_owned());
        match Operator::named(self.operator) {
            None => Err(Unmet::UnknownOperator { key, operator }),
            Some(it) if it.holds(state.get(self.key), self.expected) => Ok(()),
            Some(_) => Err(Unmet::Assertion { key, operator }),
        }
    }
}

/// JSON equality, numbers by value: `1` equals `1.0`.
pub fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || number_text(one) == number_text(other)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value)| other.get(key).is_some_and(|it| equal(value, it));
            one.len() == other.len() && one.iter().all(same)
        }
        _ => one == other,
    }
}

fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    let (Value::Number(one), Value::Number(other)) = (one, other) else { return None };
    let whole = |it: &Number| it.as_i64().map(i128::from).or(it.as_u64().map(i128::from));
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_operator_does_what_its_row_says() {
        let absent = Value::from("absent");
        for (actual, operator, expected, holds) in [
            (json!(1), "eq", json!(1.0), true),
            (json!([1, { "a": 2.0 }]), "eq", json!([1.0, { "a": 2 }]), true),
            (json!("1"), "eq", json!(1), false),
            (json!(null), "eq", json!(null), true),
            (absent.clone(), "eq", json!(null), false),
            (absent.clone(), "neq", json!(null), true),
            (json!(1), "neq", json!(1.0), false),
            (json!(2), "gt", json!(1.5), true),
            (json!(u64::MAX), "gt", json!(u64::MAX - 1), true),
            (json!(-1), "lt", json!(u64::MAX), true),
            (json!("2"), "gt", json!(1), false),
            (json!(1), "gte", json!(1), true),
            (json!(1), "lte", json!(0), false),
            (absent.clone(), "lte", json!(0), false),
            (json!(null), "exists", json!(7), true),
            (absent.clone(), "exists", json!(7), false),
            (absent.clone(), "not_exists", json!(null), true),
            (json!(null), "not_exists", json!(null), false),
            (json!("hello"), "contains", json!("ell"), true),
            (json!([1, 2]), "contains", json!(2.0), true),
            (json!([1, 2]), "contains", json!("2"), false),
            (json!({ "a": 1 }), "contains", json!("a"), false),
            (absent.clone(), "contains", json!(""), false),
        ] {
            let state = Map::from_iter([("k".into(), actual.clone())]);
            let key = if actual == absent { "gone" } else { "k" };
            let parameters = json!({ "key": key, "operator": operator, "expected": expected });
            let assertion = Assertion::of(parameters.as_object().unwrap()).unwrap();
            assert_eq!(assertion.check(&state).is_ok(), holds, "{actual} {parameters}");
        }
    }

    #[test]
    fn an_unknown_operator_never_holds_and_is_named() {
        let condition: Precondition =
            serde_json::from_value(json!({ "key": "k", "operator": "almost" })).unwrap();
        let state = Map::from_iter([("k".into(), Value::Null)]);
        let error = condition.check(&state).unwrap_err().to_string();
        assert_eq!(error, "unknown operator 'almost' on 'k'");
    }

    #[test]
    fn an_error_quotes_the_description_and_no_value() {
        let condition = json!({ "key": "k", "value": "s3cret", "description": "signed in" });
        let condition: Precondition = serde_json::from_value(condition).unwrap();
        let error = condition.check(&Map::new()).unwrap_err().to_string();
        assert_eq!(error, "precondition 'k' eq does not hold: signed in");
    }

    #[test]
    fn expected_wins_over_value_and_null_is_absent() {
        for (parameters, expected) in [
            (json!({ "key": "k", "expected": 1, "value": 2 }), json!(1)),
            (json!({ "key": "k", "expected": null, "value": 2, "operator": null }), json!(2)),
            (json!({ "key": "k" }), json!(null)),
        ] {
            let assertion = Assertion::of(parameters.as_object().unwrap()).unwrap();
            assert_eq!((assertion.operator, assertion.expected), ("eq", &expected));
        }
        assert_eq!(Assertion::of(json!({ "operator": "eq" }).as_object().unwrap()), None);
    }
}
