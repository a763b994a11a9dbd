//! How long `proposal.submit` may take, so that whoever gives up first is the innermost. Pure.

use std::time::Duration;

use carport_engine_model::Action;

/// What a proposal needs beside its actions.
const SPARE: Duration = Duration::from_secs(15);
/// How long the client may take over a corrected proposal.
pub(crate) const REPLAN_WAIT: Duration = Duration::from_secs(120);

/// `(15 s + sum of budget x attempts) x (1 + replans) + replans x (delay + 120 s)`; a budget is
/// `timeout_ms` or the tool default.
pub(crate) fn needed(
    actions: &[Action],
    tool_timeout: Duration,
    max_replans: u32,
    delay: Duration,
) -> Duration {
    let budget = |action: &Action| {
        let one = action.timeout_ms.map_or(tool_timeout, Duration::from_millis);
        one.saturating_mul(action.attempts())
    };
    let once = actions.iter().map(budget).fold(SPARE, Duration::saturating_add);
    let asking = (delay + REPLAN_WAIT).saturating_mul(max_replans);
    once.saturating_mul(1 + max_replans).saturating_add(asking)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_attempt_and_every_replan_has_its_time() {
        let actions: Vec<Action> = serde_json::from_value(json!([
            { "id": "a", "type": "tool_call", "tool": "t", "timeout_ms": 2000,
              "failure_behavior": "retry", "max_retries": 4 },
            { "id": "b", "type": "tool_call", "tool": "t", "max_retries": 4 },
        ]))
        .unwrap();
        let tool = Duration::from_secs(300);
        let secs = |replans, delay| needed(&actions, tool, replans, delay).as_secs();
        assert_eq!(secs(0, Duration::ZERO), 15 + 5 * 2 + 300);
        assert_eq!(secs(2, Duration::from_secs(5)), 3 * 325 + 2 * 125);
        assert_eq!(needed(&[], tool, 0, Duration::ZERO), SPARE);
    }
}
