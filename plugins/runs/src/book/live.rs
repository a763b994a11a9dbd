//! The runs in memory and who follows them: a run changes and its followers hear of it under one lock.

use carport_core::{Caller, Guarded, Result, Subscribers, Time};

use super::following::{Snapshot, TraceEvent};
use crate::{
    authority,
    ledger::{Ledger, Refused, Run},
    record::{End, Line},
};

/// Runs that one connection may follow.
const MAX_FOLLOWED: usize = 64;

/// The ledger, and the followers of its runs. Whoever joins a run holds the lock that every change of it
/// is made and told under, so that nobody misses a record or hears one twice.
pub(super) struct Live {
    pub(super) ledger: Guarded<Ledger>,
    pub(super) followers: Subscribers<String>,
}

impl Live {
    pub(super) fn new() -> Self {
        Self { ledger: Guarded::default(), followers: Subscribers::with_limit(MAX_FOLLOWED) }
    }

    /// Subscribes and takes what is in memory in one step, with the bytes of its turns; `None` if the
    /// run is not in memory.
    pub(super) fn join(&self, run_id: &str, caller: &Caller) -> Result<Option<(Snapshot, usize)>> {
        let ledger = self.ledger.lock();
        let Some(run) = ledger.get(run_id) else { return Ok(None) };
        authority::read(caller.identity(), &run.started.agent_id)?;
        self.followers.subscribe(run_id.to_owned(), caller)?;
        let (first_index, lines) = run.recent();
        let turns: Vec<_> = lines.cloned().collect();
        let held = turns.iter().map(|it| it.text().len()).sum();
        let agent_id = run.started.agent_id.clone();
        let (status, cursor) = (run.status(), run.turn_count);
        Ok(Some((Snapshot { agent_id, status, cursor, first_index, turns }, held)))
    }

    /// Counts turns that are in the file and tells followers, in one step. `also` sees
    /// each of them before it counts.
    pub(super) fn commit(
        &self,
        run_id: &str,
        lines: Vec<Line>,
        at: Time,
        also: impl Fn(&Run, &Line),
    ) {
        let mut ledger = self.ledger.lock();
        let Some(run) = ledger.get_mut(run_id) else { return };
        let heard = self.followers.is_heard(&run.started.run_id);
        for line in lines {
            also(run, &line);
            run.append(line.clone(), at);
            if heard {
                self.tell(run, line);
            }
        }
    }

    /// Ends a run whose last line is in the file, once, and tells followers in the same step.
    pub(super) fn end(
        &self,
        run_id: &str,
        end: End,
        line: Line,
        also: impl Fn(&Run, &Line),
    ) -> std::result::Result<(), Refused> {
        let mut ledger = self.ledger.lock();
        ledger.end(run_id, end)?;
        if let Some(run) = ledger.get(run_id) {
            also(run, &line);
            self.tell(run, line);
        }
        Ok(())
    }

    fn tell(&self, run: &Run, record: Line) {
        let run_id = run.started.run_id.clone();
        let agent_id = run.started.agent_id.clone();
        let (cursor, status) = (run.turn_count, run.status());
        let event = TraceEvent { run_id, agent_id, record, cursor, status };
        self.followers.notify(&event.run_id, &event);
    }
}
