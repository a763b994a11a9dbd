//! Operations that wait for a person, as rows of the list of approvals that hosts watch.

use std::{collections::HashMap, sync::Arc, time::Duration};

use carport_core::{
    Approvals, BoxFuture, Clock, Decision as Resolved, Guarded, NewApproval, Result, Session,
    WhenOver,
};
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
    /// Operations whose row is pending, with a number that tells one raising from the next.
    raised: Arc<Guarded<Raised>>,
}

#[derive(Default)]
struct Raised {
    pending: HashMap<String, u64>,
    next: u64,
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
        asker: &Session,
        agent: Option<&str>,
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
            raised.pending.insert(fingerprint.clone(), number);
            number
        };
        let what = action.called_tool().unwrap_or_else(|| action.kind.name());
        let new = NewApproval {
            action: "engine.operation".into(),
            title: format!("{what} needs {}", row.required.name()),
            description: None,
            agent_id: agent.map(str::to_owned),
            context: json!({
                "fingerprint": fingerprint,
                "required_tier": row.required,
                "reversibility": row.reversibility,
                "type": action.kind,
                "tool": action.called_tool(),
                "parameters": parameters,
            }),
            expires_in: LIFE,
            when_over: self.when_over(row, number),
        };
        if let Err(error) = self.approvals.raise("engine", asker, new) {
            forget(&self.raised, &row.fingerprint, number);
            tracing::warn!(%error, fingerprint = row.fingerprint, "an approval could not be asked for");
        }
    }

    fn when_over(&self, row: &Decision, number: u64) -> WhenOver {
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
                ledger.record(record).await
            };
            Box::pin(done) as BoxFuture<'static, Result<()>>
        })
    }
}

fn forget(raised: &Guarded<Raised>, fingerprint: &str, number: u64) {
    let mut raised = raised.lock();
    if raised.pending.get(fingerprint) == Some(&number) {
        raised.pending.remove(fingerprint);
    }
}
