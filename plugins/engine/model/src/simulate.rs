//! Proposals without their tools: what the state would become, whether two come to the same, and which
//! waits one can do without.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashSet},
};

use serde_json::{Map, Value, json};

use crate::{
    fault::Fault,
    operator::{Assertion, Operator},
    order::Order,
    proposal::{Action, ActionProposal, ActionType},
    reference::{fill, literal, settled},
    state::StateView,
};

/// What an action writes to a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Written<'a> {
    /// This value.
    Value(Cow<'a, Value>),
    /// A value that an output decides.
    Output,
    /// Its write set names the key; whether and what it writes is its own affair.
    Declared,
}

impl<'a> Written<'a> {
    /// What an action writes when it succeeds, in the order in which it does.
    pub(crate) fn by(
        action: &'a Action,
        is_action: &dyn Fn(&str) -> bool,
    ) -> impl Iterator<Item = (Cow<'a, str>, Self)> + use<'a> {
        let declared = action.write_set.iter().map(|key| (Cow::from(key.as_str()), Self::Declared));
        let own = action.state_key().filter(|_| action.kind == ActionType::StateWrite);
        let own = own.and_then(|key| literal(key, is_action));
        let own = own.map(|key| (key, Self::own(action, is_action)));
        let effects = action.expected_effects.iter();
        let effects =
            effects.map(|(key, it)| (key.as_str().into(), Self::Value(Cow::Borrowed(it))));
        declared.chain(own).chain(effects)
    }

    fn own(action: &'a Action, is_action: &dyn Fn(&str) -> bool) -> Self {
        let value = action.parameters.get("value");
        let Some(value) = value else { return Self::Value(Cow::Owned(Value::Null)) };
        let alone = Map::from_iter([("value".to_owned(), value.clone())]);
        match fill(&alone, is_action, &|_| None) {
            Ok(None) => Self::Value(Cow::Borrowed(value)),
            Ok(Some(mut filled)) => {
                Self::Value(Cow::Owned(filled.remove("value").unwrap_or_default()))
            }
            Err(_) => Self::Output,
        }
    }
}

/// The state on the way.
#[derive(Debug, Clone)]
struct World {
    state: Map<String, Value>,
    /// Keys whose value, if they are there, an output or a tool decides.
    unknown: BTreeSet<String>,
}

impl World {
    fn apply(&mut self, action: &Action, is_action: &dyn Fn(&str) -> bool) {
        for (key, written) in Written::by(action, is_action) {
            let key = key.into_owned();
            match written {
                Written::Value(value) => {
                    self.unknown.remove(&key);
                    self.state.insert(key, value.into_owned());
                }
                Written::Output => {
                    self.unknown.insert(key.clone());
                    self.state.insert(key, Value::Null);
                }
                Written::Declared => drop(self.unknown.insert(key)),
            }
        }
    }

    /// Whether nothing that is known keeps it from succeeding.
    fn admits(&self, action: &Action, is_action: &dyn Fn(&str) -> bool) -> bool {
        let there = |key: &String| self.state.has(key) || self.unknown.contains(key);
        action.state_dependencies.iter().all(there)
            && action.preconditions.iter().all(|condition| {
                match self.unknown.contains(&condition.key) {
                    true => may_hold(&condition.operator),
                    false => condition.check(&self.state).is_ok(),
                }
            })
            && self.admits_assertion(action, is_action)
    }

    fn admits_assertion(&self, action: &Action, is_action: &dyn Fn(&str) -> bool) -> bool {
        if action.kind != ActionType::Assertion {
            return true;
        }
        // An output may decide.
        let Some(parameters) = settled(&action.parameters, is_action) else { return true };
        Assertion::of(&parameters).is_some_and(|assertion| {
            match self.unknown.contains(assertion.key) {
                true => may_hold(assertion.operator),
                false => assertion.check(&self.state).is_ok(),
            }
        })
    }
}

/// Whether a comparison with a value that is not known may hold.
pub(crate) fn may_hold(operator: &str) -> bool {
    Operator::named(operator).is_some_and(|operator| operator != Operator::NotExists)
}

/// What a proposal would do if every tool succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// The state afterwards. A value that depends on an output is `null`.
    pub state: Map<String, Value>,
    /// Ids of the actions that cannot run, and after them of those that need them, in the order of the
    /// list.
    pub blocked: Vec<String>,
}

/// Plays a proposal in its order. Effects of actions that cannot run are left out.
pub fn simulate(proposal: &ActionProposal, state: Map<String, Value>) -> Result<Simulation, Fault> {
    let order = proposal.order(&|key| state.contains_key(key))?;
    let ids = proposal.ids();
    let is_action = |id: &str| ids.contains(id);
    let mut world = World { state, unknown: BTreeSet::new() };
    let mut ran = vec![false; proposal.actions.len()];
    for at in order.sorted() {
        let action = &proposal.actions[at];
        ran[at] =
            order.needs(at).iter().all(|needed| ran[*needed]) && world.admits(action, &is_action);
        if ran[at] {
            world.apply(action, &is_action);
        }
    }
    let blocked = proposal.actions.iter().zip(&ran).filter(|(_, ran)| !**ran);
    let blocked = blocked.map(|(action, _)| action.id.clone()).collect();
    Ok(Simulation { state: world.state, blocked })
}

/// The state after every effect, also of actions that cannot run; in the order of the list if there is no
/// other.
pub(crate) fn apply_all(
    proposal: &ActionProposal,
    ids: &HashSet<&str>,
    order: Option<&Order>,
    state: Map<String, Value>,
) -> Map<String, Value> {
    let mut world = World { state, unknown: BTreeSet::new() };
    let mut apply = |at: usize| world.apply(&proposal.actions[at], &|id| ids.contains(id));
    match order {
        Some(order) => order.sorted().for_each(&mut apply),
        None => (0..proposal.actions.len()).for_each(&mut apply),
    }
    world.state
}

/// The states that [`equivalent`] starts from where none are given.
pub fn default_probes() -> Vec<Map<String, Value>> {
    [json!({}), json!({ "x": 1, "y": 2 })].into_iter().filter_map(object).collect()
}

fn object(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(members) = value { Some(members) } else { None }
}

/// Whether two proposals come to the same simulated state from each of `probes`.
pub fn equivalent(
    one: &ActionProposal,
    other: &ActionProposal,
    probes: &[Map<String, Value>],
) -> Result<bool, Fault> {
    for probe in probes {
        if simulate(one, probe.clone())?.state != simulate(other, probe.clone())?.state {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Drops the state dependencies that nothing in the proposal writes and the state already has.
pub fn optimise(mut proposal: ActionProposal, state: &dyn StateView) -> ActionProposal {
    let ids = proposal.ids();
    let written: HashSet<String> = proposal
        .actions
        .iter()
        .flat_map(|action| action.writes(&|id| ids.contains(id)))
        .map(Cow::into_owned)
        .collect();
    for action in &mut proposal.actions {
        action.state_dependencies.retain(|key| written.contains(key) || !state.has(key));
    }
    proposal
}
