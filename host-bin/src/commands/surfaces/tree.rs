//! A surface as a tree of text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    client::surfaces::Surface,
    output::{Tone, count, cut, one_line},
};

/// Characters of a text on a line.
const TEXT: usize = 60;
/// Members whose values say what a component shows, in the order in which one is chosen.
const SHOWN: [&str; 7] = ["text", "label", "title", "name", "url", "value", "description"];

/// The lines of a surface: its head, the tree from `root`, what nothing leads to, and the data.
pub(super) fn lines(surface: &Surface) -> Vec<String> {
    let components = surface.components.iter();
    let by_id: BTreeMap<&str, &Value> =
        components.filter_map(|it| Some((it["id"].as_str()?, it))).collect();
    let mut tree = Tree { by_id, drawn: BTreeSet::new(), lines: Vec::new() };
    let number = count(surface.components.len(), "component");
    tree.lines.push(format!(
        "{}  revision {}, {number}, {}",
        Tone::Name.paint(one_line(&surface.surface_id)),
        surface.revision,
        Tone::Faint.paint(one_line(&surface.catalog_id)),
    ));
    tree.draw("root", "", "", "");
    for id in surface.components.iter().filter_map(|it| it["id"].as_str()) {
        if !tree.drawn.contains(id) {
            tree.lines.push(Tone::Faint.paint("drawn by nothing:"));
            tree.draw(id, "", "", "");
        }
    }
    tree.lines.push(format!("{} {}", Tone::Faint.paint("data"), brief(&surface.data_model)));
    tree.lines
}

struct Tree<'a> {
    by_id: BTreeMap<&'a str, &'a Value>,
    drawn: BTreeSet<&'a str>,
    lines: Vec<String>,
}

impl<'a> Tree<'a> {
    /// Draws a component and what it names. `first` stands before its line, `rest` before those below.
    fn draw(&mut self, id: &'a str, role: &str, first: &str, rest: &str) {
        let name = one_line(id);
        let Some(component) = self.by_id.get(id).copied() else {
            let missing = Tone::Warn.paint(format_args!("{name} has not arrived"));
            self.lines.push(format!("{first}{role}{missing}"));
            return;
        };
        let mut line = format!("{first}{role}{} {name}", kind(component));
        line.extend(shows(component).map(|it| format!("  {it}")));
        if let Some(event) = component["action"]["event"]["name"].as_str() {
            line += &format!("  -> {}", one_line(event));
        }
        if !self.drawn.insert(id) {
            // Drawn a second time, it is the same below.
            self.lines.push(format!("{line}  (as above)"));
            return;
        }
        self.lines.push(line);
        let children = named(component);
        let last = children.len().saturating_sub(1);
        for (at, (role, child)) in children.into_iter().enumerate() {
            let (turn, below) = if at == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.draw(child, &role, &format!("{rest}{turn}"), &format!("{rest}{below}"));
        }
    }
}

fn kind(component: &Value) -> String {
    let name = component["component"].as_str().unwrap_or("?");
    let variant = component["variant"].as_str().map(|it| format!(".{it}")).unwrap_or_default();
    Tone::Name.paint(one_line(&format!("{name}{variant}")))
}

/// What a component shows, if it says so in one of the usual members.
fn shows(component: &Value) -> Option<String> {
    let value = SHOWN.iter().map(|name| &component[name]).find(|it| !it.is_null())?;
    Some(brief(value))
}

/// A value on one line: bindings as their path, calls as their name.
fn brief(value: &Value) -> String {
    let text = match (value["path"].as_str(), value["call"].as_str()) {
        (Some(path), _) if value.as_object().is_some_and(|it| it.len() == 1) => {
            format!("{{{path}}}")
        }
        (_, Some(call)) => format!("{call}(..)"),
        _ => value.to_string(),
    };
    one_line(&cut(&text, TEXT)).into_owned()
}

/// The components that one names, each with what it is to it.
fn named(component: &Value) -> Vec<(String, &str)> {
    let mut named = Vec::new();
    for role in ["trigger", "content", "child"] {
        let shown = if role == "child" { String::new() } else { format!("{role}: ") };
        named.extend(component[role].as_str().map(|id| (shown, id)));
    }
    let children = component["children"].as_array().into_iter().flatten();
    named.extend(children.filter_map(Value::as_str).map(|id| (String::new(), id)));
    if let Some(id) = component["children"]["componentId"].as_str() {
        let path = component["children"]["path"].as_str().unwrap_or_default();
        named.push((format!("for each of {}: ", one_line(path)), id));
    }
    for tab in component["tabs"].as_array().into_iter().flatten() {
        named.extend(
            tab["child"].as_str().map(|id| (format!("tab {}: ", brief(&tab["title"])), id)),
        );
    }
    named
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_surface_reads_from_top_to_bottom() {
        let surface: Surface = serde_json::from_value(json!({
            "surfaceId": "s", "catalogId": "urn:c", "revision": 7, "updatedAt": "now",
            "createdBy": { "kind": "client" }, "dataModel": { "a": 1 },
            "components": [
                { "id": "root", "component": "Column", "children": ["t", "l", "b", "gone"] },
                { "id": "t", "component": "Text", "text": "Hi\u{1b}[2J", "variant": "h1" },
                { "id": "l", "component": "List", "children": { "componentId": "i", "path": "/items" } },
                { "id": "i", "component": "Text", "text": { "path": "name" } },
                { "id": "b", "component": "Button", "child": "t", "action": { "event": { "name": "go" } } },
                { "id": "o", "component": "Modal", "trigger": "b", "content": "x" },
            ],
        }))
        .unwrap();
        let plain = anstream::adapter::strip_str(&lines(&surface).join("\n")).to_string();
        assert_eq!(
            plain,
            "s  revision 7, 6 components, urn:c\n\
             Column root\n\
             ├─ Text.h1 t  \"Hi\\u001b[2J\"\n\
             ├─ List l\n\
             │  └─ for each of /items: Text i  {name}\n\
             ├─ Button b  -> go\n\
             │  └─ Text.h1 t  \"Hi\\u001b[2J\"  (as above)\n\
             └─ gone has not arrived\n\
             drawn by nothing:\n\
             Modal o\n\
             ├─ trigger: Button b  -> go  (as above)\n\
             └─ content: x has not arrived\n\
             data {\"a\":1}"
        );
    }
}
