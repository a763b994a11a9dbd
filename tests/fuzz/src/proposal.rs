//! Any text as a proposal: what is made of it before anything runs does not panic, is the same each time,
//! and agrees with itself.

use std::collections::BTreeSet;

use carport_core::Time;
use carport_engine_model::{
    Action, ActionProposal, Order, Severity, Terms, ToolBook, canonical, dangling, default_probes,
    equivalent, fill, fingerprint, optimise, references, simulate, verify,
};
use serde_json::{Map, Value};

/// Tools that begin with `t` are there; those of two letters want a parameter `n`.
struct Tools;

impl ToolBook for Tools {
    fn has(&self, tool: &str) -> bool {
        tool.starts_with('t')
    }

    fn schema_errors(&self, tool: &str, parameters: &Map<String, Value>) -> Option<Vec<String>> {
        let missing = || if parameters.contains_key("n") { Vec::new() } else { vec!["n".into()] };
        (tool.len() == 2).then(missing)
    }
}

/// Has everything that comes before a run done to the text.
///
/// # Panics
/// If that breaks its promise.
pub fn proposal(text: &str) {
    let Ok(mut proposal) = serde_json::from_str::<ActionProposal>(text) else { return };
    proposal.fill(Time::default(), ActionProposal::counted());
    let filled = proposal.clone();
    proposal.fill(Time::default(), ActionProposal::counted());
    assert_eq!(proposal, filled, "nothing is absent once it is filled in");

    let state = default_probes().pop().unwrap_or_default();
    let order = proposal.order(&|key| state.contains_key(key));
    let verified = verify(&proposal, &state, &Tools, Terms::default()).expect("nobody stops it");
    let errors = verified.issues.iter().filter(|it| it.severity == Severity::Error).count();
    assert_eq!(verified.valid, errors == 0);
    assert!(!verified.valid || order.is_ok(), "what is verified can be ordered");
    assert_eq!(verify(&proposal, &state, &Tools, Terms::default()), Some(verified));
    if let Ok(order) = order {
        ordered(&proposal, &order);
        simulated(&proposal, &state);
    }
    proposal.actions.iter().for_each(|action| one(&proposal, action));
}

/// Each action is in one level, after all that it comes after.
fn ordered(proposal: &ActionProposal, order: &Order) {
    let mut done = BTreeSet::new();
    for level in order.levels() {
        for at in level {
            assert!(order.after(*at).iter().all(|before| done.contains(before)));
            assert!(order.needs(*at).iter().all(|before| order.after(*at).contains(before)));
        }
        level.iter().for_each(|at| assert!(done.insert(*at)));
    }
    assert_eq!(done.len(), proposal.actions.len());
}

fn simulated(proposal: &ActionProposal, state: &Map<String, Value>) {
    let simulation = simulate(proposal, state.clone());
    assert!(simulation.is_ok(), "what is ordered can be simulated");
    let optimised = optimise(proposal.clone(), state);
    assert_eq!(simulate(&optimised, state.clone()), simulation);
    // From other states there may be circles.
    let _ = equivalent(proposal, &optimised, &default_probes());
}

/// What one action needs and is known by, whatever surrounds it.
fn one(proposal: &ActionProposal, action: &Action) {
    let is_action = |id: &str| proposal.actions.iter().any(|it| it.id == id);
    let referred = references(&action.parameters, &is_action);
    assert!(referred.iter().all(|id| is_action(id)));
    assert!(dangling(&action.parameters, &is_action).iter().all(|id| !is_action(id)));
    let output = Value::from("an output");
    let _ = fill(&action.parameters, &is_action, &|_| Some(&output));

    let text = canonical(&action.parameters.clone().into());
    let Ok(back) = serde_json::from_str::<Value>(&text) else { panic!("canonical JSON is JSON") };
    assert_eq!(canonical(&back), text);
    let mut other = action.clone();
    other.id = "another".into();
    assert_eq!(fingerprint(action), fingerprint(&other));
    let said = action.classify();
    assert_eq!(said.required_tier, action.operation().required_tier());
}
