//! `memory.utility_get` and `memory.utility_set`: how much usefulness counts.

use carport_core::{Access, Caller, Method, Result};
use carport_memory_graph::Utility;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Memory;

/// Tells how much the usefulness of facts counts in this graph.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct UtilityGet {}

/// Sets how much the usefulness of facts counts in this graph, until it is loaded anew.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct UtilitySet {
    /// Its share of a score, brought within 0 to 1; what is no finite number is 0; stays if absent.
    pub utility_weight: Option<Value>,
    /// What is added for what is not known yet, brought within 0 to 4; as above.
    pub utility_exploration: Option<Value>,
}

impl Method for UtilityGet {
    const NAME: &'static str = "memory.utility_get";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Utility;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Utility> {
        Ok(memory.own()?.used_by(caller).await?.1.utility())
    }
}

impl Method for UtilitySet {
    const NAME: &'static str = "memory.utility_set";
    const ACCESS: Access = Access::Authenticated;
    type Plugin = Memory;
    type Reply = Utility;

    fn available(memory: &Memory) -> Result<()> {
        memory.own().map(drop)
    }

    async fn run(self, memory: &Memory, caller: &Caller) -> Result<Utility> {
        let kept = memory.own()?.used_by(caller).await?.1;
        let (weight, exploration) = (number(self.utility_weight), number(self.utility_exploration));
        Ok(kept.set_utility(|utility| utility.with(weight, exploration)))
    }
}

/// A value as a number; what is none is no finite number.
fn number(value: Option<Value>) -> Option<f64> {
    value.map(|value| match value {
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) => text.trim().parse().unwrap_or(f64::NAN),
        _ => f64::NAN,
    })
}
