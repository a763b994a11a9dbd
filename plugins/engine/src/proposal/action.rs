//! One action: the checks before it, what it does, and what it leaves behind.

use std::sync::Arc;

use carport_engine_api::CONNECTION_ENDED;
use carport_engine_journal::{Kind, NewEvent};
use carport_engine_model::{
    Action, ActionResult, ActionType, Assertion, FailureBehavior, Refusal, StateView, Status,
    Verdict, check_key, fill,
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    attempts::{Counted, Outcome},
    batch::{Batch, Told},
};
use crate::{
    state::State,
    tools::{call::Failure, registry::Tool},
};

/// A tenant's keys as checks see them.
pub(super) struct View<'a> {
    pub(super) state: &'a State,
    pub(super) tenant: &'a str,
}

impl StateView for View<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.state.get(self.tenant, key)
    }
}

/// Why an action does not run.
pub(super) struct Rejection {
    pub(super) error: String,
    pub(super) by_policy: bool,
}

impl Rejection {
    fn of(error: String) -> Self {
        Self { error, by_policy: false }
    }
}

/// A state key that an output decides has the bounds of any other.
fn check_filled_key(
    action: &Action,
    parameters: &Map<String, Value>,
    tenant: &str,
) -> Result<(), Rejection> {
    if action.kind == ActionType::ToolCall {
        return Ok(());
    }
    let key = parameters.get("key").and_then(Value::as_str).unwrap_or_default();
    check_key("key", key, tenant).map_err(|error| Rejection::of(error.message))
}

impl Batch<'_> {
    /// Runs one action, from its checks to its end.
    pub(super) async fn act(&self, at: usize) {
        // The semaphore is never closed.
        let _room = self.run.runtime.room.acquire().await;
        if self.is_aborted() {
            return self.skip(at).await;
        }
        if self.run.who.session.as_ref().is_some_and(|session| session.is_closed()) {
            // Nothing further starts.
            self.run.entered.halt.now(CONNECTION_ENDED);
            return std::future::pending().await;
        }
        let (action, began) = (&self.proposal.actions[at], Instant::now());
        let mut told = Told::default();
        let (tool, counted) = match self.check(at, action, &mut told).await {
            Ok(checked) => checked,
            Err(Rejection { error, by_policy }) => {
                told.by_policy = by_policy;
                let result = self.run.ended(action, Status::Rejected, Some(error));
                return self.keep(at, result, told).await;
            }
        };
        self.progress.lock().running.insert(at, 1);
        let parameters = told.parameters(action).clone();
        let outcome = match tool {
            Some(tool) => self.call(action, tool, &parameters, counted).await,
            None => self.state_attempts(action, &parameters).await,
        };
        let outcome = self.with_effects(action, &parameters, self.held(outcome));
        told.class = outcome.done.as_ref().err().map(|failure| failure.class);
        let duration_ms = began.elapsed().as_secs_f64() * 1000.0;
        let result = self.result(action, outcome, duration_ms);
        self.keep(at, result, told).await;
    }

    /// The checks before an action, in their order; the first that fails decides.
    async fn check(
        &self,
        at: usize,
        action: &Action,
        told: &mut Told,
    ) -> Result<(Option<Arc<Tool>>, Counted), Rejection> {
        self.check_needs(at)?;
        let tenant = self.run.scope.tenant();
        {
            let state = self.run.runtime.state.lock();
            let mut keys = action.state_dependencies.iter();
            if let Some(key) = keys.find(|key| !state.has(tenant, key)) {
                return Err(Rejection::of(format!("state dependency '{key}' not found")));
            }
            self.fill(action, told)?;
            let view = View { state: &state, tenant };
            let mut conditions = action.preconditions.iter();
            conditions
                .try_for_each(|it| it.check(&view))
                .map_err(|unmet| Rejection::of(unmet.to_string()))?;
        }
        let parameters = told.parameters(action).clone();
        check_filled_key(action, &parameters, tenant)?;
        let counted = self.check_policies(action, &parameters).await?;
        let tool = self.check_call(action, &parameters)?;
        if told.filled.is_some() {
            self.check_tier(at, action, &parameters).await?;
        }
        Ok((tool, self.count_call(action, counted)?))
    }

    fn check_needs(&self, at: usize) -> Result<(), Rejection> {
        let progress = self.progress.lock();
        let succeeded =
            |it: &usize| progress.result(*it).is_some_and(|it| it.status == Status::Succeeded);
        match self.order.needs(at).iter().find(|needed| !succeeded(needed)) {
            None => Ok(()),
            Some(needed) => {
                let id = &self.proposal.actions[*needed].id;
                Err(Rejection::of(format!("dependency '{id}' did not succeed")))
            }
        }
    }

    /// Fills references in, within what the proposal may hold.
    fn fill(&self, action: &Action, told: &mut Told) -> Result<(), Rejection> {
        let mut progress = self.progress.lock();
        let output = |id: &str| progress.result(*self.ids.get(id)?)?.output.as_ref();
        let filled = fill(&action.parameters, &|id| self.ids.contains_key(id), &output);
        let Some(filled) = filled.map_err(|unfilled| Rejection::of(unfilled.to_string()))? else {
            return Ok(());
        };
        let bytes = serde_json::to_vec(&filled).map_or(usize::MAX, |json| json.len());
        progress.hold(bytes).map_err(Rejection::of)?;
        (told.filled, told.filled_bytes) = (Some(filled), bytes);
        Ok(())
    }

    /// Asks every policy; all reasons are reported.
    async fn check_policies(
        &self,
        action: &Action,
        parameters: &Map<String, Value>,
    ) -> Result<Counted, Rejection> {
        let (run, operation) = (self.run, action.with_parameters(parameters));
        let mut refusals = {
            let state = run.runtime.state.lock();
            let view = View { state: &state, tenant: run.scope.tenant() };
            let policies = run.runtime.policies.lock();
            policies.refusals(run.policy_session.as_deref(), &operation, &view)
        };
        refusals.extend(run.hub.rules.refusals(&operation));
        let mut counted = Counted::new(&run.runtime, operation.tool);
        if let Err(refusal) = counted.by_rules() {
            refusals.push(refusal);
        }
        if refusals.is_empty() {
            return Ok(counted);
        }
        let texts: Vec<_> = refusals.iter().map(Refusal::to_string).collect();
        for refusal in refusals {
            let data = json!({ "policy": refusal.policy, "reason": refusal.reason });
            let event = NewEvent::new(Kind::PolicyViolation, data);
            run.note(event.of_proposal(&self.proposal.id).of_action(&action.id)).await;
        }
        Err(Rejection { error: texts.join("; "), by_policy: true })
    }

    /// The tool, if it is there and takes these parameters; `None` if the action calls none.
    fn check_call(
        &self,
        action: &Action,
        parameters: &Map<String, Value>,
    ) -> Result<Option<Arc<Tool>>, Rejection> {
        let Some(name) = action.called_tool() else { return Ok(None) };
        let tool = self.run.runtime.tools.lock().get(name);
        let tool = tool.ok_or_else(|| Rejection::of(format!("tool '{name}' is not registered")))?;
        match tool.misfit(parameters) {
            None => Ok(Some(tool)),
            Some(why) => {
                let error = format!("parameters of tool '{name}' do not fit its schema: {why}");
                Err(Rejection::of(error))
            }
        }
    }

    /// What was filled in may need more than what was admitted.
    async fn check_tier(
        &self,
        at: usize,
        action: &Action,
        parameters: &Map<String, Value>,
    ) -> Result<(), Rejection> {
        let run = self.run;
        let granted = *run.runtime.tier.lock();
        let row = run.hub.ledger.evaluate(action, parameters, granted, run.hub.now());
        // A person who approved a template approved what fills its gaps, up to the same tier.
        let admitted = row.required <= self.admitted[at] && row.decision != Verdict::Deny;
        if row.decision == Verdict::Allow || admitted {
            return Ok(());
        }
        run.note_decision(self.proposal, &row).await;
        if let (Verdict::NeedsApproval, Some(asker)) = (row.decision, run.asker()) {
            run.hub.inbox.raise(&asker, action, parameters, &row);
        }
        let error = format!("permission gate, after references were filled in: {row}");
        Err(Rejection { error, by_policy: true })
    }

    fn count_call(&self, action: &Action, mut counted: Counted) -> Result<Counted, Rejection> {
        match counted.by_tool() {
            Ok(()) => Ok(counted),
            Err(when) => {
                let name = action.called_tool().unwrap_or_default();
                Err(Rejection::of(format!("tool '{name}' is over its rate limit; {when}")))
            }
        }
    }

    /// What the actions do that work on state.
    pub(super) fn on_state(
        &self,
        action: &Action,
        parameters: &Map<String, Value>,
    ) -> Result<Value, Failure> {
        let state = self.run.runtime.state.lock();
        let view = View { state: &state, tenant: self.run.scope.tenant() };
        let key = parameters.get("key").and_then(Value::as_str);
        let no_key = || Failure::new("validation", "`key` is not a string");
        match (action.kind, key) {
            (ActionType::StateRead, Some(key)) => Ok(view.get(key).cloned().unwrap_or_default()),
            (ActionType::StateWrite, Some(key)) => Ok(format!("written: {key}").into()),
            (ActionType::Assertion, Some(_)) => match Assertion::of(parameters) {
                Some(assertion) => assertion
                    .check(&view)
                    .map(|()| true.into())
                    .map_err(|unmet| Failure::new("validation", unmet.to_string())),
                None => Err(Failure::new("validation", "the assertion is malformed")),
            },
            _ => Err(no_key()),
        }
    }

    /// An output beyond what the proposal may hold is a failure.
    fn held(&self, mut outcome: Outcome) -> Outcome {
        if let Ok(output) = &outcome.done {
            let bytes = serde_json::to_vec(output).map_or(usize::MAX, |json| json.len());
            if let Err(error) = self.progress.lock().hold(bytes) {
                outcome.done = Err(Failure::new("unknown", error));
            }
        }
        outcome
    }

    /// After a success, writes what the action writes.
    fn with_effects(
        &self,
        action: &Action,
        parameters: &Map<String, Value>,
        mut outcome: Outcome,
    ) -> Outcome {
        if outcome.done.is_err() {
            return outcome;
        }
        let mut writes = Map::new();
        if let (ActionType::StateWrite, Some(Value::String(key))) =
            (action.kind, parameters.get("key"))
        {
            let value = parameters.get("value").cloned().unwrap_or_default();
            writes.insert(key.clone(), value);
        }
        writes.extend(action.expected_effects.clone());
        if writes.is_empty() {
            return outcome;
        }
        let tenant = self.run.scope.tenant();
        let mut state = self.run.runtime.state.lock();
        let mut progress = self.progress.lock();
        match state.write(tenant, &writes, &mut progress.undo) {
            Ok(()) => outcome.changes = writes,
            Err(full) => outcome.done = Err(Failure::new("unknown", full.to_string())),
        }
        outcome
    }

    fn result(&self, action: &Action, outcome: Outcome, duration_ms: f64) -> ActionResult {
        let Outcome { done, changes, attempts, cached } = outcome;
        let (status, output, error) = match done {
            Ok(output) => (Status::Succeeded, Some(output), None),
            Err(failure) => {
                let skips = action.failure_behavior == FailureBehavior::Skip;
                let status = if skips { Status::Skipped } else { Status::Failed };
                (status, None, Some(failure.error))
            }
        };
        ActionResult {
            output,
            state_changes: changes,
            duration_ms,
            attempts,
            cached: cached.then_some(true),
            ..self.run.ended(action, status, error)
        }
    }
}
