//! The runs of this process: who owns them, where they stand, what they lately did. Pure: no clock, no
//! disk, no socket.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use carport_core::Time;

use crate::record::{End, Line, RunStarted, RunStatus, RunSummary};

/// Turns of one run; a backstop far above any healthy run.
pub(crate) const MAX_TURNS: u64 = 2000;
/// Open runs of one connection.
pub(crate) const MAX_OPEN_OF_SESSION: usize = 16;
/// Open runs of the daemon.
pub(crate) const MAX_OPEN: usize = 4096;
/// Bytes of newest turns that an open run keeps.
const KEPT_BYTES: usize = 4 << 20;
/// Runs that have ended and are still in memory, whatever their age.
const MAX_RESTING: usize = 1024;

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) started: Arc<RunStarted>,
    pub(crate) ended: Option<End>,
    pub(crate) turn_count: u64,
    /// When its last turn was accepted, or when it started.
    pub(crate) last_at: Time,
    /// The connection that it ends with, or ended with.
    pub(crate) attached: Option<u64>,
    /// The newest turns, oldest first.
    recent: VecDeque<Line>,
    recent_bytes: usize,
}

/// Why a batch is refused; a refused batch leaves nothing behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Terminal,
    TooMany,
}

/// Why a run cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Session,
    Daemon,
}

impl Run {
    pub(crate) fn new(started: RunStarted, attached: Option<u64>) -> Self {
        Self {
            last_at: started.started_at,
            started: started.into(),
            ended: None,
            turn_count: 0,
            attached,
            recent: VecDeque::new(),
            recent_bytes: 0,
        }
    }

    pub(crate) fn status(&self) -> RunStatus {
        self.ended.as_ref().map_or(RunStatus::InProgress, |end| end.status)
    }

    pub(crate) fn summary(&self) -> RunSummary {
        RunSummary::new(&self.started, self.ended.as_ref(), self.turn_count)
    }

    /// Whether a batch of so many turns may follow.
    pub(crate) fn admits(&self, turns: usize) -> Result<(), Refused> {
        match (&self.ended, self.turn_count + turns as u64 <= MAX_TURNS) {
            (Some(_), _) => Err(Refused::Terminal),
            (None, false) => Err(Refused::TooMany),
            (None, true) => Ok(()),
        }
    }

    /// Takes in a turn that is in the file.
    pub(crate) fn append(&mut self, line: Line, at: Time) {
        self.turn_count += 1;
        self.last_at = at;
        self.recent_bytes += line.text().len();
        self.recent.push_back(line);
        while self.recent_bytes > KEPT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.text().len();
        }
    }

    /// Ends it once. What it kept is let go, with the room that it took.
    pub(crate) fn end(&mut self, end: End) -> Result<(), Refused> {
        if self.ended.is_some() {
            return Err(Refused::Terminal);
        }
        self.ended = Some(end);
        self.recent = VecDeque::new();
        self.recent_bytes = 0;
        Ok(())
    }

    /// The index of the first turn in memory, and the turns from there on.
    pub(crate) fn recent(&self) -> (u64, impl DoubleEndedIterator<Item = &Line>) {
        (self.turn_count - self.recent.len() as u64, self.recent.iter())
    }
}

/// The runs in memory, by id, and the current run of each connection: those that are open, and those that
/// ended lately.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    runs: HashMap<String, Run>,
    /// Per connection, its open runs.
    attached: HashMap<u64, Vec<String>>,
    /// Per connection, the run that it started or resumed last, while that is open and its own.
    current: HashMap<u64, String>,
    open: usize,
    /// Per agent, its runs by start.
    by_agent: HashMap<String, BTreeSet<Place>>,
    /// Runs that have ended and that the index has not been told of.
    ended: Vec<String>,
    /// Runs that the index knows, by when they ended.
    resting: VecDeque<(Time, String)>,
}

/// A run's place in its agent's list: by start, then by id.
pub(crate) type Place = (Time, String);

impl Ledger {
    pub(crate) fn get(&self, run_id: &str) -> Option<&Run> {
        self.runs.get(run_id)
    }

    pub(crate) fn get_mut(&mut self, run_id: &str) -> Option<&mut Run> {
        self.runs.get_mut(run_id)
    }

    /// The runs of an agent, newest first, that come after `before`.
    pub(crate) fn list<'a>(
        &'a self,
        agent_id: &str,
        before: Option<&Place>,
    ) -> impl Iterator<Item = &'a Run> {
        let places = self.by_agent.get(agent_id);
        let end = before.cloned().map_or(Bound::Unbounded, Bound::Excluded);
        let range =
            places.into_iter().flat_map(move |it| it.range((Bound::Unbounded, end.clone())).rev());
        range.filter_map(|(_, run_id)| self.runs.get(run_id))
    }

    /// Whether this connection may open one more run.
    pub(crate) fn has_room(&self, session: u64) -> Result<(), Full> {
        let own = self.attached.get(&session).map_or(0, Vec::len);
        match (own < MAX_OPEN_OF_SESSION, self.open < MAX_OPEN) {
            (false, _) => Err(Full::Session),
            (true, false) => Err(Full::Daemon),
            (true, true) => Ok(()),
        }
    }

    /// Takes in a run; an open one with a connection becomes that connection's current run.
    pub(crate) fn insert(&mut self, run: Run) {
        let id = run.started.run_id.clone();
        if run.ended.is_none() {
            self.open += 1;
            if let Some(session) = run.attached {
                self.attached.entry(session).or_default().push(id.clone());
                self.current.insert(session, id.clone());
            }
        }
        let place = (run.started.started_at, id.clone());
        self.by_agent.entry(run.started.agent_id.clone()).or_default().insert(place);
        self.runs.insert(id, run);
    }

    /// Attaches an open run to a connection as its current run, if that has room for one more.
    pub(crate) fn attach(&mut self, run_id: &str, session: u64) -> Result<(), Full> {
        let own = self.attached.get(&session).map_or(0, Vec::len);
        let Some(run) = self.runs.get_mut(run_id).filter(|run| run.ended.is_none()) else {
            return Ok(());
        };
        if run.attached != Some(session) && own >= MAX_OPEN_OF_SESSION {
            return Err(Full::Session);
        }
        if let Some(before) = run.attached.replace(session) {
            self.detach(run_id, before);
        }
        self.attached.entry(session).or_default().push(run_id.to_owned());
        self.current.insert(session, run_id.to_owned());
        Ok(())
    }

    /// The run is no more one of the connection's open ones.
    fn detach(&mut self, run_id: &str, session: u64) {
        if let Some(runs) = self.attached.get_mut(&session) {
            runs.retain(|it| it != run_id);
        }
        if self.current(session) == Some(run_id) {
            self.current.remove(&session);
        }
    }

    /// Ends a run once, for whoever comes first.
    pub(crate) fn end(&mut self, run_id: &str, end: End) -> Result<(), Refused> {
        let run = self.runs.get_mut(run_id).ok_or(Refused::Terminal)?;
        run.end(end)?;
        let attached = run.attached;
        self.open -= 1;
        self.ended.push(run_id.to_owned());
        if let Some(session) = attached {
            self.detach(run_id, session);
        }
        Ok(())
    }

    /// The runs that have ended since the last time, for the index. They may leave memory after this.
    pub(crate) fn take_ended(&mut self) -> Vec<RunSummary> {
        let ended = std::mem::take(&mut self.ended);
        let runs: Vec<_> =
            ended.iter().filter_map(|id| self.runs.get(id)).map(Run::summary).collect();
        let rest = |run: &RunSummary| Some((run.ended_at?, run.run_id.clone()));
        self.resting.extend(runs.iter().filter_map(rest));
        runs
    }

    /// Lets go of runs that the index knows: those that ended before `then`, and the oldest of too many.
    pub(crate) fn let_go(&mut self, then: Time) {
        while let Some((ended_at, _)) = self.resting.front()
            && (*ended_at < then || self.resting.len() > MAX_RESTING)
        {
            let Some((ended_at, run_id)) = self.resting.pop_front() else { break };
            // A key may have been used again since.
            let ended = self.runs.get(&run_id).and_then(|run| run.ended.as_ref());
            if ended.is_some_and(|end| end.at == ended_at) {
                self.remove(&run_id);
            }
        }
    }

    /// Forgets a run that has ended.
    pub(crate) fn remove(&mut self, run_id: &str) {
        let Some(run) = self.runs.remove(run_id) else { return };
        self.ended.retain(|it| it != run_id);
        let agent = &run.started.agent_id;
        if let Some(places) = self.by_agent.get_mut(agent) {
            places.remove(&(run.started.started_at, run_id.to_owned()));
            if places.is_empty() {
                self.by_agent.remove(agent);
            }
        }
    }

    /// The run that the connection started or resumed last. Once that has ended or gone elsewhere, there
    /// is none until the next.
    pub(crate) fn current(&self, session: u64) -> Option<&str> {
        self.current.get(&session).map(String::as_str)
    }

    /// Whether a run is one of the connection's open ones.
    pub(crate) fn has_attached(&self, session: u64, run_id: &str) -> bool {
        self.attached.get(&session).is_some_and(|runs| runs.iter().any(|it| it == run_id))
    }

    /// The open runs of a connection that is gone.
    pub(crate) fn take_attached(&mut self, session: u64) -> Vec<String> {
        self.current.remove(&session);
        self.attached.remove(&session).unwrap_or_default()
    }

    /// Every open run.
    pub(crate) fn open_runs(&self) -> Vec<String> {
        let open = self.runs.values().filter(|run| run.ended.is_none());
        open.map(|run| run.started.run_id.clone()).collect()
    }
}
