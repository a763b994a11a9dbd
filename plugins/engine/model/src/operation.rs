//! What one action would do: what tiers, policies and fingerprints look at.

use serde_json::{Map, Value};

use crate::proposal::{Action, ActionType};

/// What one action would do, its references filled in or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation<'a> {
    /// Its type.
    pub kind: ActionType,
    /// The tool of a tool call; none for the other types.
    pub tool: Option<&'a str>,
    /// What it is called with.
    pub parameters: &'a Map<String, Value>,
}

impl Action {
    /// What it would do, its references not filled in.
    pub fn operation(&self) -> Operation<'_> {
        self.with_parameters(&self.parameters)
    }

    /// What it would do with these parameters.
    pub fn with_parameters<'a>(&'a self, parameters: &'a Map<String, Value>) -> Operation<'a> {
        Operation { kind: self.kind, tool: self.called_tool(), parameters }
    }
}

impl<'a> Operation<'a> {
    /// The argument of that name, if this is a call of that tool and has it.
    pub(crate) fn argument_of(&self, tool: &str, parameter: &str) -> Option<&'a Value> {
        let called = self.kind == ActionType::ToolCall && self.tool == Some(tool);
        self.parameters.get(parameter).filter(|_| called)
    }
}
