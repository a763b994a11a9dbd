//! Which tasks there are: enough of each to find it, to judge its next change and to let it go in time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use carport_a2a_types::ListTasks;
use carport_core::Time;
use chrono::TimeDelta;
use tokio::sync::Mutex;

use crate::{caller::Caller, log::Stored, page::Place, progress::Progress};

/// Changes that are in memory of a task that is worked on, so that a stream that keeps up mostly reads no
/// file; and those of a task that has not ended of which it is known where they stand in its lines.
const TAIL: usize = 64;
/// Bytes of the line of one change that may be in memory. A larger one has those before it forgotten.
const TAIL_BYTES: usize = 16 * 1024;
/// How long a task that has ended is rather kept, so that whoever began it can read what came of it.
const FRESH: TimeDelta = TimeDelta::minutes(1);

/// What is known of a task without reading its log.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) owner: String,
    pub(crate) context_id: String,
    pub(crate) progress: Progress,
    /// Held while something is written of the task: there is one writer.
    pub(crate) gate: Arc<Mutex<()>>,
    /// Some receiver was not told how it ended.
    untold: bool,
    /// It was to be removed, and could not.
    stuck: bool,
    /// The last changes without a gap.
    tail: VecDeque<Arc<Stored>>,
    /// Bytes of its lines.
    bytes: u64,
    /// The last changes, and the bytes of the lines up to each.
    places: VecDeque<(u64, u64)>,
}

impl Row {
    /// A task whose lines have so many bytes.
    pub(crate) fn new(owner: String, context_id: String, progress: Progress, bytes: u64) -> Self {
        Self {
            owner,
            context_id,
            progress,
            gate: Arc::default(),
            untold: false,
            stuck: false,
            tail: VecDeque::new(),
            bytes,
            places: VecDeque::new(),
        }
    }

    /// The last change up to `seq` of which it is known where it ends, and the bytes of the lines up to there.
    pub(crate) fn place_of(&self, seq: u64) -> Option<(u64, u64)> {
        self.places.iter().rev().find(|place| place.0 <= seq).copied()
    }

    /// Takes note of where a change stands, and of itself if it may be asked for soon.
    fn keep(&mut self, stored: &Arc<Stored>, line: usize) {
        self.bytes += line as u64;
        let state = self.progress.state;
        if state.is_terminal() {
            // Whoever still follows reads the last lines once.
            self.tail = VecDeque::new();
            self.places = self.places.pop_back().into_iter().collect();
            return;
        }
        self.places.push_back((stored.seq, self.bytes));
        self.places.drain(..self.places.len().saturating_sub(TAIL));
        if state.is_interrupted() || line > TAIL_BYTES {
            self.tail = VecDeque::new();
        } else {
            self.tail.push_back(stored.clone());
            self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        }
    }

    /// The changes after `seq`, if they are in memory.
    pub(crate) fn tail_after(&self, seq: u64) -> Option<Vec<Arc<Stored>>> {
        if seq >= self.progress.seq {
            return Some(Vec::new());
        }
        let first = self.tail.front()?.seq;
        let reaches = first <= seq + 1;
        reaches.then(|| self.tail.iter().filter(|it| it.seq > seq).cloned().collect())
    }
}

/// Every task, by id.
#[derive(Debug, Default)]
pub(crate) struct Index {
    rows: HashMap<String, Row>,
    owners: HashMap<String, Owned>,
}

/// The tasks of one owner.
#[derive(Debug, Default)]
struct Owned {
    tasks: usize,
    /// Those that have ended, by how gladly they are let go, the one that ended first at the front.
    ended: BTreeMap<Leaving, BTreeSet<(Time, String)>>,
}

/// How gladly a task that has ended is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Leaving {
    /// Nobody is left to tell of it.
    Told,
    /// Somebody is.
    Untold,
    /// It could not be removed.
    Stuck,
}

impl Owned {
    /// A task came, or goes.
    fn note(&mut self, id: &str, row: &Row, comes: bool) {
        self.tasks = if comes { self.tasks + 1 } else { self.tasks - 1 };
        let leaving = match row {
            _ if !row.progress.state.is_terminal() => return,
            Row { stuck: true, .. } => Leaving::Stuck,
            Row { untold: true, .. } => Leaving::Untold,
            _ => Leaving::Told,
        };
        let (ended, place) =
            (self.ended.entry(leaving).or_default(), (row.progress.status_at, id.to_owned()));
        if comes {
            ended.insert(place);
        } else {
            ended.remove(&place);
        }
    }
}

/// A page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its tasks, and the last change of each.
    pub(crate) places: Vec<(Place, u64)>,
    pub(crate) next: Option<Place>,
    pub(crate) total: usize,
}

impl Index {
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The task, whosever it is.
    pub(crate) fn row(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// The task, if it exists for this caller.
    pub(crate) fn get(&self, caller: &Caller, id: &str) -> Option<&Row> {
        self.row(id).filter(|row| caller.sees(&row.owner))
    }

    pub(crate) fn insert(&mut self, id: String, row: Row) {
        self.owners.entry(row.owner.clone()).or_default().note(&id, &row, true);
        self.rows.insert(id, row);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Row> {
        let row = self.rows.remove(id)?;
        let owned = self.owners.get_mut(&row.owner)?;
        owned.note(id, &row, false);
        if owned.tasks == 0 {
            self.owners.remove(&row.owner);
        }
        Some(row)
    }

    /// Changes what is known of a task, and with it when it goes.
    fn change(&mut self, id: &str, change: impl FnOnce(&mut Row)) {
        let Some(row) = self.rows.get_mut(id) else { return };
        let Some(owned) = self.owners.get_mut(&row.owner) else { return };
        owned.note(id, row, false);
        change(row);
        owned.note(id, row, true);
    }

    /// Takes note of a change that was written: of so many bytes of JSON if it is an artifact, and with a
    /// line of so many.
    pub(crate) fn note(&mut self, id: &str, stored: &Arc<Stored>, bytes: usize, line: usize) {
        self.change(id, |row| {
            row.progress.note(stored, bytes, line);
            row.keep(stored, line);
        });
    }

    /// Takes note of that a task could not be removed: others go first.
    pub(crate) fn note_stuck(&mut self, id: &str) {
        self.change(id, |row| row.stuck = true);
    }

    /// Takes note of whether some receiver of a task was not told how it ended.
    pub(crate) fn note_receivers(&mut self, id: &str, untold: bool) {
        self.change(id, |row| row.untold = untold);
    }

    /// The task that goes first when `owner` wants a place and none is free; only one that has ended does.
    pub(crate) fn dispensable(&self, owner: &str, now: Time) -> Option<String> {
        let of_all = self.owners.iter().flat_map(|(name, owned)| {
            owned.ended.iter().filter_map(move |(leaving, ended)| {
                let (at, id) = ended.first()?;
                let is_fresh = *leaving == Leaving::Told && *now - **at < FRESH;
                let leaving = if is_fresh { Leaving::Untold } else { *leaving };
                Some((leaving, name != owner, Reverse(owned.tasks), *at, id))
            })
        });
        of_all.min().map(|it| it.4.clone())
    }

    /// Every task that exists for this caller.
    pub(crate) fn of<'a>(
        &'a self,
        caller: &'a Caller,
    ) -> impl Iterator<Item = (&'a String, &'a Row)> {
        self.rows.iter().filter(|(_, row)| caller.sees(&row.owner))
    }

    /// The caller's tasks that fit a query, behind `after`.
    pub(crate) fn find(&self, caller: &Caller, query: &ListTasks, after: Option<&Place>) -> Found {
        let fits = |row: &Row| {
            let (context, since) = (&query.context_id, query.status_timestamp_after);
            context.as_ref().is_none_or(|it| *it == row.context_id)
                && query.status.is_none_or(|it| it == row.progress.state)
                && since.is_none_or(|it| row.progress.status_at >= it)
        };
        let mut total = 0;
        let fitting = self.of(caller).filter(|(_, row)| fits(row)).inspect(|_| total += 1);
        let mut page: Vec<_> = fitting
            .map(|(id, Row { progress, .. })| (Reverse(progress.status_at), id, progress.seq))
            .filter(|it| after.is_none_or(|after| (it.0, it.1.as_str()) > after.key()))
            .collect();
        let size = usize::try_from(query.page_size).unwrap_or(usize::MAX);
        let more = page.len() > size;
        if more {
            // Only what is on the page is put in order.
            page.select_nth_unstable(size);
            page.truncate(size);
        }
        page.sort_unstable();
        let place = |(Reverse(status_at), id, seq): (_, &String, _)| {
            (Place { status_at, id: id.clone() }, seq)
        };
        let places: Vec<_> = page.into_iter().map(place).collect();
        let next = places.last().filter(|_| more).map(|it| it.0.clone());
        Found { places, next, total }
    }
}

#[cfg(test)]
mod tests;
