//! Operations that wait for a person, as rows of the list of approvals that hosts watch.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use carport_core::{
    Approvals, BoxFuture, Clock, Decision as Resolved, Guarded, NewApproval, Result, RpcError,
    Session, WhenOver, bounds, mask_text,
};
use carport_engine_journal::{Journal, Kind, NewEvent};
use carport_engine_model::{Action, Approval, ApprovalRecord, Decision, Tier, digest_object};
use serde_json::{Map, Value, json};

use super::ledger::Ledger;

/// How long a row waits.
const LIFE: Duration = Duration::from_secs(86_400);
/// Characters that are shown of parameters that are too large.
const PREVIEW: usize = 512;

/// Raises one row per operation; deciding it writes the ledger's record.
pub(crate) struct Inbox {
    approvals: Arc<dyn Approvals>,
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    raised: Arc<Guarded<Raised>>,
}

/// Operations whose row is pending.
#[derive(Default)]
struct Raised {
    pending: HashMap<String, Pending>,
    next: u64,
}

/// An operation whose row is pending.
struct Pending {
    /// Tells one raising from the next.
    number: u64,
    /// The row's, once there is one.
    id: Option<String>,
    required: Tier,
    /// The connections that asked for it.
    askers: HashSet<String>,
    /// It was decided elsewhere before the row had an id.
    withdrawn: bool,
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
            let asker = asker.session.id().to_owned();
            if let Some(pending) = raised.pending.get_mut(&fingerprint) {
                pending.askers.insert(asker);
                return;
            }
            raised.next += 1;
            let number = raised.next;
            let (id, required, askers) = (None, row.required, HashSet::from([asker]));
            let pending = Pending { number, id, required, askers, withdrawn: false };
            raised.pending.insert(fingerprint, pending);
            number
        };
        let what = action.called_tool().unwrap_or_else(|| action.kind.name());
        let new = NewApproval {
            action: "engine.operation".into(),
            title: format!("{what} needs {}", row.required.name()),
            description: None,
            agent_id: asker.agent.map(str::to_owned),
            context: context(action, parameters, row),
            expires_in: LIFE,
            when_over: self.when_over(row, number, asker.journal.clone()),
        };
        match self.approvals.raise("engine", asker.session, new) {
            Ok(id) => {
                let mut raised = self.raised.lock();
                let entry = raised.pending.get_mut(&row.fingerprint);
                let Some(pending) = entry.filter(|it| it.number == number) else { return };
                if !pending.withdrawn {
                    pending.id = Some(id);
                    return;
                }
                drop(raised);
                self.approvals.withdraw(&id);
            }
            Err(error) => {
                forget(&self.raised, &row.fingerprint, number);
                let fingerprint = &row.fingerprint;
                tracing::warn!(%error, fingerprint, "an approval could not be asked for");
            }
        }
    }

    /// Whether this connection asked for an operation whose row is pending.
    pub(crate) fn is_asker(&self, fingerprint: &str, client_id: &str) -> bool {
        is_asker(&self.raised, fingerprint, client_id)
    }

    /// A person decided about an operation elsewhere: its row has nothing left to decide, unless the
    /// record has no effect on it.
    pub(crate) fn withdraw(&self, record: &ApprovalRecord) {
        let mut raised = self.raised.lock();
        let Some(pending) = raised.pending.get_mut(&record.fingerprint) else { return };
        if record.reach() < pending.required {
            return;
        }
        pending.withdrawn = true;
        let id = pending.id.clone();
        drop(raised);
        if let Some(id) = id {
            self.approvals.withdraw(&id);
        }
    }

    fn when_over(&self, row: &Decision, number: u64, journal: Journal) -> WhenOver {
        let (raised, ledger, clock) =
            (self.raised.clone(), self.ledger.clone(), self.clock.clone());
        let (fingerprint, required_tier) = (row.fingerprint.clone(), row.required);
        Arc::new(move |decision: Option<Resolved>| {
            let Some(decision) = decision else {
                forget(&raised, &fingerprint, number);
                return Box::pin(std::future::ready(Ok(()))) as BoxFuture<'static, Result<()>>;
            };
            let record = ApprovalRecord {
                fingerprint: fingerprint.clone(),
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
            let (raised, ledger, journal) = (raised.clone(), ledger.clone(), journal.clone());
            Box::pin(async move {
                if decision.approved && is_asker(&raised, &record.fingerprint, &decision.by) {
                    return Err(own());
                }
                ledger.record(record.clone()).await?;
                forget(&raised, &record.fingerprint, number);
                note(&journal, &record).await;
                Ok(())
            })
        })
    }
}

/// Why a connection does not approve.
pub(crate) fn own() -> RpcError {
    RpcError::forbidden("whoever asks for an operation cannot approve it")
}

/// What a person sees of an operation. Parameters beyond the bound of a row are cut to their beginning.
fn context(action: &Action, parameters: &Map<String, Value>, row: &Decision) -> Value {
    let mut context = json!({
        "fingerprint": row.fingerprint,
        "required_tier": row.required,
        "reversibility": row.reversibility,
        "type": action.kind,
        "tool": action.called_tool(),
        "parameters": parameters,
    });
    if bounds::encoded("context", &context, bounds::OBJECT_BYTES).is_err() {
        let text = mask_text(&context["parameters"].to_string(), PREVIEW);
        context["parameters"] = Value::Null;
        context["parameters_preview"] = format!("{text} …[truncated]").into();
        context["parameters_digest"] = digest_object(parameters).into();
    }
    context
}

/// Says in a journal, and in its file, what was recorded.
pub(crate) async fn note(journal: &Journal, record: &ApprovalRecord) {
    journal.append(recorded(record)).await;
    // A failure is logged and counted by the journal.
    let _ = journal.flush().await;
}

/// What a journal says of a record.
fn recorded(record: &ApprovalRecord) -> NewEvent {
    let data = json!({
        "fingerprint": record.fingerprint,
        "decision": record.decision,
        "required": record.required_tier,
        "reviewer": record.reviewer,
    });
    NewEvent::new(Kind::ApprovalRecorded, data)
}

fn is_asker(raised: &Guarded<Raised>, fingerprint: &str, client_id: &str) -> bool {
    let raised = raised.lock();
    raised.pending.get(fingerprint).is_some_and(|it| it.askers.contains(client_id))
}

fn forget(raised: &Guarded<Raised>, fingerprint: &str, number: u64) {
    let mut raised = raised.lock();
    if raised.pending.get(fingerprint).is_some_and(|it| it.number == number) {
        raised.pending.remove(fingerprint);
    }
}

#[cfg(test)]
mod tests;
