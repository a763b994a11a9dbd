//! The runs that have left memory: the index speaks for most of them, their files for the rest.

mod pending;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::HashMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use carport_core::{Gauge, Guarded, Time, blocking_io};
use tokio::sync::Mutex;

use crate::{
    index::{Index, Kept, Row, Unusable, Wanted},
    ledger::Place,
    record::{End, RunStatus, RunSummary},
    store::{Found, Stamp, Store},
};

use pending::Pending;

/// Files that are read, and rows that are written, before others get their turn.
const BATCH: usize = 256;

/// The store and its index. Reads always answer: a run that the index does not know is read from its file.
#[derive(Clone)]
pub(crate) struct Catalog(Arc<Parts>);

struct Parts {
    store: Store,
    index: Index,
    pending: Guarded<Pending>,
    /// How many files that are.
    unindexed: Gauge,
    /// Files of an earlier process that could not be made whole yet.
    unadopted: Guarded<Pending>,
    /// Whether everything is pending since the index was lost.
    looked_at_all: AtomicBool,
    /// Held by whoever changes the index, so that no row is written for a file that is being removed.
    changing: Mutex<()>,
}

/// A page to list: what [`Wanted`] is, owned.
#[derive(Debug, Clone)]
pub(crate) struct Listing {
    pub(crate) agent_id: String,
    pub(crate) before: Option<Place>,
    pub(crate) status: Option<RunStatus>,
    pub(crate) limit: usize,
}

impl Listing {
    fn wanted(&self) -> Wanted<'_> {
        let Self { agent_id, before, status, limit } = self;
        Wanted { agent_id, before: before.as_ref(), status: *status, limit: *limit }
    }

    /// Sorts, drops doubles in favour of the first, and cuts to the page.
    pub(crate) fn page(&self, mut rows: Vec<RunSummary>) -> Vec<RunSummary> {
        let place = |row: &RunSummary| (row.started_at, row.run_id.clone());
        rows.retain(|row| {
            self.status.is_none_or(|status| row.status == status)
                && self.before.as_ref().is_none_or(|before| place(row) < *before)
        });
        rows.sort_by_key(|row| Reverse(place(row)));
        rows.dedup_by(|later, first| later.run_id == first.run_id);
        rows.truncate(self.limit);
        rows
    }
}

impl Catalog {
    pub(crate) fn new(store: Store, index: Index, unindexed: Gauge) -> Self {
        Self(Arc::new(Parts {
            store,
            index,
            pending: Guarded::default(),
            unindexed,
            unadopted: Guarded::default(),
            looked_at_all: AtomicBool::new(false),
            changing: Mutex::default(),
        }))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Looks at every file of an earlier process: an open run ends, and what the index does not speak
    /// for is to be read. No file that the index vouches for is opened.
    pub(crate) async fn adopt(&self, now: Time) -> io::Result<()> {
        let parts = self.0.clone();
        blocking_io(move || parts.adopt(now)).await
    }

    /// The run, if there is one on disk. It blocks for a row of the index, or for one file.
    pub(crate) fn find(&self, run_id: &str) -> io::Result<Option<RunSummary>> {
        let look = |agent_id: &str| Ok(self.0.look(agent_id, run_id)?.map(|row| row.summary));
        if let Some(agent_id) = self.0.agent_of(run_id) {
            return look(&agent_id);
        }
        if let Ok(found) = self.0.index.find(run_id) {
            return Ok(found);
        }
        self.0.fall_back();
        match self.0.agent_of(run_id) {
            Some(agent_id) => look(&agent_id),
            // It will answer again, and may know the run.
            None if self.0.index.is_open() => Err(io::ErrorKind::ResourceBusy.into()),
            None => Ok(None),
        }
    }

    /// Runs of an agent that have ended, newest first. Of what the index lacks, no more is read than can
    /// come before the page's last row: a run did not start after its file changed last. Where a clock
    /// went back during a run, that run may come late until the index is whole.
    pub(crate) async fn list(&self, listing: Listing) -> io::Result<Vec<RunSummary>> {
        loop {
            let (parts, wanted) = (self.0.clone(), listing.clone());
            match blocking_io(move || Ok(parts.list_settled(&wanted))).await? {
                Ok(Some(rows)) => return Ok(rows),
                Ok(None) if self.cover_some(&listing.agent_id).await.is_ok() => {}
                _ => break,
            }
        }
        let parts = self.0.clone();
        blocking_io(move || {
            parts.fall_back();
            let mut rows = parts.index.list(&listing.wanted()).unwrap_or_default();
            rows.extend(parts.read_pending(&listing.agent_id).into_iter().map(|row| row.summary));
            Ok(listing.page(rows))
        })
        .await
    }

    /// What retention wants to know of an agent's runs.
    pub(crate) async fn kept(&self, agent_id: String) -> io::Result<Vec<Kept>> {
        let covered = self.cover(&agent_id).await;
        let parts = self.0.clone();
        blocking_io(move || {
            if covered.is_ok()
                && let Ok(kept) = parts.index.kept(&agent_id)
            {
                return Ok(kept);
            }
            parts.fall_back();
            let ended = |row: Row| {
                let RunSummary { run_id, started_at, ended_at, .. } = row.summary;
                Some(Kept { run_id, started_at, ended_at: ended_at?, bytes: row.stamp.bytes })
            };
            Ok(parts.read_pending(&agent_id).into_iter().filter_map(ended).collect())
        })
        .await
    }

    /// Notes runs that have just ended, for [`Self::mend`] to take in from their files.
    pub(crate) async fn add(&self, ended: Vec<RunSummary>) {
        let parts = self.0.clone();
        let noted = blocking_io(move || {
            for RunSummary { agent_id, run_id, .. } in ended {
                let stamp = parts.store.stamp(&agent_id, &run_id);
                // Without a stamp, it is looked at first.
                let stamp = stamp.unwrap_or(Stamp { bytes: 0, modified: i64::MAX });
                parts.change_pending(|pending| pending.insert(&agent_id, [(run_id, stamp)]));
            }
            Ok(())
        });
        // It fails only where the runtime ends.
        let _ = noted.await;
    }

    /// Removes runs of an agent from the disk and from the index, and the agent's directory if none is
    /// left; those that are gone now. Nobody may start a run meanwhile.
    pub(crate) async fn remove(
        &self,
        agent_id: String,
        run_ids: Vec<String>,
    ) -> io::Result<Vec<String>> {
        let _changing = self.0.changing.lock().await;
        let parts = self.0.clone();
        blocking_io(move || {
            let (mut gone, mut failure) = (Vec::new(), None);
            for run_id in run_ids {
                match parts.store.remove(&agent_id, &run_id) {
                    Ok(()) => gone.push(run_id),
                    Err(error) => {
                        tracing::error!(agent_id, run_id, %error, "a run was not removed");
                        failure = Some(error);
                    }
                }
            }
            if let Err(error) = parts.store.tidy(&agent_id) {
                tracing::warn!(agent_id, %error, "an agent's directory was not tidied up");
            }
            parts.change_pending(|pending| pending.remove(gone.iter().map(String::as_str)));
            if parts.index.forget(&gone).is_err() {
                // It would go on to tell of runs that are no more.
                parts.index.close();
                parts.fall_back();
            }
            match failure {
                Some(error) if gone.is_empty() => Err(error),
                _ => Ok(gone),
            }
        })
        .await
    }

    /// The agents that have runs on disk.
    pub(crate) async fn agents(&self) -> io::Result<Vec<String>> {
        let parts = self.0.clone();
        blocking_io(move || parts.store.agents()).await
    }

    /// Makes the index anew if it was lost or `doubted` and is damaged, and reads what it lacks. Files that
    /// could not be made whole are tried again.
    pub(crate) async fn mend(&self, doubted: bool, now: Time) {
        let parts = self.0.clone();
        let mended = blocking_io(move || {
            parts.adopt_rest(now);
            if !parts.index.is_open() || (doubted && !parts.index.is_sound()) {
                // What the files say comes before an index that says nothing.
                parts.look_at_all();
                if parts.index.renew() {
                    parts.looked_at_all.store(false, Ordering::Release);
                }
            }
            Ok(parts.pending.lock().agents())
        });
        for agent_id in mended.await.unwrap_or_default() {
            if self.cover(&agent_id).await.is_err() {
                return;
            }
        }
    }

    /// Reads what the index lacks of an agent, a batch at a time.
    async fn cover(&self, agent_id: &str) -> Result<(), Unusable> {
        while self.0.pending.lock().latest_of(agent_id).is_some() {
            self.cover_some(agent_id).await?;
        }
        Ok(())
    }

    async fn cover_some(&self, agent_id: &str) -> Result<(), Unusable> {
        let _changing = self.0.changing.lock().await;
        let (parts, agent_id) = (self.0.clone(), agent_id.to_owned());
        let covered = blocking_io(move || Ok(parts.cover_some(&agent_id))).await;
        covered.unwrap_or(Err(Unusable))
    }
}

impl Parts {
    fn adopt(&self, now: Time) -> io::Result<()> {
        let mut indexed = self.index.agents().unwrap_or_default();
        for agent_id in self.store.agents()? {
            indexed.retain(|it| *it != agent_id);
            let mut stamps = self.index.stamps(&agent_id).unwrap_or_default();
            match self.store.runs(&agent_id) {
                Ok(runs) => {
                    let unknown =
                        runs.into_iter().filter(|(id, at)| stamps.remove(id) != Some(*at));
                    self.adopt_each(&agent_id, unknown, now);
                    self.forget(stamps);
                }
                // The other agents' runs are no worse for it.
                Err(error) => tracing::error!(agent_id, %error, "an agent's runs are not readable"),
            }
        }
        for agent_id in indexed {
            self.forget(self.index.stamps(&agent_id).unwrap_or_default());
        }
        Ok(())
    }

    fn adopt_each(
        &self,
        agent_id: &str,
        runs: impl IntoIterator<Item = (String, Stamp)>,
        now: Time,
    ) {
        for (run_id, stamp) in runs {
            let adopted = self.store.adopt(agent_id, &run_id, now);
            self.unadopted.lock().remove([run_id.as_str()]);
            match adopted {
                Ok(true) => self.change_pending(|it| it.insert(agent_id, [(run_id, stamp)])),
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(agent_id, run_id, %error, "a run of an earlier daemon could not be ended yet");
                    self.unadopted.lock().insert(agent_id, [(run_id, stamp)]);
                }
            }
        }
    }

    fn adopt_rest(&self, now: Time) {
        let agents = self.unadopted.lock().agents();
        for agent_id in agents {
            let runs = self.unadopted.lock().runs_of(&agent_id, usize::MAX);
            let stamped = runs.into_iter().filter_map(|run_id| {
                let stamp = self.store.stamp(&agent_id, &run_id).ok()?;
                Some((run_id, stamp))
            });
            self.adopt_each(&agent_id, stamped, now);
        }
    }

    /// Whose a run is that the index does not speak for.
    fn agent_of(&self, run_id: &str) -> Option<Arc<str>> {
        let pending = self.pending.lock().agent_of(run_id);
        pending.or_else(|| self.unadopted.lock().agent_of(run_id))
    }

    /// Rows whose files are gone.
    fn forget(&self, rows: HashMap<String, Stamp>) {
        let run_ids: Vec<_> = rows.into_keys().collect();
        if !run_ids.is_empty() {
            // A failure is logged, and what cannot be written to is made anew.
            let _ = self.index.forget(&run_ids);
        }
    }

    fn cover_some(&self, agent_id: &str) -> Result<(), Unusable> {
        let run_ids = self.pending.lock().runs_of(agent_id, BATCH);
        let rows = run_ids.iter().filter_map(|run_id| self.read(agent_id, run_id));
        // An open run is in memory, and comes here when it ends.
        let rows: Vec<_> = rows.filter(|row| row.summary.ended_at.is_some()).collect();
        if self.index.write(&rows).is_err() {
            self.fall_back();
            return Err(Unusable);
        }
        self.change_pending(|pending| pending.remove(run_ids.iter().map(String::as_str)));
        Ok(())
    }

    /// A page of the index, unless a file that it does not speak for may belong on it.
    fn list_settled(&self, listing: &Listing) -> Result<Option<Vec<RunSummary>>, Unusable> {
        // Before the index is asked: what is covered meanwhile is then in its answer.
        let latest = self.pending.lock().latest_of(&listing.agent_id);
        let rows = self.index.list(&listing.wanted())?;
        let settled = |latest: i64| {
            let last = rows.last().filter(|_| rows.len() == listing.limit);
            last.is_some_and(|row| row.started_at.timestamp_millis() > latest / 1_000_000)
        };
        if !latest.is_none_or(settled) {
            return Ok(None);
        }
        let rest = self.read_all(&self.unadopted, &listing.agent_id);
        if rest.is_empty() {
            return Ok(Some(rows));
        }
        Ok(Some(
            listing.page(rows.into_iter().chain(rest.into_iter().map(|it| it.summary)).collect()),
        ))
    }

    fn change_pending(&self, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.pending.lock();
        change(&mut pending);
        self.unindexed.set(i64::try_from(pending.len()).unwrap_or(i64::MAX));
    }

    fn read_pending(&self, agent_id: &str) -> Vec<Row> {
        let mut rows = self.read_all(&self.pending, agent_id);
        rows.extend(self.read_all(&self.unadopted, agent_id));
        rows
    }

    fn read_all(&self, of: &Guarded<Pending>, agent_id: &str) -> Vec<Row> {
        let run_ids = of.lock().runs_of(agent_id, usize::MAX);
        run_ids.iter().filter_map(|run_id| self.read(agent_id, run_id)).collect()
    }

    /// What a file says; a failure is logged.
    fn read(&self, agent_id: &str, run_id: &str) -> Option<Row> {
        self.look(agent_id, run_id).unwrap_or_else(|error| {
            tracing::error!(agent_id, run_id, %error, "a run's file is not readable");
            None
        })
    }

    /// What a file says, if it says so of this run.
    fn look(&self, agent_id: &str, run_id: &str) -> io::Result<Option<Row>> {
        let looked = self.store.look(agent_id, run_id)?;
        let own = looked.filter(|(Found { started, .. }, _)| {
            started.run_id == run_id && started.agent_id == agent_id
        });
        let Some((Found { started, ended, turn_count }, stamp)) = own else {
            tracing::error!(agent_id, run_id, "a file does not say how its run started");
            return Ok(None);
        };
        let end = ended.as_ref().map(End::from);
        Ok(Some(Row { summary: RunSummary::new(&started, end.as_ref(), turn_count), stamp }))
    }

    /// Without an index, every file speaks for itself.
    fn fall_back(&self) {
        if !self.index.is_open() {
            self.look_at_all();
        }
    }

    /// Once for each loss of the index: what comes later is noted as it comes.
    fn look_at_all(&self) {
        if self.looked_at_all.swap(true, Ordering::AcqRel) {
            return;
        }
        let all = || -> io::Result<()> {
            for agent_id in self.store.agents()? {
                let runs = self.store.runs(&agent_id)?;
                self.change_pending(|pending| pending.insert(&agent_id, runs));
            }
            Ok(())
        };
        if let Err(error) = all() {
            tracing::error!(%error, "the directory of runs is not readable");
        }
    }
}
