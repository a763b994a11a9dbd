//! Verification: an example for each check, and properties over any proposal.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{call, proposal};
use crate::{
    proposal::ActionProposal,
    simulate::simulate,
    verify::{Derivation, Severity, Terms, ToolBook, Verification, verify},
};

/// Tools by name; those with a schema take one parameter, `n`, a number.
struct Tools(BTreeMap<&'static str, bool>);

impl ToolBook for Tools {
    fn has(&self, tool: &str) -> bool {
        self.0.contains_key(tool)
    }

    fn schema_errors(&self, tool: &str, parameters: &Map<String, Value>) -> Option<Vec<String>> {
        let wrong = !parameters.get("n").is_some_and(Value::is_number);
        let error = wrong.then(|| "`n` is no number".to_owned());
        self.0.get(tool).filter(|schema| **schema).map(|_| error.into_iter().collect())
    }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).unwrap()
}

fn verified(actions: Value, state: Value) -> Verification {
    let tools = Tools([("t", false), ("typed", true)].into());
    let found = verify(&proposal(actions), &object(state), &tools, Terms::default()).unwrap();
    let errors = found.issues.iter().any(|issue| issue.severity == Severity::Error);
    assert_eq!(found.valid, !errors);
    found
}

/// The only issue: its action, severity, derivation and message.
fn only(actions: Value, state: Value) -> (String, Severity, Derivation, String) {
    let mut found = verified(actions, state);
    assert_eq!(found.issues.len(), 1, "{:?}", found.issues);
    let issue = found.issues.remove(0);
    (issue.action_id, issue.severity, issue.tier, issue.message)
}

/// A key that looks like a tenant's is a fault without a tenant, wherever it stands.
#[test]
fn a_key_of_a_tenant_is_a_fault_without_one() {
    let keyed = [
        json!({ "state_dependencies": ["tenant:x"] }),
        json!({ "expected_effects": { "tenant:x": 1 } }),
        json!({ "type": "state_write", "parameters": { "key": "tenant:x" } }),
    ];
    for more in keyed {
        let proposal = proposal(json!([call("a", more)]));
        let (state, tools) = (object(json!({ "tenant:x": 1 })), Tools([("t", false)].into()));
        let valid = |scoped| {
            let terms = Terms { scoped, ..Terms::default() };
            verify(&proposal, &state, &tools, terms).unwrap().valid
        };
        assert!(!valid(false) && valid(true));
    }
}

#[test]
fn a_verification_that_nobody_waits_for_ends() {
    let proposal = proposal(json!([call("a", json!({}))]));
    let terms = Terms { stop: &|| true, ..Terms::default() };
    assert_eq!(verify(&proposal, &Map::new(), &Tools([].into()), terms), None);
}

/// Each row of the table once: what is found, and how bad it is.
#[test]
fn each_check_finds_what_its_row_says() {
    use Derivation::{DecisionProcedure as Decided, Heuristic};
    use Severity::{Error, Warning};
    let same = || call("", json!({ "parameters": { "x": 1 } }));
    for (actions, state, id, severity, tier, part) in [
        (
            json!([call("a", json!({})), call("a", json!({}))]),
            json!({}),
            "a",
            Error,
            Decided,
            "has the id",
        ),
        (
            json!([call("a", json!({ "dependencies": ["b"] }))]),
            json!({}),
            "a",
            Error,
            Decided,
            "id `b`",
        ),
        (
            json!([call("a", json!({ "dependencies": ["a"] }))]),
            json!({}),
            "a",
            Error,
            Decided,
            "wait for each other",
        ),
        (
            json!([{ "id": "a", "type": "state_read" }]),
            json!({}),
            "a",
            Error,
            Decided,
            "parameters.key",
        ),
        (
            json!([call("a", json!({ "parameters": { "x": "$gone.output.y" } }))]),
            json!({}),
            "a",
            Warning,
            Heuristic,
            "$gone.output",
        ),
        (
            json!([call("a", json!({ "tool": "u" }))]),
            json!({}),
            "a",
            Error,
            Decided,
            "tool 'u' is not registered",
        ),
        (
            json!([call("a", json!({ "tool": "typed" }))]),
            json!({}),
            "a",
            Error,
            Decided,
            "`n` is no number",
        ),
        (
            json!([call("a", json!({ "preconditions": [{ "key": "k", "value": 1 }] }))]),
            json!({ "k": 2 }),
            "a",
            Error,
            Decided,
            "'k'",
        ),
        (
            json!([call("a", json!({ "preconditions": [{ "key": "k", "operator": "is" }] }))]),
            json!({ "k": 2 }),
            "a",
            Error,
            Decided,
            "'is'",
        ),
        (
            json!([call("a", json!({ "state_dependencies": ["k"] }))]),
            json!({}),
            "a",
            Error,
            Decided,
            "'k' not found",
        ),
        (
            json!([
                call("a", json!({ "write_set": ["k"] })),
                call("b", json!({ "expected_effects": { "k": 1 }, "parameters": { "x": 2 } }))
            ]),
            json!({}),
            "a",
            Warning,
            Decided,
            "'a' and 'b' both write 'k'",
        ),
        (
            json!([same(), same(), same()]),
            json!({}),
            "000000000001",
            Warning,
            Heuristic,
            "3 tool calls are identical",
        ),
        (
            json!([call(
                "a",
                json!({ "assumptions": [{ "key": "k", "expected_value": 1 }, { "key": "l" }] })
            )]),
            json!({ "k": 2 }),
            "a",
            Warning,
            Decided,
            "'k'",
        ),
        (
            json!([call("a", json!({ "reversibility": "compensable" }))]),
            json!({}),
            "a",
            Warning,
            Decided,
            "compensation",
        ),
    ] {
        let (found_id, found_severity, found_tier, message) = only(actions, state);
        assert_eq!((&*found_id, found_severity, found_tier), (id, severity, tier), "{message}");
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn what_can_still_work_is_no_finding() {
    for (actions, state) in [
        (json!([]), json!({})),
        (json!([call("a", json!({ "tool": "typed", "parameters": { "n": 1 } }))]), json!({})),
        // An output decides.
        (
            json!([
                call("a", json!({})),
                call("b", json!({ "tool": "typed", "parameters": { "n": "$a.output" } }))
            ]),
            json!({}),
        ),
        (
            json!([
                call("a", json!({ "preconditions": [{ "key": "k", "value": 1 }] })),
                call("b", json!({ "expected_effects": { "k": 1.0 }, "parameters": { "x": 1 } })),
            ]),
            json!({}),
        ),
        (
            json!([
                call("a", json!({ "preconditions": [{ "key": "k", "operator": "gt", "value": 1 }], "dependencies": ["w"] })),
                { "id": "w", "type": "state_write", "parameters": { "key": "k", "value": "$x.output" } },
                call("x", json!({ "parameters": { "x": 1 } })),
            ]),
            json!({}),
        ),
        (
            json!([call(
                "a",
                json!({ "preconditions": [{ "key": "k", "operator": "not_exists" }] })
            )]),
            json!({}),
        ),
        (
            json!([call("r", json!({ "state_dependencies": ["k"] })), { "type": "state_write", "parameters": { "key": "k" } }]),
            json!({}),
        ),
        (
            json!([call("a", json!({ "assumptions": [{ "key": "k", "expected_value": 1.0 }] }))]),
            json!({ "k": 1 }),
        ),
        (json!([call("a", json!({})), call("b", json!({}))]), json!({})),
        (
            json!([
                call("a", json!({ "write_set": ["k"] })),
                call("b", json!({ "write_set": ["k"], "dependencies": ["a"] }))
            ]),
            json!({}),
        ),
    ] {
        let found = verified(actions.clone(), state);
        assert_eq!(found.issues, [], "{actions}");
    }
}

#[test]
fn an_action_that_comes_after_makes_no_precondition_hold() {
    let actions = json!([
        call("a", json!({ "preconditions": [{ "key": "k", "value": 1 }] })),
        call("b", json!({ "expected_effects": { "k": 1 }, "dependencies": ["a"] })),
    ]);
    assert_eq!(only(actions, json!({})).0, "a");
    let own = json!([call(
        "a",
        json!({ "preconditions": [{ "key": "k" }], "expected_effects": { "k": null } })
    )]);
    assert_eq!(only(own, json!({})).0, "a");
}

#[test]
fn one_fault_is_reported_once() {
    let actions = json!([
        call("a", json!({ "tool": "gone", "expected_effects": { "k": 1 } })),
        call("b", json!({ "state_dependencies": ["k"], "expected_effects": { "l": 2 } })),
        call(
            "c",
            json!({ "preconditions": [{ "key": "l", "value": 2 }], "dependencies": ["b"], "parameters": { "x": 1 } })
        ),
    ]);
    let found = verified(actions.clone(), json!({ "m": 3 }));
    assert_eq!(found.issues.len(), 1);
    assert_eq!(found.simulated_state, object(json!({ "k": 1, "l": 2, "m": 3 })));
    assert_eq!(found.execution_levels, [["a"], ["b"], ["c"]]);
    let names: Vec<_> = found.evidence.checks.iter().map(|check| &*check.name).collect();
    assert_eq!(
        names,
        [
            "structure",
            "references",
            "tool_exists",
            "param_schema",
            "preconditions",
            "state_dependencies",
            "write_conflicts",
            "repetition",
            "resource_bounds",
            "assumptions",
            "compensation",
        ]
    );
    let ran =
        |name: &str| found.evidence.checks.iter().any(|check| check.name == name && check.ran);
    assert!(!ran("param_schema") && !ran("resource_bounds") && ran("structure"));
    assert!((found.evidence.confidence - 9.0 / 11.0).abs() < 1e-9);
    let terms = Terms { max_actions: Some(2), ..Terms::default() };
    let bounded =
        verify(&proposal(actions), &Map::new(), &Tools([("t", true)].into()), terms).unwrap();
    assert!(bounded.issues.iter().any(|issue| issue.action_id.is_empty() && !bounded.valid));
}

#[test]
fn too_much_is_refused_with_the_limit_and_too_many_findings_stop() {
    let found = verified(vec![call("a", json!({})); 10_000].into(), json!({}));
    assert_eq!(found.issues.len(), 1);
    assert!(found.issues[0].message.contains("0..=1000 items, got 10000"), "{:?}", found.issues);
    let keys: Vec<_> = (0..60).map(|n| n.to_string()).collect();
    let busy = call("", json!({ "write_set": keys, "state_dependencies": keys }));
    let found = verified(vec![busy; 1000].into(), json!({ "0": 1 }));
    assert!(found.conflicts.len() <= 1000 && found.issues.len() <= 11_000);
    let order: Vec<_> = (0..1000)
        .map(|n| call("", json!({ "write_set": keys, "read_set": keys, "parameters": { "n": n } })))
        .collect();
    let state = keys.iter().map(|key| (key.clone(), Value::Null)).collect::<Map<_, _>>();
    let found = verified(order.into(), state.into());
    assert_eq!((found.execution_levels.len(), found.issues.len()), (1000, 0));
}

/// Any action, often a faulty one.
fn any_action() -> impl Strategy<Value = Value> {
    let id = prop_oneof![9 => "[a-e]", 1 => "[ a-c]{0,2}"];
    let kind = prop::sample::select(vec!["tool_call", "state_write", "state_read", "assertion"]);
    let keys = || prop::collection::vec("[k-n]", 0..3);
    let parameters = prop_oneof![
        "[k-n]".prop_map(|key| json!({ "key": key, "value": 1 })),
        "[a-e]".prop_map(|id| json!({ "key": "k", "value": format!("${id}.output") })),
        Just(json!({})),
    ];
    let conditions = prop::collection::vec(("[k-n]", 0..3u8), 0..2);
    let numbers = (0..23u32, prop::option::weighted(0.2, 0..3u64));
    (id, kind, parameters, (keys(), keys(), keys()), prop::collection::vec("[a-f]", 0..2), conditions, numbers)
        .prop_map(|(id, kind, parameters, (waits, reads, writes), dependencies, conditions, (retries, timeout))| {
            let conditions: Vec<_> =
                conditions.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
            let effects: Map<_, _> = writes.iter().map(|key| (key.clone(), json!(1))).collect();
            let mut action = json!({
                "type": kind, "tool": "t", "parameters": parameters, "state_dependencies": waits,
                "read_set": reads, "expected_effects": effects, "dependencies": dependencies,
                "preconditions": conditions, "max_retries": retries, "timeout_ms": timeout,
            });
            if !id.is_empty() {
                action["id"] = id.into();
            }
            action
        })
}

pub(super) fn any_proposal() -> impl Strategy<Value = ActionProposal> {
    prop::collection::vec(any_action(), 0..6).prop_map(|actions| proposal(actions.into()))
}

proptest! {
    #[test]
    fn what_submit_refuses_is_an_error_of_the_structure(
        proposal in any_proposal(), state in prop::collection::btree_map("[k-n]", 0..3u8, 0..3),
    ) {
        let state: Map<_, _> = state.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let found = verify(&proposal, &state, &Tools([("t", false)].into()), Terms::default()).unwrap();
        let structure = &found.evidence.checks[0];
        match proposal.order(&|key| state.contains_key(key)) {
            Err(fault) => {
                prop_assert!(!found.valid && structure.findings > 0);
                prop_assert!(found.issues.iter().any(|issue| issue.message == fault.to_string()));
            }
            Ok(order) => {
                prop_assert_eq!(structure.findings, 0);
                prop_assert_eq!(found.execution_levels.len(), order.levels().len());
            }
        }
    }

    /// Where verification finds no error and simulation blocks nobody, both come to the same state.
    #[test]
    fn simulation_and_verification_agree(
        proposal in any_proposal(), state in prop::collection::btree_map("[k-n]", 0..3u8, 0..4),
    ) {
        let state: Map<_, _> = state.into_iter().map(|(key, value)| (key, json!(value))).collect();
        let found = verify(&proposal, &state, &Tools([("t", false)].into()), Terms::default()).unwrap();
        let Ok(played) = simulate(&proposal, state) else { return Ok(()) };
        if played.blocked.is_empty() {
            prop_assert_eq!(&played.state, &found.simulated_state);
            // What can be played can hold.
            prop_assert!(found.valid, "{:?}", found.issues);
        }
    }
}
