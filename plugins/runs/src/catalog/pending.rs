//! The files that the index does not speak for, those that changed last first. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::store::Stamp;

/// Runs by agent, and the agent of each run.
#[derive(Debug, Default)]
pub(super) struct Pending {
    by_agent: BTreeMap<Arc<str>, BTreeSet<Place>>,
    by_run: HashMap<Arc<str>, (Arc<str>, i64)>,
}

/// When the file changed last, and whose it is.
type Place = (Reverse<i64>, Arc<str>);

impl Pending {
    pub(super) fn insert(
        &mut self,
        agent_id: &str,
        runs: impl IntoIterator<Item = (String, Stamp)>,
    ) {
        let agent: Arc<str> = agent_id.into();
        for (run_id, stamp) in runs {
            self.remove([run_id.as_str()]);
            let (run, modified) = (Arc::from(run_id), stamp.modified);
            self.by_run.insert(Arc::clone(&run), (agent.clone(), modified));
            self.by_agent.entry(agent.clone()).or_default().insert((Reverse(modified), run));
        }
    }

    pub(super) fn remove<'a>(&mut self, run_ids: impl IntoIterator<Item = &'a str>) {
        for run_id in run_ids {
            let Some((run, (agent, modified))) = self.by_run.remove_entry(run_id) else { continue };
            if let Some(runs) = self.by_agent.get_mut(&agent) {
                runs.remove(&(Reverse(modified), run));
                if runs.is_empty() {
                    self.by_agent.remove(&agent);
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_run.len()
    }

    pub(super) fn agents(&self) -> Vec<String> {
        self.by_agent.keys().map(|agent| (**agent).to_owned()).collect()
    }

    pub(super) fn agent_of(&self, run_id: &str) -> Option<Arc<str>> {
        self.by_run.get(run_id).map(|(agent, _)| agent.clone())
    }

    /// At most `most` runs of an agent, those that changed last first.
    pub(super) fn runs_of(&self, agent_id: &str, most: usize) -> Vec<String> {
        let places = self.by_agent.get(agent_id).into_iter().flatten();
        places.take(most).map(|(_, run_id)| (**run_id).to_owned()).collect()
    }

    /// When a file of the agent changed last, in nanoseconds since 1970.
    pub(super) fn latest_of(&self, agent_id: &str) -> Option<i64> {
        self.by_agent.get(agent_id)?.first().map(|(Reverse(modified), _)| *modified)
    }
}
