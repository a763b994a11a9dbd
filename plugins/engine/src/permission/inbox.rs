//! Operations that wait for a person, as rows of the list of approvals that hosts watch.

use std::{collections::HashMap, sync::Arc, time::Duration};

use carport_core::{
    Approvals, BoxFuture, Clock, Decision as Resolved, Guarded, NewApproval, Result, Session,
    WhenOver,
};
use carport_engine_journal::{Journal, Kind, NewEvent};
use carport_engine_model::{Action, Approval, ApprovalRecord, Decision};
use serde_json::{Map, Value, json};

use super::ledger::Ledger;

/// How long a row waits.
const LIFE: Duration = Duration::from_secs(86_400);

/// Raises one row per operation; deciding it writes the ledger's record.
pub(crate) struct Inbox {
    approvals: Arc<dyn Approvals>,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    raised: Arc<Guarded<Raised>>,
}

/// Operations whose row is pending, with a number that tells one raising from the next, and the row's
/// id once there is one.
#[derive(Default)]
struct Raised {
    pending: HashMap<String, (u64, Option<String>)>,
    next: u64,
}

/// Who asks.
pub(crate) struct Asker<'a> {
    pub(crate) session: &'a Session,
    pub(crate) agent: Option<&'a str>,
    /// Where it is said that a person decided.
    pub(crate) journal: &'a Journal,
}

impl Inbox {
    pub(crate) fn new(
        approvals: Arc<dyn Approvals>,
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { approvals, ledger, clock, raised: Arc::default() }
    }

    /// Raises a row for an operation, unless one is pending. A list that is full is no fault of the
    /// proposal's: its refusal names the fingerprint all the same.
    pub(crate) fn raise(
        &self,
        asker: &Asker<'_>,
        action: &Action,
        parameters: &Map<String, Value>,
        row: &Decision,
    ) {
        let fingerprint = row.fingerprint.clone();
        let number = {
            let mut raised = self.raised.lock();
            if raised.pending.contains_key(&fingerprint) {
                return;
            }
            raised.next += 1;
            let number = raised.next;
            raised.pending.insert(fingerprint.clone(), (number, None));
            number
        };
        let what = action.called_tool().unwrap_or_else(|| action.kind.name());
        let new = NewApproval {
            action: "engine.operation".into(),
            title: format!("{what} needs {}", row.required.name()),
            description: None,
            agent_id: asker.agent.map(str::to_owned),
            context: json!({
                "fingerprint": fingerprint,
                "required_tier": row.required,
                "reversibility": row.reversibility,
                "type": action.kind,
                "tool": action.called_tool(),
                "parameters": parameters,
            }),
            expires_in: LIFE,
            when_over: self.when_over(row, number, asker.journal.clone()),
        };
        match self.approvals.raise("engine", asker.session, new) {
            Ok(id) => {
                let mut raised = self.raised.lock();
                let entry = raised.pending.get_mut(&row.fingerprint);
                if let Some((_, slot)) = entry.filter(|(its, _)| *its == number) {
                    *slot = Some(id);
                }
            }
            Err(error) => {
                forget(&self.raised, &row.fingerprint, number);
                let fingerprint = &row.fingerprint;
                tracing::warn!(%error, fingerprint, "an approval could not be asked for");
            }
        }
    }

    /// A person decided about an operation elsewhere: its row has nothing left to decide.
    pub(crate) fn withdraw(&self, fingerprint: &str) {
        let id = self.raised.lock().pending.get(fingerprint).and_then(|(_, id)| id.clone());
        if let Some(id) = id {
            self.approvals.withdraw(&id);
        }
    }

    fn when_over(&self, row: &Decision, number: u64, journal: Journal) -> WhenOver {
        let (raised, ledger, clock) =
            (self.raised.clone(), self.ledger.clone(), self.clock.clone());
        let (fingerprint, required_tier) = (row.fingerprint.clone(), row.required);
        Box::new(move |decision: Option<Resolved>| {
            forget(&raised, &fingerprint, number);
            let done = async move {
                let Some(decision) = decision else { return Ok(()) };
                let record = ApprovalRecord {
                    fingerprint,
                    decision: match decision.approved {
                        true => Approval::Approved,
                        false => Approval::Rejected,
                    },
                    required_tier,
                    reviewer: format!("host:{}", decision.by),
                    reason: decision.notes,
                    evidence: None,
                    at: clock.now(),
                    expires_at: None,
                };
                ledger.record(record.clone()).await?;
                journal.append(recorded(&record)).await;
                Ok(())
            };
            Box::pin(done) as BoxFuture<'static, Result<()>>
        })
    }
}

/// What a journal says of a record.
pub(crate) fn recorded(record: &ApprovalRecord) -> NewEvent {
    let data = json!({
        "fingerprint": record.fingerprint,
        "decision": record.decision,
        "required": record.required_tier,
        "reviewer": record.reviewer,
    });
    NewEvent::new(Kind::ApprovalRecorded, data)
}

fn forget(raised: &Guarded<Raised>, fingerprint: &str, number: u64) {
    let mut raised = raised.lock();
    if raised.pending.get(fingerprint).is_some_and(|(its, _)| *its == number) {
        raised.pending.remove(fingerprint);
    }
}
