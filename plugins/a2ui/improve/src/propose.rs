//! Strategies: for each kind of finding, the one patch that mends it. In the order in which they are tried.

use carport_a2ui_surfaces::{Entry, VERSION};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{check::bound, report::Finding, view::View};

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

/// Whether a finding says that something is too wide by more than rounding.
pub(crate) fn is_wide(finding: &Finding) -> bool {
    finding.datum("px").as_f64().is_some_and(|px| px >= MIN_OVERFLOW)
}

/// What is mended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// The component of this id.
    Component(String),
    /// The place of the data at this path.
    Data(String),
}

impl Target {
    /// The id of the component.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Component(id) => Some(id),
            Self::Data(_) => None,
        }
    }

    /// The path of the place.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Self::Component(_) => None,
            Self::Data(path) => Some(path),
        }
    }
}

/// What a patch would mend. Cheap: no component is copied for it.
pub(crate) struct Aim {
    pub(crate) target: Target,
    /// The components that would be written, or that show what would be.
    pub(crate) touched: Vec<String>,
}

impl Aim {
    fn at(id: &str) -> Self {
        Self { target: Target::Component(id.to_owned()), touched: vec![id.to_owned()] }
    }
}

/// A change of components, or of one place of the data.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Proposal {
    /// Components, each whole. The first is the one that is mended.
    Components(Vec<Value>),
    /// A value where there is none, for an input.
    Data { path: String, value: Value, input: String },
}

impl Proposal {
    /// The envelope that makes it.
    pub(crate) fn envelope(&self, surface_id: &str) -> Value {
        match self {
            Self::Components(components) => json!({
                "version": VERSION,
                "updateComponents": { "surfaceId": surface_id, "components": components },
            }),
            Self::Data { path, value, .. } => json!({
                "version": VERSION,
                "updateDataModel": { "surfaceId": surface_id, "path": path, "value": value },
            }),
        }
    }

    /// What is mended.
    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Components(_) => {
                Target::Component(self.state()["id"].as_str().unwrap_or_default().to_owned())
            }
            Self::Data { path, .. } => Target::Data(path.clone()),
        }
    }

    /// The components that are written, or that show what is.
    pub(crate) fn touched(&self) -> Vec<String> {
        match self {
            Self::Components(all) => {
                all.iter().filter_map(|it| it["id"].as_str()).map(str::to_owned).collect()
            }
            Self::Data { input, .. } => vec![input.clone()],
        }
    }

    /// What the target is afterwards.
    pub(crate) fn state(&self) -> &Value {
        match self {
            Self::Components(components) => components.first().unwrap_or(&Value::Null),
            Self::Data { value, .. } => value,
        }
    }
}

/// What a strategy is asked about.
pub(crate) struct Case<'r, 'a> {
    pub(crate) view: &'r View<'a>,
    pub(crate) finding: &'a Finding,
}

impl<'a> Case<'_, 'a> {
    fn entry(&self) -> Option<&'a Entry> {
        self.view.input.surface.components.get(self.finding.component()).map(|it| &**it)
    }

    /// Whether nothing has arrived for a while.
    fn is_quiet(&self) -> bool {
        let (now, last) = (self.view.input.now, self.view.input.surface.updated_at);
        (*now - *last).num_seconds() >= STILL_ARRIVING
    }

    /// Whether one component more makes no other one go.
    fn has_room(&self) -> bool {
        self.view.input.surface.components.len() < self.view.input.limits.max_components
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
        let known = self.view.input.catalog.component(kind);
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

    /// What the strategy would mend, if anything.
    pub(crate) fn aim(&self, strategy: Strategy) -> Option<Aim> {
        let entry = self.entry()?;
        let is_for = match strategy {
            // Who does not know a text cannot be told so by one.
            Strategy::DegradeUnknown => entry.kind != "Text",
            Strategy::PlaceholderChild => {
                let may = self.is_quiet() && self.has_room();
                return may.then(|| Aim::at(self.finding.text("ref")));
            }
            Strategy::SeedInput => {
                let (path, _) = self.seed(entry)?;
                let target = Target::Data(path.to_owned());
                return Some(Aim { target, touched: vec![entry.id.to_string()] });
            }
            Strategy::StackRow => {
                let is_wide_row = entry.kind == "Row" && is_wide(self.finding);
                is_wide_row && !self.view.is_around_a_wide_row(&entry.id)
            }
            Strategy::HeadingLevels => self.level(entry).is_some(),
            Strategy::BrokenImage => {
                entry.kind == "Image" && !self.view.tree.is_repeated(&entry.id)
            }
            Strategy::EmptyList => {
                let parent = self.parent_of_empty(entry)?;
                let mut aim = Aim::at(&parent.id);
                aim.touched.push(empty_id(entry));
                return Some(aim);
            }
            Strategy::EnlargeTarget => {
                entry.kind == "Button" && entry.value["variant"] == "borderless"
            }
        };
        is_for.then(|| Aim::at(&entry.id))
    }

    /// What the strategy makes of the finding. It must have an aim.
    pub(crate) fn propose(&self, strategy: Strategy) -> Option<Proposal> {
        let entry = self.entry()?;
        let one = |component| Some(Proposal::Components(vec![component]));
        match strategy {
            Strategy::DegradeUnknown => one(self.degraded(entry)),
            Strategy::PlaceholderChild => {
                let id = json!({ "id": self.finding.text("ref") });
                one(self.caption(Some(&id), &"Content unavailable".into()))
            }
            Strategy::SeedInput => {
                let (path, value) = self.seed(entry)?;
                let input = entry.id.to_string();
                Some(Proposal::Data { path: path.to_owned(), value, input })
            }
            Strategy::StackRow => {
                let column =
                    json!({ "component": "Column", "justify": "start", "align": "stretch" });
                one(self.changed(entry, column))
            }
            Strategy::HeadingLevels => {
                let variant = format!("h{}", self.level(entry)?);
                one(self.changed(entry, json!({ "variant": variant })))
            }
            Strategy::BrokenImage => {
                let text = entry.value.get("description").cloned();
                let text = text.unwrap_or_else(|| "Image unavailable".into());
                one(self.caption(Some(&entry.value), &text))
            }
            Strategy::EmptyList => self.emptiness(entry),
            Strategy::EnlargeTarget => one(self.changed(entry, json!({ "variant": "default" }))),
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

    /// The path that an input lacks a value at, and what it would start with.
    fn seed(&self, entry: &Entry) -> Option<(&'a str, Value)> {
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
        let input = self.view.input;
        let is_missing = is_its && bound(input.surface, input.limits, path) == Ok(None);
        is_missing.then_some((path, value))
    }

    /// The level that a heading should have.
    fn level(&self, entry: &Entry) -> Option<u8> {
        let current = entry.value["variant"].as_str().filter(|_| entry.kind == "Text")?;
        let current: u8 = current.strip_prefix('h')?.parse().ok()?;
        let said =
            |name: &str| self.finding.datum(name).as_u64().and_then(|it| u8::try_from(it).ok());
        let listed = self.view.heading(&entry.id);
        let level = said("level").or(listed.map(|it| it.1)).unwrap_or(current);
        let previous = said("previous").or(listed.map(|it| it.0))?;
        let next = match previous {
            0 => self.view.input.report.host_heading.map_or(1, |it| it.min(6) as u8 + 1),
            previous => level.min(previous.saturating_add(1)),
        };
        Some(next.clamp(1, 5))
    }

    /// What draws a list that can be said to be empty, once.
    fn parent_of_empty(&self, list: &Entry) -> Option<&'a Entry> {
        let path = list.value["children"]["path"].as_str()?;
        let is_new = self.view.input.surface.components.get(&empty_id(list)).is_none();
        let may = is_new && path.starts_with('/') && self.has_room();
        self.view.tree.list_with(&list.id).filter(|_| may)
    }

    fn emptiness(&self, list: &Entry) -> Option<Proposal> {
        let parent = &self.parent_of_empty(list)?.value;
        let id = empty_id(list);
        let mut children = parent["children"].as_array()?.clone();
        let at = children.iter().position(|it| it.as_str() == Some(&list.id))?;
        children.insert(at + 1, id.clone().into());
        let mut members = parent.as_object()?.clone();
        members.insert("children".into(), children.into());
        let text = self.caption(Some(&json!({ "id": id })), &"No items yet".into());
        Some(Proposal::Components(vec![self.spelled(members), text]))
    }
}

/// The id of what says that a list is empty.
fn empty_id(list: &Entry) -> String {
    format!("{}{EMPTY_SUFFIX}", list.id)
}
