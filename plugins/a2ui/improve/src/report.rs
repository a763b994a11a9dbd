//! Reports of renderers, and what is decided on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::propose::Strategy;

/// What a renderer saw of a surface. Only the surface must be named; null means absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The surface.
    pub surface_id: String,
    /// Its revision that was drawn.
    #[serde(default)]
    pub revision: Option<u64>,
    /// The renderer's own name for itself.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    pub client_id: Option<String>,
    /// What it draws on.
    #[serde(default)]
    pub viewport: Option<Viewport>,
    /// Whether somebody is at something of the surface.
    #[serde(default)]
    pub focused: Option<bool>,
    /// Whether something was typed that is not sent yet.
    #[serde(default)]
    pub dirty: Option<bool>,
    /// The component that has the focus.
    #[serde(default)]
    pub focus: Option<String>,
    /// The components that hold what is not sent yet.
    #[serde(default)]
    pub dirty_components: Option<Vec<String>>,
    /// Milliseconds since it was drawn.
    #[serde(default)]
    pub age_ms: Option<u64>,
    /// What draws.
    #[serde(default)]
    pub renderer: Option<Renderer>,
    /// Numbers of the drawing.
    #[serde(default)]
    pub stats: Option<Map<String, Value>>,
    /// The headings in the order in which they are read.
    #[serde(default)]
    pub headings: Option<Vec<Heading>>,
    /// The level of the heading that the surface stands under, 0 to 6.
    #[serde(default)]
    #[schemars(range(max = 6))]
    pub host_heading: Option<u64>,
    /// What is wrong.
    #[serde(default)]
    pub findings: Option<Vec<Finding>>,
}

/// What is drawn on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Viewport {
    /// Pixels.
    pub width: f64,
    /// Pixels.
    pub height: f64,
    /// Device pixels in one of them; absent is 1.
    #[serde(default)]
    pub dpr: Option<f64>,
}

/// What draws.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Renderer {
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
    /// The catalogs that it draws.
    #[serde(default)]
    pub catalogs: Option<Vec<String>>,
}

/// A heading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heading {
    /// The component.
    pub component_id: String,
    /// 1 to 6.
    pub level: u8,
}

/// Something that is wrong. Codes that are not known here are passed on and never acted on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What.
    pub code: String,
    /// Where.
    #[serde(default)]
    pub component_id: Option<String>,
    /// By code.
    #[serde(default)]
    pub data: Option<Map<String, Value>>,
}

impl Finding {
    /// A member of its data.
    pub(crate) fn datum(&self, name: &str) -> &Value {
        self.data.as_ref().and_then(|data| data.get(name)).unwrap_or(&Value::Null)
    }

    /// A text of its data.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.datum(name).as_str().unwrap_or_default()
    }

    pub(crate) fn component(&self) -> &str {
        self.component_id.as_deref().unwrap_or_default()
    }

    /// How bad it is.
    pub(crate) fn weight(&self) -> u32 {
        match (&*self.code, self.text("impact")) {
            ("axe", "critical") => 4,
            ("axe", "serious") => 3,
            ("axe", "moderate") => 2,
            ("axe", "minor") => 1,
            (code, _) => known(code).map_or(0, |it| it.1),
        }
    }

    /// What makes it the same as another: where a component may have the same fault twice, the place, too.
    pub(crate) fn key(&self) -> [&str; 4] {
        let place = match &*self.code {
            "missing_child" => [self.text("ref"), ""],
            "missing_binding" => [self.text("path"), self.text("property")],
            "empty_list" | "list_not_array" => [self.text("path"), ""],
            "axe" => [self.text("rule"), ""],
            _ => ["", ""],
        };
        [&self.code, self.component(), place[0], place[1]]
    }
}

/// A code that something is done about, with its weight; that of `axe` is its impact's.
pub(crate) fn known(code: &str) -> Option<&'static (&'static str, u32)> {
    CODES.iter().find(|it| it.0 == code)
}

const CODES: [(&str, u32); 16] = [
    ("unknown_component", 5),
    ("missing_root", 5),
    ("renderer_error", 5),
    ("missing_child", 3),
    ("overflow_x", 3),
    ("content_overflow_x", 2),
    ("missing_binding", 2),
    ("list_not_array", 2),
    ("empty_list", 1),
    ("broken_image", 1),
    ("heading_order", 1),
    ("small_target", 1),
    ("empty_text", 0),
    ("orphan_component", 0),
    ("icon_font_missing", 0),
    ("axe", 0),
];

impl Report {
    pub(crate) fn findings(&self) -> &[Finding] {
        self.findings.as_deref().unwrap_or_default()
    }

    /// How bad all of it is.
    pub(crate) fn score(&self) -> u32 {
        self.findings().iter().map(Finding::weight).fold(0, u32::saturating_add)
    }

    /// What of it must be there to be acted on: the revision, the renderer's name, the viewport.
    pub(crate) fn complete(&self) -> Option<(u64, &str, Viewport)> {
        Some((self.revision?, self.client_id.as_deref()?, self.viewport?))
    }
}

impl Viewport {
    /// Whether both are the same within a tenth.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() <= 0.1 * a.abs().max(b.abs());
        near(self.width, other.width) && near(self.height, other.height)
    }
}

/// What is done about reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Patches and advice.
    Patch,
    /// Advice.
    Advise,
    /// Nothing.
    Off,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RenderDecision")]
pub struct Decision {
    /// What is done.
    pub kind: DecisionKind,
    /// Why it is no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// How the surface was patched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The revision that the patch made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// How many patches are left until whoever draws the surface changes it.
    pub budget_left: u32,
}

/// What is done.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// Nothing.
    None,
    /// Nothing yet.
    Deferred,
    /// Advice went out.
    Advise,
    /// A patch was applied.
    Patch,
}

/// Why nothing, or not more, is done. The order is that of the guards.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The operator wants none of it.
    Off,
    /// Too many reports.
    RateLimited,
    /// The surface has another structure by now.
    Stale,
    /// It has to be reported once more.
    Unconfirmed,
    /// Somebody is at it.
    Focused,
    /// Another renderer sees it otherwise.
    ViewportConflict,
    /// There were enough patches.
    Budget,
    /// It was undone a while ago.
    Cooldown,
    /// It was undone twice.
    Contested,
    /// It did not help before.
    Blacklisted,
    /// The patch would change nothing.
    NoEffect,
    /// Nothing that anything can be done about.
    NoFinding,
}

impl Reason {
    /// What is done for this reason.
    pub(crate) const fn kind(self) -> DecisionKind {
        match self {
            Self::Unconfirmed | Self::Focused | Self::Cooldown => DecisionKind::Deferred,
            _ => DecisionKind::None,
        }
    }
}
