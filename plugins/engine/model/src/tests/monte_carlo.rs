//! Trials: repeatable, in agreement with the simulation, and with the statistics that they claim.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{call, proposal, verify::any_proposal};
use crate::{
    monte_carlo::{Known, MonteCarlo, MonteCarloConfig, RateSource, monte_carlo},
    proposal::ActionProposal,
    simulate::simulate,
};

fn play(proposal: &ActionProposal, rates: &[(&str, f64)], config: MonteCarloConfig) -> MonteCarlo {
    let rates = rates.iter().map(|(tool, rate)| ((*tool).to_owned(), *rate)).collect();
    monte_carlo(proposal, &Map::new(), &rates, config, &|| false).unwrap().unwrap()
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 0.03
}

#[test]
fn rates_retries_and_aborts_come_to_what_theory_says() {
    let actions = json!([
        call("a", json!({ "expected_effects": { "k": 1 } })),
        call(
            "b",
            json!({ "tool": "u", "expected_effects": { "l": 1 }, "dependencies": ["a"], "failure_behavior": "skip" })
        ),
        call("c", json!({ "dependencies": ["b"] })),
        call("d", json!({ "tool": "v", "failure_behavior": "retry", "max_retries": 2 })),
    ]);
    let config = MonteCarloConfig { trials: 20_000, ..MonteCarloConfig::default() };
    let out = play(&proposal(actions.clone()), &[("t", 0.8), ("u", 0.6)], config);
    assert_eq!((out.seed, out.p_goal_reached, out.goal_underivable_conditions.len()), (0, None, 0));
    let outcome = |id: &str| out.action_outcomes[id];
    let retried = 1.0 - 0.5f64.powi(3);
    let (first, second) = (0.8 * retried, 0.8 * retried * 0.6);
    assert!(near(outcome("a").succeeded, 0.8) && near(outcome("d").succeeded, retried));
    assert!(near(outcome("b").succeeded, second));
    assert!(near(outcome("b").skipped, 1.0 - first + first * 0.4));
    assert!(near(outcome("c").rejected, first * 0.4) && near(outcome("c").failed, second * 0.2));
    assert!(near(out.p_all_effects_landed, second * 0.8));
    let k: BTreeMap<_, _> = out.state_distribution["k"].iter().map(|it| (it.known, it.p)).collect();
    // Rolled back with whatever aborts.
    let kept = first - second * 0.2;
    assert!(near(k[&Known::Value], kept) && near(k[&Known::Absent], 1.0 - kept));
    assert_eq!((out.tool_calls.min, out.tool_calls.max, out.actions_executed.max), (2, 4, 4));
    assert_eq!(out.rate_provenance["v"].source, RateSource::Default);
    assert_eq!(out.rate_provenance["u"].source, RateSource::Caller);
    let more = MonteCarloConfig { retry_attempts: 1, ..config };
    let out = play(&proposal(actions), &[("t", 0.8)], more);
    assert!(near(out.action_outcomes["a"].succeeded, 0.96));
}

#[test]
fn bounds_are_named() {
    let config = MonteCarloConfig::default();
    let none = BTreeMap::new();
    assert_eq!(config.check(&none), Ok(()));
    for (config, field) in [
        (MonteCarloConfig { trials: 0, ..config }, "config.trials"),
        (MonteCarloConfig { trials: 100_001, ..config }, "config.trials"),
        (MonteCarloConfig { seed: 1 << 53, ..config }, "config.seed"),
        (MonteCarloConfig { default_success_rate: 1.1, ..config }, "config.default_success_rate"),
        (MonteCarloConfig { retry_attempts: 21, ..config }, "config.retry_attempts"),
    ] {
        assert_eq!(config.check(&none).unwrap_err().field(), Some(field));
    }
    let rates = BTreeMap::from([("t".to_owned(), -0.1)]);
    assert_eq!(config.check(&rates).unwrap_err().field(), Some("tool_success_rates.t"));
}

#[test]
fn trials_stop_when_they_are_told() {
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) == 3;
    let config = MonteCarloConfig { trials: 100_000, ..MonteCarloConfig::default() };
    let none = BTreeMap::new();
    let stopped = monte_carlo(&proposal(json!([])), &Map::new(), &none, config, &stop);
    assert_eq!((stopped, asked.get()), (Ok(None), 4));
}

#[test]
fn another_seed_is_another_sample() {
    let proposal = proposal(json!([call("a", json!({})), call("b", json!({}))]));
    let one = play(&proposal, &[], MonteCarloConfig { seed: 1, ..MonteCarloConfig::default() });
    let other = play(&proposal, &[], MonteCarloConfig { seed: 2, ..MonteCarloConfig::default() });
    assert_ne!(one.action_outcomes, other.action_outcomes);
}

proptest! {
    #[test]
    fn equal_input_gives_equal_bytes(proposal in any_proposal(), seed in 0..1u64 << 53) {
        let config = MonteCarloConfig { trials: 60, seed, ..MonteCarloConfig::default() };
        let once = || {
            let result = monte_carlo(&proposal, &Map::new(), &BTreeMap::new(), config, &|| false);
            result.map(|it| serde_json::to_string(&it).unwrap())
        };
        prop_assert_eq!(once(), once());
    }

    #[test]
    fn shares_are_of_all_trials(proposal in any_proposal()) {
        let config = MonteCarloConfig { trials: 50, ..MonteCarloConfig::default() };
        let none = BTreeMap::new();
        let Ok(out) = monte_carlo(&proposal, &Map::new(), &none, config, &|| false) else {
            return Ok(());
        };
        let out = out.unwrap();
        for outcome in out.action_outcomes.values() {
            let sum = outcome.succeeded + outcome.failed + outcome.rejected + outcome.skipped;
            prop_assert!((sum - 1.0).abs() < 1e-9);
        }
        for shares in out.state_distribution.values() {
            prop_assert!((shares.iter().map(|it| it.p).sum::<f64>() - 1.0).abs() < 1e-9);
        }
    }

    /// With tools that never fail every trial is the simulation, unless an assertion fails.
    #[test]
    fn without_chance_it_is_the_simulation(
        proposal in any_proposal(), state in prop::collection::btree_map("[k-n]", 0..3u8, 0..4),
    ) {
        let state: Map<String, Value> = state.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let Ok(played) = simulate(&proposal, state.clone()) else { return Ok(()) };
        let config = MonteCarloConfig { trials: 3, default_success_rate: 1.0, ..MonteCarloConfig::default() };
        let out = monte_carlo(&proposal, &state, &BTreeMap::new(), config, &|| false).unwrap().unwrap();
        if out.action_outcomes.values().any(|it| it.failed > 0.0) {
            return Ok(());
        }
        for action in &proposal.actions {
            let blocked = played.blocked.contains(&action.id);
            let expected = if blocked { 0.0 } else { 1.0 };
            prop_assert_eq!(out.action_outcomes[&action.id].succeeded, expected, "{}", &action.id);
        }
        for (key, shares) in &out.state_distribution {
            prop_assert_eq!(shares.len(), 1);
            if shares[0].known != Known::Unknown {
                prop_assert_eq!(shares[0].value.as_ref(), played.state.get(key));
            }
        }
    }
}
