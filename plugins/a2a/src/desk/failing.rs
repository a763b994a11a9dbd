//! Tasks that the daemon itself ends: at once, or as soon as the disk takes it.

use std::sync::Arc;

use carport_a2a_tasks::{Caller, Change, Refused, StoreError};
use carport_a2a_types::{Message, TaskState};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::Desk;

/// What a task says that was alive when the daemon was not.
const INTERRUPTED: &str = "interrupted by a restart of the daemon";
/// What a task says that waited too long.
const OVERDUE: &str = "no message came in time";

impl Desk {
    /// Fails what an earlier process left alive. What cannot be kept now is no reason not to start.
    pub(crate) async fn fail_orphans(self: &Arc<Self>) {
        for id in self.store.live(&Caller::daemon()).await {
            self.fail_or_later(&id, INTERRUPTED).await;
        }
    }

    /// Does what is due.
    pub(crate) async fn sweep(self: &Arc<Self>) {
        let unfailed = self.unfailed.lock().clone();
        for (id, why) in unfailed {
            self.put_down(&id, &why).await;
        }
        match self.store.sweep(&Caller::daemon(), self.now()).await {
            Err(error) => tracing::error!(%error, "old tasks could not be let go"),
            Ok(swept) => {
                for (id, seq) in swept.overdue {
                    match self.fail(&id, OVERDUE, Some(seq)).await {
                        Ok(running) => running.iter().for_each(AbortHandle::abort),
                        // The next sweep finds it again.
                        Err(error) => {
                            tracing::error!(%error, task = id, "a task that waits could not be ended");
                        }
                    }
                }
            }
        }
    }

    /// Ends a task with a word of the daemon's own; where a change is named, only if it is the last one. One
    /// that has ended or gone on meanwhile stays as it is. Answers with what still does its turns.
    async fn fail(
        self: &Arc<Self>,
        id: &str,
        why: &str,
        after: Option<u64>,
    ) -> Result<Option<AbortHandle>, StoreError> {
        let says = Message::of_agent(Uuid::now_v7(), why);
        let change = Change::state(TaskState::Failed, Some(says));
        match self.change(&Caller::daemon(), id, after, change).await {
            Ok(kept) => Ok(kept.running),
            Err(StoreError::Refused(Refused::Ended(_) | Refused::WentOn)) => Ok(None),
            Err(StoreError::NoTask(_)) => Ok(self.rows.lock().remove_gone(id)),
            Err(error) => Err(error),
        }
    }

    /// Ends a task, or has the sweep do it when that cannot be kept. Answers with what still does its turns.
    pub(super) async fn fail_or_later(
        self: &Arc<Self>,
        id: &str,
        why: &str,
    ) -> Option<AbortHandle> {
        match self.fail(id, why, None).await {
            Ok(running) => {
                self.unfailed.lock().remove(id);
                running
            }
            Err(error) => {
                tracing::error!(%error, task = id, "a task could not be ended; it will be tried again");
                self.unfailed.lock().insert(id.to_owned(), why.to_owned());
                None
            }
        }
    }

    /// Ends a task from outside of its turn, which is dropped.
    pub(super) async fn put_down(self: &Arc<Self>, id: &str, why: &str) {
        let running = self.rows.lock().running(id);
        // It may have begun only now.
        self.fail_or_later(id, why).await.iter().for_each(AbortHandle::abort);
        if let Some((number, running)) = running {
            running.abort();
            self.rows.lock().lose_turn(id, number);
        }
    }
}
