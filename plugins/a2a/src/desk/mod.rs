//! The desk: it owns the turns of tasks, whoever asked for them.
//!
//! Every change goes the same way: the store keeps it, then its row takes note of it, and then whoever
//! follows the task is told.

mod failing;
mod follow;
mod job;
mod push;
mod rows;
mod turns;

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use carport_a2a_api::Executor;
use carport_a2a_tasks::{
    Caller, Change, Fold, NewTask, PushEntry, Refused, StoreError, Stored, TaskStore,
};
use carport_a2a_types::{
    A2aError, A2aResult, Kind, Message, Part, SendMessage, SendResult, Task, TaskState, Version,
    read::{MAX_NESTING, read},
};
use carport_core::{Clock, Guarded, Tasks, Time};
use tokio::{task::AbortHandle, time::timeout};
use uuid::Uuid;

pub(crate) use follow::{Follow, Told};
use job::Job;
pub(crate) use push::Post;
use rows::{Place, Rows, Turn};

/// How the desk works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeskSettings {
    /// How long a call waits for its turn.
    pub(crate) blocking_limit: Duration,
}

/// See the module.
pub(crate) struct Desk {
    store: Arc<dyn TaskStore>,
    /// Does the messages that bring no executor of their own.
    executor: Arc<dyn Executor>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    settings: DeskSettings,
    rows: Guarded<Rows>,
    /// Tasks that could not be failed, and why they are to be.
    unfailed: Guarded<BTreeMap<String, String>>,
    /// Posts changes to receivers; without it there are none.
    post: Option<Post>,
}

/// A change that was kept and told of.
struct Kept {
    stored: Arc<Stored>,
    /// What still does the turns of a task that ended with it.
    running: Option<AbortHandle>,
}

/// What a message led to.
pub(crate) enum Sent {
    /// There is no task.
    Message(Message),
    /// A turn of a task began, or will.
    Turn(Box<Begun>),
}

/// A turn that began, or will.
pub(crate) struct Begun {
    /// The task when it did.
    pub(crate) fold: Fold,
    place: Place,
}

/// What an executor answers without a task, as whoever asked will read it.
fn answer(message: Message) -> A2aResult<Message> {
    let told = match message.parts.iter().all(Part::is_shallow) {
        true => serde_json::to_value(message).map_err(|error| error.to_string()),
        false => Err(format!("it nests deeper than {MAX_NESTING} levels")),
    };
    let again = told.and_then(|told| read(told, Version::V1).map_err(|error| error.to_string()));
    again.map_err(|why| A2aError::new(Kind::InvalidAgentResponse, format!("no message: {why}")))
}

fn never_began(id: &str) -> A2aError {
    let why = "the task ended before the message got its turn";
    A2aError::new(Kind::UnsupportedOperation, why).with("taskId", id)
}

impl Desk {
    pub(crate) fn new(
        store: Arc<dyn TaskStore>,
        executor: Arc<dyn Executor>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
        settings: DeskSettings,
        post: Option<Post>,
    ) -> Arc<Self> {
        let (rows, unfailed) = (Guarded::default(), Guarded::default());
        Arc::new(Self { store, executor, clock, tasks, settings, rows, unfailed, post })
    }

    pub(crate) fn store(&self) -> &Arc<dyn TaskStore> {
        &self.store
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    /// Keeps a change and then tells of it: if it is kept half way, it has to be polled to its end, or whoever
    /// follows waits for ever. Only after the change `after`, where that is given.
    ///
    /// There is a row from before it is kept until it is noted. So a row that is made begins at the last change
    /// that the store has: whatever was kept without it is noted.
    async fn keep(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<u64>,
        change: Change,
    ) -> Result<Kept, StoreError> {
        let held = {
            let mut rows = self.rows.lock();
            let last = self.store.last(caller, id);
            last.map(|last| rows.hold(id, &last.owner, last.seq))
        };
        let kept = self.store.append_after(caller, id, after, change, self.now()).await;
        let mut rows = self.rows.lock();
        let kept = kept.map(|stored| Kept { running: rows.note(id, &stored), stored });
        held.into_iter().for_each(|number| rows.release(id, number));
        kept
    }

    /// Keeps a change and tells of it, even if whoever asks is dropped meanwhile.
    async fn change(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        after: Option<u64>,
        change: Change,
    ) -> Result<Kept, StoreError> {
        let (desk, caller, id) = (self.clone(), caller.clone(), id.to_owned());
        let kept = tokio::spawn(async move { desk.keep(&caller, &id, after, change).await });
        kept.await.unwrap_or_else(|error| Err(io::Error::other(error).into()))
    }

    /// Takes a message: makes a task of it, goes on with one, or has it answered without any. `by` does its
    /// turn, and no other executor, whichever did those of the task before.
    pub(crate) async fn send(
        self: &Arc<Self>,
        caller: &Caller,
        params: SendMessage,
        receiver: Option<PushEntry>,
        by: Option<Arc<dyn Executor>>,
    ) -> A2aResult<Sent> {
        let by = by.unwrap_or_else(|| self.executor.clone());
        match params.message.task_id.clone() {
            Some(id) => {
                let job = Job { message: params.message, by };
                self.go_on(caller, &id, job, receiver).await
            }
            None => self.begin(caller, params, receiver, by).await,
        }
    }

    async fn begin(
        self: &Arc<Self>,
        caller: &Caller,
        params: SendMessage,
        receiver: Option<PushEntry>,
        by: Arc<dyn Executor>,
    ) -> A2aResult<Sent> {
        let SendMessage { mut message, metadata, .. } = params;
        if let Some(parts) = by.answer(&message, caller.name()).await {
            let context_id = message.context_id.take();
            return answer(Message { context_id, ..turns::said(parts) }).map(Sent::Message);
        }
        let id = Uuid::now_v7().to_string();
        let context_id = message.context_id.take().unwrap_or_else(|| Uuid::now_v7().to_string());
        message.context_id = Some(context_id.clone());
        message.task_id = Some(id.clone());
        let new = NewTask { id: id.clone(), context_id, message: message.clone(), metadata };
        let number = self.rows.lock().announce(&id, caller.name(), 0)?;
        let created = self.store.create(caller, new, self.now()).await;
        let fold = created.inspect_err(|_| self.rows.lock().give_up(&id, number))?;
        if let Err(error) = self.add_receiver(caller, &fold, receiver).await {
            // Nobody would ever work on it.
            self.fail_or_later(&id, error.message()).await;
            self.rows.lock().give_up(&id, number);
            return Err(error);
        }
        let place = self.take_place(&id, number, Job { message, by })?;
        Ok(Sent::Turn(Box::new(Begun { fold, place })))
    }

    async fn go_on(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        mut job: Job,
        receiver: Option<PushEntry>,
    ) -> A2aResult<Sent> {
        let mut fold = self.store.get(caller, id, None).await?;
        let context = &fold.task.context_id;
        let message = &mut job.message;
        if message.context_id.as_ref().is_some_and(|it| it != context) {
            let why = "is not the one of the task: leave it out or give the task's";
            return Err(A2aError::field("message.contextId", why));
        }
        message.context_id = Some(context.clone());
        let state = fold.task.status.state;
        if state.is_terminal() {
            return Err(StoreError::Refused(Refused::Ended(state)).into());
        }
        let number = {
            let mut rows = self.rows.lock();
            let seq = self.store.last(caller, id).map_or(fold.seq, |it| it.seq);
            rows.announce(id, &fold.owner, seq)?
        };
        let give_up = || self.rows.lock().give_up(id, number);
        let added = self.add_receiver(caller, &fold, receiver).await;
        added.inspect_err(|_| give_up())?;
        let kept = self.change(caller, id, None, Change::Message(message.clone())).await;
        if let Err(StoreError::Refused(full @ Refused::Full { .. })) = &kept {
            self.put_down(id, &full.to_string()).await;
        }
        let Kept { stored, .. } = kept.inspect_err(|_| give_up())?;
        let place = self.take_place(id, number, job)?;
        if stored.seq == fold.seq + 1 {
            fold.apply((*stored).clone());
        } else {
            // Something else was kept in between.
            fold = self.store.get(caller, id, Some(stored.seq)).await?;
        }
        Ok(Sent::Turn(Box::new(Begun { fold, place })))
    }

    /// Gives a message its turn, now or after those that wait.
    fn take_place(self: &Arc<Self>, id: &str, number: u64, job: Job) -> A2aResult<Place> {
        let run = |job| {
            let turns = turns::run(self.clone(), id.to_owned(), number, job);
            self.tasks.spawn("turn", turns)
        };
        // Without a place it was kept, and the task ended before its turn.
        self.rows.lock().take_place(id, number, job, run).ok_or_else(|| never_began(id))
    }

    /// Waits until a turn is over, or as long as a call may wait.
    async fn over(&self, place: &mut Place) {
        let over = async {
            loop {
                let is_over = self.rows.lock().is_over(place);
                if is_over || place.mark.changed().await.is_err() {
                    return;
                }
            }
        };
        // The limit is no error: the work goes on, and the task says how far it is.
        let _ = timeout(self.settings.blocking_limit, over).await;
    }

    /// What a call answers: the message, or the task when its turn ended.
    pub(crate) async fn result(
        &self,
        caller: &Caller,
        sent: Sent,
        history_length: Option<u32>,
        at_once: bool,
    ) -> A2aResult<SendResult> {
        let mut begun = match sent {
            Sent::Message(message) => return Ok(SendResult::Message(message)),
            Sent::Turn(begun) => *begun,
        };
        if !at_once {
            self.over(&mut begun.place).await;
            if begun.place.turn.never_began() {
                return Err(never_began(&begun.place.task));
            }
        }
        // As it was when the turn ended, whatever the next one has made of it.
        let Place { task: id, turn, .. } = &begun.place;
        let task = self.store.get(caller, id, turn.end()).await?.task;
        Ok(SendResult::Task(task.with_history_of(history_length)))
    }

    /// Ends a task for its owner. The turn that runs is dropped, and with it what it does.
    pub(crate) async fn cancel(self: &Arc<Self>, caller: &Caller, id: &str) -> A2aResult<Task> {
        let change = Change::state(TaskState::Canceled, None);
        let running = match self.change(caller, id, None, change).await {
            Ok(kept) => kept.running,
            Err(StoreError::Refused(Refused::Ended(state))) => {
                let why = format!("Task cannot be canceled: it is {}", state.v1());
                return Err(A2aError::new(Kind::TaskNotCancelable, why).with("taskId", id));
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(running) = running {
            running.abort();
        }
        Ok(self.store.get(caller, id, None).await?.task)
    }
}
