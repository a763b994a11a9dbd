//! Proposals: checked, gated, executed, and told about.

mod action;
mod attempts;
mod batch;
pub(crate) mod deadline;
mod early;
mod gates;
pub(crate) mod replan;
pub(crate) mod report;
pub(crate) mod scope;

use std::sync::Arc;

use carport_core::{Result, RpcError, Session};
use carport_engine_api::CONNECTION_ENDED;
use carport_engine_journal::{Kind, NewEvent};
use carport_engine_model::{ActionProposal, Order, ProposalResult};
use serde_json::json;
use tokio::{sync::oneshot, time::Instant};

use self::{report::fit, scope::ProposalScope};
use crate::{
    SetReplanConfig,
    hub::{Hub, Who},
    runtime::{Entered, Halt, Runtime},
};

/// A proposal and what goes with it.
pub(crate) struct Submission {
    pub(crate) proposal: ActionProposal,
    pub(crate) scope: Option<ProposalScope>,
    pub(crate) policy_session: Option<String>,
    pub(crate) who: Who,
    /// What is said if nobody waits for it any more, unless the connection ended.
    pub(crate) given_up: &'static str,
}

/// What stays the same while a proposal and its corrections are executed.
pub(crate) struct Run {
    pub(crate) hub: Arc<Hub>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) scope: ProposalScope,
    pub(crate) scoped: bool,
    pub(crate) policy_session: Option<String>,
    pub(crate) who: Who,
    /// The run that was current on the connection that proposes, when the proposal came.
    pub(crate) run_id: Option<String>,
    pub(crate) entered: Entered,
}

/// What became of one proposal of a run.
struct Round {
    result: ProposalResult,
    /// A failure ended it, and its state was rolled back.
    aborted: bool,
    /// It was ended from outside.
    stopped: bool,
}

/// Reads a proposal's gaps in and checks it; returns the order of its actions.
pub(crate) fn prepare(
    hub: &Hub,
    runtime: &Runtime,
    tenant: &str,
    proposal: &mut ActionProposal,
) -> Result<Order> {
    proposal.fill(hub.now(), fresh);
    let order = {
        let state = runtime.state.lock();
        proposal.order(&|key| state.has(tenant, key))?
    };
    if tenant.is_empty() {
        for (at, action) in proposal.actions.iter().enumerate() {
            action.check_unscoped(&format!("proposal.actions[{at}]"))?;
        }
    }
    Ok(order)
}

fn fresh() -> [u8; 6] {
    let mut bytes = [0; 6];
    if getrandom::fill(&mut bytes).is_err() {
        bytes.copy_from_slice(&uuid::Uuid::new_v4().as_bytes()[..6]);
    }
    bytes
}

/// Executes a proposal and its corrections. Dropped, it ends them: open calls are cancelled, state is
/// rolled back, and the journal says so.
pub(crate) async fn submit(
    hub: &Arc<Hub>,
    runtime: &Arc<Runtime>,
    submission: Submission,
) -> Result<ProposalResult> {
    let Submission { mut proposal, scope, policy_session, who, given_up: reason } = submission;
    if let Some(scope) = &scope {
        scope.check()?;
    }
    if let Some(id) = &policy_session {
        runtime.policies.lock().has_session(id)?;
    }
    let scoped = scope.is_some();
    let scope = scope.unwrap_or_default();
    let order = prepare(hub, runtime, scope.tenant(), &mut proposal)?;
    let run_id = who.proposer().and_then(|session| hub.runs.as_ref()?.current(session));
    let entered = runtime.enter(&proposal.id);
    let given_up = GivenUp { halt: entered.halt.clone(), session: who.session.clone(), reason };
    if who.session.as_ref().is_some_and(|session| session.is_closed()) {
        // It came too late for the end of the runtime to find it.
        entered.halt.now(CONNECTION_ENDED);
    }
    let (hub, runtime) = (hub.clone(), runtime.clone());
    let tasks = hub.tasks.clone();
    let run = Run { hub, runtime, scope, scoped, policy_session, who, run_id, entered };
    let (done, result) = oneshot::channel();
    // A task of its own, so that it can end in order when nobody waits for it any more.
    tasks.spawn("proposal", async move {
        let journal = run.runtime.journal.clone();
        let result = run.execute(proposal, order).await;
        // A failure is logged and counted by the journal: what ran must be heard of all the same.
        let _ = journal.flush().await;
        let _ = done.send(result);
    });
    let result = result.await;
    drop(given_up);
    result.map_err(|_| RpcError::internal("the proposal ended inside; the daemon's log says more"))
}

/// Nobody waits for a proposal any more.
struct GivenUp {
    halt: Arc<Halt>,
    session: Option<Arc<Session>>,
    reason: &'static str,
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.halt.now(match &self.session {
            Some(session) if session.is_closed() => CONNECTION_ENDED,
            _ => self.reason,
        });
    }
}

impl Run {
    /// Executes a proposal, then the corrections that the client sends.
    async fn execute(self, proposal: ActionProposal, order: Order) -> ProposalResult {
        let config = match self.who.proposer() {
            Some(_) => self.runtime.replan.lock().clone(),
            None => SetReplanConfig::default(),
        };
        let original = proposal.id.clone();
        let (mut proposal, mut order, mut replans, mut replaced) = (proposal, order, 0, false);
        let round = loop {
            let more = replans < config.max_replans();
            let corrected = more && config.replan_on_rejected();
            let round = self.round(&proposal, &order, replans, corrected).await;
            let wanted = !round.stopped && config.wants(&round);
            if wanted && !more && replans > 0 {
                self.tell_of_replans(&proposal, &round.result);
            }
            if !wanted || !more {
                break round;
            }
            replans += 1;
            match self.replanned(&proposal, &round.result, replans, &config).await {
                Some(next) => ((proposal, order), replaced) = (next, true),
                None => break round,
            }
        };
        let mut result = round.result;
        result.replans = replans;
        result.original_proposal_id = replaced.then_some(original);
        fit(&mut result);
        result
    }

    /// One proposal, from its gates to its end in the journal.
    async fn round(
        &self,
        proposal: &ActionProposal,
        order: &Order,
        replans: u32,
        corrected: bool,
    ) -> Round {
        let began = Instant::now();
        self.announce(proposal).await;
        let executed = match self.admit(proposal).await {
            Ok(admitted) => batch::execute(self, proposal, order, admitted, corrected).await,
            Err(refused) => batch::refused(self, proposal, refused).await,
        };
        let took = began.elapsed().as_secs_f64() * 1000.0;
        self.completed(proposal, executed, replans, took).await
    }

    async fn announce(&self, proposal: &ActionProposal) {
        use std::sync::atomic::Ordering;
        if self.scoped || !self.runtime.introduced.swap(true, Ordering::Relaxed) {
            let shown = self.scope.shown();
            let session = self.who.session.as_ref();
            let data = report::without_nulls(json!({
                "caller": shown.caller_id,
                "tenant": shown.tenant_id,
                "claims_digest": shown.claims_digest,
                "identity": self.who.identity.role(),
                "agent_id": self.who.identity.agent_id(),
                "protocol_version": session.and_then(|session| session.protocol_version()),
            }));
            self.note(NewEvent::new(Kind::SessionScope, data).of_proposal(&proposal.id)).await;
        }
        let data = json!({
            "source": proposal.source,
            "actions": proposal.actions.len(),
            "context_digest": carport_engine_model::digest_object(&proposal.context),
        });
        self.note(NewEvent::new(Kind::ProposalReceived, data).of_proposal(&proposal.id)).await;
    }

    pub(crate) async fn note(&self, event: NewEvent) {
        self.runtime.journal.append(event).await;
    }
}
