//! The desk: it owns the turns of tasks, whoever asked for them.
//!
//! A task that lives has a row here: whether a turn of it runs, which messages wait for theirs, and the
//! mark up to which its changes may be told. The mark moves after the row did, so whoever sees a change
//! also sees which turn it ended.

mod follow;
mod push;
mod turns;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, OnceLock},
    time::Duration,
};

use carport_a2a_api::Executor;
use carport_a2a_tasks::{
    Caller, Change, Fold, NewTask, PushEntry, Refused, StoreError, Stored, TaskStore,
};
use carport_a2a_types::{
    A2aError, A2aResult, Kind, Message, SendMessage, SendResult, Task, TaskState,
};
use carport_core::{Clock, Guarded, Tasks, Time};
use tokio::{sync::watch, task::AbortHandle, time::timeout};
use uuid::Uuid;

pub(crate) use follow::{Follow, Told};
pub(crate) use push::Post;

/// Messages that wait for their turn of one task.
const MAX_WAITING: usize = 16;

/// What a task says that was alive when the daemon was not.
const INTERRUPTED: &str = "interrupted by a restart of the daemon";
/// What a task says that waited too long.
const OVERDUE: &str = "no message came in time";

/// How the desk works.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeskSettings {
    /// How long a call waits for its turn.
    pub(crate) blocking_limit: Duration,
}

/// See the module.
pub(crate) struct Desk {
    store: Arc<dyn TaskStore>,
    executor: Arc<dyn Executor>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    settings: DeskSettings,
    rows: Guarded<HashMap<String, Row>>,
    /// Posts changes to receivers; without it there are none.
    post: Option<Post>,
}

/// A task that lives.
struct Row {
    /// Ends what does the turns, if something does.
    running: Option<AbortHandle>,
    /// A turn has begun and not ended.
    in_turn: bool,
    /// Messages that are being kept and will wait.
    arriving: usize,
    waiting: VecDeque<Message>,
    /// The change that ended each turn of this process.
    ended: Vec<u64>,
    /// Changes beyond the mark that are noted here already.
    ahead: BTreeSet<u64>,
    /// The last change that may be told.
    mark: watch::Sender<u64>,
    /// How many turns of this process had begun when the task ended.
    begun: Arc<OnceLock<usize>>,
}

impl Row {
    fn at(seq: u64) -> Self {
        Self {
            running: None,
            in_turn: false,
            arriving: 0,
            waiting: VecDeque::new(),
            ended: Vec::new(),
            ahead: BTreeSet::new(),
            mark: watch::Sender::new(seq),
            begun: Arc::default(),
        }
    }

    fn is_idle(&self) -> bool {
        self.running.is_none() && self.arriving == 0 && self.waiting.is_empty()
    }

    /// Takes note of a change. Two that were kept one after the other may come here the other way round:
    /// the mark moves on when none is missing.
    fn note(&mut self, stored: &Stored) {
        if let Change::Status(status) = &stored.change
            && status.state.ends_turn()
        {
            self.ended.push(stored.seq);
            self.in_turn = false;
        }
        self.ahead.insert(stored.seq);
        let mut mark = *self.mark.borrow();
        while self.ahead.remove(&(mark + 1)) {
            mark += 1;
        }
        self.mark.send_replace(mark);
    }
}

/// A turn that a message got, or its place among those that wait.
struct Place {
    task: String,
    /// Counts the turns of a task in this process from 1.
    turn: usize,
    mark: watch::Receiver<u64>,
    /// That of the row.
    begun: Arc<OnceLock<usize>>,
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

fn never_began() -> A2aError {
    let why = "the task ended before the message got its turn";
    A2aError::new(Kind::UnsupportedOperation, why)
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
        let rows = Guarded::default();
        Arc::new(Self { store, executor, clock, tasks, settings, rows, post })
    }

    pub(crate) fn store(&self) -> &Arc<dyn TaskStore> {
        &self.store
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    /// Fails what an earlier process left alive.
    pub(crate) async fn fail_orphans(&self) -> Result<(), A2aError> {
        for id in self.store.live(&Caller::daemon()).await {
            self.fail(&id, INTERRUPTED).await?;
        }
        Ok(())
    }

    /// Does what is due.
    pub(crate) async fn sweep(&self) {
        match self.store.sweep(&Caller::daemon(), self.now()).await {
            Err(error) => tracing::error!(%error, "old tasks could not be let go"),
            Ok(swept) => {
                for id in swept.overdue {
                    if let Err(error) = self.fail(&id, OVERDUE).await {
                        tracing::error!(%error, task = id, "an overdue task could not be ended");
                    }
                }
            }
        }
    }

    /// Ends a task with a word of the daemon's own. One that has ended meanwhile stays as it is.
    async fn fail(&self, id: &str, why: &str) -> Result<(), StoreError> {
        let says = Message::of_agent(Uuid::now_v7(), why);
        let change = Change::state(TaskState::Failed, Some(says));
        match self.change(id, change).await {
            Ok(_) | Err(StoreError::Refused(Refused::Ended(_)) | StoreError::NoTask(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Keeps a change and then tells of it.
    async fn change(&self, id: &str, change: Change) -> Result<Arc<Stored>, StoreError> {
        let stored = self.store.append(&Caller::daemon(), id, change, self.now()).await?;
        self.told(id, &stored);
        Ok(stored)
    }

    /// A change is kept: the row takes note of it, and whoever follows may see it. A task that has ended
    /// needs no row: its followers read on to its last change.
    fn told(&self, id: &str, stored: &Stored) {
        let mut rows = self.rows.lock();
        let ends = matches!(&stored.change, Change::Status(it) if it.state.is_terminal());
        if ends {
            if let Some(row) = rows.remove(id) {
                // Set once: the row is gone.
                let _ = row.begun.set(row.ended.len() + usize::from(row.in_turn));
                row.mark.send_replace(stored.seq);
            }
        } else if let Some(row) = rows.get_mut(id) {
            row.note(stored);
        }
    }

    /// A change was announced and came to nothing.
    fn give_up(&self, id: &str) {
        let mut rows = self.rows.lock();
        if let Some(row) = rows.get_mut(id) {
            row.arriving -= 1;
            if row.is_idle() && row.mark.is_closed() {
                rows.remove(id);
            }
        }
    }

    /// Takes a message: makes a task of it, goes on with one, or has it answered without any.
    pub(crate) async fn send(
        self: &Arc<Self>,
        caller: &Caller,
        params: SendMessage,
        receiver: Option<PushEntry>,
    ) -> A2aResult<Sent> {
        match params.message.task_id.clone() {
            Some(id) => self.go_on(caller, &id, params.message, receiver).await,
            None => self.begin(caller, params, receiver).await,
        }
    }

    async fn begin(
        self: &Arc<Self>,
        caller: &Caller,
        params: SendMessage,
        receiver: Option<PushEntry>,
    ) -> A2aResult<Sent> {
        let SendMessage { mut message, metadata, .. } = params;
        if let Some(parts) = self.executor.answer(&message, caller.name()).await {
            let context_id = message.context_id.take();
            let answer = Message { parts, context_id, ..Message::of_agent(Uuid::now_v7(), "") };
            return Ok(Sent::Message(answer));
        }
        let id = Uuid::now_v7().to_string();
        let context_id = message.context_id.take().unwrap_or_else(|| Uuid::now_v7().to_string());
        message.context_id = Some(context_id.clone());
        message.task_id = Some(id.clone());
        let new = NewTask { id: id.clone(), context_id, message: message.clone(), metadata };
        self.rows.lock().insert(id.clone(), Row { arriving: 1, ..Row::at(0) });
        let created = self.store.create(caller, new, self.now()).await;
        let fold = created.inspect_err(|_| self.give_up(&id))?;
        if let Err(error) = self.add_receiver(caller, &fold, receiver).await {
            // Nobody would ever work on it.
            self.fail(&id, error.message()).await?;
            return Err(error);
        }
        let place = self.take_place(&id, message)?;
        Ok(Sent::Turn(Box::new(Begun { fold, place })))
    }

    async fn go_on(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
        mut message: Message,
        receiver: Option<PushEntry>,
    ) -> A2aResult<Sent> {
        let mut fold = self.store.get(caller, id, None).await?;
        let context = &fold.task.context_id;
        if message.context_id.as_ref().is_some_and(|it| it != context) {
            let why = "is not the one of the task: leave it out or give the task's";
            return Err(A2aError::field("message.contextId", why));
        }
        message.context_id = Some(context.clone());
        self.announce(id, &fold)?;
        self.add_receiver(caller, &fold, receiver).await.inspect_err(|_| self.give_up(id))?;
        let change = Change::Message(message.clone());
        let kept = self.store.append(caller, id, change, self.now()).await;
        let stored = kept.inspect_err(|_| self.give_up(id))?;
        self.told(id, &stored);
        let place = self.take_place(id, message)?;
        if stored.seq == fold.seq + 1 {
            fold.apply((*stored).clone());
        } else {
            // Something else was kept in between.
            fold = self.store.get(caller, id, Some(stored.seq)).await?;
        }
        Ok(Sent::Turn(Box::new(Begun { fold, place })))
    }

    /// A message is about to be kept: there must be room for it, and the task must live.
    fn announce(&self, id: &str, fold: &Fold) -> A2aResult<()> {
        let state = fold.task.status.state;
        if state.is_terminal() {
            return Err(StoreError::Refused(Refused::Ended(state)).into());
        }
        let mut rows = self.rows.lock();
        let row = rows.entry(id.to_owned()).or_insert_with(|| Row::at(fold.seq));
        if row.arriving + row.waiting.len() >= MAX_WAITING {
            let why =
                format!("{MAX_WAITING} messages wait for their turn of this task: wait for one");
            return Err(A2aError::new(Kind::ResourceExhausted, why));
        }
        row.arriving += 1;
        Ok(())
    }

    /// Gives a message its turn, now or after those that wait.
    fn take_place(self: &Arc<Self>, id: &str, message: Message) -> A2aResult<Place> {
        let mut rows = self.rows.lock();
        let Some(row) = rows.get_mut(id) else {
            // It was kept, and the task ended before its turn.
            return Err(never_began());
        };
        row.arriving -= 1;
        let turn = row.ended.len() + usize::from(row.in_turn) + row.waiting.len() + 1;
        let mark = row.mark.subscribe();
        if row.running.is_some() {
            row.waiting.push_back(message);
        } else {
            row.in_turn = true;
            let turns = turns::run(self.clone(), id.to_owned(), message);
            row.running = Some(self.tasks.spawn("turn", turns));
        }
        Ok(Place { task: id.to_owned(), turn, mark, begun: row.begun.clone() })
    }

    /// Waits until a turn is over, or as long as a call may wait.
    async fn over(&self, place: &mut Place) {
        let over = async {
            loop {
                let running = {
                    let rows = self.rows.lock();
                    rows.get(&place.task).is_some_and(|row| row.ended.len() < place.turn)
                };
                if !running || place.mark.changed().await.is_err() {
                    return;
                }
            }
        };
        // The limit is no error: the work goes on, and the task says how far it is.
        let _ = timeout(self.settings.blocking_limit, over).await;
    }

    /// What a call answers: the message, or the task when its turn is over.
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
            let Place { turn, begun, .. } = &begun.place;
            if begun.get().is_some_and(|begun| begun < turn) {
                // What the task became is the answer to another message.
                return Err(never_began());
            }
        }
        let task = self.store.get(caller, &begun.place.task, None).await?.task;
        Ok(SendResult::Task(task.with_history_of(history_length)))
    }

    /// Ends a task for its owner. The turn that runs is dropped, and with it what it does.
    pub(crate) async fn cancel(&self, caller: &Caller, id: &str) -> A2aResult<Task> {
        let change = Change::state(TaskState::Canceled, None);
        let stored = match self.store.append(caller, id, change, self.now()).await {
            Ok(stored) => stored,
            Err(StoreError::Refused(Refused::Ended(state))) => {
                let why = format!("Task cannot be canceled: it is {}", state.v1());
                return Err(A2aError::new(Kind::TaskNotCancelable, why).with("taskId", id));
            }
            Err(error) => return Err(error.into()),
        };
        let running = self.rows.lock().get_mut(id).and_then(|row| row.running.take());
        if let Some(running) = running {
            running.abort();
        }
        self.told(id, &stored);
        Ok(self.store.get(caller, id, None).await?.task)
    }
}
