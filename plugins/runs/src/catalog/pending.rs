//! The files that the index does not speak for. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Runs by agent, and the agent of each run.
#[derive(Debug, Default)]
pub(super) struct Pending {
    by_agent: BTreeMap<Arc<str>, BTreeSet<String>>,
    by_run: HashMap<String, Arc<str>>,
}

impl Pending {
    pub(super) fn insert(&mut self, agent_id: &str, run_ids: impl IntoIterator<Item = String>) {
        let agent: Arc<str> = agent_id.into();
        for run_id in run_ids {
            self.by_run.insert(run_id.clone(), agent.clone());
            self.by_agent.entry(agent.clone()).or_default().insert(run_id);
        }
    }

    pub(super) fn remove(&mut self, run_ids: &[String]) {
        for run_id in run_ids {
            let Some(agent) = self.by_run.remove(run_id) else { continue };
            if let Some(runs) = self.by_agent.get_mut(&agent) {
                runs.remove(run_id);
                if runs.is_empty() {
                    self.by_agent.remove(&agent);
                }
            }
        }
    }

    pub(super) fn agents(&self) -> Vec<String> {
        self.by_agent.keys().map(|agent| (**agent).to_owned()).collect()
    }

    pub(super) fn agent_of(&self, run_id: &str) -> Option<Arc<str>> {
        self.by_run.get(run_id).cloned()
    }

    /// At most `most` runs of an agent.
    pub(super) fn runs_of(&self, agent_id: &str, most: usize) -> Vec<String> {
        self.by_agent.get(agent_id).into_iter().flatten().take(most).cloned().collect()
    }
}
