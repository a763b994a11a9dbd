//! What many trials come to.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Known, Outcomes, Spread, StateShare,
    trial::{Cell, Content, Outcome, Plan, Trial},
};
use crate::{canon::canonical, proposal::ActionProposal};

/// Counters over trials.
pub(crate) struct Counts {
    trials: u32,
    landed: u32,
    /// How many trials had so many, by index.
    tool_calls: Vec<u32>,
    executed: Vec<u32>,
    /// Per action, how often it ended in each way.
    outcomes: Vec<[u32; 4]>,
    /// Per written key, how often its value came from where; what is missing to all trials is initial.
    cells: BTreeMap<usize, BTreeMap<Cell, u32>>,
}

impl Counts {
    pub(crate) fn new(plan: &Plan<'_>) -> Self {
        Self {
            trials: 0,
            landed: 0,
            tool_calls: vec![0; plan.actions() + 1],
            executed: vec![0; plan.actions() + 1],
            outcomes: vec![[0; 4]; plan.actions()],
            cells: plan.written_keys().map(|key| (key, BTreeMap::new())).collect(),
        }
    }

    pub(crate) fn add(&mut self, trial: &Trial) {
        self.trials += 1;
        self.landed += u32::from(trial.landed);
        self.tool_calls[trial.tool_calls] += 1;
        let mut executed = 0;
        for (counted, outcome) in self.outcomes.iter_mut().zip(&trial.outcomes) {
            executed += usize::from(matches!(outcome, Outcome::Succeeded | Outcome::Failed));
            counted[*outcome as usize] += 1;
        }
        self.executed[executed] += 1;
        for (key, cell) in &trial.written {
            *self.cells.entry(*key).or_default().entry(*cell).or_default() += 1;
        }
    }

    fn share(&self, count: u32) -> f64 {
        f64::from(count) / f64::from(self.trials)
    }

    pub(crate) fn landed(&self) -> f64 {
        self.share(self.landed)
    }

    pub(crate) fn tool_calls(&self) -> Spread {
        self.spread(&self.tool_calls)
    }

    pub(crate) fn executed(&self) -> Spread {
        self.spread(&self.executed)
    }

    /// Of a histogram.
    fn spread(&self, histogram: &[u32]) -> Spread {
        let sum: u64 = histogram.iter().zip(0u64..).map(|(count, n)| u64::from(*count) * n).sum();
        let at_rank = |rank: u64| {
            let mut seen = 0;
            let reaches = |count: &u32| {
                seen += u64::from(*count);
                seen >= rank
            };
            histogram.iter().position(reaches).unwrap_or(0) as u64
        };
        let percentile = |percent: u64| at_rank((u64::from(self.trials) * percent).div_ceil(100));
        Spread {
            mean: sum as f64 / f64::from(self.trials),
            min: at_rank(1),
            p50: percentile(50),
            p95: percentile(95),
            max: at_rank(self.trials.into()),
        }
    }

    pub(crate) fn outcomes(&self, proposal: &ActionProposal) -> BTreeMap<String, Outcomes> {
        let each = proposal.actions.iter().zip(&self.outcomes);
        let share = |counted: &[u32; 4], outcome: Outcome| self.share(counted[outcome as usize]);
        let each = each.map(|(action, counted)| {
            let outcomes = Outcomes {
                succeeded: share(counted, Outcome::Succeeded),
                failed: share(counted, Outcome::Failed),
                rejected: share(counted, Outcome::Rejected),
                skipped: share(counted, Outcome::Skipped),
            };
            (action.id.clone(), outcomes)
        });
        each.collect()
    }

    pub(crate) fn states(&self, plan: &Plan<'_>) -> BTreeMap<String, Vec<StateShare>> {
        let each = self.cells.iter().map(|(key, cells)| {
            let written: u32 = cells.values().sum();
            let initial = (Cell::Initial, self.trials - written);
            let cells = cells.iter().map(|(cell, count)| (*cell, *count)).chain([initial]);
            // Two writers may write the same.
            let mut contents: BTreeMap<(Known, String), (Option<&Value>, u32)> = BTreeMap::new();
            for (cell, count) in cells.filter(|(_, count)| *count > 0) {
                let (known, value) = match plan.content(*key, cell) {
                    Content::Absent => (Known::Absent, None),
                    Content::Value(value) => (Known::Value, Some(value)),
                    Content::Unknown => (Known::Unknown, None),
                };
                let text = value.map(canonical).unwrap_or_default();
                contents.entry((known, text)).or_insert((value, 0)).1 += count;
            }
            let mut shares: Vec<_> = contents.into_iter().collect();
            // Stable, so that equal shares stay sorted by content.
            shares.sort_by_key(|(_, (_, count))| std::cmp::Reverse(*count));
            let shares = shares.into_iter().map(|((known, _), (value, count))| StateShare {
                known,
                value: value.cloned(),
                p: self.share(count),
            });
            (plan.key(*key).to_owned(), shares.collect())
        });
        each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let counts = |histogram: &[u32]| {
            let trials = histogram.iter().sum();
            let empty = || vec![0; histogram.len()];
            let (outcomes, cells) = (Vec::new(), BTreeMap::new());
            let tool_calls = histogram.to_vec();
            Counts { trials, landed: 0, tool_calls, executed: empty(), outcomes, cells }
                .tool_calls()
        };
        let spread = counts(&[0, 1, 1, 1, 1]);
        assert_eq!(spread, Spread { mean: 2.5, min: 1, p50: 2, p95: 4, max: 4 });
        let spread = counts(&[95, 0, 5]);
        assert_eq!(spread, Spread { mean: 0.1, min: 0, p50: 0, p95: 0, max: 2 });
        assert_eq!(counts(&[94, 0, 6]).p95, 2);
    }
}
