//! Policies that a client registers: what they need, and when they refuse.

use std::fmt;

use carport_core::{Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{canon::canonical, operation::Operation, operator::equal, state::StateView};

/// Bytes of a text in a policy; what is kept per connection has a bound.
const TEXT_BYTES: usize = 4096;

/// A policy as it is registered. Which of the other members it needs, its rule says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyDefinition {
    /// Several policies may have one name; they leave together.
    #[schemars(length(min = 1, max = 128))]
    pub name: String,
    /// When it refuses.
    pub rule: PolicyRule,
    /// `deny_tool`, `deny_tool_param`: the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub target: Option<String>,
    /// `deny_tool_param`: the parameter; `require_state`: the state key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub key: Option<String>,
    /// `deny_tool_param`: what the parameter's text must not contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub pattern: Option<String>,
    /// `require_state`: what the key must equal; `true` if absent. At most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The policy session that it belongs to; the whole connection if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub session_id: Option<String>,
}

/// When a policy refuses an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyRule {
    /// It calls `target`.
    DenyTool,
    /// It calls `target`, and the text of parameter `key` contains `pattern`.
    DenyToolParam,
    /// State `key` does not equal `value`.
    RequireState,
}

/// A policy that is in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    name: String,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    DenyTool { target: String },
    DenyToolParam { target: String, key: String, pattern: String },
    RequireState { key: String, value: Value },
}

/// That a policy refuses an action, and why. Names keys, never the value of a parameter. Displays as the
/// error of the action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The policy.
    pub policy: String,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "policy '{}': {}", self.policy, self.reason)
    }
}

impl PolicyDefinition {
    /// The policy that it defines. `field` is the path of the definition with a dot after it, or nothing.
    pub fn compile(self, field: &str) -> Result<Policy> {
        let path = |name: &str| format!("{field}{name}");
        bounds::bytes(&path("name"), &self.name, 1..=128)?;
        bounds::maybe_bytes(&path("session_id"), self.session_id.as_deref(), 1..=128)?;
        bounds::encoded(&path("value"), &self.value, bounds::OBJECT_BYTES)?;
        let rule = self.rule;
        let text = |name: &str, text: Option<String>| {
            let missing = || RpcError::invalid_params(&path(name), format!("{rule} needs it"));
            let text = text.ok_or_else(missing)?;
            bounds::bytes(&path(name), &text, 0..=TEXT_BYTES)?;
            Ok::<_, RpcError>(text)
        };
        let rule = match rule {
            PolicyRule::DenyTool => Rule::DenyTool { target: text("target", self.target)? },
            PolicyRule::DenyToolParam => Rule::DenyToolParam {
                target: text("target", self.target)?,
                key: text("key", self.key)?,
                pattern: text("pattern", self.pattern)?,
            },
            PolicyRule::RequireState => Rule::RequireState {
                key: text("key", self.key)?,
                value: self.value.unwrap_or(Value::Bool(true)),
            },
        };
        Ok(Policy { name: self.name, rule })
    }
}

impl Policy {
    /// What it is removed by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// In words, for `policy.list`.
    pub fn description(&self) -> String {
        match &self.rule {
            Rule::DenyTool { target } => format!("deny tool '{target}'"),
            Rule::DenyToolParam { target, key, pattern } => {
                format!("deny tool '{target}' when parameter '{key}' contains '{pattern}'")
            }
            Rule::RequireState { key, value } => {
                format!("require state '{key}' to equal {}", canonical(value))
            }
        }
    }

    /// Whether it refuses this action, its references filled in, in this state.
    pub fn refuses(&self, operation: &Operation<'_>, state: &dyn StateView) -> Option<Refusal> {
        let reason = match &self.rule {
            Rule::DenyTool { target } => {
                (operation.tool == Some(target)).then(|| format!("tool '{target}' is denied"))
            }
            Rule::DenyToolParam { target, key, pattern } => {
                let denied = operation.argument_of(target, key);
                denied.filter(|value| text_of(value).contains(pattern.as_str())).map(|_| {
                    format!("parameter '{key}' of tool '{target}' contains a denied pattern")
                })
            }
            Rule::RequireState { key, value } => {
                let holds = state.get(key).is_some_and(|actual| equal(actual, value));
                (!holds).then(|| format!("state '{key}' does not have the required value"))
            }
        };
        reason.map(|reason| Refusal { policy: self.name.clone(), reason })
    }
}

/// A string itself, anything else as canonical JSON.
pub(crate) fn text_of(value: &Value) -> std::borrow::Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => canonical(other).into(),
    }
}

impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DenyTool => "deny_tool",
            Self::DenyToolParam => "deny_tool_param",
            Self::RequireState => "require_state",
        })
    }
}
