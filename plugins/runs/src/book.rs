//! The book of runs: joins the ledger, the files and the followers. What changes a run goes through its
//! writer's lock first, then the file, then the ledger and the followers in one step.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use carport_core::{
    Caller, Clock, Guarded, Identity, Notification, Result, RpcError, Session, Subscribers, Time,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::{
    authority,
    ledger::{Full, Ledger, MAX_OPEN, MAX_OPEN_OF_SESSION, Place, Refused, Run},
    record::{
        FORMAT, IncompleteReason, Line, RunEnded, RunRecord, RunStarted, RunStatus, RunSummary,
        Termination,
    },
    store::{Recovered, RunFile, Store, failed},
    turn::NewTurn,
};

/// Bytes of turns in a snapshot.
const SNAPSHOT_BYTES: usize = 8 << 20;
/// Runs that one connection may follow.
const MAX_FOLLOWED: usize = 64;

/// A record of a run that is followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceEvent {
    /// The run.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// The record as it stands in the file.
    pub record: Line,
    /// Turns recorded, this one included.
    pub cursor: u64,
    /// Where the run stands now.
    pub status: RunStatus,
}

impl Notification for TraceEvent {
    const NAME: &'static str = "runs.trace.event";
}

/// Why a batch was not kept. A drop is a result, not an error: the sender stops sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// No such run, or not the caller's.
    RunNotFound,
    /// It has ended.
    RunTerminal,
    /// A turn exceeds 256 KiB in fields that are not shortened.
    TurnTooLarge,
    /// It would have more than 2,000 turns.
    RunTurnLimit,
}

/// What a follower gets first.
pub(crate) struct Snapshot {
    pub(crate) agent_id: String,
    pub(crate) status: RunStatus,
    pub(crate) cursor: u64,
    pub(crate) first_index: u64,
    pub(crate) turns: Vec<Line>,
}

pub(crate) struct Book {
    store: Store,
    clock: Arc<dyn Clock>,
    ledger: Guarded<Ledger>,
    writers: Guarded<HashMap<String, Arc<Mutex<RunFile>>>>,
    followers: Subscribers<String>,
    /// The connections that have had runs attached, to tell them of a cancellation.
    sessions: Guarded<HashMap<u64, Weak<Session>>>,
    /// One start at a time, so that a key names one run.
    starting: Mutex<()>,
}

impl Book {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            ledger: Guarded::default(),
            writers: Guarded::default(),
            followers: Subscribers::with_limit(MAX_FOLLOWED),
            sessions: Guarded::default(),
            starting: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Takes in the runs of an earlier process; what it left open ends as incomplete.
    pub(crate) async fn adopt(&self) -> Result<()> {
        for found in self.store.recover().await.map_err(failed)? {
            let Recovered { path, started, ended, turn_count } = found;
            let ended = match ended {
                Some(ended) => ended,
                None => {
                    let ended =
                        self.ended(&started, turn_count, incomplete(IncompleteReason::Restart));
                    let line = line(&RunRecord::Ended(ended.clone()))?;
                    let mut file = self.store.reopen(&path).map_err(failed)?;
                    file.append(format!("{}\n", line.text()).into_bytes()).await.map_err(failed)?;
                    tracing::info!(
                        run = started.run_id,
                        "an open run of an earlier daemon was ended"
                    );
                    ended
                }
            };
            self.ledger.lock().insert(Run::terminal(started, ended, turn_count));
        }
        Ok(())
    }

    /// Opens a run, or finds the one that its key names. `true` if it was there.
    pub(crate) async fn start(
        &self,
        started: RunStarted,
        session: &Arc<Session>,
    ) -> Result<(RunStarted, RunStatus, bool)> {
        let _starting = self.starting.lock().await;
        self.sessions.lock().insert(session.serial(), Arc::downgrade(session));
        {
            let mut ledger = self.ledger.lock();
            if let Some(run) = ledger.get(&started.run_id) {
                if run.started.agent_id != started.agent_id {
                    let why = format!("run `{}` belongs to another agent", started.run_id);
                    return Err(RpcError::conflict(why));
                }
                let found = (run.started.clone(), run.status(), true);
                ledger.attach(&started.run_id, session.serial());
                return Ok(found);
            }
            ledger.has_room(session.serial())?;
        }
        let first = first_line(&started)?;
        let file = self.store.create(&started.agent_id, &started.run_id, &first).await?;
        self.writers.lock().insert(started.run_id.clone(), Arc::new(Mutex::new(file)));
        self.ledger.lock().insert(Run::new(started.clone(), Some(session.serial())));
        Ok((started, RunStatus::InProgress, false))
    }

    /// Appends a batch as one block. `Ok(Err(_))` is a drop.
    pub(crate) async fn record(
        &self,
        run_id: &str,
        mut turns: Vec<NewTurn>,
        may_write: impl Fn(&Run) -> bool,
    ) -> Result<std::result::Result<u64, Dropped>> {
        match self.ledger.lock().get(run_id).filter(|run| may_write(run)) {
            None => return Ok(Err(Dropped::RunNotFound)),
            Some(run) if run.ended.is_some() => return Ok(Err(Dropped::RunTerminal)),
            Some(_) => {}
        }
        // The queue for the writer is first come, first served, and this is reached before any other
        // wait: batches of one connection are written in the order of their frames.
        let Some(writer) = self.writer(run_id) else { return Ok(Err(Dropped::RunTerminal)) };
        let mut file = writer.lock().await;
        if turns.iter_mut().any(|turn| turn.shorten().is_err()) {
            return Ok(Err(self.dropped(run_id, Dropped::TurnTooLarge)));
        }
        let base = match self.admitted(run_id, turns.len()) {
            Ok(base) => base,
            Err(Refused::Terminal) => return Ok(Err(Dropped::RunTerminal)),
            Err(Refused::TooMany) => return Ok(Err(Dropped::RunTurnLimit)),
        };
        let at = self.clock.now();
        let stamped = turns
            .into_iter()
            .zip(base..)
            .map(|(turn, index)| line(&RunRecord::Turn(turn.stamp(index, at))));
        let lines = stamped.collect::<Result<Vec<_>>>()?;
        let mut bytes = Vec::with_capacity(lines.iter().map(|it| it.text().len() + 1).sum());
        for line in &lines {
            bytes.extend_from_slice(line.text().as_bytes());
            bytes.push(b'\n');
        }
        file.append(bytes).await.map_err(failed)?;
        self.commit(run_id, lines);
        Ok(Ok(base))
    }

    fn dropped(&self, run_id: &str, otherwise: Dropped) -> Dropped {
        // It may have ended while the batch waited for the writer.
        match self.admitted(run_id, 0) {
            Err(Refused::Terminal) => Dropped::RunTerminal,
            _ => otherwise,
        }
    }

    fn admitted(&self, run_id: &str, turns: usize) -> std::result::Result<u64, Refused> {
        let ledger = self.ledger.lock();
        let run = ledger.get(run_id).ok_or(Refused::Terminal)?;
        run.admits(turns).map(|()| run.turn_count)
    }

    /// Counts turns that are in the file and tells followers, in one step.
    fn commit(&self, run_id: &str, lines: Vec<Line>) {
        let mut ledger = self.ledger.lock();
        let Some(run) = ledger.get_mut(run_id) else { return };
        let heard = self.followers.is_heard(&run.started.run_id);
        for line in lines {
            run.append(line.clone());
            if heard {
                self.tell(run, line);
            }
        }
    }

    fn tell(&self, run: &Run, record: Line) {
        let run_id = run.started.run_id.clone();
        let agent_id = run.started.agent_id.clone();
        let (cursor, status) = (run.turn_count, run.status());
        let event = TraceEvent { run_id, agent_id, record, cursor, status };
        self.followers.notify(&event.run_id, &event);
    }

    /// Ends a run once: whoever comes first decides how; the others hear that it is terminal.
    pub(crate) async fn end(&self, run_id: &str, termination: Termination) -> Result<()> {
        let terminal = || self.terminal(run_id);
        let writer = self.writer(run_id).ok_or_else(terminal)?;
        let mut file = writer.lock().await;
        let started = {
            let ledger = self.ledger.lock();
            let run = ledger.get(run_id).filter(|run| run.ended.is_none());
            run.map(|run| (run.started.clone(), run.turn_count))
        };
        let (started, turns) = started.ok_or_else(terminal)?;
        let ended = self.ended(&started, turns, termination);
        let line = line(&RunRecord::Ended(ended.clone()))?;
        file.append(format!("{}\n", line.text()).into_bytes()).await.map_err(failed)?;
        let mut ledger = self.ledger.lock();
        if ledger.end(run_id, ended).is_ok()
            && let Some(run) = ledger.get(run_id)
        {
            self.tell(run, line);
        }
        drop(ledger);
        self.writers.lock().remove(run_id);
        Ok(())
    }

    fn terminal(&self, run_id: &str) -> RpcError {
        let status = self.ledger.lock().get(run_id).map(Run::status);
        RpcError::conflict(format!("run `{run_id}` has ended"))
            .with("status", serde_json::json!(status))
    }

    fn ended(&self, started: &RunStarted, turn_count: u64, termination: Termination) -> RunEnded {
        RunEnded {
            run_id: started.run_id.clone(),
            agent_id: started.agent_id.clone(),
            termination,
            ended_at: self.clock.now(),
            turn_count,
        }
    }

    fn writer(&self, run_id: &str) -> Option<Arc<Mutex<RunFile>>> {
        self.writers.lock().get(run_id).cloned()
    }

    /// Follows a run: what it did so far, then each record as it comes.
    pub(crate) async fn follow(&self, run_id: &str, caller: &Caller) -> Result<Snapshot> {
        let (mut snapshot, held) = {
            let ledger = self.ledger.lock();
            let run = ledger.get(run_id).ok_or_else(|| not_found(run_id))?;
            self.followers.subscribe(run_id.to_owned(), caller)?;
            let (first_index, lines) = run.recent();
            let turns: Vec<_> = lines.cloned().collect();
            let held: usize = turns.iter().map(|it| it.text().len()).sum();
            let agent_id = run.started.agent_id.clone();
            let (status, cursor) = (run.status(), run.turn_count);
            (Snapshot { agent_id, status, cursor, first_index, turns }, held)
        };
        // What memory no longer has does not change any more, so that it is read without the lock.
        if snapshot.first_index > 0 {
            let (agent, end) = (&snapshot.agent_id, snapshot.first_index);
            let room = SNAPSHOT_BYTES.saturating_sub(held);
            let (first, mut older) = self.store.newest_turns(agent, run_id, end, room).await?;
            older.append(&mut snapshot.turns);
            (snapshot.first_index, snapshot.turns) = (first, older);
        }
        Ok(snapshot)
    }

    pub(crate) fn unfollow(&self, run_id: &str, session: &Session) -> bool {
        self.followers.unsubscribe(&run_id.to_owned(), session)
    }

    /// Makes an open run of the caller's the current run of its connection.
    pub(crate) fn resume(&self, run_id: &str, session: &Arc<Session>) -> Result<(String, u64)> {
        self.sessions.lock().insert(session.serial(), Arc::downgrade(session));
        let mut ledger = self.ledger.lock();
        let run = ledger.get(run_id).ok_or_else(|| not_found(run_id))?;
        if run.ended.is_some() {
            drop(ledger);
            return Err(self.terminal(run_id));
        }
        let found = (run.started.agent_id.clone(), run.turn_count);
        ledger.attach(run_id, session.serial());
        Ok(found)
    }

    /// Runs of an agent, newest first; `true` if more follow.
    pub(crate) fn list(
        &self,
        agent_id: &str,
        before: Option<&Place>,
        status: Option<RunStatus>,
        limit: usize,
    ) -> (Vec<RunSummary>, bool) {
        let ledger = self.ledger.lock();
        let wanted = |run: &&Run| status.is_none_or(|status| run.status() == status);
        let mut rows: Vec<_> = ledger
            .list(agent_id, before)
            .filter(wanted)
            .take(limit + 1)
            .map(Run::summary)
            .collect();
        let more = rows.len() > limit;
        rows.truncate(limit);
        (rows, more)
    }

    /// What `look` sees of a run, if there is one.
    pub(crate) fn look<T>(&self, run_id: &str, look: impl FnOnce(&Run) -> T) -> Option<T> {
        self.ledger.lock().get(run_id).map(look)
    }

    pub(crate) fn agent_of(&self, run_id: &str) -> Option<String> {
        self.look(run_id, |run| run.started.agent_id.clone())
    }

    /// The connection that the run is attached to.
    pub(crate) fn attached_to(&self, run_id: &str) -> Option<Arc<Session>> {
        let serial = self.look(run_id, |run| run.attached)??;
        self.sessions.lock().get(&serial)?.upgrade()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The connection's current run.
    pub(crate) fn current(&self, session: &Session) -> Option<String> {
        self.ledger.lock().current(session.serial()).map(str::to_owned)
    }

    /// Ends what the connection left open.
    pub(crate) async fn session_gone(&self, session: &Session) {
        self.sessions.lock().remove(&session.serial());
        let open = self.ledger.lock().take_attached(session.serial());
        self.leave(open).await;
    }

    /// Ends whatever is open: the daemon stops.
    pub(crate) async fn close(&self) {
        let open = self.ledger.lock().open_runs();
        self.leave(open).await;
        self.store.sync().await;
    }

    async fn leave(&self, runs: Vec<String>) {
        for run_id in runs {
            // An error means that somebody else ended it first, or is logged already.
            let _ = self.end(&run_id, incomplete(IncompleteReason::Disconnect)).await;
        }
    }

    /// Whether the caller may end the run; to others it is as if there were none.
    pub(crate) fn may_complete(&self, run_id: &str, caller: &Caller) -> Result<()> {
        let session = caller.session().serial();
        let may = self.look(run_id, |run| {
            authority::may_complete(caller.identity(), &run.started.agent_id, run.attached, session)
        });
        if may == Some(true) { Ok(()) } else { Err(not_found(run_id)) }
    }

    /// Whether the caller may write turns and resume.
    pub(crate) fn writes(identity: &Identity) -> impl Fn(&Run) -> bool {
        |run| authority::may_write(identity, &run.started.agent_id)
    }
}

pub(crate) fn incomplete(reason: IncompleteReason) -> Termination {
    Termination::Incomplete { reason, message: None }
}

pub(crate) fn not_found(run_id: &str) -> RpcError {
    RpcError::not_found(format!("run `{run_id}`"))
}

/// The first line says which format the file is in; events and traces leave that out.
fn first_line(started: &RunStarted) -> Result<String> {
    let line = line(&RunRecord::Started(started.clone()))?;
    let tag = "\"record\":\"started\"";
    Ok(line.text().replacen(tag, &format!("{tag},\"format\":{FORMAT}"), 1))
}

fn line(record: &RunRecord) -> Result<Line> {
    Line::of(record).map_err(RpcError::internal)
}

impl From<Full> for RpcError {
    fn from(full: Full) -> Self {
        match full {
            Full::Session => Self::limit("open runs of a connection", MAX_OPEN_OF_SESSION as u64),
            Full::Daemon => Self::limit("open runs", MAX_OPEN as u64),
        }
    }
}
