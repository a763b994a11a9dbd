//! The journal of one connection: the log in memory, the file, and what joins them.

use std::{io, sync::Arc};

use carport_core::{Clock, Guarded, Result, RpcError};
use tokio::sync::{Mutex, mpsc};

use crate::{
    chain::Verdict,
    event::{Event, NewEvent},
    file::Pen,
    keep::Claim,
    log::{Log, Query, Retention},
    metrics::{self, AgentCost, Alert, Summary, Thresholds},
};

/// One connection's journal. Clones are the same journal, which is open until the last of them is gone.
/// Dropped without [`Journal::close`], it is written to the end nevertheless, only later.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Arc<Shared>>,
    /// With the handles, not with what the writer still holds of a journal that was closed.
    _claim: Arc<Claim>,
}

/// What the handles and the writer share.
pub(crate) struct Shared {
    owner: String,
    clock: Arc<dyn Clock>,
    state: Guarded<State>,
    /// Taken before `state`, so that lines reach the file in the order of the log.
    pen: Mutex<Pen>,
}

#[derive(Default)]
struct State {
    log: Log,
    /// Lines that are not in the file yet, and how many they are.
    queued: Vec<u8>,
    queued_lines: usize,
    write_failures: u64,
}

/// What brings the file to where the log is.
enum Due {
    Nothing,
    Lines(Vec<u8>, usize),
    Everything(Vec<Arc<Event>>),
}

impl State {
    fn due(&mut self, pen: &Pen) -> Due {
        let (text, lines) =
            (std::mem::take(&mut self.queued), std::mem::take(&mut self.queued_lines));
        // Looked at before the lines are written, so that the file never gets longer than it may.
        if pen.is_behind() || self.log.outgrown_by(pen.lines() + lines) {
            Due::Everything(self.log.events().cloned().collect())
        } else if lines > 0 {
            Due::Lines(text, lines)
        } else {
            Due::Nothing
        }
    }
}

impl Shared {
    /// Opens the journal of `owner`. Blocks on the disk. A file that cannot be read is left alone.
    pub(crate) fn open(owner: String, clock: Arc<dyn Clock>, mut pen: Pen) -> io::Result<Self> {
        let mut state = State::default();
        pen.load(&mut state.log)?;
        Ok(Self { owner, clock, state: Guarded::new(state), pen: Mutex::new(pen) })
    }

    /// Brings the file to where the log is. Blocks on the disk.
    pub(crate) fn write_out(&self) -> io::Result<()> {
        let mut pen = self.pen.blocking_lock();
        self.write_with(&mut pen)
    }

    fn write_with(&self, pen: &mut Pen) -> io::Result<()> {
        let due = self.state.lock().due(pen);
        let written = match due {
            Due::Nothing => return Ok(()),
            Due::Lines(text, lines) => pen.append(&text, lines),
            Due::Everything(events) => pen.rewrite(&events),
        };
        if written.is_err() {
            self.state.lock().write_failures += 1;
        }
        pen.note(written)
    }

    fn verify(&self) -> io::Result<Verdict> {
        let mut pen = self.pen.blocking_lock();
        self.write_with(&mut pen)?;
        pen.verify()
    }

    fn close(&self) -> io::Result<()> {
        let mut pen = self.pen.blocking_lock();
        self.write_with(&mut pen)?;
        pen.sync()
    }

    /// The log as it is now.
    fn look<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        let mut state = self.state.lock();
        state.log.expire(self.clock.now());
        look(&state.log)
    }
}

impl Journal {
    pub(crate) fn new(shared: Shared, queue: mpsc::Sender<Arc<Shared>>, claim: Claim) -> Self {
        Self { shared: Arc::new(shared), queue, _claim: Arc::new(claim) }
    }

    /// Appends an event. It is in the log when this returns and in the file soon after; whoever must
    /// know that it is there calls [`Journal::flush`]. It waits while too many lines wait for the
    /// writer. Given up meanwhile, it has appended nothing.
    pub async fn append(&self, new: NewEvent) {
        let slot = self.queue.reserve().await;
        {
            let mut state = self.shared.state.lock();
            let event = state.log.append(&self.shared.owner, new, self.shared.clock.now());
            state.queued.extend_from_slice(event.canonical().as_bytes());
            state.queued.push(b'\n');
            state.queued_lines += 1;
            if let Ok(slot) = slot {
                return slot.send(self.shared.clone());
            }
        }
        // The writer ended before the journal did: its last lines are written here. A failure is
        // logged and counted.
        let _ = self.flush().await;
    }

    /// Returns when every event so far is in the file.
    ///
    /// # Errors
    /// What the disk says. The events stay in the log, and the next write brings them all.
    pub async fn flush(&self) -> io::Result<()> {
        self.elsewhere(Shared::write_out).await?
    }

    /// As [`Journal::flush`], and down to the disk unless `durability` is `process`. The file is open
    /// until the last handle is gone.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn close(self) -> io::Result<()> {
        self.elsewhere(Shared::close).await?
    }

    /// Events that meet every condition, newest first, as far as they fit into one answer of 8 MiB.
    pub async fn query(&self, query: Query) -> Result<Vec<Arc<Event>>> {
        let events: Vec<_> = self.shared.look(|log| log.events().rev().cloned().collect());
        // With conditions on `data`, ten thousand events are read anew.
        self.elsewhere(move |_| query.pick(events)).await.map_err(RpcError::internal)
    }

    /// How many events are in the log.
    pub fn count(&self) -> usize {
        self.shared.look(Log::len)
    }

    /// Chains every event from here on. Twice is as good as once.
    pub fn enable_chain(&self) {
        self.shared.state.lock().log.enable_chain();
    }

    /// Verifies the chain in the file.
    ///
    /// # Errors
    /// Internal, and may be retried: the file cannot be written or read.
    pub async fn verify(&self) -> Result<Verdict> {
        let verified = self.elsewhere(Shared::verify).await.and_then(|it| it);
        verified.map_err(|error| {
            RpcError::internal(format!("the journal's file could not be used: {}", error.kind()))
                .with("retryable", true)
        })
    }

    /// What is let go.
    pub fn retention(&self) -> Retention {
        self.shared.look(Log::retention)
    }

    /// Sets what is let go, and lets it go. Returns how many events went.
    pub async fn set_retention(&self, retention: Retention) -> usize {
        let slot = self.queue.reserve().await;
        let removed = self.shared.state.lock().log.retain(retention, self.shared.clock.now());
        if let Ok(slot) = slot {
            slot.send(self.shared.clone());
        }
        removed
    }

    /// Sums over the events in the log.
    pub async fn summary(&self) -> Result<Summary> {
        let (events, cost): (Vec<_>, _) =
            self.shared.look(|log| (log.events().cloned().collect(), log.cumulative_cost()));
        let summed = move |_: &Shared| metrics::summary(events.iter().map(AsRef::as_ref), cost);
        self.elsewhere(summed).await.map_err(RpcError::internal)
    }

    /// What each agent's inferences in the log took, sorted by name.
    pub async fn cost_by_agent(&self) -> Result<Vec<AgentCost>> {
        Ok(self.summary().await?.cost_by_agent)
    }

    /// The thresholds that are passed, each of them logged, with the sums that they were held against.
    pub async fn alerts(&self, than: &Thresholds) -> Result<(Summary, Vec<Alert>)> {
        let summary = self.summary().await?;
        let fired = metrics::alerts(&summary, than);
        for alert in &fired {
            tracing::warn!(client_id = self.shared.owner, kind = ?alert.kind, alert.message, "alert");
        }
        Ok((summary, fired))
    }

    /// Writes that failed. While the newest one did, the file is behind the log.
    pub fn write_failures(&self) -> u64 {
        self.shared.state.lock().write_failures
    }

    /// Runs what takes long on a thread that may.
    async fn elsewhere<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> io::Result<T> {
        let shared = self.shared.clone();
        tokio::task::spawn_blocking(move || work(&shared)).await.map_err(io::Error::other)
    }
}
