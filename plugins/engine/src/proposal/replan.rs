//! Asking the client for a corrected proposal after a failure.

use std::time::Duration;

use carport_core::ClientRequest;
use carport_engine_journal::{Kind, NewEvent};
use carport_engine_model::{ActionProposal, Order, ProposalResult, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Round, Run, deadline::REPLAN_WAIT, prepare, report::without_nulls};
use crate::SetReplanConfig;

/// Asks for a corrected proposal. `null` ends the matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AskReplan {
    /// The proposal that failed.
    pub proposal: ActionProposal,
    /// What of it failed, or was rejected.
    pub failed: Vec<FailedAction>,
    /// Counts from 1.
    pub attempt: u32,
}

/// An action that did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailedAction {
    /// The action.
    pub action_id: String,
    /// The tool of a tool call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// As proposed.
    pub parameters: Map<String, Value>,
    /// `failed` or `rejected`.
    pub status: Status,
    /// Why.
    pub error: Option<String>,
}

/// The correction; nothing, or `null` in the place of all, if there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replanned {
    /// It takes the place of the one that failed.
    pub proposal: Option<Value>,
}

impl ClientRequest for AskReplan {
    const NAME: &'static str = "proposal.replan";
    type Reply = Option<Replanned>;
}

impl SetReplanConfig {
    /// Whether a correction is to be asked for after this.
    pub(super) fn wants(&self, round: &Round) -> bool {
        let rejected = |status| status == Status::Rejected;
        let any_rejected = round.result.results.iter().any(|it| rejected(it.status));
        round.aborted || (self.replan_on_rejected() && any_rejected)
    }
}

impl Run {
    /// The corrected proposal and its order; `None` ends the matter with the last result.
    pub(super) async fn replanned(
        &self,
        proposal: &ActionProposal,
        result: &ProposalResult,
        attempt: u32,
        config: &SetReplanConfig,
    ) -> Option<(ActionProposal, Order)> {
        let answer = tokio::select! {
            answer = self.ask_replan(proposal, result, attempt, config.delay()) => answer,
            reason = self.entered.halt.wait() => Err(reason.to_owned()),
        };
        let next = match answer {
            Ok(next) => self.check_replan(next, config).await,
            Err(none) => Err(none),
        };
        let error = next.as_ref().err().map(|error| carport_core::mask_text(error, 512));
        let data = json!({ "attempt": attempt, "accepted": next.is_ok(), "error": error });
        let event = NewEvent::new(Kind::ReplanAttempted, without_nulls(data));
        self.note(event.of_proposal(&proposal.id)).await;
        next.ok()
    }

    async fn ask_replan(
        &self,
        proposal: &ActionProposal,
        result: &ProposalResult,
        attempt: u32,
        delay: Duration,
    ) -> Result<Value, String> {
        tokio::time::sleep(delay).await;
        let session = self.who.session.as_ref().ok_or("there is no client to ask")?;
        let bad = |status| matches!(status, Status::Failed | Status::Rejected);
        let rows = proposal.actions.iter().zip(&result.results);
        let failed =
            rows.filter(|(_, result)| bad(result.status)).map(|(action, result)| FailedAction {
                action_id: action.id.clone(),
                tool: action.called_tool().map(str::to_owned),
                parameters: action.parameters.clone(),
                status: result.status,
                error: result.error.clone(),
            });
        let ask = AskReplan { proposal: proposal.clone(), failed: failed.collect(), attempt };
        // Its own words, and those about what does not read, may quote what is in the proposal.
        let answer = session.request(&ask, REPLAN_WAIT).await;
        let answer =
            answer.map_err(|error| format!("the client did not answer: {}", error.code))?;
        answer.and_then(|it| it.proposal).ok_or_else(|| "the client has no correction".into())
    }

    /// Reads, checks and, if it is asked for, verifies a correction.
    async fn check_replan(
        &self,
        next: Value,
        config: &SetReplanConfig,
    ) -> Result<(ActionProposal, Order), String> {
        let mut next: ActionProposal =
            serde_json::from_value(next).map_err(|_| "the correction is not a proposal")?;
        let order = prepare(&self.hub, &self.runtime, self.scope.tenant(), &mut next)
            .map_err(|error| error.message)?;
        if !config.verify_before_execute() {
            return Ok((next, order));
        }
        let (runtime, tenant) = (self.runtime.clone(), self.scope.tenant().to_owned());
        let halt = self.entered.halt.clone();
        let verified = tokio::task::spawn_blocking(move || {
            let stop = || halt.reason().is_some();
            runtime.verify_now(&next, &tenant, &stop).map(|()| next)
        });
        let next = verified.await.map_err(|_| "the verification ended inside")??;
        Ok((next, order))
    }
}
