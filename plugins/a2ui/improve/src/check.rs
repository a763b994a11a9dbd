//! What the store itself can tell about a finding. A report cannot lie about that.

use carport_a2ui_surfaces::{Limits, Pointer, Surface};
use carport_a2ui_validate::Catalog;
use serde_json::Value;

use crate::report::{Finding, Report};

/// What an absolute path points to; `Err` if it is relative or cannot be read.
pub(crate) fn bound<'a>(surface: &'a Surface, path: &str) -> Result<Option<&'a Value>, ()> {
    if !path.starts_with('/') {
        return Err(());
    }
    let pointer = Pointer::read(path, "path", &Limits::default()).map_err(drop)?;
    Ok(surface.model.get(&pointer))
}

/// Whether what a finding says is so, as far as the store knows.
pub(crate) fn holds(
    surface: &Surface,
    catalog: &Catalog,
    report: &Report,
    finding: &Finding,
) -> bool {
    let entry = surface.components.get(finding.component());
    let path = finding.text("path");
    match &*finding.code {
        "missing_root" => surface.components.get("root").is_none(),
        "unknown_component" => entry.is_some_and(|it| {
            let named = finding.text("type");
            (named.is_empty() || named == it.kind) && !draws(report, catalog)
        }),
        "missing_child" => {
            let child = finding.text("ref");
            let names = entry.is_some_and(|it| it.children.iter().any(|it| it == child));
            names && surface.components.get(child).is_none()
        }
        "missing_binding" => entry.is_some() && !matches!(bound(surface, path), Ok(Some(_))),
        "list_not_array" => !matches!(bound(surface, path), Ok(Some(Value::Array(_)))),
        "empty_list" => match bound(surface, path) {
            Ok(found) => found.and_then(Value::as_array).is_some_and(Vec::is_empty),
            Err(()) => entry.is_some(),
        },
        "renderer_error" | "icon_font_missing" => true,
        _ => entry.is_some(),
    }
}

/// Whether the renderer says that it draws the catalog. One that names none is taken to.
fn draws(report: &Report, catalog: &Catalog) -> bool {
    let catalogs = report.renderer.as_ref().and_then(|it| it.catalogs.as_ref());
    catalogs.is_none_or(|ids| ids.iter().any(|id| id == catalog.id()))
}
