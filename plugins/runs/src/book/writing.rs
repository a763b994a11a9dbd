//! What changes a run that is open: turns, its end, its connection. All of it goes through the run's one
//! writer, and whatever is begun is done whole, whether or not whoever asked is still there.

use std::sync::Arc;

use carport_core::{Result, RpcError, Session};
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::JoinSet,
};

use super::{Book, Dropped, incomplete, line, not_found};
use crate::{
    ledger::{Refused, Run},
    record::{End, IncompleteReason, Line, RunEnded, RunRecord, RunStatus, Termination},
    store::{RunFile, failed},
    turn::{NewTurn, TooLarge},
};

/// The file of an open run, and whose the run is.
pub(super) struct Writer {
    agent_id: String,
    file: Arc<Mutex<RunFile>>,
}

impl Writer {
    pub(super) fn new(agent_id: String, file: RunFile) -> Self {
        Self { agent_id, file: Arc::new(Mutex::new(file)) }
    }

    /// Waits for its turn; `None` if the run has ended meanwhile.
    async fn turn(&self) -> Option<OwnedMutexGuard<RunFile>> {
        let file = self.file.clone().lock_owned().await;
        (!file.done).then_some(file)
    }
}

/// Whom a run belonged to when it ended, and the connection that it was attached to.
pub(crate) struct Ended {
    pub(crate) agent_id: String,
    pub(crate) attached: Option<Arc<Session>>,
}

impl Book {
    fn writer(&self, run_id: &str) -> Option<Arc<Writer>> {
        self.writers.lock().get(run_id).cloned()
    }

    /// Appends a batch as one block. `Ok(Err(_))` is a drop.
    pub(crate) async fn record(
        self: &Arc<Self>,
        run_id: &str,
        turns: Vec<NewTurn>,
        may_write: impl Fn(&str) -> bool,
    ) -> Result<std::result::Result<u64, Dropped>> {
        let Some(writer) = self.writer(run_id) else {
            let agent_id = self.standing(run_id)?.map(|(agent_id, _)| agent_id);
            let own = agent_id.is_some_and(|agent_id| may_write(&agent_id));
            return Ok(Err(if own { Dropped::RunTerminal } else { Dropped::RunNotFound }));
        };
        if !may_write(&writer.agent_id) {
            return Ok(Err(Dropped::RunNotFound));
        }
        // The queue for the writer is first come, first served, and this is reached before any other
        // wait: batches of one connection are written in the order of their frames.
        let Some(mut file) = writer.turn().await else { return Ok(Err(Dropped::RunTerminal)) };
        if !file.lines.waits_for_disk() {
            return self.append(run_id, &mut file, turns).await;
        }
        let (book, run_id) = (self.clone(), run_id.to_owned());
        whole(async move { book.append(&run_id, &mut file, turns).await }).await
    }

    async fn append(
        &self,
        run_id: &str,
        file: &mut RunFile,
        turns: Vec<NewTurn>,
    ) -> Result<std::result::Result<u64, Dropped>> {
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
        file.lines.append(&block(&lines)).await.map_err(failed)?;
        self.live.commit(run_id, lines, at, |run, line| self.export(run, line));
        Ok(Ok(base))
    }

    /// Hands a record to the exporter, which drops and counts what it has no room for.
    fn export(&self, run: &Run, line: &Line) {
        if let Some(feed) = &self.feed {
            feed.send(run.started.clone(), line.clone(), run.last_at);
        }
    }

    /// Ends a run once, if `may` has nothing against it when it is asked of the run's agent and of the
    /// connection that the run is attached to. Whoever comes first decides how; others hear that it is
    /// terminal.
    pub(crate) async fn end(
        self: &Arc<Self>,
        run_id: &str,
        termination: Termination,
        may: impl Fn(&str, Option<u64>) -> Result<()> + Send + 'static,
    ) -> Result<Ended> {
        let turn = match self.writer(run_id) {
            Some(writer) => writer.turn().await,
            None => None,
        };
        let Some(file) = turn else { return Err(self.past(run_id, may)?) };
        let (book, run_id) = (self.clone(), run_id.to_owned());
        whole(async move { book.finish(&run_id, file, termination, may).await }).await
    }

    async fn finish(
        &self,
        run_id: &str,
        mut file: OwnedMutexGuard<RunFile>,
        termination: Termination,
        may: impl Fn(&str, Option<u64>) -> Result<()>,
    ) -> Result<Ended> {
        let found = self.look(run_id, |run| (run.started.clone(), run.turn_count, run.attached));
        let (started, turn_count, attached) = found.ok_or_else(|| not_found(run_id))?;
        may(&started.agent_id, attached)?;
        let ended = RunEnded {
            run_id: started.run_id.clone(),
            agent_id: started.agent_id.clone(),
            termination,
            ended_at: self.clock.now(),
            turn_count,
        };
        let end = End::from(&ended);
        let line = line(&RunRecord::Ended(ended))?;
        file.lines.append(&block(std::slice::from_ref(&line))).await.map_err(failed)?;
        file.done = true;
        self.writers.lock().remove(run_id);
        // Nobody else ends it meanwhile: the writer is held.
        let _ = self.live.end(run_id, end, line, |run, line| self.export(run, line));
        self.ended_some.notify_one();
        let attached = attached.and_then(|serial| self.sessions.lock().get(&serial)?.upgrade());
        Ok(Ended { agent_id: started.agent_id.clone(), attached })
    }

    /// What is said of a run that takes no changes any more: that it has ended, or that there is none.
    fn past(
        &self,
        run_id: &str,
        may: impl Fn(&str, Option<u64>) -> Result<()>,
    ) -> Result<RpcError> {
        let attached = self.look(run_id, |run| run.attached).flatten();
        let Some((agent_id, status)) = self.standing(run_id)? else { return Ok(not_found(run_id)) };
        may(&agent_id, attached)?;
        Ok(terminal(run_id, status))
    }

    /// Makes an open run of the caller's the current run of its connection; whose it is, and its turns.
    pub(crate) async fn resume(
        self: &Arc<Self>,
        run_id: &str,
        session: &Arc<Session>,
        may: impl Fn(&str) -> Result<()>,
    ) -> Result<(String, u64)> {
        match self.attach(run_id, session, &may).await? {
            Some(attached) => Ok(attached),
            None => Err(self.past(run_id, |agent_id, _| may(agent_id))?),
        }
    }

    /// Attaches an open run to a connection, unless an end that is under way comes first.
    pub(super) async fn attach(
        self: &Arc<Self>,
        run_id: &str,
        session: &Arc<Session>,
        may: impl Fn(&str) -> Result<()>,
    ) -> Result<Option<(String, u64)>> {
        let Some(writer) = self.writer(run_id) else { return Ok(None) };
        let Some(_turn) = writer.turn().await else { return Ok(None) };
        may(&writer.agent_id)?;
        self.sessions.lock().insert(session.serial(), Arc::downgrade(session));
        let mut ledger = self.live.ledger.lock();
        ledger.attach(run_id, session.serial())?;
        let count = ledger.get(run_id).map_or(0, |run| run.turn_count);
        drop(ledger);
        self.unless_gone(session);
        Ok(Some((writer.agent_id.clone(), count)))
    }

    /// A connection may have ended, and have been taken leave of, while a run was being given to it.
    pub(super) fn unless_gone(self: &Arc<Self>, session: &Arc<Session>) {
        if session.is_closed() {
            let (book, session) = (self.clone(), session.clone());
            tokio::spawn(async move { book.session_gone(&session).await });
        }
    }

    /// Ends what the connection left open.
    pub(crate) async fn session_gone(self: &Arc<Self>, session: &Session) {
        let serial = session.serial();
        self.sessions.lock().remove(&serial);
        let open = self.live.ledger.lock().take_attached(serial);
        self.leave(open.into_iter().map(|run_id| (serial, run_id)).collect()).await;
    }

    /// Ends runs whose connection is gone, unless they go on elsewhere by then. What cannot be ended now
    /// is for the keeper to end.
    pub(super) async fn leave(self: &Arc<Self>, runs: Vec<(u64, String)>) {
        self.unended.lock().extend(runs.iter().cloned());
        let mut ends = JoinSet::new();
        for (serial, run_id) in runs {
            let book = self.clone();
            ends.spawn(async move {
                let still = move |_: &str, attached| match attached == Some(serial) {
                    true => Ok(()),
                    false => Err(RpcError::conflict("the run goes on elsewhere")),
                };
                let left = book.end(&run_id, incomplete(IncompleteReason::Disconnect), still).await;
                let open = book.look(&run_id, |run| run.ended.is_none() && run.attached == Some(serial));
                match (open, left) {
                    (Some(true), Err(why)) => {
                        tracing::error!(run_id, %why, "a run that was left open could not be ended yet");
                    }
                    _ => drop(book.unended.lock().remove(&(serial, run_id))),
                }
            });
        }
        while ends.join_next().await.is_some() {}
    }

    /// Ends whatever is open: the daemon stops.
    pub(crate) async fn close(self: &Arc<Self>) {
        let open = self.live.ledger.lock().open_runs();
        let mut ends = JoinSet::new();
        for run_id in open {
            let book = self.clone();
            ends.spawn(async move {
                let reason = incomplete(IncompleteReason::Disconnect);
                if let Err(why) = book.end(&run_id, reason, |_, _| Ok(())).await {
                    tracing::error!(run_id, %why, "an open run ends when the next daemon starts");
                }
            });
        }
        while ends.join_next().await.is_some() {}
        self.store().sync().await;
        // What the next boot would read otherwise.
        self.index_ended().await;
        self.catalog.mend(false, self.now()).await;
    }
}

pub(super) fn terminal(run_id: &str, status: RunStatus) -> RpcError {
    RpcError::conflict(format!("run `{run_id}` has ended"))
        .with("status", serde_json::json!(status))
}

/// Does all of `work` even if whoever waits for it is gone.
pub(super) async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work).await.unwrap_or_else(|error| Err(RpcError::internal(error)))
}

/// Lines with their ends.
fn block(lines: &[Line]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.iter().map(|it| it.text().len() + 1).sum());
    for line in lines {
        bytes.extend_from_slice(line.text().as_bytes());
        bytes.push(b'\n');
    }
    bytes
}
