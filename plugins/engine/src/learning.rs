//! What a connection's memory is told of failures, where this build has a memory.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use carport_core::{Session, mask_text};
use carport_engine_model::{Action, ActionProposal, ActionResult, ProposalResult, Status};
use carport_memory_api::{Event, Memory, Observed};

use crate::proposal::Run;

/// Characters of an error that are told: as many as a journal keeps.
const ERROR: usize = 512;

/// Tells a memory what was seen of a connection. Called under no lock; a memory that fails costs nothing
/// but this.
pub(crate) fn tell(
    memory: Option<&Arc<dyn Memory>>,
    session: Option<&Arc<Session>>,
    tenant: &str,
    observed: Observed,
) {
    let (Some(memory), Some(session)) = (memory, session) else { return };
    let tenant_id = (!tenant.is_empty()).then(|| tenant.to_owned());
    let event = Event { tenant_id, observed };
    if catch_unwind(AssertUnwindSafe(|| memory.observe(session, event))).is_err() {
        tracing::error!("the memory panicked over what it was told");
    }
}

/// What a goal check teaches; nothing if the goal was met on evidence.
pub(crate) fn open_goal(
    goal: &str,
    met: bool,
    grounded: bool,
    reason: Option<&str>,
) -> Option<Observed> {
    let why = match (met, grounded) {
        (true, true) => return None,
        (true, false) => "met without evidence",
        (false, _) => "not met",
    };
    let reason = match reason {
        Some(reason) => format!("{why}: {}", mask_text(reason, ERROR)),
        None => why.to_owned(),
    };
    Some(Observed::GoalOpen { goal: goal.to_owned(), reason })
}

impl Run {
    /// An action failed for good; one that its proposal lets be skipped is shown as skipped.
    pub(crate) fn tell_of_failure(&self, action: &Action, result: &ActionResult) {
        let tool = action.called_tool().unwrap_or_else(|| action.kind.name()).to_owned();
        let error = masked(result.error.as_deref());
        let is_used_up = action.attempts() > 1
            && result.attempts >= action.attempts()
            && self.entered.halt.reason().is_none();
        if is_used_up {
            let (tool, error) = (tool.clone(), error.clone());
            self.tell(Observed::RetriesUsedUp { tool, error });
        }
        self.tell(Observed::ActionFailed { tool, error });
    }

    /// A proposal is still not well after its last correction.
    pub(crate) fn tell_of_replans(&self, proposal: &ActionProposal, result: &ProposalResult) {
        let is_bad = |it: &&ActionResult| matches!(it.status, Status::Failed | Status::Rejected);
        let last = result.results.iter().find(is_bad);
        let reason = masked(last.and_then(|it| it.error.as_deref()));
        let source = proposal.source.clone();
        self.tell(Observed::ReplansUsedUp { source, reason });
    }

    fn tell(&self, observed: Observed) {
        let session = self.who.session.as_ref();
        tell(self.hub.memory.as_ref(), session, self.scope.tenant(), observed);
    }
}

fn masked(error: Option<&str>) -> String {
    mask_text(error.unwrap_or_default(), ERROR)
}
