//! How useful a fact was, and how much that counts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fact::Fact;

/// How much the usefulness of facts counts in a graph's rankings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Utility {
    /// Its share of a score, 0 to 1.
    pub utility_weight: f64,
    /// How much is added for what is not known yet, 0 to 4.
    pub utility_exploration: f64,
}

impl Default for Utility {
    fn default() -> Self {
        Self { utility_weight: 0.0, utility_exploration: 1.0 }
    }
}

impl Utility {
    /// With other values, brought within their bounds; what is no finite number is 0, what is absent
    /// stays.
    #[must_use]
    pub fn with(self, weight: Option<f64>, exploration: Option<f64>) -> Self {
        let within =
            |value: f64, most: f64| if value.is_finite() { value.clamp(0.0, most) } else { 0.0 };
        Self {
            utility_weight: weight.map_or(self.utility_weight, |it| within(it, 1.0)),
            utility_exploration: exploration.map_or(self.utility_exploration, |it| within(it, 4.0)),
        }
    }

    /// The mean of Beta(wins + 1, losses + 1) and, as often as exploration says, its standard
    /// deviation; at most 1.
    pub(super) fn of(self, fact: &Fact) -> f64 {
        let (wins, losses) = (fact.wins as f64 + 1.0, fact.losses as f64 + 1.0);
        let all = wins + losses;
        let mean = wins / all;
        let variance = mean * (losses / all) / (all + 1.0);
        (mean + self.utility_exploration * variance.sqrt()).min(1.0)
    }
}
