//! Order, levels and structure, by example and by property.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{call, proposal};
use crate::{fault::Fault, order::Order, proposal::ActionProposal};

fn levels(actions: Value, state: &[&str]) -> Vec<Vec<String>> {
    let proposal = proposal(actions);
    let order = proposal.order(&|key| state.contains(&key)).unwrap();
    named(&proposal, &order)
}

fn named(proposal: &ActionProposal, order: &Order) -> Vec<Vec<String>> {
    let name = |at: &usize| proposal.actions[*at].id.clone();
    order.levels().iter().map(|level| level.iter().map(name).collect()).collect()
}

#[test]
fn dependencies_references_and_keys_order() {
    let actions = json!([
        call("d", json!({ "parameters": { "x": ["to ${c.output.y}"] } })),
        call("c", json!({ "parameters": { "x": "$b.output" } })),
        call("b", json!({ "dependencies": ["a"] })),
        call("a", json!({ "expected_effects": { "k": 1 } })),
        { "id": "r", "type": "state_read", "parameters": { "key": "k" } },
        { "id": "w", "type": "state_write", "parameters": { "key": "l" } },
        { "id": "s", "type": "assertion", "parameters": { "key": "l" } },
        call("t", json!({ "read_set": ["m"], "write_set": ["n"] })),
        call("u", json!({ "state_dependencies": ["n"], "preconditions": [{ "key": "l" }] })),
    ]);
    assert_eq!(
        levels(actions, &[]),
        [vec!["a", "w", "t"], vec!["b", "r", "s", "u"], vec!["c"], vec!["d"]]
    );
}

#[test]
fn a_later_writer_counts_where_nobody_else_gives_the_key() {
    let actions = json!([
        call("r", json!({ "state_dependencies": ["k"] })),
        call("w1", json!({ "write_set": ["k"] })),
        call("w2", json!({ "write_set": ["k"] })),
    ]);
    assert_eq!(levels(actions.clone(), &[]), [vec!["w1", "w2"], vec!["r"]]);
    assert_eq!(levels(actions, &["k"]), [vec!["r", "w1", "w2"]]);
    let between = json!([
        call("w1", json!({ "write_set": ["k"] })),
        call("r", json!({ "read_set": ["k"] })),
        call("w2", json!({ "write_set": ["k"] })),
    ]);
    assert_eq!(levels(between, &[]), [vec!["w1", "w2"], vec!["r"]]);
}

#[test]
fn an_action_does_not_wait_for_the_key_that_it_writes_itself() {
    let both = json!({ "state_dependencies": ["k"], "write_set": ["k"] });
    assert_eq!(levels(json!([call("a", both.clone())]), &[]), [vec!["a"]]);
    let two = json!([call("a", both.clone()), call("b", both)]);
    assert_eq!(levels(two.clone(), &["k"]), [vec!["a"], vec!["b"]]);
    // Without the key in the state each waits for the other.
    assert!(matches!(proposal(two).order(&|_| false), Err(Fault::Circle { .. })));
}

#[test]
fn a_circle_is_named_without_those_that_only_follow_it() {
    let actions = json!([
        call("free", json!({})),
        call("after", json!({ "dependencies": ["b"] })),
        call("a", json!({ "dependencies": ["c", "free"] })),
        call("b", json!({ "parameters": { "x": "$a.output" } })),
        call("c", json!({ "state_dependencies": ["k"] })),
        call("d", json!({ "dependencies": ["b"], "expected_effects": { "k": 1 } })),
    ]);
    let fault = proposal(actions).order(&|_| false).unwrap_err();
    let error = carport_core::RpcError::from(fault);
    assert_eq!(error.code, -32602);
    assert_eq!(error.data.unwrap()["actions"], json!(["b", "a", "c", "d"]));
    let own = proposal(json!([call("a", json!({ "dependencies": ["a"] }))])).order(&|_| false);
    let circle = Fault::Circle { field: "proposal.actions".into(), actions: vec!["a".into()] };
    assert_eq!(own, Err(circle));
}

#[test]
fn what_must_succeed_is_told_from_what_must_have_ended() {
    let actions = json!([
        call("a", json!({ "write_set": ["k"] })),
        call("b", json!({})),
        call(
            "c",
            json!({ "read_set": ["k"], "dependencies": ["b", "b"], "parameters": { "x": "$b.output" } })
        ),
    ]);
    let order = proposal(actions).order(&|_| false).unwrap();
    assert_eq!((order.after(2), order.needs(2)), (&[0, 1][..], &[1][..]));
}

#[test]
fn a_key_that_is_escaped_is_the_key_that_is_written() {
    let actions = json!([
        { "id": "r", "type": "state_read", "parameters": { "key": "$$k" } },
        call("w", json!({ "write_set": ["$k"] })),
        { "id": "x", "type": "state_read", "parameters": { "key": "$w.output" } },
    ]);
    assert_eq!(levels(actions, &[]), [vec!["w"], vec!["r", "x"]]);
}

#[test]
fn a_fault_names_its_field_and_its_limit() {
    let long = "x".repeat(600);
    for (actions, field, limit) in [
        (json!([call("a", json!({})), call("a", json!({}))]), "actions[1].id", None),
        (json!([call("a b", json!({}))]), "actions[0].id", Some(json!("[A-Za-z0-9_.:-]"))),
        (json!([call(&long, json!({}))]), "actions[0].id", Some(json!(128))),
        (json!([{ "type": "tool_call" }]), "actions[0].tool", None),
        (json!([{ "type": "tool_call", "tool": "" }]), "actions[0].tool", Some(json!(1))),
        (json!([{ "type": "state_write" }]), "actions[0].parameters.key", None),
        (
            json!([{ "type": "state_read", "parameters": { "key": 7 } }]),
            "actions[0].parameters.key",
            None,
        ),
        (
            json!([{ "type": "assertion", "parameters": { "key": "k", "operator": 7 } }]),
            "actions[0].parameters.operator",
            None,
        ),
        (json!([call("a", json!({ "dependencies": ["b"] }))]), "actions[0].dependencies[0]", None),
        (
            json!([call("a", json!({ "max_retries": 21 }))]),
            "actions[0].max_retries",
            Some(json!(20)),
        ),
        (json!([call("a", json!({ "timeout_ms": 0 }))]), "actions[0].timeout_ms", Some(json!(1))),
        (
            json!([call("a", json!({ "read_set": ["k", long] }))]),
            "actions[0].read_set[1]",
            Some(json!(512)),
        ),
        (
            json!([call("a", json!({ "preconditions": [{ "key": "" }] }))]),
            "actions[0].preconditions[0].key",
            Some(json!(1)),
        ),
        (Value::from(vec![call("a", json!({})); 10_000]), "actions", Some(json!(1000))),
    ] {
        let fault = proposal(actions).order(&|_| false).unwrap_err();
        let error = carport_core::RpcError::from(fault);
        assert_eq!(error.field(), Some(&*format!("proposal.{field}")));
        assert_eq!(
            (error.code, error.data.unwrap().get("limit").cloned()),
            (-32602, limit),
            "{field}"
        );
    }
}

#[test]
fn reading_names_the_path() {
    for (text, path) in [
        (r#"{"actions":[{"type":"tool_call"},{"type":"dance"}]}"#, "actions[1].type"),
        (r#"{"actions":[{"type":"tool_call","max_retries":-1}]}"#, "actions[0].max_retries"),
        (r#"{"actions":[{"type":"tool_call","id":""}]}"#, "actions[0].id"),
        (r#"{"id":"","actions":[]}"#, "id"),
        (r#"{"actions":{}}"#, "actions"),
    ] {
        let mut reader = serde_json::Deserializer::from_str(text);
        let error = serde_path_to_error::deserialize::<_, ActionProposal>(&mut reader).unwrap_err();
        assert_eq!(error.path().to_string(), path, "{text}");
    }
}

#[test]
fn absent_ids_are_filled_in_and_do_not_meet_given_ones() {
    let text = r#"{"actions":[{"type":"state_read"},{"type":"state_read","id":"000000000002"},{"type":"state_read"}]}"#;
    let mut proposal: ActionProposal = serde_json::from_str(text).unwrap();
    let now = carport_core::Time::default();
    proposal.fill(now, ActionProposal::counted());
    let ids: Vec<_> = proposal.actions.iter().map(|action| &*action.id).collect();
    assert_eq!(proposal.id, "000000000001");
    assert_eq!(ids, ["000000000003", "000000000002", "000000000004"]);
    assert_eq!((proposal.timestamp, &*proposal.source), (Some(now), "unknown"));
    let given = serde_json::to_value(&proposal).unwrap();
    assert_eq!(serde_json::from_value::<ActionProposal>(given).unwrap(), proposal);
}

/// Actions whose graph is told in every way that does not lean on the listing: action `n` may follow any
/// before it by name, by reference, or by a key that only one action writes.
fn graph() -> impl Strategy<Value = Vec<Value>> {
    let edges = prop::collection::vec((any::<prop::sample::Index>(), 0..3u8), 0..4);
    prop::collection::vec(edges, 1..12).prop_map(|actions| {
        let each = actions.iter().enumerate().map(|(n, edges)| {
            let (mut named, mut read, mut used) = (Vec::new(), Vec::new(), Vec::new());
            for (to, how) in edges.iter().filter(|_| n > 0) {
                let to = to.index(n);
                match how {
                    0 => named.push(format!("a{to}")),
                    1 => read.push(format!("k{to}")),
                    _ => used.push(format!("$a{to}.output")),
                }
            }
            let more = json!({
                "dependencies": named, "state_dependencies": read, "write_set": [format!("k{n}")],
                "parameters": { "x": used },
            });
            call(&format!("a{n}"), more)
        });
        each.collect()
    })
}

proptest! {
    #[test]
    fn every_predecessor_is_in_an_earlier_level(actions in graph()) {
        let proposal = proposal(actions.into());
        let order = proposal.order(&|_| false).unwrap();
        let mut level_of = BTreeMap::new();
        for (n, level) in order.levels().iter().enumerate() {
            level_of.extend(level.iter().map(|at| (*at, n)));
        }
        prop_assert_eq!(level_of.len(), proposal.actions.len());
        for at in 0..proposal.actions.len() {
            let latest = order.after(at).iter().map(|before| level_of[before] + 1).max();
            prop_assert_eq!(level_of[&at], latest.unwrap_or(0));
            prop_assert!(order.needs(at).iter().all(|needed| order.after(at).contains(needed)));
        }
    }

    #[test]
    fn the_graph_decides_and_not_the_listing(
        (actions, shuffled) in graph().prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
    ) {
        let sorted = |actions: Vec<Value>| {
            let mut levels = levels(actions.into(), &[]);
            levels.iter_mut().for_each(|level| level.sort());
            levels
        };
        prop_assert_eq!(sorted(actions), sorted(shuffled));
    }

    /// Against rule 1 of the order, looked through pair by pair.
    #[test]
    fn keys_order_as_the_rule_says(
        sets in prop::collection::vec((0..8u8, 0..8u8), 0..9), known in 0..8u8,
    ) {
        let keys = |bits: u8| (0..3).filter(|n| bits >> n & 1 == 1).map(|n| n.to_string()).collect::<Vec<_>>();
        let actions = sets.iter().enumerate().map(|(n, (reads, writes))| {
            call(&format!("a{n}"), json!({ "read_set": keys(*reads), "write_set": keys(*writes) }))
        });
        let proposal = proposal(actions.collect());
        let has = |key: &str| known >> key.parse::<u8>().unwrap() & 1 == 1;
        let follows = |b: usize, a: usize| a != b && (0..3).any(|n| {
            let writes = |at: usize| sets[at].1 >> n & 1 == 1;
            let earlier = (0..b).any(writes);
            sets[b].0 >> n & 1 == 1 && writes(a) && (a < b || !earlier && known >> n & 1 == 0)
        });
        if let Ok(order) = proposal.order(&has) {
            for b in 0..sets.len() {
                let expected: Vec<_> = (0..sets.len()).filter(|a| follows(b, *a)).collect();
                prop_assert_eq!(order.after(b), expected);
            }
        } else {
            // Whoever is reached from itself lies on a circle.
            let mut reach: Vec<Vec<bool>> =
                (0..sets.len()).map(|b| (0..sets.len()).map(|a| follows(b, a)).collect()).collect();
            for via in 0..sets.len() {
                for b in 0..sets.len() {
                    for a in 0..sets.len() {
                        reach[b][a] |= reach[b][via] && reach[via][a];
                    }
                }
            }
            prop_assert!((0..sets.len()).any(|at| reach[at][at]));
        }
    }
}
