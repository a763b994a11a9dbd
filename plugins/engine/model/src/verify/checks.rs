//! The checks, one function each: the table, and those about structure, tools and declarations.

use std::collections::{BTreeMap, HashSet};

use super::{
    Derivation, Severity,
    scene::{Findings, Scene},
    state_checks,
};
use crate::{
    canon::fingerprint,
    fault::Fault,
    proposal::ActionType,
    reference::{dangling, settled},
};

/// Identical tool calls from which on they look like a mistake.
const REPEATED: usize = 3;

pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) verifies: &'static str,
    pub(crate) cannot_verify: &'static str,
    pub(crate) severity: Severity,
    pub(crate) tier: Derivation,
    /// Whether it needs the order of the actions.
    pub(crate) ordered: bool,
    /// Whether it is about the proposal as a whole, however many actions it has.
    pub(crate) whole: bool,
    /// Looks; false if there was nothing to look at it with.
    pub(crate) run: fn(&Scene<'_>, &mut Findings) -> bool,
}

const CHECK: Check = Check {
    name: "",
    verifies: "",
    cannot_verify: "",
    severity: Severity::Error,
    tier: Derivation::DecisionProcedure,
    ordered: false,
    whole: false,
    run: structure,
};

pub(crate) const CHECKS: &[Check] = &[
    Check {
        name: "structure",
        verifies: "ids, bounds, fields that a type requires, dependencies, circles",
        cannot_verify: "whether the actions do what was asked for",
        whole: true,
        ..CHECK
    },
    Check {
        name: "references",
        verifies: "what looks like a reference names an action of the proposal",
        cannot_verify: "whether an output has the part that is referred to",
        severity: Severity::Warning,
        tier: Derivation::Heuristic,
        run: references,
        ..CHECK
    },
    Check {
        name: "tool_exists",
        verifies: "the tool of each call is registered now",
        cannot_verify: "whether it still is when the action runs",
        run: tool_exists,
        ..CHECK
    },
    Check {
        name: "param_schema",
        verifies: "parameters fit the schema of their tool",
        cannot_verify: "parameters that depend on outputs",
        run: param_schema,
        ..CHECK
    },
    Check {
        name: "preconditions",
        verifies: "the state or an action can make each precondition hold",
        cannot_verify: "whether it holds at the moment when the action runs",
        ordered: true,
        run: state_checks::preconditions,
        ..CHECK
    },
    Check {
        name: "state_dependencies",
        verifies: "each key is in the state or written by an action that comes before",
        cannot_verify: "whether that action succeeds",
        ordered: true,
        run: state_checks::state_dependencies,
        ..CHECK
    },
    Check {
        name: "write_conflicts",
        verifies: "no two unordered actions write one key",
        cannot_verify: "writes that are not declared",
        severity: Severity::Warning,
        ordered: true,
        run: state_checks::write_conflicts,
        ..CHECK
    },
    Check {
        name: "repetition",
        verifies: "no tool call is made three times or more",
        cannot_verify: "whether the repetition is meant",
        severity: Severity::Warning,
        tier: Derivation::Heuristic,
        run: repetition,
        ..CHECK
    },
    Check {
        name: "resource_bounds",
        verifies: "the number of actions is within the given bound",
        cannot_verify: "how long the tools take",
        whole: true,
        run: resource_bounds,
        ..CHECK
    },
    Check {
        name: "assumptions",
        verifies: "assumed values are those of the state",
        cannot_verify: "read versions: the state has none",
        severity: Severity::Warning,
        run: state_checks::assumptions,
        ..CHECK
    },
    Check {
        name: "compensation",
        verifies: "what is declared compensable says how",
        cannot_verify: "whether the compensation works",
        severity: Severity::Warning,
        run: compensation,
        ..CHECK
    },
];

fn structure(scene: &Scene<'_>, found: &mut Findings) -> bool {
    let proposal = scene.proposal;
    if let Err(fault) = proposal.check_whole() {
        // Further faults of too many actions would only fill the answer.
        found.add("", fault.to_string());
        return true;
    }
    let mut seen = HashSet::new();
    for (at, action) in scene.actions() {
        let unscoped = || match scene.terms.scoped {
            true => Ok(()),
            false => action.check_unscoped(&format!("proposal.actions[{at}]")),
        };
        if let Err(fault) =
            proposal.check_action(at, &scene.ids, &mut seen).and_then(|()| unscoped())
            && !found.add(&action.id, fault.to_string())
        {
            return true;
        }
    }
    if let Some(fault @ Fault::Circle { actions, .. }) = &scene.circle {
        found.add(actions.first().map_or("", String::as_str), fault.to_string());
    }
    true
}

fn references(scene: &Scene<'_>, found: &mut Findings) -> bool {
    for (_, action) in scene.actions() {
        for id in dangling(&action.parameters, &|id| scene.ids.contains(id)) {
            let message = format!("'${id}.output' names no action of this proposal and stays text");
            if !found.add(&action.id, message) {
                return true;
            }
        }
    }
    true
}

fn tool_exists(scene: &Scene<'_>, found: &mut Findings) -> bool {
    for (_, action) in scene.actions() {
        if let Some(tool) = action.called_tool().filter(|tool| !scene.tools.has(tool))
            && !found.add(&action.id, format!("tool '{tool}' is not registered"))
        {
            return true;
        }
    }
    true
}

fn param_schema(scene: &Scene<'_>, found: &mut Findings) -> bool {
    let mut any_schema = false;
    for (_, action) in scene.actions() {
        let Some(tool) = action.called_tool() else { continue };
        let parameters = settled(&action.parameters, &|id| scene.ids.contains(id));
        let Some(parameters) = parameters else { continue };
        let Some(errors) = scene.tools.schema_errors(tool, &parameters) else { continue };
        any_schema = true;
        for error in errors {
            if !found.add(&action.id, format!("parameters of tool '{tool}': {error}")) {
                return true;
            }
        }
    }
    any_schema
}

fn repetition(scene: &Scene<'_>, found: &mut Findings) -> bool {
    let mut calls: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (_, action) in scene.actions().filter(|(_, it)| it.kind == ActionType::ToolCall) {
        calls.entry(fingerprint(action)).or_default().push(&action.id);
    }
    let mut repeated: Vec<_> = calls.into_values().filter(|ids| ids.len() >= REPEATED).collect();
    repeated.sort();
    for ids in repeated {
        let message = format!("{} tool calls are identical: {}", ids.len(), ids.join(", "));
        if !found.add(ids[0], message) {
            return true;
        }
    }
    true
}

fn resource_bounds(scene: &Scene<'_>, found: &mut Findings) -> bool {
    let Some(most) = scene.terms.max_actions else { return false };
    let got = scene.proposal.actions.len() as u64;
    if got > most {
        found.add("", format!("{got} actions are more than {most}"));
    }
    true
}

fn compensation(scene: &Scene<'_>, found: &mut Findings) -> bool {
    let missing = scene.actions().filter(|(_, action)| action.is_missing_compensation());
    for (_, action) in missing {
        if !found.add(&action.id, "declared compensable without a compensation") {
            return true;
        }
    }
    true
}
