//! The turns of one task, one after the other, until it has ended or waits for a message.

use std::{panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use carport_a2a_api::{End, Ending, Over, Turn, Updates};
use carport_a2a_tasks::{ArtifactChange, Caller, Change, Refused, StoreError};
use carport_a2a_types::{Artifact, Message, Part, TaskState};
use futures_util::FutureExt;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{Desk, Job};

/// Does the turn of a message, and then those of the messages that came meanwhile.
pub(super) async fn run(desk: Arc<Desk>, id: String, number: u64, mut job: Job) {
    loop {
        if let Err(error) = turn(&desk, &id, job).await {
            desk.stop(&id, &error).await;
            // The row is still there if not even that could be kept.
            desk.rows.lock().lose_turn(&id, number);
            return;
        }
        let Some(next) = desk.rows.lock().next(&id, number) else { return };
        job = next;
    }
}

async fn turn(desk: &Arc<Desk>, id: &str, job: Job) -> Result<(), StoreError> {
    let daemon = Caller::daemon();
    desk.change(&daemon, id, None, Change::state(TaskState::Working, None)).await?;
    let fold = desk.store.get(&daemon, id, None).await?;
    let pen = Pen { desk, id, order: Arc::default() };
    let turn = Turn { task: fold.task, message: job.message, owner: fold.owner };
    let working = AssertUnwindSafe(job.by.turn(turn, &pen)).catch_unwind();
    let Ending { end, says } = working.await.unwrap_or_else(|_| {
        tracing::error!(task = id, "the executor panicked");
        Ending::saying(End::Failed, "the executor failed inside")
    });
    let says = (!says.is_empty()).then(|| said(says));
    // What the executor began to tell, and did not wait for, comes before.
    let _order = pen.order.lock().await;
    desk.end_turn(id, end, says).await
}

/// What an executor says.
pub(super) fn said(parts: Vec<Part>) -> Message {
    Message { parts, ..Message::of_agent(Uuid::now_v7(), "") }
}

impl Desk {
    /// Ends a turn. A task with messages that wait is not completed by it: it asks for input, which it has. Unless
    /// there is no room for that: what ends a task is never too much.
    async fn end_turn(
        self: &Arc<Self>,
        id: &str,
        end: End,
        says: Option<Message>,
    ) -> Result<(), StoreError> {
        let daemon = Caller::daemon();
        let mut may_go_on = end == End::Completed;
        loop {
            let last = self.store.last(&daemon, id);
            let goes_on = may_go_on && last.as_ref().is_some_and(|it| it.awaits_turn);
            let state = if goes_on { TaskState::InputRequired } else { end.into() };
            let (after, change) = (last.map(|it| it.seq), Change::state(state, says.clone()));
            match self.change(&daemon, id, after, change).await {
                // Something was kept in between, and that may have been a message.
                Err(StoreError::Refused(Refused::WentOn)) => {}
                Err(StoreError::Refused(Refused::Full { .. })) if goes_on => may_go_on = false,
                kept => return kept.map(drop),
            }
        }
    }

    /// A change could not be kept. The task fails and says why, unless it has ended by itself.
    async fn stop(self: &Arc<Self>, id: &str, error: &StoreError) {
        match error {
            StoreError::Refused(Refused::Ended(_)) => {}
            StoreError::NoTask(_) => drop(self.rows.lock().remove_gone(id)),
            _ => drop(self.fail_or_later(id, &error.to_string()).await),
        }
    }
}

/// Keeps what a turn makes.
struct Pen<'a> {
    desk: &'a Arc<Desk>,
    id: &'a str,
    /// Held while something is kept, whoever still waits for that.
    order: Arc<Mutex<()>>,
}

impl Pen<'_> {
    async fn keep(&self, change: Change) -> Result<(), Over> {
        let order = self.order.clone().lock_owned().await;
        let (desk, id) = (self.desk.clone(), self.id.to_owned());
        // Apart: the executor may drop this half way.
        let kept = tokio::spawn(async move {
            let _order = order;
            let kept = desk.keep(&Caller::daemon(), &id, None, change).await;
            if let Err(error) = &kept {
                desk.stop(&id, error).await;
            }
            kept.is_ok()
        });
        kept.await.is_ok_and(|kept| kept).then_some(()).ok_or(Over)
    }
}

#[async_trait]
impl Updates for Pen<'_> {
    async fn artifact(
        &self,
        artifact: Artifact,
        append: bool,
        last_chunk: bool,
    ) -> Result<(), Over> {
        self.keep(Change::Artifact(ArtifactChange { artifact, append, last_chunk })).await
    }

    async fn says(&self, parts: Vec<Part>) -> Result<(), Over> {
        self.keep(Change::state(TaskState::Working, Some(said(parts)))).await
    }
}
