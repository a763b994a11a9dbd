//! What no patch can mend, told to whoever draws the surface.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::report::Finding;

/// Something to change, in the shape of the protocol's own `error`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// `VALIDATION_FAILED` for what a rule like a schema's says, else what it is about.
    pub code: String,
    /// The component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component_id: Option<String>,
    /// The place: a pointer into the component, or into the data.
    pub path: String,
    /// For people and models.
    pub message: String,
    /// What was found.
    pub data: Map<String, Value>,
}

/// What a rule like a schema's says.
const FAILED: &str = "VALIDATION_FAILED";

impl Advice {
    fn new(code: &str, finding: &Finding, path: &str, message: String) -> Self {
        let mut data = finding.data.clone().unwrap_or_default();
        data.insert("code".into(), json!(finding.code));
        Self {
            code: code.into(),
            component_id: finding.component_id.clone(),
            path: path.into(),
            message,
            data,
        }
    }

    /// What is told of a finding that no strategy takes.
    pub(crate) fn of(finding: &Finding) -> Option<Self> {
        let (id, path) = (finding.component(), finding.text("path"));
        let property = format!("/{}", finding.text("property").trim_start_matches('/'));
        let advise =
            |code: &str, path: &str, message: String| Some(Self::new(code, finding, path, message));
        match &*finding.code {
            "missing_root" => advise(
                FAILED,
                "",
                "no component has the id `root`, so nothing is drawn; send one".into(),
            ),
            "renderer_error" => {
                let said: String = finding.text("message").chars().take(256).collect();
                advise(
                    "renderer_error",
                    &property,
                    format!("the renderer failed at `{id}`: {said}"),
                )
            }
            "missing_binding" => {
                let why = format!(
                    "`{id}` shows `{path}`, and there is no such data; send it with updateDataModel"
                );
                advise(FAILED, &property, why)
            }
            "list_not_array" => advise(
                FAILED,
                path,
                format!("`{id}` repeats over `{path}`, which is no list; send a list there"),
            ),
            "orphan_component" => advise(
                "orphan_component",
                "/id",
                format!("nothing draws `{id}`; name it in a parent's children"),
            ),
            "axe" => {
                let rule = finding.text("rule");
                let remedy = match rule {
                    rule if rule.contains("contrast") => "choose colours that differ more",
                    rule if rule.contains("label") || rule.contains("name") => {
                        "give it `accessibility.label`"
                    }
                    _ => return None,
                };
                advise("axe", "/accessibility", format!("`{id}` fails `{rule}`: {remedy}"))
            }
            _ => None,
        }
    }

    /// A row that is too wide for one renderer and not for another.
    pub(crate) fn viewport(finding: &Finding) -> Self {
        let id = finding.component();
        let why = format!(
            "`{id}` is too wide for one of its viewers and not for all; use a List or fewer children"
        );
        Self::new("viewport_conflict", finding, "/children", why)
    }

    /// A component that was patched and put back.
    pub(crate) fn contested(finding: &Finding) -> Self {
        let id = finding.component();
        let why = format!("`{id}` was mended and put back twice, so it is left as it is");
        Self::new("contested_component", finding, "", why)
    }

    /// What would be patched, where only advice is wanted.
    pub(crate) fn instead(finding: &Finding, strategy: &str, envelope: Value) -> Self {
        let why = format!("`{strategy}` would mend this; the envelope is in `data.envelope`");
        let mut advice = Self::new(&finding.code, finding, "", why);
        advice.data.insert("strategy".into(), strategy.into());
        advice.data.insert("envelope".into(), envelope);
        advice
    }

    /// What makes advice of this code and path on a finding the same as another: a text for each of code, path,
    /// the finding's code, and component.
    pub(crate) fn key<'a>(code: &'a str, path: &'a str, finding: &'a Finding) -> [&'a str; 4] {
        [code, path, &finding.code, finding.component()]
    }

    /// Its own key.
    pub(crate) fn own_key(&self) -> [&str; 4] {
        let found = self.data["code"].as_str().unwrap_or_default();
        [&self.code, &self.path, found, self.component_id.as_deref().unwrap_or_default()]
    }
}
