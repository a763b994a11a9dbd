//! A `config.toml` to start from: every key with its documentation and its default, switched off.

use std::fmt::Write as _;

use carport_core::{BillRow, PluginEntry};
use serde_json::Value as Json;

use super::{
    Fault, defaults, dotted,
    outline::{Node, Outline},
};

const HEAD: &str = "\
# The configuration of Carport. What is switched off (`#key = value`) shows the default.
# The environment comes before this file (CARPORT__SECTION__KEY=value), the command line before both.
# `carport config check` finds mistakes; `carport config show` says where each value came from.
";

/// How wide a comment is.
const WIDTH: usize = 98;

/// The text of a configuration file for a build with these plugins.
pub(crate) fn template(plugins: &[&PluginEntry], bill: &[BillRow]) -> Result<String, Fault> {
    let outline = Outline::of(plugins, bill)?;
    let defaults = defaults(plugins).json();
    let mut text = HEAD.to_owned();
    section(&mut text, &mut Vec::new(), outline.root(), &defaults);
    Ok(text)
}

/// The keys of a section, then the sections below it.
fn section(text: &mut String, path: &mut Vec<String>, node: Node<'_>, defaults: &Json) {
    let keys = || node.keys().into_iter().flatten();
    for (key, value) in keys().filter(|(_, node)| node.keys().is_none() && !node.is_empty()) {
        text.push('\n');
        comment(text, value.description());
        setting(text, key, &defaults[key]);
    }
    for (key, below) in keys().filter(|(_, node)| node.keys().is_some()) {
        path.push(key.to_owned());
        text.push('\n');
        comment(text, below.description());
        // Writing to a string does not fail.
        let _ = writeln!(text, "[{}]", dotted(path));
        section(text, path, below, &defaults[key]);
        path.pop();
    }
}

/// One key, switched off. One without a default shows where its value goes.
fn setting(text: &mut String, key: &str, default: &Json) {
    let key = toml_edit::Key::new(key);
    let _ = match toml(default) {
        Some(value) => writeln!(text, "#{key} = {value}"),
        None => writeln!(text, "#{key} ="),
    };
}

fn toml(json: &Json) -> Option<toml_edit::Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => match number.as_i64() {
            Some(number) => number.into(),
            None => number.as_f64()?.into(),
        },
        Json::String(text) => text.into(),
        Json::Array(items) => items.iter().map(toml).collect::<Option<toml_edit::Array>>()?.into(),
        Json::Object(keys) => {
            let pairs = keys.iter().filter_map(|(key, value)| Some((key, toml(value)?)));
            pairs.collect::<toml_edit::InlineTable>().into()
        }
    })
}

/// Documentation as comment lines, broken between words.
fn comment(text: &mut String, documentation: Option<&str>) {
    for paragraph in documentation.unwrap_or_default().lines() {
        let mut line = String::from("#");
        for word in paragraph.split_whitespace() {
            if line.chars().count() + word.chars().count() >= WIDTH {
                let _ = writeln!(text, "{line}");
                line = String::from("#");
            }
            let _ = write!(line, " {word}");
        }
        let _ = writeln!(text, "{line}");
    }
}
