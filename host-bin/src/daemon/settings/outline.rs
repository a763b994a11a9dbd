//! What may be written in a configuration, read from the JSON Schemas of its sections.

use carport_core::{BillRow, PluginEntry, Settings};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{fault::Fault, own::OwnSettings};

/// Names that are more different than this are no slips of the pen.
const SIMILAR: f64 = 0.6;

/// The outline of a whole configuration: one section of the host's, the daemon's or a plugin's after
/// another.
#[derive(Debug)]
pub(crate) struct Outline {
    root: Value,
    definitions: Value,
    /// Plugins that this binary knows of and that are not in this build.
    absent: Vec<&'static str>,
}

impl Outline {
    /// The outline of a build with these plugins. A plugin that takes the name of another section is
    /// refused.
    pub(crate) fn of(plugins: &[&PluginEntry], bill: &[BillRow]) -> Result<Self, Fault> {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let mut sections = properties_of::<OwnSettings>(&mut generator);
        sections.append(&mut properties_of::<Settings>(&mut generator));
        for plugin in plugins {
            let schema = Value::from((plugin.config_schema)(&mut generator));
            let settable = schema["type"] != "null";
            match sections.contains_key(plugin.id) {
                true if settable => return Err(Fault::SectionTaken(plugin.id)),
                true => {}
                false => drop(sections.insert(plugin.id.into(), schema)),
            }
        }
        let definitions = Value::Object(generator.take_definitions(true));
        let root = json!({ "type": "object", "properties": sections });
        let absent = bill.iter().filter(|row| !row.linked).map(|row| row.feature).collect();
        Ok(Self { root, definitions, absent })
    }

    /// The whole of it.
    pub(crate) fn root(&self) -> Node<'_> {
        Node { schema: &self.root, definitions: &self.definitions }
    }

    /// Whether this build has a section.
    pub(crate) fn has(&self, section: &str) -> bool {
        matches!(self.root().key(section), Key::Known(_))
    }

    /// Whether a section belongs to a plugin that is known and not in this build.
    pub(crate) fn is_absent(&self, section: &str) -> bool {
        self.absent.contains(&section)
    }
}

fn properties_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Map<String, Value> {
    match Value::from(T::json_schema(generator))["properties"].take() {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}

/// One place in the outline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node<'a> {
    schema: &'a Value,
    definitions: &'a Value,
}

/// What the outline says about a key.
pub(crate) enum Key<'a> {
    /// It may be there, and this is what it holds.
    Known(Node<'a>),
    /// Anything may be there.
    Free,
    /// It may not be there; this one is written similarly.
    Unknown(Option<&'a str>),
}

impl<'a> Node<'a> {
    /// The keys of a section; `None` for a value.
    pub(crate) fn keys(self) -> Option<impl Iterator<Item = (&'a str, Node<'a>)>> {
        let definitions = self.definitions;
        let properties = self.resolved()["properties"].as_object()?;
        Some(properties.iter().map(move |(key, schema)| (&**key, Node { schema, definitions })))
    }

    /// Whether this is a table, with keys that are known or not.
    pub(crate) fn is_table(self) -> bool {
        let schema = self.resolved();
        schema["type"] == "object" || schema["properties"].is_object()
    }

    /// Whether this is the section of a plugin that has no settings.
    pub(crate) fn is_empty(self) -> bool {
        self.resolved()["type"] == "null"
    }

    /// What the outline says about `key` here.
    pub(crate) fn key(self, key: &str) -> Key<'a> {
        let schema = self.resolved();
        if let Some((_, node)) = self.keys().and_then(|mut keys| keys.find(|(it, _)| *it == key)) {
            return Key::Known(node);
        }
        match &schema["additionalProperties"] {
            values @ Value::Object(_) => {
                Key::Known(Node { schema: values, definitions: self.definitions })
            }
            Value::Bool(true) => Key::Free,
            Value::Null if schema["properties"].is_null() && !self.is_empty() => Key::Free,
            _ => Key::Unknown(self.keys().and_then(|keys| nearest(key, keys.map(|(it, _)| it)))),
        }
    }

    /// Whether a text may stand here, so that a variable's text is the value itself.
    pub(crate) fn takes_text(self) -> bool {
        let schema = self.resolved();
        let is_text = |value: &Value| match &value["const"] {
            Value::Null => names(&value["type"], "string"),
            constant => constant.is_string(),
        };
        let one_of = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
        is_text(schema) || one_of.is_some_and(|these| these.iter().any(is_text))
    }

    /// What its documentation says.
    pub(crate) fn description(self) -> Option<&'a str> {
        let said = |schema: &'a Value| schema["description"].as_str();
        said(self.schema).or_else(|| said(self.resolved()))
    }

    /// The schema itself, behind references and optionality.
    fn resolved(self) -> &'a Value {
        let mut schema = self.schema;
        loop {
            let alternatives = schema["anyOf"].as_array().or_else(|| schema["allOf"].as_array());
            let mut wanted = alternatives.into_iter().flatten().filter(|it| it["type"] != "null");
            schema = match (schema["$ref"].as_str(), wanted.next(), wanted.next()) {
                (Some(reference), ..) => {
                    let name = reference.rsplit('/').next().unwrap_or(reference);
                    &self.definitions[name]
                }
                (None, Some(only), None) => only,
                _ => return schema,
            };
        }
    }
}

/// Whether a schema's `type` names this one, alone or among others.
fn names(types: &Value, name: &str) -> bool {
    types == name || types.as_array().is_some_and(|types| types.iter().any(|it| it == name))
}

/// The candidate that is written most like `word`.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let likeness = |it: &'a str| (strsim::normalized_damerau_levenshtein(word, it), it);
    // A word that was written whole inside another is as good as a slip of the pen.
    let contained = |it: &str| word.len() >= 3 && (it.contains(word) || word.contains(it));
    candidates
        .map(likeness)
        .filter(|(likeness, it)| *likeness >= SIMILAR || contained(it))
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline() -> Outline {
        let absent = BillRow { feature: "voice", linked: false, namespaces: &["voice"] };
        Outline::of(&[], &[absent]).unwrap()
    }

    fn at<'a>(outline: &'a Outline, path: &[&str]) -> Key<'a> {
        let root = Key::Known(outline.root());
        path.iter().fold(root, |at, key| match at {
            Key::Known(node) => node.key(key),
            other => other,
        })
    }

    #[test]
    fn a_slip_of_the_pen_finds_the_key_that_was_meant() {
        let outline = outline();
        for (path, meant) in [
            (&["atuh"][..], Some("auth")),
            (&["approval"], Some("approvals")),
            (&["auth", "grace_sec"], Some("grace_secs")),
            (&["auth", "grace"], Some("grace_secs")),
            (&["listen", "scoket"], Some("socket")),
            (&["auth", "colour"], None),
        ] {
            match at(&outline, path) {
                Key::Unknown(nearest) => assert_eq!(nearest, meant, "{path:?}"),
                _ => panic!("{path:?} is known"),
            }
        }
    }

    #[test]
    fn a_map_takes_any_key_and_a_section_only_its_own() {
        let outline = outline();
        assert!(matches!(at(&outline, &["deadlines", "methods", "runs.start"]), Key::Known(_)));
        assert!(
            matches!(at(&outline, &["deadlines", "methods"]), Key::Known(node) if node.is_table())
        );
        assert!(matches!(at(&outline, &["deadlines", "runs.start"]), Key::Unknown(_)));
        assert!(matches!(at(&outline, &["durability"]), Key::Known(node) if !node.is_table()));
        assert!(outline.is_absent("voice") && !outline.is_absent("auth"));
    }

    #[test]
    fn what_takes_text_is_told_from_what_does_not() {
        let outline = outline();
        for (path, text) in [
            (&["durability"][..], true),
            (&["auth", "mode"], true),
            (&["listen", "bind"], true),
            (&["host", "car_version"], true),
            (&["log", "level"], true),
            (&["auth", "grace_secs"], false),
            (&["listen", "socket"], false),
            (&["approvals", "also"], false),
            (&["deadlines", "methods"], false),
        ] {
            match at(&outline, path) {
                Key::Known(node) => assert_eq!(node.takes_text(), text, "{path:?}"),
                _ => panic!("{path:?} is not known"),
            }
        }
    }

    #[test]
    fn every_key_is_documented() {
        fn walk(path: &str, node: Node<'_>) {
            assert!(node.description().is_some() || path.is_empty(), "{path} says nothing");
            for (key, node) in node.keys().into_iter().flatten() {
                walk(&format!("{path}.{key}"), node);
            }
        }
        walk("", outline().root());
    }
}
