//! Simulation, equivalence and optimisation, by example.

use serde_json::{Map, Value, json};

use super::{call, proposal, verify::object};
use crate::simulate::{default_probes, equivalent, optimise, simulate};

#[test]
fn simulation_leaves_out_what_cannot_run_and_what_needs_it() {
    let actions = json!([
        call("a", json!({ "preconditions": [{ "key": "k", "value": 1 }], "expected_effects": { "a": 1 } })),
        call("b", json!({ "parameters": { "x": "$a.output" }, "expected_effects": { "b": 1 } })),
        call("c", json!({ "state_dependencies": ["a"], "expected_effects": { "c": 1 } })),
        call("d", json!({ "expected_effects": { "d": 1 } })),
        { "id": "e", "type": "assertion", "parameters": { "key": "d", "expected": 2 }, "expected_effects": { "e": 1 } },
        { "id": "f", "type": "state_write", "parameters": { "key": "f", "value": "$$d" } },
        { "id": "g", "type": "state_write", "parameters": { "key": "g", "value": "$d.output" } },
        { "id": "h", "type": "assertion", "parameters": { "key": "g", "expected": 2 }, "expected_effects": { "h": 1 } },
    ]);
    let played = simulate(&proposal(actions.clone()), object(json!({ "k": 2 }))).unwrap();
    assert_eq!(played.blocked, ["a", "b", "c", "e"]);
    let state = object(json!({ "k": 2, "d": 1, "f": "$d", "g": null, "h": 1 }));
    assert_eq!(played.state, state);
    assert_eq!(simulate(&proposal(actions), object(json!({ "k": 1 }))).unwrap().blocked, ["e"]);
}

#[test]
fn a_value_that_an_output_decided_is_known_again_once_it_is_overwritten() {
    let expects = |id: &str, after: &str| {
        json!({
            "id": id, "type": "assertion", "parameters": { "key": "k", "expected": 2 }, "dependencies": [after],
        })
    };
    let actions = json!([
        call("a", json!({})),
        { "id": "b", "type": "state_write", "parameters": { "key": "k", "value": "$a.output" } },
        expects("c", "b"),
        call("d", json!({ "expected_effects": { "k": 3 }, "dependencies": ["c"] })),
        expects("e", "d"),
    ]);
    assert_eq!(simulate(&proposal(actions), Map::new()).unwrap().blocked, ["e"]);
}

#[test]
fn proposals_are_equal_where_no_probe_tells_them_apart() {
    let write = |key: &str, value: Value| json!({ "type": "state_write", "parameters": { "key": key, "value": value } });
    let one = proposal(json!([write("a", json!(1)), write("b", json!(2))]));
    let other = proposal(json!([write("b", json!(2)), write("a", json!(1))]));
    let third = proposal(json!([write("a", json!(1)), write("b", json!(3))]));
    assert_eq!(equivalent(&one, &other, &default_probes()), Ok(true));
    assert_eq!(equivalent(&one, &third, &default_probes()), Ok(false));
    let picky = call(
        "a",
        json!({ "preconditions": [{ "key": "x", "value": 1 }], "expected_effects": { "x": 5 } }),
    );
    let none = proposal(json!([]));
    assert_eq!(equivalent(&proposal(json!([picky])), &none, &[Map::new()]), Ok(true));
    assert_eq!(equivalent(&proposal(json!([picky])), &none, &default_probes()), Ok(false));
}

#[test]
fn waits_for_what_is_there_are_dropped() {
    let actions = json!([
        call("a", json!({ "state_dependencies": ["there", "written", "missing"] })),
        call("b", json!({ "write_set": ["written"] })),
    ]);
    let state = object(json!({ "there": null, "written": 1 }));
    let optimised = optimise(proposal(actions), &state);
    assert_eq!(optimised.actions[0].state_dependencies, ["written", "missing"]);
}
