//! The checks that follow state keys through the order.

use super::scene::{Findings, Scene};
use crate::{
    operator::Operator,
    proposal::Precondition,
    set::Set,
    simulate::{Written, may_hold},
};

/// No state and no action can make it hold. An action that comes after cannot.
pub(crate) fn preconditions(scene: &Scene<'_>, found: &mut Findings) -> bool {
    for (at, action) in scene.actions() {
        for condition in &action.preconditions {
            let can_hold =
                condition.check(scene.state).is_ok() || can_be_made(scene, at, condition);
            if !can_hold && !found.add(&action.id, unmet(condition)) {
                return true;
            }
        }
    }
    true
}

fn can_be_made(scene: &Scene<'_>, at: usize, condition: &Precondition) -> bool {
    let Some(operator) = Operator::named(&condition.operator) else { return false };
    let writers = scene.writers.get(&condition.key).into_iter().flatten();
    let mut in_time =
        writers.filter(|(writer, _)| *writer != at && !scene.ancestors[*writer].contains(at));
    in_time.any(|(_, written)| match written {
        Written::Value(value) => operator.holds(Some(value), &condition.value),
        Written::Output | Written::Declared => may_hold(&condition.operator),
    })
}

fn unmet(condition: &Precondition) -> String {
    let Precondition { key, operator, .. } = condition;
    match Operator::named(operator) {
        None => format!("unknown operator '{operator}' on '{key}'"),
        Some(_) => format!("no state and no action can make precondition '{key}' {operator} hold"),
    }
}

pub(crate) fn state_dependencies(scene: &Scene<'_>, found: &mut Findings) -> bool {
    for (at, action) in scene.actions() {
        for key in &action.state_dependencies {
            let writers = scene.writers.get(key).into_iter().flatten();
            let mut before = writers.filter(|(writer, _)| scene.ancestors[at].contains(*writer));
            if scene.state.contains_key(key) || before.next().is_some() {
                continue;
            }
            let message =
                format!("state dependency '{key}' not found, and nothing before writes it");
            if !found.add(&action.id, message) {
                return true;
            }
        }
    }
    true
}

pub(crate) fn write_conflicts(scene: &Scene<'_>, found: &mut Findings) -> bool {
    let bound = scene.proposal.actions.len();
    let mut related = scene.ancestors.clone();
    for (at, ancestors) in scene.ancestors.iter().enumerate() {
        ancestors.iter().for_each(|before| related[before].insert(at));
    }
    let id = |at: usize| scene.proposal.actions[at].id.clone();
    for (key, writers) in scene.writers.iter().filter(|(_, writers)| writers.len() > 1) {
        let all = Set::of(bound, &writers.iter().map(|(at, _)| *at).collect::<Vec<_>>());
        for one in all.iter() {
            let mut unordered = all.clone();
            unordered.subtract(&related[one]);
            for other in unordered.iter().filter(|other| *other > one) {
                let (one, other) = (id(one), id(other));
                let message = format!("'{one}' and '{other}' both write '{key}' in no order");
                let room = found.add(&one, message);
                found.conflicts.push((one, other, key.clone()));
                if !room {
                    return true;
                }
            }
        }
    }
    true
}

pub(crate) fn assumptions(scene: &Scene<'_>, found: &mut Findings) -> bool {
    for (_, action) in scene.actions() {
        for assumption in &action.assumptions {
            let Some(expected) = &assumption.expected_value else { continue };
            let key = &assumption.key;
            let differs = !Operator::Eq.holds(scene.state.get(key), expected);
            let message = format!("state '{key}' does not have the assumed value");
            if differs && !found.add(&action.id, message) {
                return true;
            }
        }
    }
    true
}
