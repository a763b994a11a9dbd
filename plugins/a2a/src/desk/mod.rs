//! The desk: it owns the turns of tasks, whoever asked for them.
//!
//! A task that lives has a row here: whether a turn of it runs, which messages wait for theirs, and the
//! mark up to which its changes may be told. The mark moves after the row did, so whoever sees a change
//! also sees which turn it ended.

mod failing;
mod follow;
mod job;
mod push;
mod turns;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
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
use job::Job;
pub(crate) use push::Post;

/// Messages that wait for their turn of one task.
const MAX_WAITING: usize = 16;

/// Turns of tasks of one caller that run or wait, and those of everybody.
const MAX_TURNS: [usize; 2] = [1024, 4096];

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

type Rows = HashMap<String, Row>;

/// A task that lives.
struct Row {
    /// Tells this row from those of the same task before and after it.
    number: u64,
    owner: String,
    /// Ends what does the turns, if something does.
    running: Option<AbortHandle>,
    /// A turn has begun and not ended.
    in_turn: bool,
    /// Messages that are being kept and will wait.
    arriving: usize,
    waiting: VecDeque<Job>,
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
    fn at(seq: u64, owner: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            owner: owner.to_owned(),
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

    fn of(fold: &Fold) -> Self {
        Self::at(fold.seq, &fold.owner)
    }

    /// Turns that run or wait, or are about to.
    fn turns(&self) -> usize {
        usize::from(self.running.is_some()) + self.arriving + self.waiting.len()
    }

    fn is_idle(&self) -> bool {
        self.turns() == 0
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
        let mut mark = *self.mark.borrow();
        if stored.seq > mark {
            self.ahead.insert(stored.seq);
        }
        while self.ahead.remove(&(mark + 1)) {
            mark += 1;
        }
        self.mark.send_replace(mark);
    }
}

/// The row of this number, if it is still that of the task.
fn row<'a>(rows: &'a mut Rows, id: &str, number: u64) -> Option<&'a mut Row> {
    rows.get_mut(id).filter(|row| row.number == number)
}

/// Whether `owner` may have one more turn.
fn check_room(rows: &Rows, owner: &str) -> A2aResult<()> {
    let of = |owners: fn(&str, &str) -> bool| -> usize {
        rows.values().filter(|row| owners(&row.owner, owner)).map(Row::turns).sum()
    };
    for (turns, limit) in
        [of(|one, other| one == other), of(|_, _| true)].into_iter().zip(MAX_TURNS)
    {
        if turns >= limit {
            let why = format!("{limit} messages are worked on or wait: send it when one is done");
            let error = A2aError::new(Kind::ResourceExhausted, why).with("field", "message");
            let error = error.with("limit", limit.to_string());
            return Err(error.with("remedy", "wait until a task has ended, or cancel one"));
        }
    }
    Ok(())
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
        let (rows, unfailed) = (Guarded::default(), Guarded::default());
        Arc::new(Self { store, executor, clock, tasks, settings, rows, unfailed, post })
    }

    pub(crate) fn store(&self) -> &Arc<dyn TaskStore> {
        &self.store
    }

    fn now(&self) -> Time {
        self.clock.now()
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
    fn give_up(&self, id: &str, number: u64) {
        let mut rows = self.rows.lock();
        if let Some(row) = row(&mut rows, id, number) {
            row.arriving = row.arriving.saturating_sub(1);
            if row.is_idle() && row.mark.is_closed() {
                rows.remove(id);
            }
        }
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
            let answer = Message { parts, context_id, ..Message::of_agent(Uuid::now_v7(), "") };
            return Ok(Sent::Message(answer));
        }
        let id = Uuid::now_v7().to_string();
        let context_id = message.context_id.take().unwrap_or_else(|| Uuid::now_v7().to_string());
        message.context_id = Some(context_id.clone());
        message.task_id = Some(id.clone());
        let new = NewTask { id: id.clone(), context_id, message: message.clone(), metadata };
        let row = Row { arriving: 1, ..Row::at(0, caller.name()) };
        let number = row.number;
        {
            let mut rows = self.rows.lock();
            check_room(&rows, caller.name())?;
            rows.insert(id.clone(), row);
        }
        let created = self.store.create(caller, new, self.now()).await;
        let fold = created.inspect_err(|_| self.give_up(&id, number))?;
        if let Err(error) = self.add_receiver(caller, &fold, receiver).await {
            // Nobody would ever work on it.
            self.fail_or_later(&id, error.message()).await;
            self.give_up(&id, number);
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
        let number = self.announce(id, &fold)?;
        let added = self.add_receiver(caller, &fold, receiver).await;
        added.inspect_err(|_| self.give_up(id, number))?;
        let change = Change::Message(message.clone());
        let kept = self.store.append(caller, id, change, self.now()).await;
        if let Err(StoreError::Refused(full @ Refused::Full { .. })) = &kept {
            self.put_down(id, &full.to_string()).await;
        }
        let stored = kept.inspect_err(|_| self.give_up(id, number))?;
        self.told(id, &stored);
        let place = self.take_place(id, number, job)?;
        if stored.seq == fold.seq + 1 {
            fold.apply((*stored).clone());
        } else {
            // Something else was kept in between.
            fold = self.store.get(caller, id, Some(stored.seq)).await?;
        }
        Ok(Sent::Turn(Box::new(Begun { fold, place })))
    }

    /// A message is about to be kept: there must be room for it, and the task must live. Answers with the
    /// number of the row that knows of it.
    fn announce(&self, id: &str, fold: &Fold) -> A2aResult<u64> {
        let state = fold.task.status.state;
        if state.is_terminal() {
            return Err(StoreError::Refused(Refused::Ended(state)).into());
        }
        let mut rows = self.rows.lock();
        check_room(&rows, &fold.owner)?;
        let row = rows.entry(id.to_owned()).or_insert_with(|| Row::of(fold));
        if row.arriving + row.waiting.len() >= MAX_WAITING {
            let why =
                format!("{MAX_WAITING} messages wait for their turn of this task: wait for one");
            return Err(A2aError::new(Kind::ResourceExhausted, why));
        }
        row.arriving += 1;
        Ok(row.number)
    }

    /// Gives a message its turn, now or after those that wait.
    fn take_place(self: &Arc<Self>, id: &str, number: u64, job: Job) -> A2aResult<Place> {
        let mut rows = self.rows.lock();
        let Some(row) = row(&mut rows, id, number) else {
            // It was kept, and the task ended before its turn.
            return Err(never_began());
        };
        row.arriving = row.arriving.saturating_sub(1);
        let turn = row.ended.len() + usize::from(row.in_turn) + row.waiting.len() + 1;
        let mark = row.mark.subscribe();
        if row.running.is_some() {
            row.waiting.push_back(job);
        } else {
            row.in_turn = true;
            let turns = turns::run(self.clone(), id.to_owned(), number, job);
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
