//! The book of runs: joins the ledger, the files and the followers. What changes a run goes through its
//! writer's lock first, then the file, then the ledger and the followers in one step.

mod following;
mod keeping;
mod live;
#[cfg(all(test, feature = "loom"))]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use carport_core::{Caller, Clock, Guarded, Identity, Result, RpcError, Session, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Notify};

pub use following::TraceEvent;

use live::Live;

use crate::{
    authority,
    catalog::{Catalog, Listing},
    export::live::Feed,
    ledger::{Full, MAX_OPEN, MAX_OPEN_OF_SESSION, Refused, Run},
    record::{
        FORMAT, IncompleteReason, Line, RunEnded, RunRecord, RunStarted, RunStatus, RunSummary,
        Termination,
    },
    store::{Bounds, Page, RunFile, Store, blocking, failed},
    turn::{NewTurn, TooLarge},
};

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

pub(crate) struct Book {
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    /// Where every record also goes, if the operator says so.
    feed: Option<Feed>,
    live: Live,
    writers: Guarded<HashMap<String, Arc<Writer>>>,
    /// The connections that have had runs attached, to tell them of a cancellation.
    sessions: Guarded<HashMap<u64, Weak<Session>>>,
    /// One start at a time, so that a key names one run.
    starting: Mutex<()>,
    /// Runs whose end could not be written.
    unended: Guarded<Vec<String>>,
    /// Wakes the keeper.
    ended_some: Notify,
}

/// The file of an open run, and whose the run is.
struct Writer {
    agent_id: String,
    file: Mutex<RunFile>,
}

impl Book {
    pub(crate) fn new(catalog: Catalog, clock: Arc<dyn Clock>, feed: Option<Feed>) -> Self {
        Self {
            catalog,
            clock,
            feed,
            live: Live::new(),
            writers: Guarded::default(),
            sessions: Guarded::default(),
            starting: Mutex::default(),
            unended: Guarded::default(),
            ended_some: Notify::new(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Takes in what an earlier process left; what it left open ends as incomplete.
    pub(crate) async fn adopt(&self) -> Result<()> {
        self.catalog.adopt(self.clock.now()).await.map_err(failed)
    }

    /// Opens a run, or finds the one that its key names. `true` if it was there.
    pub(crate) async fn start(
        &self,
        started: RunStarted,
        session: &Arc<Session>,
    ) -> Result<(RunStatus, bool)> {
        let _starting = self.starting.lock().await;
        self.sessions.lock().insert(session.serial(), Arc::downgrade(session));
        if let Some((agent_id, status)) = self.standing(&started.run_id) {
            if agent_id != started.agent_id {
                let why = format!("run `{}` belongs to another agent", started.run_id);
                return Err(RpcError::conflict(why));
            }
            self.live.ledger.lock().attach(&started.run_id, session.serial())?;
            return Ok((status, true));
        }
        self.live.ledger.lock().has_room(session.serial())?;
        let first = first_line(&started)?;
        let file = self.store().create(&started.agent_id, &started.run_id, &first).await?;
        let writer = Writer { agent_id: started.agent_id.clone(), file: Mutex::new(file) };
        self.writers.lock().insert(started.run_id.clone(), writer.into());
        self.live.ledger.lock().insert(Run::new(started, Some(session.serial())));
        Ok((RunStatus::InProgress, false))
    }

    /// Appends a batch as one block. `Ok(Err(_))` is a drop.
    pub(crate) async fn record(
        &self,
        run_id: &str,
        turns: Vec<NewTurn>,
        may_write: impl Fn(&str) -> bool,
    ) -> Result<std::result::Result<u64, Dropped>> {
        // The queue for the writer is first come, first served, and this is reached before any other
        // wait: batches of one connection are written in the order of their frames.
        let Some(writer) = self.writer(run_id) else {
            return Ok(Err(self.takes_no_turns(run_id, may_write)));
        };
        if !may_write(&writer.agent_id) {
            return Ok(Err(Dropped::RunNotFound));
        }
        let mut file = writer.file.lock().await;
        // Nobody else appends meanwhile, so that this is where the batch will be.
        let admitted = self.look(run_id, |run| (run.turn_count, run.admits(turns.len())));
        let (base, admits) = admitted.unwrap_or((0, Err(Refused::Terminal)));
        if admits == Err(Refused::Terminal) {
            return Ok(Err(Dropped::RunTerminal));
        }
        let at = self.clock.now();
        let lines = turns.into_iter().zip(base..).map(|(turn, index)| turn.encode(index, at));
        let lines = match lines.collect::<std::result::Result<Vec<_>, _>>() {
            Err(TooLarge) => return Ok(Err(Dropped::TurnTooLarge)),
            Ok(_) if admits.is_err() => return Ok(Err(Dropped::RunTurnLimit)),
            Ok(lines) => lines,
        };
        let mut bytes = Vec::with_capacity(lines.iter().map(|it| it.text().len() + 1).sum());
        for line in &lines {
            bytes.extend_from_slice(line.text().as_bytes());
            bytes.push(b'\n');
        }
        file.append(bytes).await.map_err(failed)?;
        self.live.commit(run_id, lines, |run, line| self.export(run, line));
        Ok(Ok(base))
    }

    /// Why a run that has no writer takes no turns.
    fn takes_no_turns(&self, run_id: &str, may_write: impl Fn(&str) -> bool) -> Dropped {
        match self.agent_of(run_id) {
            Some(agent_id) if may_write(&agent_id) => Dropped::RunTerminal,
            _ => Dropped::RunNotFound,
        }
    }

    /// Hands a record to the exporter, which drops and counts what it has no room for.
    fn export(&self, run: &Run, line: &Line) {
        if let Some(feed) = &self.feed {
            feed.send(run.started.clone(), line.clone());
        }
    }

    /// Ends a run once: whoever comes first decides how; the others hear that it is terminal.
    pub(crate) async fn end(&self, run_id: &str, termination: Termination) -> Result<()> {
        let terminal = || self.terminal(run_id);
        let writer = self.writer(run_id).ok_or_else(terminal)?;
        let mut file = writer.file.lock().await;
        let started = {
            let ledger = self.live.ledger.lock();
            let run = ledger.get(run_id).filter(|run| run.ended.is_none());
            run.map(|run| (run.started.clone(), run.turn_count))
        };
        let (started, turns) = started.ok_or_else(terminal)?;
        let ended = self.ended(&started, turns, termination);
        let line = line(&RunRecord::Ended(ended.clone()))?;
        file.append(format!("{}\n", line.text()).into_bytes()).await.map_err(failed)?;
        // Nobody else ends it meanwhile: the writer is held.
        let _ = self.live.end(run_id, ended, line, |run, line| self.export(run, line));
        self.writers.lock().remove(run_id);
        self.ended_some.notify_one();
        Ok(())
    }

    fn terminal(&self, run_id: &str) -> RpcError {
        let status = self.standing(run_id).map(|(_, status)| status);
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

    fn writer(&self, run_id: &str) -> Option<Arc<Writer>> {
        self.writers.lock().get(run_id).cloned()
    }

    /// Makes an open run of the caller's the current run of its connection.
    pub(crate) fn resume(&self, run_id: &str, session: &Arc<Session>) -> Result<(String, u64)> {
        self.sessions.lock().insert(session.serial(), Arc::downgrade(session));
        let mut ledger = self.live.ledger.lock();
        let open = ledger.get(run_id).filter(|run| run.ended.is_none());
        let Some(found) = open.map(|run| (run.started.agent_id.clone(), run.turn_count)) else {
            drop(ledger);
            return Err(self.terminal(run_id));
        };
        ledger.attach(run_id, session.serial())?;
        Ok(found)
    }

    /// Runs of an agent, newest first.
    pub(crate) async fn list(&self, listing: Listing) -> Result<Vec<RunSummary>> {
        // Memory first: a run that leaves it meanwhile is in the catalog by then.
        let mut rows: Vec<_> = {
            let ledger = self.live.ledger.lock();
            let runs = ledger.list(&listing.agent_id, listing.before.as_ref());
            let wanted = |run: &&Run| listing.status.is_none_or(|status| run.status() == status);
            runs.filter(wanted).take(listing.limit).map(Run::summary).collect()
        };
        let here: HashSet<_> = rows.iter().map(|row| row.run_id.clone()).collect();
        let past = self.catalog.list(listing.clone()).await.map_err(failed)?;
        rows.extend(past.into_iter().filter(|row| !here.contains(&row.run_id)));
        Ok(listing.page(rows))
    }

    /// What `look` sees of a run in memory, if there is one.
    pub(crate) fn look<T>(&self, run_id: &str, look: impl FnOnce(&Run) -> T) -> Option<T> {
        self.live.ledger.lock().get(run_id).map(look)
    }

    /// Whose a run is and where it stands, in memory or on disk.
    pub(crate) fn standing(&self, run_id: &str) -> Option<(String, RunStatus)> {
        let here = self.look(run_id, |run| (run.started.agent_id.clone(), run.status()));
        here.or_else(|| self.catalog.find(run_id).map(|past| (past.agent_id, past.status)))
    }

    pub(crate) fn agent_of(&self, run_id: &str) -> Option<String> {
        self.standing(run_id).map(|(agent_id, _)| agent_id)
    }

    /// The connection that the run is attached to.
    pub(crate) fn attached_to(&self, run_id: &str) -> Option<Arc<Session>> {
        let serial = self.look(run_id, |run| run.attached)??;
        self.sessions.lock().get(&serial)?.upgrade()
    }

    /// Records of a run from offset `cursor` on, and whose it is; `None` if there is no such run.
    pub(crate) async fn page(
        &self,
        run_id: &str,
        cursor: u64,
        bounds: Bounds,
    ) -> Result<Option<(String, Page)>> {
        let Some(agent_id) = self.agent_of(run_id) else { return Ok(None) };
        let page = self.store().page(&agent_id, run_id, cursor, bounds).await?;
        Ok(page.map(|page| (agent_id, page)))
    }

    /// How a run started and how it ended, as its file says.
    pub(crate) async fn ends(
        &self,
        run_id: &str,
    ) -> Result<Option<(RunStarted, Option<RunEnded>)>> {
        let Some(agent_id) = self.agent_of(run_id) else { return Ok(None) };
        let (store, run_id) = (self.store().clone(), run_id.to_owned());
        let found = blocking(move || store.look(&agent_id, &run_id)).await.map_err(failed)?;
        Ok(found.map(|(found, _)| (found.started, found.ended)))
    }

    pub(crate) fn store(&self) -> &Store {
        self.catalog.store()
    }

    /// The connection's current run.
    pub(crate) fn current(&self, session: &Session) -> Option<String> {
        self.live.ledger.lock().current(session.serial()).map(str::to_owned)
    }

    /// Ends what the connection left open.
    pub(crate) async fn session_gone(&self, session: &Session) {
        self.sessions.lock().remove(&session.serial());
        let open = self.live.ledger.lock().take_attached(session.serial());
        self.leave(open).await;
    }

    /// Ends whatever is open: the daemon stops.
    pub(crate) async fn close(&self) {
        let open = self.live.ledger.lock().open_runs();
        self.leave(open).await;
        self.store().sync().await;
        self.index_ended().await;
    }

    /// Ends runs whose connection is gone. One that cannot be ended now is for the keeper to end.
    async fn leave(&self, runs: Vec<String>) {
        for run_id in runs {
            let left = self.end(&run_id, incomplete(IncompleteReason::Disconnect)).await;
            if self.look(&run_id, |run| run.ended.is_none()) == Some(true) {
                tracing::error!(run_id, ?left, "a run that was left open could not be ended yet");
                self.unended.lock().push(run_id);
            }
        }
    }

    /// Whether the caller may end the run; to others it is as if there were none.
    pub(crate) fn may_complete(&self, run_id: &str, caller: &Caller) -> Result<()> {
        let session = caller.session().serial();
        let here = self.look(run_id, |run| (run.started.agent_id.clone(), run.attached));
        let past = || self.catalog.find(run_id).map(|past| (past.agent_id, None));
        match here.or_else(past) {
            Some((agent_id, attached))
                if authority::may_complete(caller.identity(), &agent_id, attached, session) =>
            {
                Ok(())
            }
            _ => Err(not_found(run_id)),
        }
    }

    /// Whether the caller may write turns to the runs of an agent, and resume them.
    pub(crate) fn writes(identity: &Identity) -> impl Fn(&str) -> bool {
        |agent_id| authority::may_write(identity, agent_id)
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
