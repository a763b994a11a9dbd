//! How good reminding is, measured on cases whose answer is known.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Moment, Trigger};
use crate::graph::Snapshot;

/// A request, and the facts that help with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Case {
    /// Names it.
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// What is asked for.
    #[schemars(length(max = 8192))]
    pub request: String,
    /// Ids of facts that help; none: it is best to say nothing.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub relevant_fact_ids: Vec<String>,
}

/// What four ways of reminding do with the same cases.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Evaluation {
    /// How many there were.
    pub cases: usize,
    /// As `memory.intervene` does.
    pub selective: Arm,
    /// The best candidate, however weak.
    pub always_inject: Arm,
    /// All candidates.
    pub passive_retrieval: Arm,
    /// Nothing.
    pub no_memory: Arm,
}

/// How one way of reminding did. A ratio over nothing is 0.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Arm {
    /// Cases in which something was shown.
    pub interventions: usize,
    /// Facts that were shown and help.
    pub true_positives: usize,
    /// Facts that were shown and do not help.
    pub false_positives: usize,
    /// Facts that help and were not shown.
    pub false_negatives: usize,
    /// Of the facts that were shown, the share that helps.
    pub precision: f64,
    /// Of the facts that help, the share that was shown.
    pub recall: f64,
    /// The share of the cases in which something was shown.
    pub interruption_rate: f64,
    /// Facts that were shown in an average case.
    pub avg_candidates_exposed: f64,
}

impl Arm {
    fn count(&mut self, shown: &[&str], relevant: &HashSet<&str>) {
        let right = shown.iter().filter(|id| relevant.contains(**id)).count();
        // A tenant's fact and one of everybody's may have the same id: both help, one is asked for.
        let found = relevant.iter().filter(|id| shown.contains(id)).count();
        self.interventions += usize::from(!shown.is_empty());
        self.true_positives += right;
        self.false_positives += shown.len() - right;
        self.false_negatives += relevant.len() - found;
    }

    fn sum_up(&mut self, cases: usize) {
        let ratio =
            |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let shown = self.true_positives + self.false_positives;
        self.precision = ratio(self.true_positives, shown);
        self.recall = ratio(self.true_positives, self.true_positives + self.false_negatives);
        self.interruption_rate = ratio(self.interventions, cases);
        self.avg_candidates_exposed = ratio(shown, cases);
    }
}

impl Snapshot {
    /// Runs the cases against what a tenant sees. Changes nothing. `None` once nobody wants to know any
    /// more, which is asked before each case.
    pub fn evaluate(
        &self,
        cases: &[Case],
        tenant: Option<&str>,
        most: usize,
        threshold: f64,
        is_wanted: impl Fn() -> bool,
    ) -> Option<Evaluation> {
        let mut arms = [Arm::default(), Arm::default(), Arm::default(), Arm::default()];
        for case in cases {
            if !is_wanted() {
                return None;
            }
            let moment = Moment {
                query: &case.request,
                recent: &[],
                trigger: Trigger::default(),
                tenant,
                max_candidates: most,
                threshold,
                force: false,
            };
            let hits = self.candidates(&moment);
            let all: Vec<&str> = hits.iter().map(|hit| &*hit.fact.fact_id).collect();
            let best = &all[..all.len().min(1)];
            let is_enough = hits.first().is_some_and(|hit| hit.score >= threshold);
            let selected = if is_enough { best } else { &[] };
            let relevant = case.relevant_fact_ids.iter().map(String::as_str).collect();
            for (arm, shown) in arms.iter_mut().zip([selected, best, &all, &[]]) {
                arm.count(shown, &relevant);
            }
        }
        arms.iter_mut().for_each(|arm| arm.sum_up(cases.len()));
        let [selective, always_inject, passive_retrieval, no_memory] = arms;
        Some(Evaluation {
            cases: cases.len(),
            selective,
            always_inject,
            passive_retrieval,
            no_memory,
        })
    }
}
