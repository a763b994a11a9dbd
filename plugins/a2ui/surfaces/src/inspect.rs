//! One walk over a value: how long its JSON is, how deep it goes, and what may stand nowhere.

use std::fmt::{self, Write as _};

use serde_json::{Map, Number, Value};

use crate::{
    fault::{Fault, Reason, dotted},
    limits::{Limits, within},
    pointer::{Pointer, is_reserved},
};

/// What is looked for.
#[derive(Clone, Copy)]
enum Rules {
    /// Data: containers are counted from those that it goes into.
    Data { over: usize },
    /// Components: also how deep calls are, and whether paths can be read.
    Component,
    /// The rest of an envelope.
    Plain,
}

struct Walk<'a> {
    limits: &'a Limits,
    rules: Rules,
}

/// Checks a value that goes into a data model below `over` containers. Returns the bytes of its JSON.
pub(crate) fn data(value: &Value, over: usize, at: &str, limits: &Limits) -> Result<usize, Fault> {
    walk(value, Rules::Data { over }, at, limits)
}

/// Checks a component. Returns the bytes of its JSON.
pub(crate) fn component(value: &Value, at: &str, limits: &Limits) -> Result<usize, Fault> {
    walk(value, Rules::Component, at, limits)
}

/// Checks any other part of an envelope for names that are reserved. Returns the bytes of its JSON.
pub(crate) fn plain(value: &Value, at: &str, limits: &Limits) -> Result<usize, Fault> {
    walk(value, Rules::Plain, at, limits)
}

fn walk(value: &Value, rules: Rules, at: &str, limits: &Limits) -> Result<usize, Fault> {
    let over = if let Rules::Data { over } = rules { over } else { 0 };
    let found = Walk { limits, rules }.value(value, over, 0, false);
    // The way to the fault is written while it comes back up.
    found.map_err(|fault| fault.with(|it| it.field = dotted(&format!("{at}{}", it.field))))
}

/// Puts the member that led to a fault before its path.
fn led(fault: Fault, member: &str) -> Fault {
    fault.with(|it| it.field = format!("{}{}", Pointer::below("", member), it.field))
}

impl Walk<'_> {
    /// `named` are members that whoever draws the surface gave names: they make no binding and no call.
    fn value(
        &self,
        value: &Value,
        depth: usize,
        calls: usize,
        named: bool,
    ) -> Result<usize, Fault> {
        match value {
            Value::Null => Ok(4),
            Value::Bool(yes) => Ok(if *yes { 4 } else { 5 }),
            Value::Number(number) => Ok(number_bytes(number)),
            Value::String(text) => Ok(text_bytes(text)),
            Value::Array(items) => {
                self.container(depth + 1)?;
                within("maxListItems", self.limits.max_list_items, items.len())?;
                let mut bytes = 2 + items.len().saturating_sub(1);
                for (at, item) in items.iter().enumerate() {
                    let below = self.value(item, depth + 1, calls, false);
                    bytes += below.map_err(|fault| led(fault, &at.to_string()))?;
                }
                Ok(bytes)
            }
            Value::Object(members) => {
                self.container(depth + 1)?;
                let mut calls = calls;
                let dynamic = matches!(self.rules, Rules::Component) && !named;
                if dynamic {
                    self.binding(members)?;
                    calls += usize::from(members.get("call").is_some_and(Value::is_string));
                    self.call(calls)?;
                }
                let mut bytes = 2 + members.len().saturating_sub(1);
                for (name, member) in members {
                    if is_reserved(name) {
                        let fault =
                            Fault::at(Reason::ReservedSegment, "", format!("`{name}` is reserved"));
                        return Err(led(fault, name));
                    }
                    let named = dynamic && matches!(&**name, "context" | "args");
                    let below = self.value(member, depth + 1, calls, named);
                    bytes += text_bytes(name) + 1 + below.map_err(|fault| led(fault, name))?;
                }
                Ok(bytes)
            }
        }
    }

    fn container(&self, depth: usize) -> Result<(), Fault> {
        let limit = match self.rules {
            Rules::Data { .. } => self.limits.max_depth,
            _ => self.limits.nesting(),
        };
        deep(CONTAINERS, limit, depth)
    }

    fn call(&self, calls: usize) -> Result<(), Fault> {
        deep("calls within each other", self.limits.max_call_depth, calls)
    }

    /// The path of a binding or a template.
    fn binding(&self, members: &Map<String, Value>) -> Result<(), Fault> {
        let is_binding = match members.len() {
            1 => true,
            2 => members.get("componentId").is_some_and(Value::is_string),
            _ => false,
        };
        let Some(path) = members.get("path").and_then(Value::as_str) else { return Ok(()) };
        match is_binding {
            true => Pointer::check_binding(path, "/path", self.limits),
            false => Ok(()),
        }
    }
}

/// Whether what comes with an action or a report nests no deeper than everybody who hears of it can read.
/// The bound is 64 containers within each other, or `maxDepth` if that is more.
///
/// # Errors
/// Reason `depth`, with the name of the member.
pub fn shallow(members: &Map<String, Value>, limits: &Limits) -> Result<(), Fault> {
    fn walk(value: &Value, depth: usize, limit: usize) -> Result<(), Fault> {
        deep(CONTAINERS, limit, depth + usize::from(value.is_array() || value.is_object()))?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|it| walk(it, depth + 1, limit)),
            Value::Object(members) => {
                members.values().try_for_each(|it| walk(it, depth + 1, limit))
            }
            _ => Ok(()),
        }
    }
    members.iter().try_for_each(|(name, member)| {
        walk(member, 0, limits.nesting())
            .map_err(|fault| fault.with(|it| it.field.clone_from(name)))
    })
}

/// What is counted where depth is that of JSON.
pub(crate) const CONTAINERS: &str = "containers within each other";

pub(crate) fn deep(what: &str, limit: usize, got: usize) -> Result<(), Fault> {
    match got <= limit {
        true => Ok(()),
        false => {
            let why = format!("more than {limit} {what}; nest less deeply");
            let fault = Fault::at(Reason::Depth, "", why);
            Err(fault.with(|it| it.bound = Some((limit, got))))
        }
    }
}

/// How many values a value is, with all in it.
pub(crate) fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members.values().map(values).sum(),
        _ => 0,
    }
}

/// The bytes of a value's JSON.
pub fn bytes(value: &Value) -> usize {
    match value {
        Value::Null => 4,
        Value::Bool(yes) => 5 - usize::from(*yes),
        Value::Number(number) => number_bytes(number),
        Value::String(text) => text_bytes(text),
        Value::Array(items) => {
            2 + items.len().saturating_sub(1) + items.iter().map(bytes).sum::<usize>()
        }
        Value::Object(members) => {
            let each = members.iter().map(|(name, member)| text_bytes(name) + 1 + bytes(member));
            2 + members.len().saturating_sub(1) + each.sum::<usize>()
        }
    }
}

fn number_bytes(number: &Number) -> usize {
    let digits = |it: u64| it.checked_ilog10().map_or(1, |more| more as usize + 1);
    if let Some(whole) = number.as_u64() {
        return digits(whole);
    }
    if let Some(whole) = number.as_i64() {
        return 1 + digits(whole.unsigned_abs());
    }
    struct Count(usize);
    impl fmt::Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail.
    let _ = write!(count, "{number}");
    count.0
}

/// The bytes of a text's JSON, as serde_json escapes it.
pub(crate) fn text_bytes(text: &str) -> usize {
    let each = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | 8 | 9 | 10 | 12 | 13 => 2,
        0..=31 => 6,
        _ => 1,
    });
    2 + each.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::samples::any_json;

    fn field(result: Result<usize, Fault>) -> (Option<Reason>, String) {
        match result.unwrap_err() {
            Fault::Invalid(it) => (Some(it.reason), it.field),
            other => (None, other.to_string()),
        }
    }

    #[test]
    fn what_may_stand_nowhere_is_found_with_its_place() {
        let limits = Limits::default();
        let reserved = json!({ "a": [{ "b/c": { "__proto__": 1 } }] });
        let found = (Some(Reason::ReservedSegment), "v.a[0].b/c.__proto__".to_owned());
        assert_eq!(field(data(&reserved, 1, "/v", &limits)), found);
        assert_eq!(field(plain(&reserved, "/v", &limits)), found);
        let bound = json!({ "text": { "path": "/a/~x" } });
        let found = (Some(Reason::InvalidPath), "c.text.path".to_owned());
        assert_eq!(field(component(&bound, "/c", &limits)), found);
        let many = json!({ "l": vec![0; 10_001] });
        assert!(field(data(&many, 0, "", &limits)).1.contains("maxListItems"));
        assert!(field(component(&many, "", &limits)).1.contains("maxListItems"));
    }

    #[test]
    fn names_of_a_context_make_no_binding_and_no_call() {
        let limits = Limits::default();
        let within = |context: Value| json!({ "event": { "name": "n", "context": context } });
        assert!(component(&within(json!({ "path": "a~b" })), "", &limits).is_ok());
        assert!(component(&json!({ "call": "f", "args": { "path": "~" } }), "", &limits).is_ok());
        let called = json!({ "call": "f", "args": { "call": "g" } });
        let shallow = Limits { max_call_depth: 1, ..Limits::default() };
        assert!(component(&called, "", &shallow).is_ok());
        // What stands under the names is dynamic again, whatever they are.
        for name in ["path", "context", "args"] {
            let bound = within(json!({ name: { "path": "~" } }));
            let found = (Some(Reason::InvalidPath), format!("event.context.{name}.path"));
            assert_eq!(field(component(&bound, "", &limits)), found);
        }
    }

    #[test]
    fn nothing_nests_deeper_than_frames_can_hold() {
        let limits = Limits::default();
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({ "a": inner }));
        for walk in [component, plain] {
            assert!(walk(&nested(64), "", &limits).is_ok());
            assert_eq!(field(walk(&nested(65), "", &limits)).0, Some(Reason::Depth));
        }
        let event = |levels: usize| Map::from_iter([("context".to_owned(), nested(levels))]);
        assert!(shallow(&event(64), &limits).is_ok());
        let fault = shallow(&event(65), &limits).unwrap_err();
        assert!(fault.to_string().contains("`context`: more than 64"), "{fault}");
        let wider = Limits { max_depth: 90, ..Limits::default() };
        assert!(shallow(&event(90), &wider).is_ok() && component(&nested(90), "", &wider).is_ok());
    }

    #[test]
    fn depth_is_counted_from_one() {
        let limits = Limits::default();
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(data(&nested(50), 0, "", &limits).is_ok());
        assert_eq!(field(data(&nested(51), 0, "", &limits)).0, Some(Reason::Depth));
        assert_eq!(field(data(&nested(50), 1, "", &limits)).0, Some(Reason::Depth));
        let call = |levels: usize| {
            (0..levels)
                .fold(json!(true), |inner, _| json!({ "call": "not", "args": { "value": inner } }))
        };
        assert!(component(&call(5), "", &limits).is_ok());
        assert_eq!(field(component(&call(6), "", &limits)).0, Some(Reason::Depth));
    }

    proptest! {
        #[test]
        fn bytes_are_those_of_the_json(value in any_json()) {
            let written = value.to_string().len();
            prop_assert_eq!(bytes(&value), written);
            if let Ok(walked) = plain(&value, "", &Limits::default()) {
                prop_assert_eq!(walked, written);
            }
        }
    }
}
