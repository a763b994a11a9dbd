//! The gates that a whole proposal passes or does not: permission, then supervision.

use carport_engine_journal::{Kind, NewEvent};
use carport_engine_model::{ActionProposal, Decision, Tier, Verdict};
use serde_json::json;

use super::{Run, report::without_nulls};
use crate::{
    permission::inbox::Asker,
    supervision::{Admission, Decided, Seen},
};

/// Offending actions that every action's error tells of; an offender always tells of itself.
const TOLD: usize = 3;

/// Why a whole proposal does not run.
pub(super) struct Refused {
    /// One for each action.
    pub(super) errors: Vec<String>,
    /// Whether it lacks a permission.
    pub(super) by_permission: bool,
}

impl Run {
    /// Takes a proposal through its gates. Returns the tier that each action was admitted with.
    pub(super) async fn admit(&self, proposal: &ActionProposal) -> Result<Vec<Tier>, Refused> {
        let rows = self.decisions(proposal);
        for row in &rows {
            self.note_decision(proposal, row).await;
        }
        self.permitted(proposal, &rows).await?;
        self.supervised(proposal, &rows).await?;
        // While it waited, an approval may have expired, or a person may have rejected.
        let rows = self.decisions(proposal);
        for row in rows.iter().filter(|row| row.decision != Verdict::Allow) {
            self.note_decision(proposal, row).await;
        }
        self.permitted(proposal, &rows).await?;
        Ok(rows.into_iter().map(|row| row.required).collect())
    }

    async fn permitted(&self, proposal: &ActionProposal, rows: &[Decision]) -> Result<(), Refused> {
        if rows.iter().all(|row| row.decision == Verdict::Allow) {
            return Ok(());
        }
        self.refused_at("permission", "an action is not permitted", proposal).await;
        self.ask_people(proposal, rows, |row| row.decision == Verdict::NeedsApproval);
        Err(Refused { errors: refusals("permission", rows), by_permission: true })
    }

    fn decisions(&self, proposal: &ActionProposal) -> Vec<Decision> {
        let (granted, now) = (*self.runtime.tier.lock(), self.hub.now());
        let evaluate = |action| {
            let action: &carport_engine_model::Action = action;
            self.hub.ledger.evaluate(action, &action.parameters, granted, now)
        };
        proposal.actions.iter().map(evaluate).collect()
    }

    pub(super) async fn note_decision(&self, proposal: &ActionProposal, row: &Decision) {
        let data = json!({
            "fingerprint": row.fingerprint,
            "decision": row.decision,
            "required": row.required,
            "granted": row.granted,
            "reversibility": row.reversibility,
        });
        let event = NewEvent::new(Kind::PermissionDecision, data);
        self.note(event.of_proposal(&proposal.id).of_action(&row.action_id)).await;
    }

    async fn supervised(
        &self,
        proposal: &ActionProposal,
        rows: &[Decision],
    ) -> Result<(), Refused> {
        let serial = self.who.proposer().map(|session| session.serial());
        let scope = self.scoped.then(|| self.scope.shown());
        let seen = Seen { proposal, serial, session_id: &self.runtime.id, scope };
        let now = self.hub.now();
        let waiting = self.hub.supervision.admit(&seen, rows, &self.hub.ledger, now);
        let admission = tokio::select! {
            admission = waiting => admission,
            // Who ended it hears no answer; the journal does.
            reason = self.entered.halt.wait() => {
                Admission::Denied { reason: reason.into(), decided: None }
            }
        };
        match admission {
            Admission::Allowed(decided) => {
                self.note_supervision(proposal, decided).await;
                Ok(())
            }
            Admission::Denied { reason, decided } => {
                self.note_supervision(proposal, decided).await;
                self.refused_at("supervision", &reason, proposal).await;
                let error = format!("supervision gate: {reason}");
                Err(Refused { errors: vec![error; rows.len()], by_permission: false })
            }
            Admission::Escalated { reason, decided } => {
                self.note_supervision(proposal, Some(decided)).await;
                self.refused_at("supervision", &reason, proposal).await;
                self.ask_people(proposal, rows, |_| true);
                let gate = format!("supervision gate: escalated: {reason}; approval needed for");
                Err(Refused { errors: tell(&gate, rows, |_| true), by_permission: true })
            }
        }
    }

    async fn note_supervision(&self, proposal: &ActionProposal, decided: Option<Decided>) {
        let Some(Decided { intent_id, decision, by }) = decided else { return };
        let data = json!({ "intent_id": intent_id, "decision": decision, "by": by });
        self.note(NewEvent::new(Kind::SupervisionDecided, data).of_proposal(&proposal.id)).await;
    }

    async fn refused_at(&self, gate: &str, reason: &str, proposal: &ActionProposal) {
        let reason = carport_core::mask_text(reason, 512);
        let data = without_nulls(json!({ "gate": gate, "reason": reason }));
        self.note(NewEvent::new(Kind::GateRejected, data).of_proposal(&proposal.id)).await;
    }

    /// Who asks for an approval; only a connection that proposes itself does.
    pub(super) fn asker(&self) -> Option<Asker<'_>> {
        let session = self.who.proposer()?;
        let agent = self.who.identity.agent_id();
        Some(Asker { session, agent, journal: &self.runtime.journal })
    }

    /// Shows hosts what waits for a person.
    fn ask_people(
        &self,
        proposal: &ActionProposal,
        rows: &[Decision],
        wanted: impl Fn(&Decision) -> bool,
    ) {
        let Some(asker) = self.asker() else { return };
        if self.entered.halt.reason().is_some() {
            return;
        }
        for (action, row) in proposal.actions.iter().zip(rows).filter(|(_, row)| wanted(row)) {
            self.hub.inbox.raise(&asker, action, &action.parameters, row);
        }
    }
}

/// The error of each action: its own refusal, if it is one that offends, and the first of all.
fn refusals(gate: &str, rows: &[Decision]) -> Vec<String> {
    let gate = format!("{gate} gate: the proposal is refused:");
    tell(&gate, rows, |row| row.decision != Verdict::Allow)
}

fn tell(gate: &str, rows: &[Decision], offends: impl Fn(&Decision) -> bool) -> Vec<String> {
    let offenders: Vec<_> = rows.iter().filter(|row| offends(row)).collect();
    let first: Vec<_> = offenders.iter().take(TOLD).map(ToString::to_string).collect();
    let more = match offenders.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" | and {more} more"),
    };
    let told: Vec<_> = offenders.iter().take(TOLD).map(|row| row.action_id.as_str()).collect();
    let error = |row: &Decision| {
        let own = offends(row) && !told.contains(&row.action_id.as_str());
        let own = if own { format!("{row} | ") } else { String::new() };
        format!("{gate} {own}{}{more}", first.join(" | "))
    };
    rows.iter().map(error).collect()
}
