//! Strategies: for each kind of finding, the one patch that mends it. In the order in which they are tried.

use carport_a2ui_surfaces::{Entry, Surface, VERSION};
use carport_a2ui_validate::Catalog;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    check::bound,
    report::{Finding, Report},
    tree::{is_in_template, is_within, parent_of},
};

/// How a surface is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A component that the renderer does not know becomes one that it does.
    DegradeUnknown,
    /// What was never sent is announced as missing.
    PlaceholderChild,
    /// An input gets a value to start with.
    SeedInput,
    /// A row that is too wide becomes a column.
    StackRow,
    /// A heading gets the level that follows the one before.
    HeadingLevels,
    /// An image that cannot be shown becomes its description.
    BrokenImage,
    /// A list without items says so.
    EmptyList,
    /// A button that is too small to hit gets a border.
    EnlargeTarget,
}

/// Overflow below this is rounding.
const MIN_OVERFLOW: f64 = 8.0;
/// Seconds in which what is missing may still arrive.
const STILL_ARRIVING: i64 = 5;
/// What the ids of components that the daemon adds end in.
const EMPTY_SUFFIX: &str = "__ui_empty";

impl Strategy {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 8] = [
        Self::DegradeUnknown,
        Self::PlaceholderChild,
        Self::SeedInput,
        Self::StackRow,
        Self::HeadingLevels,
        Self::BrokenImage,
        Self::EmptyList,
        Self::EnlargeTarget,
    ];

    /// The word on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::DegradeUnknown => "degrade_unknown",
            Self::PlaceholderChild => "placeholder_child",
            Self::SeedInput => "seed_input",
            Self::StackRow => "stack_row",
            Self::HeadingLevels => "heading_levels",
            Self::BrokenImage => "broken_image",
            Self::EmptyList => "empty_list",
            Self::EnlargeTarget => "enlarge_target",
        }
    }

    /// Whether it mends findings of this code.
    pub(crate) fn takes(self, code: &str) -> bool {
        match self {
            Self::DegradeUnknown => code == "unknown_component",
            Self::PlaceholderChild => code == "missing_child",
            Self::SeedInput => code == "missing_binding",
            Self::StackRow => matches!(code, "overflow_x" | "content_overflow_x"),
            Self::HeadingLevels => code == "heading_order",
            Self::BrokenImage => code == "broken_image",
            Self::EmptyList => code == "empty_list",
            Self::EnlargeTarget => code == "small_target",
        }
    }
}

/// A change of one component, or of one place of the data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Proposal {
    /// Components, each whole. The first is the one that is mended.
    Components(Vec<Value>),
    /// A value where there is none.
    Data { path: String, value: Value },
}

impl Proposal {
    /// The envelope that makes it.
    pub(crate) fn envelope(&self, surface_id: &str) -> Value {
        match self {
            Self::Components(components) => json!({
                "version": VERSION,
                "updateComponents": { "surfaceId": surface_id, "components": components },
            }),
            Self::Data { path, value } => json!({
                "version": VERSION,
                "updateDataModel": { "surfaceId": surface_id, "path": path, "value": value },
            }),
        }
    }

    /// What is mended, and its state afterwards.
    pub(crate) fn target(&self) -> (String, &Value) {
        match self {
            Self::Components(components) => {
                let first = components.first().unwrap_or(&Value::Null);
                (first["id"].as_str().unwrap_or_default().to_owned(), first)
            }
            Self::Data { path, value } => (data_key(path), value),
        }
    }
}

/// What a place of the data is called beside components.
pub(crate) fn data_key(path: &str) -> String {
    format!("data:{path}")
}

/// What a strategy is asked about.
pub(crate) struct Case<'a> {
    pub(crate) surface: &'a Surface,
    pub(crate) catalog: &'a Catalog,
    pub(crate) report: &'a Report,
    pub(crate) finding: &'a Finding,
    /// Milliseconds since the surface was changed.
    pub(crate) quiet_ms: i64,
}

impl Case<'_> {
    fn entry(&self) -> Option<&Entry> {
        self.surface.components.get(self.finding.component()).map(|it| &**it)
    }

    /// A component with what every component may have of another, and all defaults spelled out.
    fn component(&self, kind: &str, from: Option<&Value>, own: Value) -> Value {
        let mut members = Map::new();
        for kept in ["id", "accessibility", "weight"] {
            if let Some(value) = from.and_then(|it| it.get(kept)) {
                members.insert(kept.into(), value.clone());
            }
        }
        members.insert("component".into(), kind.into());
        if let Value::Object(own) = own {
            members.extend(own.into_iter().filter(|(_, value)| !value.is_null()));
        }
        self.spelled(members)
    }

    /// Spells out what renderers, which merge, would otherwise keep from before.
    fn spelled(&self, mut members: Map<String, Value>) -> Value {
        let kind = members.get("component").and_then(Value::as_str).unwrap_or_default();
        let known = self.catalog.component(kind);
        for (name, default) in known.into_iter().flat_map(|it| &it.defaults) {
            members.entry(name.clone()).or_insert_with(|| default.clone());
        }
        members.into()
    }

    /// The same component with some members otherwise.
    fn changed(&self, entry: &Entry, changes: Value) -> Value {
        let mut members = entry.value.as_object().cloned().unwrap_or_default();
        if let Value::Object(changes) = changes {
            members.extend(changes);
        }
        self.spelled(members)
    }

    fn caption(&self, from: Option<&Value>, text: &Value) -> Value {
        self.component("Text", from, json!({ "text": text, "variant": "caption" }))
    }

    /// What the strategy makes of the finding, if anything.
    pub(crate) fn propose(&self, strategy: Strategy) -> Option<Proposal> {
        let one = |component| Some(Proposal::Components(vec![component]));
        match strategy {
            Strategy::DegradeUnknown => one(self.degraded(self.entry()?)),
            Strategy::PlaceholderChild => {
                let id = json!({ "id": self.finding.text("ref") });
                let quiet = self.quiet_ms >= STILL_ARRIVING * 1000;
                quiet.then(|| self.caption(Some(&id), &"Content unavailable".into())).and_then(one)
            }
            Strategy::SeedInput => self.seed(self.entry()?),
            Strategy::StackRow => one(self.stacked(self.entry()?)?),
            Strategy::HeadingLevels => one(self.levelled(self.entry()?)?),
            Strategy::BrokenImage => {
                let entry = self.entry().filter(|it| it.kind == "Image")?;
                let drawn_once = !is_in_template(self.surface, &entry.id);
                let text = entry.value.get("description").cloned();
                let text = text.unwrap_or_else(|| "Image unavailable".into());
                drawn_once.then(|| self.caption(Some(&entry.value), &text)).and_then(one)
            }
            Strategy::EmptyList => self.emptiness(self.entry()?),
            Strategy::EnlargeTarget => {
                let entry = self.entry().filter(|it| it.kind == "Button")?;
                let borderless = entry.value["variant"] == "borderless";
                borderless
                    .then(|| self.changed(entry, json!({ "variant": "default" })))
                    .and_then(one)
            }
        }
    }

    fn degraded(&self, entry: &Entry) -> Value {
        let (old, member) = (&entry.value, |name: &str| entry.value[name].clone());
        match &*entry.kind {
            "Badge" => self.caption(Some(old), &old["text"]),
            "Spacer" => self.component("Divider", Some(old), json!({})),
            "Select" if old["value"].is_string() => {
                let own = json!({
                    "label": member("label"),
                    "options": member("options"),
                    "value": [member("value")],
                    "checks": member("checks"),
                    "variant": "mutuallyExclusive",
                });
                self.component("ChoicePicker", Some(old), own)
            }
            // What is bound is a text, and a picker's value would be a list.
            "Select" => {
                let label = old.get("label").or_else(|| old.get("placeholder"));
                let own = json!({
                    "label": label.cloned().unwrap_or_else(|| "".into()),
                    "value": member("value"),
                    "checks": member("checks"),
                });
                self.component("TextField", Some(old), own)
            }
            kind => self.caption(Some(old), &format!("Unsupported component: {kind}").into()),
        }
    }

    fn seed(&self, entry: &Entry) -> Option<Proposal> {
        let value = match &*entry.kind {
            "TextField" | "DateTimeInput" | "Select" => json!(""),
            "CheckBox" => json!(false),
            "Slider" => entry.value.get("min").cloned().unwrap_or_else(|| json!(0)),
            "ChoicePicker" | "FilePicker" => json!([]),
            _ => return None,
        };
        let path = self.finding.text("path");
        let property = self.finding.text("property").trim_start_matches('/');
        let is_its = property == "value" && entry.value["value"]["path"].as_str() == Some(path);
        let is_missing = bound(self.surface, path) == Ok(None);
        (is_its && is_missing).then(|| Proposal::Data { path: path.to_owned(), value })
    }

    fn stacked(&self, entry: &Entry) -> Option<Value> {
        let is_wide = |it: &Finding| it.datum("px").as_f64().is_some_and(|px| px >= MIN_OVERFLOW);
        if entry.kind != "Row" || !is_wide(self.finding) {
            return None;
        }
        let is_row = |id: &str| self.surface.components.get(id).is_some_and(|it| it.kind == "Row");
        let inner = self.report.findings().iter().any(|other| {
            let id = other.component();
            Strategy::StackRow.takes(&other.code)
                && is_wide(other)
                && *id != *entry.id
                && is_row(id)
                && is_within(self.surface, &entry.id, id)
        });
        let column = json!({ "component": "Column", "justify": "start", "align": "stretch" });
        (!inner).then(|| self.changed(entry, column))
    }

    fn levelled(&self, entry: &Entry) -> Option<Value> {
        let current = entry.value["variant"].as_str().filter(|_| entry.kind == "Text")?;
        let current: u8 = current.strip_prefix('h')?.parse().ok()?;
        let said =
            |name: &str| self.finding.datum(name).as_u64().and_then(|it| u8::try_from(it).ok());
        let listed = self.report.heading(&entry.id);
        let level = said("level").or(listed.map(|it| it.1)).unwrap_or(current);
        let previous = said("previous").or(listed.map(|it| it.0))?;
        let next = match previous {
            0 => self.report.host_heading.map_or(1, |it| it.min(6) as u8 + 1),
            previous => level.min(previous.saturating_add(1)),
        };
        Some(self.changed(entry, json!({ "variant": format!("h{}", next.clamp(1, 5)) })))
    }

    fn emptiness(&self, list: &Entry) -> Option<Proposal> {
        let path = list.value["children"]["path"].as_str()?;
        let id = format!("{}{EMPTY_SUFFIX}", list.id);
        let is_new = self.surface.components.get(&id).is_none();
        let parent =
            parent_of(self.surface, &list.id).filter(|_| is_new && path.starts_with('/'))?;
        let mut children = parent["children"].as_array()?.clone();
        let at = children.iter().position(|it| it.as_str() == Some(&list.id))?;
        children.insert(at + 1, id.clone().into());
        let mut members = parent.as_object()?.clone();
        members.insert("children".into(), children.into());
        let text = self.caption(Some(&json!({ "id": id })), &"No items yet".into());
        Some(Proposal::Components(vec![self.spelled(members), text]))
    }
}
