//! The policies of one runtime: the connection's own and those of its policy sessions. Pure.

use std::collections::HashMap;

use carport_core::{Result, RpcError};
use carport_engine_model::{Operation, Policy, Refusal, StateView};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Policy sessions of one runtime.
const MAX_SESSIONS: usize = 64;
/// Policies of a runtime, and of each of its policy sessions.
const MAX_POLICIES: usize = 256;

/// A policy as `policy.list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyRow {
    /// Its name.
    pub name: String,
    /// What it does, in words.
    pub description: String,
}

/// The policies of one runtime, in order of registration.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    global: Vec<Policy>,
    sessions: HashMap<String, Vec<Policy>>,
}

impl Policies {
    /// Adds policies, each to its policy session or to the connection: all of them or none.
    pub(crate) fn add(&mut self, new: Vec<(Option<String>, Policy)>) -> Result<()> {
        let mut more: HashMap<Option<&str>, usize> = HashMap::new();
        for (session, _) in &new {
            let list = self.list(session.as_deref())?;
            let counted = more.entry(session.as_deref()).or_insert(list.len());
            *counted += 1;
            if *counted > MAX_POLICIES {
                let what = "policies of a connection or of a policy session";
                return Err(RpcError::limit(what, MAX_POLICIES as u64).with("got", *counted));
            }
        }
        for (session, policy) in new {
            self.list_mut(session.as_deref())?.push(policy);
        }
        Ok(())
    }

    /// Removes every policy of that name; returns how many.
    pub(crate) fn remove(&mut self, session: Option<&str>, name: &str) -> Result<usize> {
        let list = self.list_mut(session)?;
        let before = list.len();
        list.retain(|policy| policy.name() != name);
        Ok(before - list.len())
    }

    pub(crate) fn rows(&self, session: Option<&str>) -> Result<Vec<PolicyRow>> {
        let row =
            |it: &Policy| PolicyRow { name: it.name().to_owned(), description: it.description() };
        Ok(self.list(session)?.iter().map(row).collect())
    }

    /// Opens a policy session under a new name.
    pub(crate) fn open(&mut self, id: String) -> Result<()> {
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(RpcError::limit("policy sessions of a connection", MAX_SESSIONS as u64));
        }
        self.sessions.insert(id, Vec::new());
        Ok(())
    }

    /// Drops a policy session; `false` if there is none of that name.
    pub(crate) fn close(&mut self, id: &str) -> bool {
        self.sessions.remove(id).is_some()
    }

    pub(crate) fn has_session(&self, id: &str) -> Result<()> {
        self.list(Some(id)).map(drop)
    }

    /// Everything that refuses the action. A policy session that was closed meanwhile has none.
    pub(crate) fn refusals(
        &self,
        session: Option<&str>,
        operation: &Operation<'_>,
        state: &dyn StateView,
    ) -> Vec<Refusal> {
        let own = session.and_then(|id| self.sessions.get(id)).into_iter().flatten();
        let all = self.global.iter().chain(own);
        all.filter_map(|policy| policy.refuses(operation, state)).collect()
    }

    /// Whether there is none that counts.
    pub(crate) fn is_empty(&self, session: Option<&str>) -> bool {
        let own = session.and_then(|id| self.sessions.get(id));
        self.global.is_empty() && own.is_none_or(Vec::is_empty)
    }

    fn list(&self, session: Option<&str>) -> Result<&Vec<Policy>> {
        match session {
            None => Ok(&self.global),
            Some(id) => self.sessions.get(id).ok_or_else(|| unknown(id)),
        }
    }

    fn list_mut(&mut self, session: Option<&str>) -> Result<&mut Vec<Policy>> {
        match session {
            None => Ok(&mut self.global),
            Some(id) => self.sessions.get_mut(id).ok_or_else(|| unknown(id)),
        }
    }
}

fn unknown(id: &str) -> RpcError {
    RpcError::not_found(format!("policy session `{id}`"))
}

#[cfg(test)]
mod tests {
    use carport_engine_model::{ActionType, PolicyDefinition};
    use serde_json::{Map, json};

    use super::*;

    fn named(name: &str) -> Policy {
        let definition = json!({ "name": name, "rule": "deny_tool", "target": "t" });
        serde_json::from_value::<PolicyDefinition>(definition).unwrap().compile("").unwrap()
    }

    #[test]
    fn a_session_adds_to_the_connection_and_goes() {
        let mut policies = Policies::default();
        policies.add(vec![(None, named("a")), (None, named("a"))]).unwrap();
        let lost = vec![(None, named("c")), (Some("s".into()), named("b"))];
        assert!(policies.add(lost.clone()).is_err());
        policies.open("s".into()).unwrap();
        policies.add(lost).unwrap();
        let parameters = Map::new();
        let operation =
            Operation { kind: ActionType::ToolCall, tool: Some("t"), parameters: &parameters };
        assert_eq!(policies.refusals(Some("s"), &operation, &Map::new()).len(), 4);
        assert_eq!(policies.refusals(None, &operation, &Map::new()).len(), 3);
        assert!(policies.close("s") && !policies.close("s"));
        assert_eq!(policies.remove(None, "a").unwrap(), 2);
        assert_eq!(policies.remove(None, "a").unwrap(), 0);
        assert!(policies.remove(Some("s"), "b").is_err());
    }

    #[test]
    fn so_many_policies_and_sessions_fit() {
        let mut policies = Policies::default();
        policies.add(vec![(None, named("a")); MAX_POLICIES]).unwrap();
        assert!(policies.add(vec![(None, named("a"))]).is_err());
        for n in 0..MAX_SESSIONS {
            policies.open(n.to_string()).unwrap();
        }
        assert!(policies.open("more".into()).is_err());
        policies.add(vec![(Some("0".into()), named("a"))]).unwrap();
    }
}
