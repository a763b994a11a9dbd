//! How much work a tool's JSON Schema can make, found before any value is checked. Pure.

use std::collections::HashMap;

use serde_json::Value;

/// Levels of nesting of a value that are told apart; JSON that arrives nests no deeper.
const LEVELS: usize = 128;
/// Levels that every schema must be able to check.
const SHALLOW: usize = 4;
/// Subschemas that a shallow value may be held against, over all paths.
const MAX_STEPS: u64 = 100_000;
/// Subschemas that a large or deep value may be held against.
const MAX_WORK: u64 = 100_000_000;
/// Subschemas that may be open at once: each takes a part of the stack.
const MAX_OPEN: u64 = 1024;
/// Places that `$ref`s of one schema may lead to.
const MAX_TARGETS: usize = 256;

/// Keywords whose subschemas look at the same value.
const SAME: [&str; 7] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else"];
/// Keywords that name subschemas for the same value.
const SAME_BY_NAME: [&str; 2] = ["dependentSchemas", "dependencies"];
/// Keywords of which at most one subschema looks at each member.
const ONE_OF: [&str; 3] = ["properties", "items", "prefixItems"];
/// Keywords whose subschemas may all look at one member.
const ALL_OF: [&str; 7] = [
    "patternProperties",
    "additionalProperties",
    "additionalItems",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
];
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// What keeps a schema from being used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unbounded {
    #[error("the reference `{0}` leads to no place in it that can be told beforehand")]
    Nowhere(String),
    #[error("an `$id` below its root")]
    OtherBase,
    #[error("a reference leads back to itself without going into the value")]
    Circle,
    #[error("references to more than {MAX_TARGETS} places")]
    Targets,
    #[error("a small value would be held against more than {MAX_STEPS} subschemas")]
    Steps,
    #[error("references that nest deeper than {MAX_OPEN} subschemas")]
    Open,
}

/// What a schema costs, by the nesting of the value.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Subschemas over all paths, and those open at once; the last one holds for deeper values too.
    by_level: Vec<(u64, u64)>,
}

impl Cost {
    /// # Errors
    /// Why the schema cannot be used.
    pub(crate) fn of(schema: &Value) -> Result<Self, Unbounded> {
        let graph = Graph::of(schema)?;
        let order = graph.order()?;
        let mut by_level: Vec<(u64, u64)> = Vec::new();
        let mut below = vec![(0, 0); graph.nodes.len()];
        for _ in 0..=LEVELS {
            let mut now = vec![(0, 0); graph.nodes.len()];
            for at in &order {
                now[*at] = graph.nodes[*at].cost(&now, &below);
            }
            by_level.push(now[0]);
            if now == below {
                break;
            }
            below = now;
        }
        match by_level[SHALLOW.min(by_level.len() - 1)] {
            (steps, _) if steps > MAX_STEPS => Err(Unbounded::Steps),
            (_, open) if open > MAX_OPEN => Err(Unbounded::Open),
            _ => Ok(Self { by_level }),
        }
    }

    /// Whether a value can be held against the schema within bounds.
    pub(crate) fn bears(&self, value: &Value) -> bool {
        let (values, levels) = extent(value);
        let last = self.by_level.last().copied().unwrap_or_default();
        let (steps, open) = self.by_level.get(levels).copied().unwrap_or(last);
        open <= MAX_OPEN && steps.saturating_mul(values) <= MAX_WORK
    }
}

/// How many values there are in a value, and how deep they nest.
fn extent(value: &Value) -> (u64, usize) {
    let (mut values, mut levels) = (0, 0);
    let mut open = vec![(value, 0)];
    while let Some((value, level)) = open.pop() {
        values += 1;
        levels = levels.max(level);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|it| (it, level + 1))),
            Value::Object(members) => open.extend(members.values().map(|it| (it, level + 1))),
            _ => {}
        }
    }
    (values, levels)
}

/// A subschema, by what it asks of others.
#[derive(Debug, Default)]
struct Node {
    same: Vec<usize>,
    one_of: Vec<Vec<usize>>,
    all_of: Vec<usize>,
    /// What others looked at is found out by asking them again.
    asks_again: bool,
}

impl Node {
    fn cost(&self, now: &[(u64, u64)], below: &[(u64, u64)]) -> (u64, u64) {
        let (mut same, mut open) = (0_u64, 0);
        for (steps, its_open) in self.same.iter().map(|at| now[*at]) {
            same = same.saturating_add(steps);
            open = open.max(its_open);
        }
        let mut steps = same.saturating_mul(if self.asks_again { 3 } else { 1 });
        let most = |members: &Vec<usize>| {
            members
                .iter()
                .map(|at| below[*at])
                .fold((0, 0), |(steps, open), it| (it.0.max(steps), it.1.max(open)))
        };
        let all = self.all_of.iter().map(|at| below[*at]);
        for (its_steps, its_open) in self.one_of.iter().map(most).chain(all) {
            steps = steps.saturating_add(its_steps);
            open = open.max(its_open);
        }
        (steps.saturating_add(1), open + 1)
    }
}

/// All subschemas that a schema leads to; the first is the schema.
#[derive(Debug, Default)]
struct Graph {
    nodes: Vec<Node>,
}

/// The walk that finds them.
struct Walk<'a> {
    root: &'a Value,
    anchors: HashMap<&'a str, &'a Value>,
    known: HashMap<*const Value, usize>,
    open: Vec<&'a Value>,
    targets: usize,
}

impl Graph {
    fn of(schema: &Value) -> Result<Self, Unbounded> {
        let anchors = anchors(schema)?;
        let mut walk =
            Walk { root: schema, anchors, known: HashMap::new(), open: Vec::new(), targets: 0 };
        let mut graph = Self::default();
        walk.number(schema);
        while let Some(schema) = walk.open.get(graph.nodes.len()).copied() {
            let node = walk.node(schema)?;
            graph.nodes.push(node);
        }
        Ok(graph)
    }

    /// Every subschema after those that it asks about the same value.
    fn order(&self) -> Result<Vec<usize>, Unbounded> {
        let mut asked_by = vec![Vec::new(); self.nodes.len()];
        let mut waits: Vec<_> = self.nodes.iter().map(|node| node.same.len()).collect();
        for (at, node) in self.nodes.iter().enumerate() {
            node.same.iter().for_each(|asked| asked_by[*asked].push(at));
        }
        let mut order: Vec<_> = (0..waits.len()).filter(|at| waits[*at] == 0).collect();
        let mut done = 0;
        while let Some(at) = order.get(done).copied() {
            done += 1;
            for asker in &asked_by[at] {
                waits[*asker] -= 1;
                if waits[*asker] == 0 {
                    order.push(*asker);
                }
            }
        }
        if order.len() == self.nodes.len() { Ok(order) } else { Err(Unbounded::Circle) }
    }
}

/// The names that subschemas give themselves. An `$id` below the root would give `#` another meaning.
fn anchors(root: &Value) -> Result<HashMap<&str, &Value>, Unbounded> {
    let mut anchors = HashMap::new();
    let mut open = vec![root];
    let old = root.get("$schema").and_then(Value::as_str).is_some_and(|it| it.contains("draft-04"));
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => {
                let text = |name: &str| members.get(name).and_then(Value::as_str);
                let id = text("$id").or_else(|| text("id").filter(|_| old));
                if id.is_some() && !std::ptr::eq(value, root) {
                    return Err(Unbounded::OtherBase);
                }
                for name in ["$anchor", "$dynamicAnchor"].into_iter().filter_map(text) {
                    anchors.insert(name, value);
                }
                open.extend(members.values());
            }
            _ => {}
        }
    }
    Ok(anchors)
}

impl<'a> Walk<'a> {
    fn number(&mut self, schema: &'a Value) -> usize {
        *self.known.entry(std::ptr::from_ref(schema)).or_insert_with(|| {
            self.open.push(schema);
            self.open.len() - 1
        })
    }

    fn node(&mut self, schema: &'a Value) -> Result<Node, Unbounded> {
        let mut node = Node::default();
        let Value::Object(members) = schema else { return Ok(node) };
        for (keyword, value) in members {
            let keyword = keyword.as_str();
            if SAME.contains(&keyword) || SAME_BY_NAME.contains(&keyword) {
                let asked = self.within(value, SAME_BY_NAME.contains(&keyword));
                node.same.extend(asked);
            } else if ONE_OF.contains(&keyword) {
                node.one_of.push(self.within(value, keyword == "properties"));
            } else if ALL_OF.contains(&keyword) {
                node.asks_again |= keyword.starts_with("unevaluated");
                node.all_of.extend(self.within(value, keyword == "patternProperties"));
            } else if REFERENCES.contains(&keyword)
                && let Some(reference) = value.as_str()
            {
                let target = self.target(reference)?;
                node.same.push(self.number(target));
            }
        }
        Ok(node)
    }

    /// The subschemas in a keyword's value: a list, one, or by name.
    fn within(&mut self, value: &'a Value, by_name: bool) -> Vec<usize> {
        match value {
            Value::Array(items) => items.iter().map(|it| self.number(it)).collect(),
            Value::Object(members) if by_name => {
                members.values().map(|it| self.number(it)).collect()
            }
            one => vec![self.number(one)],
        }
    }

    fn target(&mut self, reference: &str) -> Result<&'a Value, Unbounded> {
        let nowhere = || Unbounded::Nowhere(reference.to_owned());
        let place = reference.strip_prefix('#').ok_or_else(nowhere)?;
        let target = match place.is_empty() || place.starts_with('/') {
            true => self.root.pointer(&unescaped(place).ok_or_else(nowhere)?),
            false => self.anchors.get(place).copied(),
        };
        let target = target.ok_or_else(nowhere)?;
        self.targets += usize::from(!self.known.contains_key(&std::ptr::from_ref(target)));
        if self.targets > MAX_TARGETS { Err(Unbounded::Targets) } else { Ok(target) }
    }
}

/// A fragment without its percent signs.
fn unescaped(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(length: usize, last: Value) -> Value {
        let mut defs = serde_json::Map::new();
        for n in 0..length {
            let next = json!({ "allOf": [{ "$ref": format!("#/$defs/a{}", n + 1) }] });
            defs.insert(format!("a{n}"), next);
        }
        defs.insert(format!("a{length}"), last);
        json!({ "$defs": defs, "$ref": "#/$defs/a0" })
    }

    #[test]
    fn references_that_multiply_are_refused() {
        let mut defs = serde_json::Map::from_iter([("d40".to_owned(), json!({}))]);
        for n in 0..40 {
            let next = json!({ "$ref": format!("#/$defs/d{}", n + 1) });
            defs.insert(format!("d{n}"), json!({ "allOf": [next, next] }));
        }
        let schema = json!({ "$defs": defs, "$ref": "#/$defs/d0" });
        assert_eq!(Cost::of(&schema).unwrap_err(), Unbounded::Steps);
    }

    #[test]
    fn a_long_chain_is_refused_and_a_recursive_one_bears_no_deep_value() {
        assert_eq!(Cost::of(&chain(2000, json!({}))).unwrap_err(), Unbounded::Targets);
        let again = json!({ "properties": { "x": { "$ref": "#/$defs/a0" } } });
        assert_eq!(Cost::of(&chain(200, again.clone())).unwrap_err(), Unbounded::Open);
        let cost = Cost::of(&chain(50, again)).unwrap();
        let mut value = json!(1);
        for _ in 0..115 {
            value = json!({ "x": value });
        }
        assert!(!cost.bears(&value) && cost.bears(&json!({ "x": { "x": 1 } })));
    }

    #[test]
    fn what_grows_with_each_level_bears_shallow_values_only() {
        let child = json!({ "properties": { "x": { "$ref": "#" } } });
        let cost = Cost::of(&json!({ "anyOf": [child, child, child] })).unwrap();
        let nested = |levels| (0..levels).fold(json!(1), |value, _| json!({ "x": value }));
        assert!(cost.bears(&nested(8)) && !cost.bears(&nested(40)));
    }

    #[test]
    fn a_tree_of_any_depth_is_borne() {
        let schema = json!({
            "$defs": { "node": { "type": "object", "properties": {
                "left": { "$ref": "#/$defs/node" }, "right": { "$ref": "#/$defs/node" } } } },
            "$ref": "#/$defs/node",
        });
        let value = (0..100).fold(json!({}), |value, _| json!({ "left": value }));
        assert!(Cost::of(&schema).unwrap().bears(&value));
        let many = json!({ "items": { "type": "integer" } });
        assert!(Cost::of(&many).unwrap().bears(&json!(vec![7; 100_000])));
    }

    #[test]
    fn what_cannot_be_told_beforehand_is_refused() {
        for (schema, error) in [
            (json!({ "$ref": "#" }), Unbounded::Circle),
            (json!({ "$ref": "#/no" }), Unbounded::Nowhere("#/no".into())),
            (json!({ "not": { "$id": "http://example.org/x" } }), Unbounded::OtherBase),
        ] {
            assert_eq!(Cost::of(&schema).unwrap_err(), error, "{schema}");
        }
        let named = json!({ "$defs": { "a b": { "$anchor": "n" } },
            "allOf": [{ "$ref": "#n" }, { "$ref": "#/$defs/a%20b" }] });
        assert!(Cost::of(&named).is_ok());
        assert!(Cost::of(&json!(true)).is_ok());
    }
}
