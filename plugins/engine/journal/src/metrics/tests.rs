//! Sums and alerts over small journals.

use carport_core::Time;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::event::NewEvent;

fn events(rows: &[(Kind, Value)]) -> Vec<Event> {
    let place = |(n, (kind, data)): (usize, &(Kind, Value))| {
        NewEvent::new(*kind, data.clone()).placed(format!("e{n}"), n as u64, Time::default())
    };
    rows.iter().enumerate().map(place).collect()
}

fn sum(rows: &[(Kind, Value)]) -> Summary {
    let events = events(rows);
    summary(&events, events.iter().map(metered_cost).sum())
}

#[test]
fn everything_is_counted() {
    let spent = |agent: &str, cost: f64| json!({ "agent": agent, "tokens_in": 10, "tokens_out": 2, "cost_usd": cost });
    let sum = sum(&[
        (Kind::ActionSucceeded, json!({ "duration_ms": 10 })),
        (Kind::ActionSucceeded, json!({ "duration_ms": 20.5 })),
        (Kind::ActionFailed, json!({ "duration_ms": 30 })),
        (Kind::ActionFailed, json!({})),
        (Kind::ActionRejected, json!({ "duration_ms": 1000 })),
        (Kind::ApprovalRecorded, json!({})),
        (Kind::PermissionDecision, json!({})),
        (Kind::GateRejected, json!({})),
        (Kind::PolicyViolation, json!({})),
        (Kind::GoalEvaluated, json!({ "met": true, "grounded": false })),
        (Kind::GoalEvaluated, json!({ "met": false, "grounded": true })),
        (Kind::InferenceMetered, spent("b", 0.5)),
        (Kind::InferenceMetered, spent("a", 0.25)),
        (Kind::InferenceMetered, spent("b", 1.0)),
        (Kind::InferenceMetered, json!({ "cost_usd": -5, "tokens_in": -1 })),
    ]);
    let agent = |agent: &str, calls, tokens_in, tokens_out, cost_usd| AgentCost {
        agent: agent.into(),
        calls,
        tokens_in,
        tokens_out,
        cost_usd,
    };
    let expected = Summary {
        total_events: 15,
        actions_succeeded: 2,
        actions_failed: 2,
        actions_rejected: 1,
        success_rate: 0.5,
        error_rate: 0.5,
        cost_usd: 1.75,
        cumulative_cost_usd: 1.75,
        tokens_in: 30,
        tokens_out: 6,
        avg_latency_ms: 60.5 / 3.0,
        approvals_recorded: 1,
        permission_decisions: 1,
        gate_rejections: 1,
        policy_violations: 1,
        goal_evaluations: 2,
        goals_met: 1,
        goals_ungrounded: 1,
        cost_by_agent: vec![
            agent("a", 1, 10, 2, 0.25),
            agent("b", 2, 20, 4, 1.5),
            agent("unknown", 1, 0, 0, 0.0),
        ],
    };
    assert_eq!(sum, expected);
}

#[test]
fn nothing_sums_up_to_plain_zeros() {
    let text = serde_json::to_string(&summary([], 0.0)).unwrap();
    assert!(!text.contains("null") && !text.contains("-0"), "{text}");
}

#[test]
fn an_alert_fires_beyond_its_threshold_only() {
    let sum = Summary {
        actions_succeeded: 2,
        actions_failed: 2,
        error_rate: 0.5,
        cost_usd: 1.0,
        cumulative_cost_usd: 3.0,
        avg_latency_ms: 40.0,
        goals_ungrounded: 2,
        ..Summary::default()
    };
    assert_eq!(alerts(&sum, &Thresholds::default()), []);
    let at = Thresholds {
        max_cost_usd: Some(3.0),
        max_error_rate: Some(0.5),
        max_avg_latency_ms: Some(40.0),
        max_goals_ungrounded: Some(2),
        min_actions: 4,
    };
    assert_eq!(alerts(&sum, &at), []);
    let below = Thresholds {
        max_cost_usd: Some(2.0),
        max_error_rate: Some(0.4),
        max_avg_latency_ms: Some(39.0),
        max_goals_ungrounded: Some(1),
        min_actions: 4,
    };
    let fired: Vec<_> =
        alerts(&sum, &below).into_iter().map(|it| (it.kind, it.observed, it.threshold)).collect();
    let expected = [
        (AlertKind::CostOverage, 3.0, 2.0),
        (AlertKind::ErrorRate, 0.5, 0.4),
        (AlertKind::Latency, 40.0, 39.0),
        (AlertKind::GoalUngrounded, 2.0, 1.0),
    ];
    assert_eq!(fired, expected);
    let few = Thresholds { min_actions: 5, ..below };
    assert!(alerts(&sum, &few).iter().all(|it| it.kind != AlertKind::ErrorRate));
}

proptest! {
    #[test]
    fn rates_are_shares_and_nothing_is_lost(ok in 0..30u64, bad in 0..30u64) {
        let rows: Vec<_> = (0..ok).map(|_| (Kind::ActionSucceeded, json!({})))
            .chain((0..bad).map(|_| (Kind::ActionFailed, json!({})))).collect();
        let sum = sum(&rows);
        prop_assert_eq!((sum.actions_succeeded, sum.actions_failed), (ok, bad));
        let all = sum.success_rate + sum.error_rate;
        let expected = if ok + bad == 0 { 0.0 } else { 1.0 };
        prop_assert!((all - expected).abs() < 1e-9);
    }
}
