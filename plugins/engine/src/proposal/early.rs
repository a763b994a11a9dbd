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
            // A read that writes nothing cannot fail.
            may_abort: action.failure_behavior != FailureBehavior::Skip
                && (action.kind != ActionType::StateRead || !action.expected_effects.is_empty()),
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

    /// How many keys it names.
    pub(crate) fn keys(&self) -> usize {
        self.reads.len() + self.writes.len()
    }

    /// Whether an action with this touch may start while `before`, of an earlier level, is not done:
    /// neither can then see or change what the other does, nor end the proposal before the other runs.
    pub(crate) fn may_pass(&self, before: &Self) -> bool {
        let apart = |one: &HashSet<String>, other: &HashSet<String>| one.is_disjoint(other);
        !self.looks_around
            && !self.unknown
            && !before.unknown
            && !self.may_abort
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
        let (plain, quiet) = (tool(json!({})), skips(json!({})));
        assert!(quiet.may_pass(&quiet));
        assert!(!quiet.may_pass(&plain), "the other may abort");
        assert!(!plain.may_pass(&quiet), "it may abort before the other has started");
        let writes = json!({ "expected_effects": { "k": 1 } });
        assert!(!skips(writes.clone()).may_pass(&skips(writes.clone())));
        assert!(!skips(json!({ "read_set": ["k"] })).may_pass(&skips(writes.clone())));
        assert!(!skips(writes).may_pass(&skips(json!({ "preconditions": [{ "key": "k" }] }))));
        let conditions = json!({ "preconditions": [{ "key": "x" }] });
        assert!(!skips(conditions).may_pass(&quiet));
        let mut read = json!({ "id": "r", "type": "state_read", "parameters": { "key": "k" } });
        assert!(quiet.may_pass(&touch(read.clone())), "a read cannot fail");
        read["expected_effects"] = json!({ "seen": true });
        assert!(!quiet.may_pass(&touch(read)), "its effects may not fit");
        let any = json!({ "id": "r", "type": "state_read", "parameters": { "key": "$a.output" } });
        assert!(!quiet.may_pass(&touch(any)));
    }
}
