//! Values and proposals that the tests of this crate are made of.

mod cost;
mod monte_carlo;
mod order;
mod policy;
mod reference;
mod simulate;
mod tier;
mod verify;

use proptest::prelude::*;
use serde_json::{Map, Value};

use crate::proposal::{Action, ActionProposal};

/// Any JSON of moderate size.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-1000i32..1000).prop_map(|it| Value::from(f64::from(it))),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// A proposal of these actions, its ids given.
pub(crate) fn proposal(actions: Value) -> ActionProposal {
    let whole = Map::from_iter([("id".into(), "p".into()), ("actions".into(), actions)]);
    let mut proposal: ActionProposal = serde_json::from_value(whole.into()).unwrap();
    proposal.fill(carport_core::Time::default(), ActionProposal::counted());
    proposal
}

/// One action.
pub(crate) fn action(value: Value) -> Action {
    proposal(Value::Array(vec![value])).actions.remove(0)
}

/// A tool call with further members; without an id if that is empty.
pub(crate) fn call(id: &str, more: Value) -> Value {
    let mut action = serde_json::json!({ "type": "tool_call", "tool": "t" });
    if !id.is_empty() {
        action["id"] = id.into();
    }
    if let (Value::Object(action), Value::Object(more)) = (&mut action, more) {
        action.extend(more);
    }
    action
}
