//! Tasks that the daemon itself ends: at once, or as soon as the disk takes it.

use carport_a2a_tasks::{Caller, Change, Refused, StoreError};
use carport_a2a_types::{Message, TaskState};
use uuid::Uuid;

use super::Desk;

/// What a task says that was alive when the daemon was not.
const INTERRUPTED: &str = "interrupted by a restart of the daemon";
/// What a task says that waited too long.
const OVERDUE: &str = "no message came in time";

impl Desk {
    /// Fails what an earlier process left alive. What cannot be kept now is no reason not to start.
    pub(crate) async fn fail_orphans(&self) {
        for id in self.store.live(&Caller::daemon()).await {
            self.fail_or_later(&id, INTERRUPTED).await;
        }
    }

    /// Does what is due.
    pub(crate) async fn sweep(&self) {
        let unfailed = self.unfailed.lock().clone();
        for (id, why) in unfailed {
            self.put_down(&id, &why).await;
        }
        match self.store.sweep(&Caller::daemon(), self.now()).await {
            Err(error) => tracing::error!(%error, "old tasks could not be let go"),
            Ok(swept) => {
                for id in swept.overdue {
                    self.fail_or_later(&id, OVERDUE).await;
                }
            }
        }
    }

    /// Ends a task with a word of the daemon's own. One that has ended meanwhile stays as it is.
    pub(super) async fn fail(&self, id: &str, why: &str) -> Result<(), StoreError> {
        let says = Message::of_agent(Uuid::now_v7(), why);
        let change = Change::state(TaskState::Failed, Some(says));
        match self.change(&Caller::daemon(), id, change).await {
            Ok(_) | Err(StoreError::Refused(Refused::Ended(_)) | StoreError::NoTask(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Ends a task, or has the sweep do it when that cannot be kept.
    pub(super) async fn fail_or_later(&self, id: &str, why: &str) {
        match self.fail(id, why).await {
            Ok(()) => drop(self.unfailed.lock().remove(id)),
            Err(error) => {
                tracing::error!(%error, task = id, "a task could not be ended; it will be tried again");
                self.unfailed.lock().insert(id.to_owned(), why.to_owned());
            }
        }
    }

    /// Ends a task from outside of its turn, which is dropped.
    pub(super) async fn put_down(&self, id: &str, why: &str) {
        let running = self.rows.lock().running(id);
        self.fail_or_later(id, why).await;
        if let Some((number, running)) = running {
            running.abort();
            self.rows.lock().lose_turn(id, number);
        }
    }
}
