//! What the store itself can tell about a finding. A report cannot lie about that.

use carport_a2ui_surfaces::{Entry, Limits, Pointer, Surface};
use serde_json::Value;

use crate::{loops::Input, report::Finding};

/// What an absolute path points to; `Err` if it is relative or cannot be read.
pub(crate) fn bound<'a>(
    surface: &'a Surface,
    limits: &Limits,
    path: &str,
) -> Result<Option<&'a Value>, ()> {
    if !path.starts_with('/') {
        return Err(());
    }
    let pointer = Pointer::read(path, "path", limits).map_err(drop)?;
    Ok(surface.model.get(&pointer))
}

/// Whether what a finding says is so, as far as the store knows.
pub(crate) fn holds(input: &Input<'_>, finding: &Finding) -> bool {
    let surface = input.surface;
    let entry = surface.components.get(finding.component());
    let path = finding.text("path");
    let found = || bound(surface, input.limits, path);
    match &*finding.code {
        "missing_root" => surface.components.get("root").is_none(),
        "unknown_component" => entry.is_some_and(|it| {
            let named = finding.text("type");
            (named.is_empty() || named == it.kind) && !draws(input)
        }),
        "missing_child" => {
            let child = finding.text("ref");
            let names = entry.is_some_and(|it| it.children.iter().any(|it| it == child));
            names && surface.components.get(child).is_none()
        }
        "missing_binding" => entry.is_some() && !matches!(found(), Ok(Some(_))),
        "list_not_array" => {
            entry.is_some_and(|it| repeats(it, path))
                && !matches!(found(), Ok(Some(Value::Array(_))))
        }
        "empty_list" => {
            entry.is_some_and(|it| repeats(it, path))
                && found().is_ok_and(|it| it.and_then(Value::as_array).is_some_and(Vec::is_empty))
        }
        "renderer_error" | "icon_font_missing" => true,
        _ => entry.is_some(),
    }
}

/// Whether a component is drawn for each item of the list at a path. Where a relative path leads only the
/// renderer knows.
fn repeats(entry: &Entry, path: &str) -> bool {
    let own = entry.value["children"]["path"].as_str();
    own.is_some_and(|own| {
        !own.starts_with('/') || own.trim_end_matches('/') == path.trim_end_matches('/')
    })
}

/// Whether the renderer says that it draws the catalog. One that names none is taken to.
fn draws(input: &Input<'_>) -> bool {
    let catalogs = input.report.renderer.as_ref().and_then(|it| it.catalogs.as_ref());
    catalogs.is_none_or(|ids| ids.iter().any(|id| id == input.catalog.id()))
}
