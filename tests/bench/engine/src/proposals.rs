//! The proposals that are measured.

use serde_json::{Value, json};

/// How the actions of a proposal depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Not at all: one level.
    Independent,
    /// Each on the one before it: as many levels as actions.
    Chained,
    /// Tool calls in rows of ten: in a row each reads the state key that the one before it writes, and
    /// each refers to the output of the one above it, which it also has a precondition on.
    Woven,
}

impl Shape {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Independent => "independent",
            Self::Chained => "chained",
            Self::Woven => "woven",
        }
    }
}

/// So many actions of a shape; those that are not woven are state writes.
pub(crate) fn proposal(shape: Shape, count: usize) -> Value {
    let action = |n: usize| match shape {
        Shape::Woven => woven(n),
        _ => after(
            shape,
            n,
            json!({ "type": "state_write", "parameters": { "key": format!("key-{n}"), "value": n } }),
        ),
    };
    whole((0..count).map(action))
}

/// So many calls of the tool `t`.
pub(crate) fn calls(shape: Shape, count: usize) -> Value {
    let call =
        |n| after(shape, n, json!({ "type": "tool_call", "tool": "t", "parameters": { "n": n } }));
    whole((0..count).map(call))
}

fn whole(actions: impl Iterator<Item = Value>) -> Value {
    json!({ "id": "bench", "source": "bench", "actions": actions.collect::<Vec<_>>() })
}

/// The action with its id, and after the one before it if they are chained.
fn after(shape: Shape, n: usize, mut action: Value) -> Value {
    action["id"] = format!("a{n}").into();
    if shape == Shape::Chained && n > 0 {
        action["dependencies"] = json!([format!("a{}", n - 1)]);
    }
    action
}

fn woven(n: usize) -> Value {
    let mut action = json!({
        "id": format!("a{n}"),
        "type": "tool_call",
        "tool": "t",
        "parameters": { "n": n },
        "expected_effects": { format!("key-{n}"): n },
    });
    if !n.is_multiple_of(10) {
        action["state_dependencies"] = json!([format!("key-{}", n - 1)]);
    }
    if let Some(above) = n.checked_sub(10) {
        action["parameters"]["text"] = format!("after ${{a{above}.output.text}}").into();
        action["preconditions"] = json!([{ "key": format!("key-{above}"), "operator": "exists" }]);
    }
    action
}
