//! Which members of a component name other components.

use serde_json::{Map, Value};

/// Where a component of a type names others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// A member that is one id: `child`, `trigger`, `content`.
    One(String),
    /// A member that is a list of ids or a template: `children`.
    List(String),
    /// A member that is a list of objects with an id each: `tabs[].child`.
    Each(String, String),
}

/// A component that another names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The member that names it.
    pub property: &'a str,
    /// The id that it names.
    pub id: &'a str,
    /// Whether it is drawn once for each item of a list.
    pub is_template: bool,
}

impl Edge {
    /// The edges that a component's schema admits, by what its members refer to.
    pub(crate) fn of(properties: &Map<String, Value>) -> Vec<Self> {
        let mut edges = Vec::new();
        for (name, schema) in properties {
            if refers_to(schema, "ComponentId") {
                edges.push(Self::One(name.clone()));
            } else if refers_to(schema, "ChildList") {
                edges.push(Self::List(name.clone()));
            }
            let items = schema.pointer("/items/properties").and_then(Value::as_object);
            for (inner, schema) in items.into_iter().flatten() {
                if refers_to(schema, "ComponentId") {
                    edges.push(Self::Each(name.clone(), inner.clone()));
                }
            }
        }
        edges
    }
}

fn refers_to(schema: &Value, definition: &str) -> bool {
    let target = schema["$ref"].as_str().and_then(|it| it.rsplit_once("/$defs/"));
    target.is_some_and(|(_, name)| name == definition)
}

/// A component's references, in the order in which it is drawn.
pub trait Children {
    /// Calls `take` with each.
    fn references<'a>(&'a self, component: &'a Value, take: impl FnMut(Reference<'a>));
}

impl Children for [Edge] {
    fn references<'a>(&'a self, component: &'a Value, mut take: impl FnMut(Reference<'a>)) {
        let plain = |property, id| Reference { property, id, is_template: false };
        for edge in self {
            match edge {
                Edge::One(property) => {
                    if let Some(id) = component[property].as_str() {
                        take(plain(property, id));
                    }
                }
                Edge::List(property) => match &component[property] {
                    Value::Array(ids) => {
                        ids.iter()
                            .filter_map(Value::as_str)
                            .for_each(|id| take(plain(property, id)));
                    }
                    template => {
                        if let Some(id) = template["componentId"].as_str() {
                            take(Reference { property, id, is_template: true });
                        }
                    }
                },
                Edge::Each(property, inner) => {
                    let items = component[property].as_array().into_iter().flatten();
                    let ids = items.filter_map(|item| item[inner].as_str());
                    ids.for_each(|id| take(plain(property, id)));
                }
            }
        }
    }
}
