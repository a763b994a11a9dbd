//! The structure of a proposal: bounds, ids, what each type requires, dependencies.

use std::{collections::HashSet, ops::RangeInclusive};

use carport_core::{RpcError, bounds};
use serde_json::Value;

use crate::{
    fault::Fault,
    proposal::{Action, ActionProposal, ActionType, MAX_ACTIONS, MAX_RETRIES, MAX_TIMEOUT_MS},
};

/// Bytes of a state key.
const KEY_BYTES: RangeInclusive<usize> = 1..=512;

/// A state key's bounds. One of no tenant must not look like a tenant's.
pub fn check_key(field: &str, key: &str, tenant: &str) -> Result<(), RpcError> {
    match tenant.is_empty() && key.starts_with("tenant:") {
        true => {
            let why = "must not start with `tenant:` without a tenant";
            Err(RpcError::invalid_params(field, why).with("limit", "tenant:"))
        }
        false => bounds::bytes(field, key, KEY_BYTES),
    }
}

impl ActionProposal {
    /// The first structural fault, circles aside: these depend on the state, see
    /// [`Order::of`](crate::Order::of).
    pub fn check(&self) -> Result<(), Fault> {
        self.check_whole()?;
        let ids = self.ids();
        let mut seen = HashSet::new();
        (0..self.actions.len()).try_for_each(|at| self.check_action(at, &ids, &mut seen))
    }

    /// Its own bounds, without its actions'.
    pub(crate) fn check_whole(&self) -> Result<(), Fault> {
        bounds::bytes("proposal.id", &self.id, 1..=128)?;
        bounds::bytes("proposal.source", &self.source, 0..=256)?;
        bounds::items("proposal.actions", &self.actions, 0..=MAX_ACTIONS)?;
        Ok(())
    }

    pub(crate) fn ids(&self) -> HashSet<&str> {
        self.actions.iter().map(|action| action.id.as_str()).collect()
    }

    /// One action: its own bounds, then its place among the others. `seen` are the ids before it.
    pub(crate) fn check_action<'a>(
        &'a self,
        at: usize,
        ids: &HashSet<&str>,
        seen: &mut HashSet<&'a str>,
    ) -> Result<(), Fault> {
        let (action, field) = (&self.actions[at], format!("proposal.actions[{at}]"));
        let first = seen.insert(&action.id);
        action.check(&field)?;
        if !first {
            let (field, id) = (format!("{field}.id"), action.id.clone());
            return Err(Fault::DoubleId { field, id });
        }
        let mut named = action.dependencies.iter().enumerate();
        let unknown = named.find(|(_, id)| !ids.contains(id.as_str()));
        unknown.map_or(Ok(()), |(n, id)| {
            let (field, id) = (format!("{field}.dependencies[{n}]"), id.clone());
            Err(Fault::UnknownDependency { field, id })
        })
    }
}

impl Action {
    /// Its own bounds and what its type requires; `field` is its path.
    pub fn check(&self, field: &str) -> Result<(), Fault> {
        let path = |name: &str| format!("{field}.{name}");
        bounds::bytes(&path("id"), &self.id, 1..=128)?;
        let word = |letter: char| letter.is_ascii_alphanumeric() || "_.:-".contains(letter);
        bounds::letters(&path("id"), &self.id, "[A-Za-z0-9_.:-]", word)?;
        bounds::within(&path("max_retries"), self.max_retries, 0..=MAX_RETRIES)?;
        if let Some(timeout) = self.timeout_ms {
            bounds::within(&path("timeout_ms"), timeout, 1..=MAX_TIMEOUT_MS)?;
        }
        self.check_type(field)?;
        for place in self.state_keys() {
            if !KEY_BYTES.contains(&place.key.len()) {
                bounds::bytes(&format!("{field}.{place}"), place.key, KEY_BYTES)?;
            }
        }
        Ok(())
    }

    /// What its state keys must not be in a proposal of no tenant; `field` is its path.
    pub fn check_unscoped(&self, field: &str) -> Result<(), Fault> {
        let mut tenants = self.state_keys().filter(|place| place.key.starts_with("tenant:"));
        let first = tenants.next();
        Ok(first.map_or(Ok(()), |it| check_key(&format!("{field}.{it}"), it.key, ""))?)
    }

    fn check_type(&self, field: &str) -> Result<(), Fault> {
        let missing =
            |name: &str, why| Err(Fault::Missing { field: format!("{field}.{name}"), why });
        match (self.kind, &self.tool) {
            (ActionType::ToolCall, None) => missing("tool", "a tool call needs one"),
            (ActionType::ToolCall, Some(tool)) => {
                Ok(bounds::bytes(&format!("{field}.tool"), tool, 1..=128)?)
            }
            _ if self.state_key().is_none() => missing("parameters.key", "must be a string"),
            (ActionType::Assertion, _) => match self.parameters.get("operator") {
                None | Some(Value::Null | Value::String(_)) => Ok(()),
                Some(_) => missing("parameters.operator", "must be a string"),
            },
            _ => Ok(()),
        }
    }
}
