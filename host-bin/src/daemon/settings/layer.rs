//! One layer of a configuration: what it sets, each value with where it was written.

use std::{collections::BTreeMap, ffi::OsString, ops::Range, path::Path};

use config::{ConfigError, Map, Source, Value, ValueKind};
use serde_json::Value as Json;
use toml_edit::{Document, Item, TableLike};

use super::{
    fault::Fault,
    outline::{Key, Node, Outline},
};

/// What the names of variables that set a key begin with; two underscores part its words.
const PREFIX: &str = "CARPORT__";
/// Variables with a name of their own, and what they set. Of those that set one key the last counts,
/// and the key's own variable comes before them all.
const SPECIAL: [(&str, [&str; 2]); 5] = [
    ("CAR_AGENTS_MANIFEST", ["agents", "manifest"]),
    ("CAR_HANDLER_TIMEOUT", ["deadlines", "default_secs"]),
    ("CARPORT_HANDLER_TIMEOUT", ["deadlines", "default_secs"]),
    ("CAR_TOOL_TIMEOUT", ["engine", "tool_timeout_secs"]),
    ("CARPORT_TOOL_TIMEOUT", ["engine", "tool_timeout_secs"]),
];

type Table = Map<String, Value>;

/// Values by section and key. Each carries where it was written, in words for the operator.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer(Table);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Table, ConfigError> {
        Ok(self.0.clone())
    }
}

impl Layer {
    /// Sets one value, with the tables that it needs around it.
    pub(crate) fn set(&mut self, path: &[&str], value: impl Into<Json>, from: &str) {
        self.put(path, from_json(value.into(), from), from);
    }

    fn put<K: AsRef<str>>(&mut self, path: &[K], value: Value, from: &str) {
        let Some((last, above)) = path.split_last() else { return };
        let mut table = &mut self.0;
        for key in above {
            let slot = table.entry(key.as_ref().into()).or_default();
            if !matches!(slot.kind, ValueKind::Table(_)) {
                *slot = written(from, Table::new());
            }
            table = match &mut slot.kind {
                ValueKind::Table(inner) => inner,
                _ => return,
            };
        }
        table.insert(last.as_ref().into(), value);
    }

    /// What it sets, without where it was written.
    pub(crate) fn json(self) -> Json {
        written("", self.0).try_deserialize().unwrap_or_default()
    }

    /// What a file says.
    pub(crate) fn file(path: &Path, text: &str) -> Result<Self, Fault> {
        let shown = path.display();
        let at = |span: Option<Range<usize>>| {
            let before = text.get(..span?.start)?;
            Some(format!("{shown}:{}", before.matches('\n').count() + 1))
        };
        let document = Document::parse(text).map_err(|error| {
            let from = at(error.span()).unwrap_or_else(|| shown.to_string());
            Fault::Syntax { from, why: error.message().replace('\n', "; ") }
        })?;
        Ok(Self(from_table(document.as_table(), &shown.to_string(), &at)))
    }

    /// What the environment says. A variable's text is the value itself where a text may stand, and
    /// is read as TOML elsewhere.
    pub(crate) fn environment(
        variables: impl Iterator<Item = (OsString, OsString)>,
        outline: &Outline,
    ) -> Result<Self, Fault> {
        let mut ours = BTreeMap::new();
        for (name, value) in variables {
            let Ok(name) = name.into_string() else { continue };
            if name.starts_with(PREFIX) || SPECIAL.iter().any(|(special, _)| *special == name) {
                let value = value.into_string().map_err(|_| Fault::NotText(name.clone()))?;
                ours.insert(name, value);
            }
        }
        let mut layer = Self::default();
        for (name, path) in SPECIAL {
            // A variable that other daemons read too says nothing to a build without its section.
            if let Some(text) = ours.get(name).filter(|_| outline.has(path[0])) {
                layer.variable(name, &path, text, outline);
            }
        }
        for (name, text) in &ours {
            if let Some(words) = name.strip_prefix(PREFIX) {
                let words = words.to_ascii_lowercase();
                layer.variable(name, &words.split("__").collect::<Vec<_>>(), text, outline);
            }
        }
        Ok(layer)
    }

    fn variable(&mut self, name: &str, path: &[&str], text: &str, outline: &Outline) {
        let from = format!("environment {name}");
        let node = path.iter().try_fold(outline.root(), |node, key| match node.key(key) {
            Key::Known(node) => Some(node),
            Key::Free | Key::Unknown(_) => None,
        });
        let value = match node {
            Some(node) if node.takes_text() => written(&from, text),
            _ => match text.trim().parse::<toml_edit::Value>() {
                Ok(value) => from_item(&Item::Value(value), &from, &|_| None),
                Err(_) => written(&from, text),
            },
        };
        self.put(path, value, &from);
    }

    /// The first key, in the order of the alphabet, that nobody would read.
    pub(crate) fn check(&self, outline: &Outline) -> Result<(), Fault> {
        check(outline, outline.root(), &mut Vec::new(), &self.0)
    }
}

fn check(
    outline: &Outline,
    node: Node<'_>,
    path: &mut Vec<String>,
    table: &Table,
) -> Result<(), Fault> {
    let mut keys: Vec<_> = table.iter().collect();
    keys.sort_by_key(|(key, _)| *key);
    for (key, value) in keys {
        let from = value.origin().unwrap_or("default").to_owned();
        path.push(key.clone());
        match (node.key(key), &value.kind) {
            (Key::Unknown(_), _) if path.len() == 1 && outline.is_absent(key) => {
                return Err(Fault::Absent { from, id: key.clone() });
            }
            (Key::Unknown(nearest), _) => {
                return Err(Fault::unknown(from, path, nearest));
            }
            (Key::Known(node), ValueKind::Table(inner)) if node.is_empty() && !inner.is_empty() => {
                return Err(Fault::Settled { from, id: key.clone() });
            }
            (Key::Known(node), ValueKind::Table(inner)) if node.is_table() => {
                check(outline, node, path, inner)?;
            }
            (Key::Known(node), _) if node.is_table() => {
                return Err(Fault::NoTable { from, key: super::dotted(path) });
            }
            (Key::Known(_) | Key::Free, _) => {}
        }
        path.pop();
    }
    Ok(())
}

fn written(from: &str, kind: impl Into<ValueKind>) -> Value {
    Value::new(Some(&from.to_owned()), kind)
}

fn from_json(json: Json, from: &str) -> Value {
    let each = |value| from_json(value, from);
    match json {
        Json::Null => written(from, ValueKind::Nil),
        Json::Bool(truth) => written(from, truth),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => written(from, number),
            (None, Some(number)) => written(from, number),
            (None, None) => written(from, number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => written(from, text),
        Json::Array(items) => written(from, items.into_iter().map(each).collect::<Vec<_>>()),
        Json::Object(keys) => {
            let keys = keys.into_iter().map(|(key, value)| (key, each(value)));
            written(from, keys.collect::<Table>())
        }
    }
}

/// Where a part of a text lies, in words.
type At<'a> = dyn Fn(Option<Range<usize>>) -> Option<String> + 'a;

fn from_table(table: &dyn TableLike, from: &str, at: &At<'_>) -> Table {
    let line = |key: &str| at(table.get_key_value(key)?.0.span());
    let value = |(key, item)| {
        let from = line(key).unwrap_or_else(|| from.to_owned());
        (key.to_owned(), from_item(item, &from, at))
    };
    table.iter().map(value).collect()
}

fn from_item(item: &Item, from: &str, at: &At<'_>) -> Value {
    use toml_edit::Value as Toml;
    match item {
        Item::None => written(from, ValueKind::Nil),
        Item::Value(Toml::String(text)) => written(from, &**text.value()),
        Item::Value(Toml::Integer(number)) => written(from, *number.value()),
        Item::Value(Toml::Float(number)) => written(from, *number.value()),
        Item::Value(Toml::Boolean(truth)) => written(from, *truth.value()),
        Item::Value(Toml::Datetime(time)) => written(from, time.value().to_string()),
        Item::Value(Toml::Array(items)) => {
            let each = |item: &Toml| from_item(&Item::Value(item.clone()), from, at);
            written(from, items.iter().map(each).collect::<Vec<_>>())
        }
        Item::Value(Toml::InlineTable(table)) => written(from, from_table(table, from, at)),
        Item::Table(table) => written(from, from_table(table, from, at)),
        Item::ArrayOfTables(tables) => {
            let each = |table: &toml_edit::Table| written(from, from_table(table, from, at));
            written(from, tables.iter().map(each).collect::<Vec<_>>())
        }
    }
}
