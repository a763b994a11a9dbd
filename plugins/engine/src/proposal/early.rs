//! Whether an action may start before the levels below its own are done, with the same results. Pure.

use std::collections::HashSet;

use carport_engine_model::{Action, ActionType, FailureBehavior};

/// What an action touches, as far as it can be known beforehand.
#[derive(Debug, Default)]
pub(crate) struct Touch {
    reads: HashSet<String>,
    writes: HashSet<String>,
    /// A key is decided by an output, so that any key may be touched.
    unknown: bool,
    /// Its checks look at more than its predecessors decide.
    looks_around: bool,
    /// It may end the proposal.
    may_abort: bool,
}

impl Touch {
    pub(crate) fn of(action: &Action) -> Self {
        let own = action.state_key().map(str::to_owned);
        let writes_own = action.kind == ActionType::StateWrite;
        let mut touch = Self {
            unknown: own.as_ref().is_some_and(|key| key.contains('$')),
            looks_around: !action.preconditions.is_empty(),
            may_abort: action.failure_behavior != FailureBehavior::Skip
                && action.kind != ActionType::StateRead,
            ..Self::default()
        };
        touch.reads.extend(action.state_dependencies.iter().chain(&action.read_set).cloned());
        touch.reads.extend(action.preconditions.iter().map(|it| it.key.clone()));
        touch.writes.extend(action.expected_effects.keys().chain(&action.write_set).cloned());
        match writes_own {
            true => touch.writes.extend(own),
            false => touch.reads.extend(own),
        }
        touch
    }

    /// Whether an action with this touch may start while `before`, of an earlier level, is not done:
    /// neither can then see or change what the other does, nor end the proposal first.
    pub(crate) fn may_pass(&self, before: &Self) -> bool {
        let apart = |one: &HashSet<String>, other: &HashSet<String>| one.is_disjoint(other);
        !self.looks_around
            && !self.unknown
            && !before.unknown
            && !before.may_abort
            && apart(&self.writes, &before.writes)
            && apart(&self.writes, &before.reads)
            && apart(&self.reads, &before.writes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn touch(action: Value) -> Touch {
        Touch::of(&serde_json::from_value(action).unwrap())
    }

    #[test]
    fn an_action_passes_only_what_cannot_matter_to_it() {
        let tool = |more: Value| {
            let mut action = json!({ "id": "a", "type": "tool_call", "tool": "t" });
            action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            touch(action)
        };
        let skips = |more: Value| {
            let mut more = more;
            more["failure_behavior"] = json!("skip");
            tool(more)
        };
        let plain = tool(json!({}));
        assert!(plain.may_pass(&skips(json!({}))));
        assert!(!plain.may_pass(&plain), "it may abort");
        let writes = json!({ "expected_effects": { "k": 1 } });
        assert!(!tool(writes.clone()).may_pass(&skips(writes.clone())));
        assert!(!tool(json!({ "read_set": ["k"] })).may_pass(&skips(writes.clone())));
        assert!(!tool(writes).may_pass(&skips(json!({ "preconditions": [{ "key": "k" }] }))));
        let conditions = json!({ "preconditions": [{ "key": "x" }] });
        assert!(!tool(conditions).may_pass(&skips(json!({}))));
        let read = json!({ "id": "r", "type": "state_read", "parameters": { "key": "k" } });
        assert!(plain.may_pass(&touch(read)), "a read cannot fail");
        let any = json!({ "id": "r", "type": "state_read", "parameters": { "key": "$a.output" } });
        assert!(!plain.may_pass(&touch(any)));
    }
}
