//! What is told of a proposal afterwards: in the journal, to the run's record, and in the reply.

use std::collections::HashSet;

use carport_core::mask_text;
use carport_engine_journal::{Kind, NewEvent};
use carport_engine_model::{
    Action, ActionProposal, ActionResult, CostSummary, ProposalResult, Status, digest,
    digest_object,
};
use carport_runs_api::ObservedTurn;
use serde_json::{Map, Value, json};

use super::{
    Round, Run,
    batch::{Executed, Told},
};

/// Bytes of JSON of all results in one reply.
const MAX_REPLY: usize = 8 << 20;
/// Turns that the recorder takes at once.
const TURNS: usize = 256;

impl Run {
    /// The end of one proposal: the journal, then the run's record, then its result.
    pub(super) async fn completed(
        &self,
        proposal: &ActionProposal,
        executed: Executed,
        replans: u32,
        took: f64,
    ) -> Round {
        let Executed { results, told, aborted, stopped } = executed;
        let cost = CostSummary::of(&proposal.actions, &results, took);
        let data = without_nulls(json!({ "cost": cost, "replans": replans, "stopped": stopped }));
        self.note(NewEvent::new(Kind::ProposalCompleted, data).of_proposal(&proposal.id)).await;
        self.observe(&proposal.actions, &results, told).await;
        let result = ProposalResult {
            proposal_id: proposal.id.clone(),
            results,
            cost,
            replans,
            original_proposal_id: None,
        };
        Round { result, aborted, stopped: stopped.is_some() }
    }

    /// Records what ran or was rejected into the run that was current when the proposal came.
    async fn observe(&self, actions: &[Action], results: &[ActionResult], told: Vec<Told>) {
        let (Some(runs), Some(session)) = (&self.hub.runs, &self.who.session) else { return };
        let Some(run_id) = &self.run_id else { return };
        let rows = actions.iter().zip(results).zip(told);
        let turns = rows.filter(|((_, result), _)| result.status != Status::Skipped);
        let mut turns: Vec<_> =
            turns.map(|((action, result), told)| turn(action, result, told)).collect();
        while !turns.is_empty() {
            let rest = turns.split_off(turns.len().min(TURNS));
            runs.observe(session, run_id, std::mem::replace(&mut turns, rest)).await;
        }
    }

    /// Says in the journal how an action ended.
    pub(super) async fn note_action(
        &self,
        proposal: &ActionProposal,
        action: &Action,
        result: &ActionResult,
        told: &Told,
    ) {
        let kind = match result.status {
            Status::Succeeded => Kind::ActionSucceeded,
            Status::Failed => Kind::ActionFailed,
            Status::Skipped => Kind::ActionSkipped,
            _ => Kind::ActionRejected,
        };
        let error = result.error.as_deref().map(|error| mask_text(error, 512));
        let ran = matches!(kind, Kind::ActionSucceeded | Kind::ActionFailed);
        let data = json!({
            "tool": action.called_tool(),
            "error": error,
            "attempt": (!ran).then_some(result.attempts),
            "params_digest": ran.then(|| digest_object(told.parameters(action))),
            "effect_keys": ran.then(|| {
                shown_keys(std::slice::from_ref(action), result.state_changes.keys())
            }),
            "duration_ms": ran.then_some(result.duration_ms),
            "cached": result.cached,
            "error_class": told.class.filter(|_| kind == Kind::ActionFailed),
        });
        let event = NewEvent::new(kind, without_nulls(data));
        self.note(event.of_proposal(&proposal.id).of_action(&action.id)).await;
        if told.class.is_some() {
            self.tell_of_failure(action, result);
        }
    }
}

fn turn(action: &Action, result: &ActionResult, told: Told) -> ObservedTurn {
    let output = match &result.error {
        Some(error) if result.status != Status::Succeeded => json!({ "error": error }),
        _ => result.output.clone().unwrap_or_default(),
    };
    ObservedTurn {
        tool: Some(action.called_tool().unwrap_or_else(|| action.kind.name()).to_owned()),
        parameters: Some(told.filled.unwrap_or_else(|| action.parameters.clone()).into()),
        output: Some(output),
        policy_rejected: told.by_policy.then_some(true),
    }
}

/// State keys as the journal shows them: a key that an output decided only as a digest.
pub(super) fn shown_keys<'a>(
    actions: &[Action],
    keys: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let mut written = HashSet::new();
    for action in actions {
        written.extend(action.expected_effects.keys().map(String::as_str));
        written.extend(action.state_key());
    }
    let shown = |key: &String| match written.contains(key.as_str()) {
        true => key.clone(),
        false => digest(&json!(key)),
    };
    keys.map(shown).collect()
}

/// An object without its members that are `null`.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// Leaves out outputs that would not fit into one reply, and says so: what ran must be heard of.
pub(super) fn fit(result: &mut ProposalResult) {
    let mut room = MAX_REPLY;
    for it in &mut result.results {
        let bytes = serde_json::to_vec(it).map_or(usize::MAX, |json| json.len());
        if let Some(left) = room.checked_sub(bytes) {
            room = left;
            continue;
        }
        let note = format!("{bytes} bytes of output and state changes are left out of this reply");
        it.output = None;
        it.state_changes = Map::new();
        it.error = Some(match it.error.take() {
            Some(error) => format!("{error}; {note}"),
            None => note,
        });
        let bytes = serde_json::to_vec(it).map_or(0, |json| json.len());
        room = room.saturating_sub(bytes);
    }
}
