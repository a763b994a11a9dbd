//! Rows of the tasks that live: whether a turn runs, which messages wait for theirs, and how far may be told.
//!
//! The mark of a row moves after the row did, so whoever sees a change also sees which turn it ended.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use carport_a2a_tasks::{Change, Stored};
use carport_a2a_types::{A2aError, A2aResult, Kind};
use carport_core::Guarded;
use tokio::{sync::watch, task::AbortHandle};

use super::Job;

/// Messages that wait for their turn of one task.
const MAX_WAITING: usize = 16;

/// Turns of tasks of one caller that run or wait, and those of everybody.
const MAX_TURNS: [usize; 2] = [1024, 4096];

/// Every task that lives and that somebody has to do with, by id.
#[derive(Default)]
pub(super) struct Rows {
    rows: HashMap<String, Row>,
    /// Rows that were made.
    made: u64,
}

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
    /// Changes that are being kept and will be noted.
    writing: usize,
    waiting: VecDeque<Job>,
    /// Changes beyond the mark that are noted here already.
    ahead: BTreeSet<u64>,
    /// The last change that may be told.
    mark: watch::Sender<u64>,
    ends: Arc<Guarded<Ends>>,
}

/// How the turns of a row ended. Whoever has a turn of it knows this also when the row is gone.
#[derive(Debug, Default)]
struct Ends {
    /// The change that ended each turn, while the task lived.
    turns: Vec<u64>,
    /// How many turns had begun when the task ended.
    begun: Option<usize>,
}

/// A turn of a row.
#[derive(Debug)]
pub(super) struct Turn {
    /// Counted from 1.
    number: usize,
    ends: Arc<Guarded<Ends>>,
}

impl Turn {
    /// Whether the task ended before this turn began: what became of it is the answer to another message.
    pub(super) fn never_began(&self) -> bool {
        self.ends.lock().begun.is_some_and(|begun| begun < self.number)
    }

    /// The change that ended it, if it is over and did not end the task.
    pub(super) fn end(&self) -> Option<u64> {
        self.ends.lock().turns.get(self.number - 1).copied()
    }
}

/// A turn that a message got, or its place among those that wait.
pub(super) struct Place {
    pub(super) task: String,
    pub(super) turn: Turn,
    pub(super) mark: watch::Receiver<u64>,
}

impl Row {
    /// Turns that run or wait, or are about to.
    fn turns(&self) -> usize {
        usize::from(self.running.is_some()) + self.arriving + self.waiting.len()
    }

    /// Turns that are over or run.
    fn begun(&self) -> usize {
        self.ends.lock().turns.len() + usize::from(self.in_turn)
    }

    fn note(&mut self, stored: &Stored) {
        let mut mark = *self.mark.borrow();
        if stored.seq <= mark {
            return;
        }
        if let Change::Status(status) = &stored.change
            && status.state.ends_turn()
        {
            self.ends.lock().turns.push(stored.seq);
            self.in_turn = false;
        }
        self.ahead.insert(stored.seq);
        while self.ahead.remove(&(mark + 1)) {
            mark += 1;
        }
        self.mark.send_replace(mark);
    }
}

impl Rows {
    /// The row of a task; a new one may tell all up to `seq`, the last change that the store has now.
    fn row(&mut self, id: &str, owner: &str, seq: u64) -> &mut Row {
        self.rows.entry(id.to_owned()).or_insert_with(|| {
            self.made += 1;
            Row {
                number: self.made,
                owner: owner.to_owned(),
                running: None,
                in_turn: false,
                arriving: 0,
                writing: 0,
                waiting: VecDeque::new(),
                ahead: BTreeSet::new(),
                mark: watch::Sender::new(seq),
                ends: Arc::default(),
            }
        })
    }

    /// The row of this number, if it is still that of the task.
    fn still(&mut self, id: &str, number: u64) -> Option<&mut Row> {
        self.rows.get_mut(id).filter(|row| row.number == number)
    }

    /// Whether `owner` may have one more turn.
    fn check_room(&self, owner: &str) -> A2aResult<()> {
        let own: usize = self.rows.values().filter(|row| row.owner == owner).map(Row::turns).sum();
        let all: usize = self.rows.values().map(Row::turns).sum();
        for (turns, limit) in [own, all].into_iter().zip(MAX_TURNS) {
            if turns >= limit {
                let why =
                    format!("{limit} messages are worked on or wait: send it when one is done");
                let error = A2aError::new(Kind::ResourceExhausted, why).with("field", "message");
                let error = error.with("limit", limit.to_string());
                return Err(error.with("remedy", "wait until a task has ended, or cancel one"));
            }
        }
        Ok(())
    }

    /// A change of a task of `owner` is about to be kept after `seq`: its row stays until it is released.
    /// Answers with the number of the row.
    pub(super) fn hold(&mut self, id: &str, owner: &str, seq: u64) -> u64 {
        let row = self.row(id, owner, seq);
        row.writing += 1;
        row.number
    }

    /// A change was noted, or is none.
    pub(super) fn release(&mut self, id: &str, number: u64) {
        if let Some(row) = self.still(id, number) {
            row.writing = row.writing.saturating_sub(1);
        }
        self.forget_idle(id);
    }

    /// A message is about to be kept, of a task of `owner` with `seq` changes: there must be room for it.
    /// Answers with the number of the row that knows of it.
    pub(super) fn announce(&mut self, id: &str, owner: &str, seq: u64) -> A2aResult<u64> {
        self.check_room(owner)?;
        let row = self.row(id, owner, seq);
        if row.arriving + row.waiting.len() >= MAX_WAITING {
            let why =
                format!("{MAX_WAITING} messages wait for their turn of this task: wait for one");
            return Err(A2aError::new(Kind::ResourceExhausted, why));
        }
        row.arriving += 1;
        Ok(row.number)
    }

    /// A message was announced and came to nothing.
    pub(super) fn give_up(&mut self, id: &str, number: u64) {
        if let Some(row) = self.still(id, number) {
            row.arriving = row.arriving.saturating_sub(1);
        }
        self.forget_idle(id);
    }

    /// Gives an announced message its turn: now, by `run`, or after those that wait. `None` if the task
    /// has ended meanwhile.
    pub(super) fn take_place(
        &mut self,
        id: &str,
        number: u64,
        job: Job,
        run: impl FnOnce(Job) -> AbortHandle,
    ) -> Option<Place> {
        let row = self.still(id, number)?;
        row.arriving = row.arriving.saturating_sub(1);
        let number = row.begun() + row.waiting.len() + 1;
        if row.running.is_some() {
            row.waiting.push_back(job);
        } else {
            row.in_turn = true;
            row.running = Some(run(job));
        }
        let turn = Turn { number, ends: row.ends.clone() };
        Some(Place { task: id.to_owned(), turn, mark: row.mark.subscribe() })
    }

    /// The message whose turn begins after another one; without one, nothing runs any more.
    pub(super) fn next(&mut self, id: &str, number: u64) -> Option<Job> {
        let row = self.still(id, number)?;
        let next = row.waiting.pop_front();
        match next {
            Some(_) => row.in_turn = true,
            None => row.running = None,
        }
        next
    }

    /// A turn was dropped, and that could not be kept: the next message takes its place.
    pub(super) fn lose_turn(&mut self, id: &str, number: u64) {
        if let Some(row) = self.still(id, number) {
            (row.running, row.in_turn) = (None, false);
        }
    }

    /// What does the turns of a task, and the number of its row.
    pub(super) fn running(&self, id: &str) -> Option<(u64, AbortHandle)> {
        let row = self.rows.get(id)?;
        Some((row.number, row.running.clone()?))
    }

    /// A change is kept, and whoever follows may see it. Two that were kept one after the other may come
    /// here the other way round: the mark moves on when none is missing. A task that has ended needs no
    /// row: its followers read on to its last change. Answers with what still does its turns.
    pub(super) fn note(&mut self, id: &str, stored: &Stored) -> Option<AbortHandle> {
        let ends = matches!(&stored.change, Change::Status(it) if it.state.is_terminal());
        if !ends {
            self.rows.get_mut(id)?.note(stored);
            return None;
        }
        let row = self.rows.remove(id)?;
        let begun = row.begun();
        row.ends.lock().begun = Some(begun);
        row.mark.send_replace(stored.seq);
        row.running
    }

    /// The mark of a task of `owner` that had `seq` changes before this.
    pub(super) fn subscribe(&mut self, id: &str, owner: &str, seq: u64) -> watch::Receiver<u64> {
        self.row(id, owner, seq).mark.subscribe()
    }

    /// Forgets the row of a task that nobody works on, nobody writes of and nobody follows.
    pub(super) fn forget_idle(&mut self, id: &str) {
        let idle = |row: &Row| row.turns() + row.writing == 0 && row.mark.is_closed();
        if self.rows.get(id).is_some_and(idle) {
            self.rows.remove(id);
        }
    }

    /// Forgets the row of a task that is gone without an end; whoever follows it hears no more. Answers with
    /// what still does its turns.
    pub(super) fn remove_gone(&mut self, id: &str) -> Option<AbortHandle> {
        self.rows.remove(id)?.running
    }

    /// Whether a turn is over, or its task is.
    pub(super) fn is_over(&self, place: &Place) -> bool {
        place.turn.end().is_some() || !self.rows.contains_key(&place.task)
    }
}

#[cfg(test)]
mod tests;
