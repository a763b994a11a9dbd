//! Cost: the counts fit the results.

use carport_core::Time;
use proptest::prelude::*;
use serde_json::{Map, json};

use super::{call, proposal};
use crate::result::{ActionResult, CostSummary, Status};

fn result(status: Status, attempts: u32) -> ActionResult {
    ActionResult {
        action_id: "a".into(),
        status,
        output: None,
        error: None,
        state_changes: Map::new(),
        duration_ms: 0.0,
        timestamp: Time::default(),
        attempts,
        rolled_back: None,
        cached: None,
    }
}

#[test]
fn what_was_never_dispatched_costs_no_call() {
    let write = json!({ "type": "state_write", "parameters": { "key": "k" } });
    let actions = json!([call("a", json!({})), call("b", json!({})), call("c", json!({})), write]);
    let results = [
        result(Status::Succeeded, 3),
        ActionResult { cached: Some(true), ..result(Status::Succeeded, 0) },
        result(Status::Rejected, 0),
        result(Status::Succeeded, 1),
    ];
    let cost = CostSummary::of(&proposal(actions).actions, &results, 1.5);
    let expected = CostSummary {
        actions_executed: 3,
        actions_rejected: 1,
        actions_skipped: 0,
        tool_calls: 1,
        retries: 2,
        total_duration_ms: 1.5,
    };
    assert_eq!(cost, expected);
    let wire = serde_json::to_value(&results[2]).unwrap();
    assert_eq!(wire["status"], "rejected");
    assert!(wire["output"].is_null() && wire["error"].is_null() && wire.get("cached").is_none());
}

proptest! {
    #[test]
    fn every_action_is_counted_once(ends in prop::collection::vec((0..4u8, 0..5u32), 0..30)) {
        let actions = ends.iter().map(|_| call("", json!({}))).collect();
        let results: Vec<_> = ends.iter().map(|(end, attempts)| match end {
            0 => result(Status::Rejected, 0),
            1 => result(Status::Succeeded, *attempts),
            2 => result(Status::Failed, attempts + 1),
            _ => result(Status::Skipped, 0),
        }).collect();
        prop_assert!(results.iter().all(|result| result.status.is_final()));
        let cost = CostSummary::of(&proposal(actions).actions, &results, 0.0);
        prop_assert_eq!(cost.actions_executed + cost.actions_rejected + cost.actions_skipped, ends.len() as u64);
        prop_assert!(cost.tool_calls <= cost.actions_executed);
        let attempts: u64 = results.iter().map(|result| u64::from(result.attempts)).sum();
        prop_assert_eq!(cost.retries + cost.tool_calls, attempts);
    }
}
