//! Parks calls and requests until a decision, and tells hosts about both.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::AbortHandle, time::timeout};
use uuid::Uuid;

use super::{
    mask,
    rows::{ApprovalSource, ApprovalStatus, HostApproval, Rows, Undecided, Voter},
};
use crate::{
    contract::{
        approvals::{Approvals, Decision, NewApproval, WhenOver},
        bounds,
        caller::Caller,
        clock::{Clock, Time},
        events::{HostEvents, NewEvent},
        metrics::Gauge,
        session::Session,
    },
    dispatch::{config::ApprovalSettings, route::Route},
    wire::{
        error::{Result, RpcError, codes},
        guarded::Guarded,
    },
};

/// The approval gate of a host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ApprovalGate(Arc<Inner>);

struct Inner {
    settings: ApprovalSettings,
    clock: Arc<dyn Clock>,
    events: HostEvents,
    pending: Gauge,
    state: Guarded<State>,
}

#[derive(Default)]
struct State {
    rows: Rows,
    /// Who waits for a row to leave `pending`.
    waiting: HashMap<String, Waiting>,
    /// Rows whose decision is being recorded, with the end that came meanwhile.
    deciding: HashMap<String, Option<ApprovalStatus>>,
}

enum Waiting {
    Call(oneshot::Sender<ApprovalStatus>),
    /// The timer of a request, and what to do when it leaves `pending`.
    Request(Option<AbortHandle>, WhenOver),
}

impl ApprovalGate {
    pub(crate) fn new(
        settings: ApprovalSettings,
        clock: Arc<dyn Clock>,
        events: HostEvents,
        pending: Gauge,
    ) -> Self {
        let state = Guarded::default();
        Self(Arc::new(Inner { settings, clock, events, pending, state }))
    }

    /// Raises a row for a call. The row exists, and hosts are told, before the caller waits.
    pub(crate) fn park(&self, route: &Route, params: &str, caller: &Caller) -> Result<Ticket> {
        let wait = Duration::from_secs(self.0.settings.wait_secs);
        let preview = mask::preview(params);
        let context =
            json!({ "method": &*route.name, "preview": preview, "plugin": route.plugin_id });
        let row = HostApproval {
            source: ApprovalSource::Gate,
            action: format!("ws.method:{}", route.name),
            agent_id: caller.agent().map(str::to_owned),
            ..self.blank(route.name.to_string(), caller.session(), context, wait)
        };
        let (decided, decision) = oneshot::channel();
        let id = row.id.clone();
        self.raise(&row, Waiting::Call(decided))?;
        Ok(Ticket { gate: self.clone(), id, decision, wait })
    }

    /// Raises a row for a client, or a plugin, that asks.
    pub(crate) fn request(
        &self,
        asker: &Session,
        source: ApprovalSource,
        required_approvals: u32,
        new: NewApproval,
    ) -> Result<HostApproval> {
        let NewApproval { action, title, description, agent_id, mut context, .. } = new;
        bounds::encoded("context", &context, bounds::OBJECT_BYTES)?;
        mask::mask(&mut context);
        let row = HostApproval {
            source,
            action,
            description,
            agent_id,
            client_id: Some(asker.id().to_owned()),
            required_approvals,
            ..self.blank(title, asker, context, new.expires_in)
        };
        self.raise(&row, Waiting::Request(None, new.when_over))?;
        // A connection that ends takes the rows along that are there by then.
        if asker.is_closed() {
            self.end(&row.id, ApprovalStatus::Cancelled);
        }
        let (gate, id) = (self.clone(), row.id.clone());
        let timer = tokio::spawn(async move {
            tokio::time::sleep(new.expires_in).await;
            gate.end(&id, ApprovalStatus::Expired);
        });
        let mut state = self.0.state.lock();
        match state.waiting.get_mut(&row.id) {
            Some(Waiting::Request(slot, _)) => *slot = Some(timer.abort_handle()),
            _ => timer.abort(),
        }
        Ok(row)
    }

    fn blank(
        &self,
        title: String,
        asker: &Session,
        context: Value,
        lifetime: Duration,
    ) -> HostApproval {
        let created_at = self.0.clock.now();
        let lifetime = TimeDelta::from_std(lifetime).unwrap_or(TimeDelta::MAX);
        HostApproval {
            id: format!("ap-{}", Uuid::now_v7()),
            source: ApprovalSource::Request,
            action: "request".into(),
            title,
            description: None,
            agent_id: None,
            client_id: None,
            requested_by: asker.id().to_owned(),
            context,
            status: ApprovalStatus::Pending,
            required_approvals: 1,
            approvals: Vec::new(),
            created_at,
            expires_at: created_at.checked_add_signed(lifetime).map_or(created_at, Time::from),
            resolved_at: None,
            resolved_by: None,
            notes: None,
        }
    }

    fn raise(&self, row: &HostApproval, waiting: Waiting) -> Result<()> {
        let mut state = self.0.state.lock();
        state.rows.raise(row.clone())?;
        state.waiting.insert(row.id.clone(), waiting);
        self.0.pending.set(state.rows.pending_count() as i64);
        self.announce("approval.requested", row);
        Ok(())
    }

    /// Counts the vote of `caller`. What hangs on a decision is done before the decision counts, and
    /// done whole, also if nobody waits for the reply any more.
    pub(crate) async fn decide(
        &self,
        id: &str,
        caller: &Caller,
        approve: bool,
        notes: Option<String>,
    ) -> Result<HostApproval> {
        let (row, over) = self.vote(id, caller, approve, notes)?;
        let Some(over) = over else { return Ok(row) };
        let decision = Decision {
            approved: approve,
            by: caller.session().id().to_owned(),
            notes: row.notes.clone(),
        };
        let gate = self.clone();
        let settled = tokio::spawn(async move {
            // A task of its own, so that a panic leaves the row to be decided again.
            let done = tokio::spawn(async move { over(Some(decision)).await }).await;
            gate.recorded(row, done.unwrap_or_else(|error| Err(RpcError::internal(error))))
        });
        settled.await.unwrap_or_else(|error| Err(RpcError::internal(error)))
    }

    /// The row after a vote, and what has to be done before the vote counts.
    fn vote(
        &self,
        id: &str,
        caller: &Caller,
        approve: bool,
        notes: Option<String>,
    ) -> Result<(HostApproval, Option<WhenOver>)> {
        let voter = Voter { client_id: caller.session().id(), identity: caller.identity() };
        let (now, resolvers) = (self.0.clock.now(), self.0.settings.resolvers);
        let mut state = self.0.state.lock();
        let row = state.rows.vote(id, &voter, approve, notes, resolvers, now)?;
        if state.deciding.contains_key(id) {
            return Err(Undecided::UnderWay.into());
        }
        if let (true, Some(Waiting::Request(_, over))) =
            (row.status != ApprovalStatus::Pending, state.waiting.get(id))
        {
            let over = over.clone();
            state.deciding.insert(id.to_owned(), None);
            return Ok((row, Some(over)));
        }
        Ok((self.settle(&mut state, row)?, None))
    }

    /// What hangs on a decision was done, or was not and the row is as before.
    fn recorded(&self, row: HostApproval, done: Result<()>) -> Result<HostApproval> {
        let mut state = self.0.state.lock();
        let meanwhile = state.deciding.remove(&row.id).flatten();
        match done {
            Ok(()) => self.settle(&mut state, row),
            Err(error) => {
                drop(state);
                meanwhile.inspect(|status| self.end(&row.id, *status));
                Err(error)
            }
        }
    }

    fn settle(&self, state: &mut State, row: HostApproval) -> Result<HostApproval> {
        let row = state.rows.settle(row, self.0.clock.now());
        let row = row.ok_or_else(|| RpcError::not_found("approval"))?;
        if row.status != ApprovalStatus::Pending {
            self.resolved(state, &row);
        }
        Ok(row)
    }

    /// Ends a row that nobody decided. One whose decision is being recorded ends only if that fails.
    fn end(&self, id: &str, status: ApprovalStatus) {
        let mut state = self.0.state.lock();
        if let Some(meanwhile) = state.deciding.get_mut(id) {
            meanwhile.get_or_insert(status);
            return;
        }
        let Some(row) = state.rows.end(id, status, self.0.clock.now()) else { return };
        let over = self.resolved(&mut state, &row);
        drop(state);
        // Nobody decided, so that nothing hangs on it.
        drop(over.map(|over| over(None)));
    }

    /// Wakes whoever waits for the row, and tells hosts. What is returned runs without the lock.
    fn resolved(&self, state: &mut State, row: &HostApproval) -> Option<WhenOver> {
        self.0.pending.set(state.rows.pending_count() as i64);
        self.announce("approval.resolved", row);
        match state.waiting.remove(&row.id)? {
            Waiting::Call(waiting) => {
                // An error means that the call was dropped in the same instant.
                let _ = waiting.send(row.status);
                None
            }
            Waiting::Request(timer, over) => {
                timer.inspect(AbortHandle::abort);
                Some(over)
            }
        }
    }

    fn announce(&self, kind: &str, row: &HostApproval) {
        let event = NewEvent::new(kind, json!({ "approval": row }));
        self.0.events.emit(event.about(row.agent_id.as_deref()).saying(&row.title));
    }

    /// The connection is gone: what it asked for is cancelled, and nothing of it runs.
    pub(crate) fn session_gone(&self, session: &Session) {
        self.cancel(|row| row.requested_by == session.id());
    }

    /// The daemon stops.
    pub(crate) fn cancel_all(&self) {
        self.cancel(|_| true);
    }

    fn cancel(&self, wanted: impl Fn(&HostApproval) -> bool) {
        let ids = self.0.state.lock().rows.pending_ids(wanted);
        for id in ids {
            self.end(&id, ApprovalStatus::Cancelled);
        }
    }

    pub(crate) fn list(&self, all: bool, limit: usize) -> Vec<HostApproval> {
        self.0.state.lock().rows.list(all, limit)
    }
}

impl Approvals for ApprovalGate {
    fn raise(&self, plugin: &str, asker: &Session, new: NewApproval) -> Result<String> {
        let row = self.request(asker, ApprovalSource::Plugin(plugin.to_owned()), 1, new)?;
        Ok(row.id)
    }

    fn withdraw(&self, id: &str) {
        self.end(id, ApprovalStatus::Cancelled);
    }
}

/// A parked call. Dropped undecided, it cancels its row.
pub(crate) struct Ticket {
    gate: ApprovalGate,
    id: String,
    decision: oneshot::Receiver<ApprovalStatus>,
    wait: Duration,
}

impl Ticket {
    /// Waits until the call may run. Every other end is an error with the reason.
    pub(crate) async fn decision(mut self) -> Result<()> {
        let decided = timeout(self.wait, &mut self.decision).await;
        if decided.is_err() {
            self.gate.end(&self.id, ApprovalStatus::Expired);
        }
        // A decision of the last instant is in the channel by now, and counts.
        let status = match decided {
            Ok(status) => status.ok(),
            Err(_) => self.decision.try_recv().ok(),
        };
        let (reason, why) = match status {
            Some(ApprovalStatus::Approved) => return Ok(()),
            Some(ApprovalStatus::Denied) => ("denied", "the call was denied"),
            Some(ApprovalStatus::Expired) => ("timeout", "nobody approved the call in time"),
            _ => ("cancelled", "the approval was cancelled"),
        };
        Err(RpcError::new(codes::NOT_APPROVED, why)
            .with("approval_id", &*self.id)
            .with("reason", reason))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gate.end(&self.id, ApprovalStatus::Cancelled);
    }
}

#[cfg(test)]
mod tests;
