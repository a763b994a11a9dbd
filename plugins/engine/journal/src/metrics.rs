//! What the events of a journal sum up to, and what in it is beyond a threshold. Pure.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::{Event, Kind};

/// What an agent's inferences took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentCost {
    /// The agent, or `unknown`.
    pub agent: String,
    /// Metered inferences.
    pub calls: u64,
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// US dollars.
    pub cost_usd: f64,
}

/// Sums over the events that are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Events of any kind.
    pub total_events: u64,
    /// Actions that succeeded.
    pub actions_succeeded: u64,
    /// Actions that failed.
    pub actions_failed: u64,
    /// Actions that never ran.
    pub actions_rejected: u64,
    /// Succeeded over succeeded and failed; 0 without any.
    pub success_rate: f64,
    /// Failed over succeeded and failed; 0 without any.
    pub error_rate: f64,
    /// US dollars of the events that are kept.
    pub cost_usd: f64,
    /// US dollars of all events that ever were; it never falls.
    pub cumulative_cost_usd: f64,
    /// Tokens read.
    pub tokens_in: u64,
    /// Tokens written.
    pub tokens_out: u64,
    /// Mean duration of actions that succeeded or failed, in milliseconds; 0 without any.
    pub avg_latency_ms: f64,
    /// Approvals and rejections by a person.
    pub approvals_recorded: u64,
    /// Decisions about a tier.
    pub permission_decisions: u64,
    /// Proposals that a gate refused.
    pub gate_rejections: u64,
    /// Violations of a policy.
    pub policy_violations: u64,
    /// Goals that were looked at.
    pub goal_evaluations: u64,
    /// Of them, those that were met.
    pub goals_met: u64,
    /// Of them, those whose verdict had no ground.
    pub goals_ungrounded: u64,
    /// By agent, sorted by name.
    pub cost_by_agent: Vec<AgentCost>,
}

/// What is too much. An absent threshold does not bind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// For `cumulative_cost_usd`.
    pub max_cost_usd: Option<f64>,
    /// For `error_rate`, 0 to 1.
    pub max_error_rate: Option<f64>,
    /// For `avg_latency_ms`.
    pub max_avg_latency_ms: Option<f64>,
    /// For `goals_ungrounded`.
    pub max_goals_ungrounded: Option<u64>,
    /// Fewer actions than these, succeeded and failed, have no error rate to speak of.
    pub min_actions: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            max_cost_usd: None,
            max_error_rate: None,
            max_avg_latency_ms: None,
            max_goals_ungrounded: None,
            min_actions: 5,
        }
    }
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Inference cost more than it may.
    CostOverage,
    /// Too many actions fail.
    ErrorRate,
    /// Actions take too long.
    Latency,
    /// Goals are judged without ground.
    GoalUngrounded,
}

/// A threshold that was passed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alert {
    /// What it is about.
    pub kind: AlertKind,
    /// For people.
    pub message: String,
    /// What is.
    pub observed: f64,
    /// What may be.
    pub threshold: f64,
}

/// Sums events up. `cumulative_cost` is what [`metered_cost`] gave over all events that ever were.
pub fn summary<'a>(events: impl IntoIterator<Item = &'a Event>, cumulative_cost: f64) -> Summary {
    let mut sum = Summary { cumulative_cost_usd: cumulative_cost, ..Summary::default() };
    let mut agents = BTreeMap::new();
    let (mut latency, mut timed) = (0.0, 0u64);
    for event in events {
        sum.total_events += 1;
        count(&mut sum, event);
        match event.kind {
            Kind::ActionSucceeded | Kind::ActionFailed => {
                if let Some(duration) = number(&event.data(), "duration_ms") {
                    latency += duration;
                    timed += 1;
                }
            }
            Kind::InferenceMetered => meter(&mut agents, &event.data()),
            _ => {}
        }
    }
    let actions = sum.actions_succeeded + sum.actions_failed;
    sum.success_rate = ratio(sum.actions_succeeded as f64, actions);
    sum.error_rate = ratio(sum.actions_failed as f64, actions);
    sum.avg_latency_ms = ratio(latency, timed);
    sum.cost_by_agent = agents.into_values().collect();
    sum.cost_usd = sum.cost_by_agent.iter().fold(0.0, |sum, it| sum + it.cost_usd);
    sum.tokens_in = sum.cost_by_agent.iter().fold(0, |sum, it| sum.saturating_add(it.tokens_in));
    sum.tokens_out = sum.cost_by_agent.iter().fold(0, |sum, it| sum.saturating_add(it.tokens_out));
    sum
}

fn count(sum: &mut Summary, event: &Event) {
    match event.kind {
        Kind::ActionSucceeded => sum.actions_succeeded += 1,
        Kind::ActionFailed => sum.actions_failed += 1,
        Kind::ActionRejected => sum.actions_rejected += 1,
        Kind::ApprovalRecorded => sum.approvals_recorded += 1,
        Kind::PermissionDecision => sum.permission_decisions += 1,
        Kind::GateRejected => sum.gate_rejections += 1,
        Kind::PolicyViolation => sum.policy_violations += 1,
        Kind::GoalEvaluated => {
            let data = event.data();
            sum.goal_evaluations += 1;
            sum.goals_met += u64::from(data.get("met") == Some(&Value::Bool(true)));
            sum.goals_ungrounded += u64::from(data.get("grounded") == Some(&Value::Bool(false)));
        }
        _ => {}
    }
}

fn meter(agents: &mut BTreeMap<String, AgentCost>, data: &Map<String, Value>) {
    let agent = data.get("agent").and_then(Value::as_str).unwrap_or("unknown");
    let fresh = || AgentCost { agent: agent.to_owned(), ..AgentCost::default() };
    let row = agents.entry(agent.to_owned()).or_insert_with(fresh);
    let tokens = |name: &str| data.get(name).and_then(Value::as_u64).unwrap_or_default();
    row.calls += 1;
    row.tokens_in = row.tokens_in.saturating_add(tokens("tokens_in"));
    row.tokens_out = row.tokens_out.saturating_add(tokens("tokens_out"));
    row.cost_usd += number(data, "cost_usd").unwrap_or_default();
}

/// US dollars that an event says were spent; never less than none.
pub fn metered_cost(event: &Event) -> f64 {
    match event.kind {
        Kind::InferenceMetered => number(&event.data(), "cost_usd").unwrap_or_default(),
        _ => 0.0,
    }
}

/// A number that is not negative.
fn number(data: &Map<String, Value>, name: &str) -> Option<f64> {
    data.get(name)?.as_f64().map(|it| it.max(0.0))
}

fn ratio(sum: f64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
}

/// The thresholds that a summary passes.
pub fn alerts(sum: &Summary, than: &Thresholds) -> Vec<Alert> {
    let actions = sum.actions_succeeded + sum.actions_failed;
    let error_rate = than.max_error_rate.filter(|_| actions >= than.min_actions);
    let ungrounded = than.max_goals_ungrounded.map(|most| most as f64);
    let rows = [
        (AlertKind::CostOverage, "cost in US dollars", sum.cumulative_cost_usd, than.max_cost_usd),
        (AlertKind::ErrorRate, "share of actions that fail", sum.error_rate, error_rate),
        (AlertKind::Latency, "mean duration in ms", sum.avg_latency_ms, than.max_avg_latency_ms),
        (
            AlertKind::GoalUngrounded,
            "goals judged without ground",
            sum.goals_ungrounded as f64,
            ungrounded,
        ),
    ];
    let fired = rows.into_iter().filter_map(|(kind, what, observed, threshold)| {
        let threshold = threshold.filter(|threshold| observed > *threshold)?;
        let message = format!("{what}: {observed} is more than {threshold}");
        Some(Alert { kind, message, observed, threshold })
    });
    fired.collect()
}

#[cfg(test)]
mod tests;
