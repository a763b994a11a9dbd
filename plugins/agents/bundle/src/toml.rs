//! TOML as JSON and back, as far as the two share their values.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value as Toml};

use crate::error::BundleError;

/// Reads a text as the object that it stands for. A date becomes its text.
pub(crate) fn read(text: &str) -> Result<Map<String, Value>, BundleError> {
    json_table(parse(text)?.as_table(), "")
}

/// Reads a text that can be changed in place.
pub(crate) fn parse(text: &str) -> Result<DocumentMut, BundleError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        BundleError::Toml { line, why: error.message().replace('\n', "; ") }
    })
}

/// Writes an object down; members that are `null` are left out.
pub(crate) fn write(object: &Map<String, Value>) -> Result<String, BundleError> {
    let mut document = DocumentMut::new();
    *document.as_table_mut() = toml_table(object, "")?;
    Ok(document.to_string())
}

fn below(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

fn json_table(table: &dyn TableLike, path: &str) -> Result<Map<String, Value>, BundleError> {
    let member = |(key, item): (&str, &Item)| Ok((key.to_owned(), json(item, &below(path, key))?));
    table.iter().map(member).collect()
}

fn json(item: &Item, path: &str) -> Result<Value, BundleError> {
    match item {
        Item::None => Ok(Value::Null),
        Item::Value(value) => json_value(value, path),
        Item::Table(table) => json_table(table, path).map(Value::Object),
        Item::ArrayOfTables(tables) => {
            let tables = tables.iter().zip(0..);
            let each = |(table, at): (&Table, usize)| json_table(table, &format!("{path}[{at}]"));
            tables.map(|it| each(it).map(Value::Object)).collect()
        }
    }
}

fn json_value(value: &Toml, path: &str) -> Result<Value, BundleError> {
    Ok(match value {
        Toml::String(text) => Value::from(&**text.value()),
        Toml::Integer(number) => (*number.value()).into(),
        Toml::Float(number) => match Number::from_f64(*number.value()) {
            Some(number) => Value::Number(number),
            None => {
                let path = path.to_owned();
                return Err(BundleError::Value { path, why: "must be a finite number" });
            }
        },
        Toml::Boolean(truth) => (*truth.value()).into(),
        Toml::Datetime(time) => time.value().to_string().into(),
        Toml::Array(items) => {
            let items = items.iter().zip(0..);
            let items =
                items.map(|(item, at): (_, usize)| json_value(item, &format!("{path}[{at}]")));
            items.collect::<Result<_, _>>()?
        }
        Toml::InlineTable(table) => Value::Object(json_table(table, path)?),
    })
}

/// Values before tables, as TOML wants it.
fn toml_table(object: &Map<String, Value>, path: &str) -> Result<Table, BundleError> {
    let mut table = Table::new();
    table.set_implicit(!path.is_empty() && object.values().all(Value::is_object));
    let (tables, values): (Vec<_>, Vec<_>) = object.iter().partition(|(_, it)| it.is_object());
    for (key, value) in values {
        if !value.is_null() {
            table.insert(key, Item::Value(toml_value(value, &below(path, key))?));
        }
    }
    for (key, value) in tables {
        if let Value::Object(inner) = value {
            let mut inner = toml_table(inner, &below(path, key))?;
            // An empty table is written, too: it is a member.
            inner.set_implicit(inner.is_implicit() && !inner.is_empty());
            table.insert(key, Item::Table(inner));
        }
    }
    Ok(table)
}

fn toml_value(value: &Value, path: &str) -> Result<Toml, BundleError> {
    let no = |why| Err(BundleError::Value { path: path.to_owned(), why });
    Ok(match value {
        Value::Null => return no("must not be null inside a list"),
        Value::Bool(truth) => (*truth).into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(float)) if number.is_f64() => float.into(),
            _ => return no("must be at most 9223372036854775807"),
        },
        Value::Array(items) => {
            let mut array = Array::new();
            for (item, at) in items.iter().zip(0_usize..) {
                let mut inner = path.to_owned();
                let _ = write!(inner, "[{at}]");
                array.push(toml_value(item, &inner)?);
            }
            array.into()
        }
        Value::Object(members) => {
            let mut table = InlineTable::new();
            for (key, member) in members.iter().filter(|(_, member)| !member.is_null()) {
                table.insert(key, toml_value(member, &below(path, key))?);
            }
            table.into()
        }
    })
}
