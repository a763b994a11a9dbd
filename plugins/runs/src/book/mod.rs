//! The book of runs: joins the ledger, the files and the followers. What changes a run goes through its
//! writer's lock first, then the file, then the ledger and the followers in one step.

mod following;
mod keeping;
mod live;
#[cfg(test)]
mod tests;
mod writing;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use carport_core::{Clock, Guarded, Identity, Result, RpcError, Session, Time, blocking_io};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Notify};

pub use following::TraceEvent;

use live::Live;
pub(crate) use writing::Ended;
use writing::{Writer, whole};

use crate::{
    authority,
    catalog::{Catalog, Listing},
    export::live::Feed,
    ledger::{Full, MAX_OPEN, MAX_OPEN_OF_SESSION, Run},
    record::{
        FORMAT, IncompleteReason, Line, RunEnded, RunRecord, RunStarted, RunStatus, RunSummary,
        Termination,
    },
    store::{Bounds, Page, Store, failed},
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
    /// Runs whose connection is gone and which have not ended yet.
    unended: Guarded<HashSet<(u64, String)>>,
    /// Wakes the keeper.
    ended_some: Notify,
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
        self: &Arc<Self>,
        started: RunStarted,
        session: &Arc<Session>,
    ) -> Result<(RunStatus, bool)> {
        let (book, session) = (self.clone(), session.clone());
        whole(async move { book.open(started, &session).await }).await
    }

    async fn open(
        self: &Arc<Self>,
        started: RunStarted,
        session: &Arc<Session>,
    ) -> Result<(RunStatus, bool)> {
        let _starting = self.starting.lock().await;
        if let Some((agent_id, mut status)) = self.standing(&started.run_id)? {
            if agent_id != started.agent_id {
                let why = format!("run `{}` belongs to another agent", started.run_id);
                return Err(RpcError::conflict(why));
            }
            // It may end before it is attached.
            if status == RunStatus::InProgress
                && self.attach(&started.run_id, session, |_| Ok(())).await?.is_none()
            {
                status = self.standing(&started.run_id)?.map_or(status, |(_, status)| status);
            }
            return Ok((status, true));
        }
        self.live.ledger.lock().has_room(session.serial())?;
        let first = first_line(&started)?;
        let file = self.store().create(&started.agent_id, &started.run_id, &first).await?;
        self.sessions.lock().insert(session.serial(), Arc::downgrade(session));
        let writer = Writer::new(started.agent_id.clone(), file);
        self.writers.lock().insert(started.run_id.clone(), writer.into());
        self.live.ledger.lock().insert(Run::new(started, Some(session.serial())));
        self.unless_gone(session);
        Ok((RunStatus::InProgress, false))
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
    pub(crate) fn standing(&self, run_id: &str) -> Result<Option<(String, RunStatus)>> {
        if let Some(here) = self.look(run_id, |run| (run.started.agent_id.clone(), run.status())) {
            return Ok(Some(here));
        }
        let past = self.catalog.find(run_id).map_err(failed)?;
        Ok(past.map(|past| (past.agent_id, past.status)))
    }

    /// Whose a run is and where it stands, if the caller may read it.
    pub(crate) fn readable(
        &self,
        run_id: &str,
        identity: &Identity,
    ) -> Result<Option<(String, RunStatus)>> {
        let standing = self.standing(run_id)?;
        if let Some((agent_id, _)) = &standing {
            authority::read(identity, agent_id)?;
        }
        Ok(standing)
    }

    /// Records of a run of an agent from offset `cursor` on; `None` if there is no such file.
    pub(crate) async fn page(
        &self,
        agent_id: &str,
        run_id: &str,
        cursor: u64,
        bounds: Bounds,
    ) -> Result<Option<Page>> {
        self.store().page(agent_id, run_id, cursor, bounds).await
    }

    /// How a run of an agent started and how it ended, as its file says.
    pub(crate) async fn ends(
        &self,
        agent_id: &str,
        run_id: &str,
    ) -> Result<Option<(RunStarted, Option<RunEnded>)>> {
        let (store, agent_id, run_id) =
            (self.store().clone(), agent_id.to_owned(), run_id.to_owned());
        let found = blocking_io(move || store.look(&agent_id, &run_id)).await.map_err(failed)?;
        Ok(found.map(|(found, _)| (found.started, found.ended)))
    }

    pub(crate) fn store(&self) -> &Store {
        self.catalog.store()
    }

    /// The connection's current run.
    pub(crate) fn current(&self, session: &Session) -> Option<String> {
        self.live.ledger.lock().current(session.serial()).map(str::to_owned)
    }

    /// Whether a run is open and the connection's own.
    pub(crate) fn has_open(&self, session: &Session, run_id: &str) -> bool {
        self.live.ledger.lock().has_attached(session.serial(), run_id)
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
