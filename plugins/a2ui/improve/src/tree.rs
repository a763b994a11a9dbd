//! Who draws whom.

use std::collections::HashSet;

use carport_a2ui_surfaces::Surface;
use serde_json::Value;

/// Whether `id` is `above` or is drawn by it.
pub(crate) fn is_within(surface: &Surface, above: &str, id: &str) -> bool {
    reaches(surface, vec![above.to_owned()], id)
}

/// Whether `id` is drawn once for each item of some list.
pub(crate) fn is_in_template(surface: &Surface, id: &str) -> bool {
    let templates =
        surface.components.iter().filter_map(|it| it.value["children"]["componentId"].as_str());
    reaches(surface, templates.map(str::to_owned).collect(), id)
}

fn reaches(surface: &Surface, mut open: Vec<String>, id: &str) -> bool {
    let mut seen = HashSet::new();
    while let Some(next) = open.pop() {
        if next == id {
            return true;
        }
        let entry = surface.components.get(&next);
        if let Some(entry) = entry.filter(|_| seen.insert(next)) {
            open.extend(entry.children.iter().cloned());
        }
    }
    false
}

/// The component that draws `id` by a literal list of children.
pub(crate) fn parent_of<'a>(surface: &'a Surface, id: &str) -> Option<&'a Value> {
    let names = |it: &&Value| {
        let children = it["children"].as_array().into_iter().flatten();
        children.filter_map(Value::as_str).any(|child| child == id)
    };
    surface.components.iter().map(|entry| &entry.value).find(names)
}
