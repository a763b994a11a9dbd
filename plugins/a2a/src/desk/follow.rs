//! Following a task: its changes in order, from a snapshot on, until a turn of it or the task itself ends.

use std::{collections::VecDeque, sync::Arc};

use carport_a2a_tasks::{Caller, Change, Fold, Last, StoreError, Stored};
use carport_a2a_types::{
    A2aError, A2aResult, ArtifactUpdate, Kind, StatusUpdate, StreamResponse, TaskStatus,
};
use tokio::sync::watch;

use super::{Begun, Desk, Place, Turn};

/// Changes that somebody who follows may be behind; the stream ends then, and can be taken up again.
const MAX_BEHIND: u64 = 1024;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// The change up to which whoever hears it knows everything.
    pub(crate) seq: u64,
    /// What is told.
    pub(crate) response: StreamResponse,
    /// Whether nothing follows.
    pub(crate) last: bool,
}

/// Somebody who follows a task. Dropping it changes nothing for anybody else.
pub(crate) struct Follow {
    desk: Arc<Desk>,
    caller: Caller,
    id: String,
    context_id: String,
    owner: String,
    seq: u64,
    /// The last change when following began: what was before is caught up with, however much it is.
    began: u64,
    /// However far behind, it goes on.
    patient: bool,
    /// Follows to the end of this turn of this process; else to the end of the task.
    until: Option<Turn>,
    mark: watch::Receiver<u64>,
    first: Option<Told>,
    read: VecDeque<Arc<Stored>>,
    over: bool,
}

impl Desk {
    /// Follows a turn that a message got.
    pub(crate) fn follow_turn(self: &Arc<Self>, caller: &Caller, begun: Begun) -> Follow {
        let Begun { fold, place: Place { turn, mark, .. } } = begun;
        Follow::new(self.clone(), caller.clone(), fold, Some(turn), mark)
    }

    /// Follows a task to its end, from the task after its change `after` on, if that is still known. One that
    /// has ended is followed from a change before its last.
    pub(crate) async fn follow_task(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        after: Option<u64>,
    ) -> A2aResult<Follow> {
        let (now, mark) = self.subscribe(caller, id).await?;
        let state = now.task.status.state;
        let missed = after.is_some_and(|after| after < now.seq);
        if state.is_terminal() && !missed {
            let why = format!("the task has ended: it is {}", state.v1());
            return Err(A2aError::new(Kind::UnsupportedOperation, why).with("taskId", id));
        }
        let known = after.filter(|after| *after <= now.seq);
        let fold = match known {
            Some(_) => self.store.get(caller, id, known).await?,
            None => now,
        };
        Ok(Follow::new(self.clone(), caller.clone(), fold, None, mark))
    }

    /// Follows a task from after its change `seq` on, however much that is behind, until it has ended.
    pub(super) async fn follow_on(self: &Arc<Self>, id: &str, seq: u64) -> A2aResult<Follow> {
        let caller = Caller::daemon();
        let (now, mark) = self.subscribe(&caller, id).await?;
        let fold = match seq < now.seq {
            true => self.store.get(&caller, id, Some(seq)).await?,
            false => now,
        };
        let follow = Follow::new(self.clone(), caller, fold, None, mark);
        Ok(Follow { first: None, patient: true, ..follow })
    }

    /// A task as it is, and the mark up to which its changes may be told from then on.
    async fn subscribe(
        &self,
        caller: &Caller,
        id: &str,
    ) -> A2aResult<(Fold, watch::Receiver<u64>)> {
        let mark = {
            let mut rows = self.rows.lock();
            let last = self.store.last(caller, id);
            let Last { owner, seq, .. } = last.ok_or_else(|| StoreError::NoTask(id.into()))?;
            rows.subscribe(id, &owner, seq)
        };
        let now = self.store.get(caller, id, None).await;
        if now.as_ref().is_ok_and(|now| !now.task.status.state.is_terminal()) {
            return now.map(|now| (now, mark)).map_err(A2aError::from);
        }
        drop(mark);
        self.rows.lock().forget_idle(id);
        let now = now?;
        let whole = watch::Sender::new(now.seq).subscribe();
        Ok((now, whole))
    }
}

impl Follow {
    fn new(
        desk: Arc<Desk>,
        caller: Caller,
        fold: Fold,
        until: Option<Turn>,
        mark: watch::Receiver<u64>,
    ) -> Self {
        let Fold { task, seq, owner } = fold;
        let (id, context_id) = (task.id.clone(), task.context_id.clone());
        let first = Some(Told { seq, response: StreamResponse::Task(task), last: false });
        let began = *mark.borrow();
        Self {
            desk,
            caller,
            id,
            context_id,
            owner,
            seq,
            began,
            patient: false,
            until,
            mark,
            first,
            read: VecDeque::new(),
            over: false,
        }
    }

    /// Whose task it is.
    pub(super) fn owner(&self) -> &str {
        &self.owner
    }

    /// How many changes there are beyond what was told.
    pub(super) fn behind(&self) -> u64 {
        self.mark.borrow().saturating_sub(self.seq)
    }

    /// The next event; `None` when nothing follows.
    ///
    /// # Errors
    /// The task cannot be read any more.
    pub(crate) async fn next(&mut self) -> A2aResult<Option<Told>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while !self.over {
            let Some(stored) = self.next_stored().await? else { return Ok(None) };
            self.seq = stored.seq;
            if let Some(told) = self.tell(&stored) {
                self.over = told.last;
                return Ok(Some(told));
            }
        }
        Ok(None)
    }

    /// The next change that may be told; waits for it. `None` if the task ended and all was told.
    async fn next_stored(&mut self) -> A2aResult<Option<Arc<Stored>>> {
        loop {
            // Read before the store is: a change that comes in between only moves it on.
            let mark = *self.mark.borrow_and_update();
            if let Some(stored) = self.read.pop_front_if(|it| it.seq <= mark) {
                return Ok(Some(stored));
            }
            if !self.patient && mark.saturating_sub(self.seq.max(self.began)) > MAX_BEHIND {
                return Ok(None);
            }
            if mark > self.seq && self.read.is_empty() {
                let store = &self.desk.store;
                self.read.extend(store.events_since(&self.caller, &self.id, self.seq).await?);
                if self.read.is_empty() {
                    return Ok(None);
                }
                continue;
            }
            if self.mark.changed().await.is_err() && *self.mark.borrow() <= self.seq {
                return Ok(None);
            }
        }
    }

    /// What a change is to whoever follows; what their own side said is nothing new.
    fn tell(&self, stored: &Stored) -> Option<Told> {
        let (task_id, context_id) = (self.id.clone(), self.context_id.clone());
        let (response, last) = match &stored.change {
            Change::Message(_) => return None,
            Change::Artifact(it) => {
                let update = ArtifactUpdate {
                    task_id,
                    context_id,
                    artifact: it.artifact.clone(),
                    append: it.append,
                    last_chunk: it.last_chunk,
                    metadata: None,
                };
                (StreamResponse::ArtifactUpdate(update), false)
            }
            Change::Status(status) => {
                let last = status.state.is_terminal()
                    || self.until.as_ref().is_some_and(|turn| turn.end() == Some(stored.seq));
                let status = TaskStatus { timestamp: Some(stored.at), ..status.clone() };
                let update = StatusUpdate { task_id, context_id, status, metadata: None };
                (StreamResponse::StatusUpdate(update), last)
            }
        };
        Some(Told { seq: stored.seq, response, last })
    }
}
