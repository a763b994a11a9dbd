//! Trials of a proposal with tools that succeed at given rates; repeatable byte for byte.

mod count;
mod random;
mod trial;

use std::collections::BTreeMap;

use carport_core::{Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::{count::Counts, random::SplitMix64, trial::Plan};
use crate::{fault::Fault, proposal::ActionProposal};

/// How the trials are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MonteCarloConfig {
    /// How many.
    #[schemars(range(min = 1, max = 100_000))]
    pub trials: u32,
    /// What they draw from; equal seeds give equal results. At most 2^53 - 1.
    #[schemars(range(max = 9_007_199_254_740_991u64))]
    pub seed: u64,
    /// The rate of a tool that none is given for.
    #[schemars(range(min = 0, max = 1))]
    pub default_success_rate: f64,
    /// Attempts of each tool call beyond those that its action declares.
    #[schemars(range(max = 20))]
    pub retry_attempts: u32,
}

impl Default for MonteCarloConfig {
    fn default() -> Self {
        Self { trials: 1000, seed: 0, default_success_rate: 0.5, retry_attempts: 0 }
    }
}

impl MonteCarloConfig {
    /// Its bounds, and those of the rates that tools are given.
    pub fn check(&self, rates: &BTreeMap<String, f64>) -> Result<()> {
        bounds::within("config.trials", self.trials, 1..=100_000)?;
        bounds::within("config.seed", self.seed, 0..=(1 << 53) - 1)?;
        bounds::within("config.default_success_rate", self.default_success_rate, 0.0..=1.0)?;
        bounds::within("config.retry_attempts", self.retry_attempts, 0..=20)?;
        let mut rates = rates.iter();
        rates.try_for_each(|(tool, rate)| {
            bounds::within(&format!("tool_success_rates.{tool}"), *rate, 0.0..=1.0)
        })
    }
}

/// What the trials came to. Shares are of all trials, 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MonteCarlo {
    /// How many were made.
    pub trials: u32,
    /// What they drew from.
    pub seed: u64,
    /// Goals are not evaluated: always `null`.
    pub p_goal_reached: Option<f64>,
    /// Goals are not evaluated: always empty.
    pub goal_underivable_conditions: Vec<String>,
    /// The share in which every action that writes succeeded and nothing was rolled back.
    pub p_all_effects_landed: f64,
    /// Tool calls that were dispatched at least once.
    pub tool_calls: Spread,
    /// Actions that succeeded or failed.
    pub actions_executed: Spread,
    /// For each key that an action writes, how the trials left it, the most frequent first.
    pub state_distribution: BTreeMap<String, Vec<StateShare>>,
    /// How each action ended.
    pub action_outcomes: BTreeMap<String, Outcomes>,
    /// Where the rate of each tool comes from.
    pub rate_provenance: BTreeMap<String, Rate>,
}

/// A number over all trials. Percentiles are by nearest rank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The least.
    pub min: u64,
    /// Half of the trials have at most this.
    pub p50: u64,
    /// 95 of 100 trials have at most this.
    pub p95: u64,
    /// The most.
    pub max: u64,
}

/// How some trials left a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StateShare {
    /// What is known of it.
    pub known: Known,
    /// The value, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The share of these trials.
    #[schemars(range(min = 0, max = 1))]
    pub p: f64,
}

/// What is known of a key.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// It is not there.
    Absent,
    /// Its value.
    Value,
    /// An output or a tool decides.
    Unknown,
}

/// How an action ended, as shares of all trials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcomes {
    /// Done.
    pub succeeded: f64,
    /// Tried, and not done.
    pub failed: f64,
    /// It never ran.
    pub rejected: f64,
    /// Given up, or not started because of an abort.
    pub skipped: f64,
}

/// The rate that a tool was played with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// The share of attempts that succeed.
    pub rate: f64,
    /// Who says so.
    pub source: RateSource,
}

/// Who says at which rate a tool succeeds. Nothing is derived from history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateSource {
    /// The caller.
    Caller,
    /// The default of the configuration.
    Default,
}

/// Plays `proposal` from `state`, level by level as `proposal.submit` would, without policies and schemas.
/// The members of a level are played in the order of the list. `stop` is asked before each trial; if it says
/// so, there is no result. Ids have to be filled in from [`ActionProposal::counted`] for equal input to
/// give equal output.
pub fn monte_carlo(
    proposal: &ActionProposal,
    state: &Map<String, Value>,
    rates: &BTreeMap<String, f64>,
    config: MonteCarloConfig,
    stop: &dyn Fn() -> bool,
) -> Result<Option<MonteCarlo>, Fault> {
    let order = proposal.order(&|key| state.contains_key(key))?;
    let rate_of = |tool: &str| match rates.get(tool) {
        Some(rate) => Rate { rate: *rate, source: RateSource::Caller },
        None => Rate { rate: config.default_success_rate, source: RateSource::Default },
    };
    let plan =
        Plan::new(proposal, &order, state, &|tool| rate_of(tool).rate, config.retry_attempts);
    let mut random = SplitMix64::new(config.seed);
    let mut counts = Counts::new(&plan);
    for _ in 0..config.trials {
        if stop() {
            return Ok(None);
        }
        counts.add(&plan.play(&mut random));
    }
    let tools = proposal.actions.iter().filter_map(|action| action.called_tool());
    Ok(Some(MonteCarlo {
        trials: config.trials,
        seed: config.seed,
        p_goal_reached: None,
        goal_underivable_conditions: Vec::new(),
        p_all_effects_landed: counts.landed(),
        tool_calls: counts.tool_calls(),
        actions_executed: counts.executed(),
        state_distribution: counts.states(&plan),
        action_outcomes: counts.outcomes(proposal),
        rate_provenance: tools.map(|tool| (tool.to_owned(), rate_of(tool))).collect(),
    }))
}
