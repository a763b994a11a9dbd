//! What goes on behind the calls: runs that ended enter the index and leave memory, old ones are removed.

use std::{sync::Arc, time::Duration};

use carport_core::{Result, RpcError};
use chrono::TimeDelta;
use tokio::time::{Instant, sleep, timeout};

use super::{Book, not_found};
use crate::{
    record::RunStatus,
    retention::{Policy, expired},
    store::failed,
};

/// How long a run that ended stays in memory.
const RESTS: TimeDelta = TimeDelta::hours(1);
/// How often the keeper looks without being called.
const ROUND: Duration = Duration::from_secs(60);
/// Runs that are removed before others get their turn.
const BATCH: usize = 64;

impl Book {
    /// Keeps the book until the host stops.
    pub(crate) async fn keep(self: Arc<Self>, policy: Policy, every: Duration) {
        let (mut doubted, mut next) = (true, Instant::now());
        loop {
            self.index_ended().await;
            self.catalog.mend(doubted, self.now()).await;
            doubted = false;
            self.end_left_open().await;
            self.rest();
            if Instant::now() >= next {
                self.retire(policy).await;
                next = Instant::now() + every;
            }
            let due = ROUND.min(next.duration_since(Instant::now()));
            // Nothing is lost by a call that comes while this is at work: it is remembered.
            let _ = timeout(due, self.ended_some.notified()).await;
        }
    }

    /// Syncs what was written, again and again.
    pub(crate) async fn keep_synced(self: Arc<Self>, every: Duration) {
        loop {
            sleep(every).await;
            self.store().sync().await;
        }
    }

    /// Tells the index of runs that have ended.
    pub(super) async fn index_ended(&self) {
        let ended = self.live.ledger.lock().take_ended();
        if !ended.is_empty() {
            self.catalog.add(ended).await;
        }
    }

    /// Ends what could not be ended when its connection went.
    async fn end_left_open(self: &Arc<Self>) {
        let unended: Vec<_> = self.unended.lock().iter().cloned().collect();
        self.leave(unended).await;
    }

    fn rest(&self) {
        let then = self.now().checked_sub_signed(RESTS).unwrap_or_default();
        self.live.ledger.lock().let_go(then.into());
    }

    /// Removes runs that have ended and are beyond the policy.
    async fn retire(&self, policy: Policy) {
        let agents = self.catalog.agents().await.unwrap_or_else(|error| {
            tracing::error!(%error, "the directory of runs is not readable");
            Vec::new()
        });
        for agent_id in agents {
            let kept = match self.catalog.kept(agent_id.clone()).await {
                Ok(kept) => kept,
                Err(error) => {
                    tracing::error!(agent_id, %error, "no run of an agent was looked at for removal");
                    continue;
                }
            };
            if kept.is_empty() {
                // It may only be left of runs that never began.
                let _ = self.remove(&agent_id, &[]).await;
            }
            let expired = expired(kept, policy, self.now());
            if !expired.is_empty() {
                tracing::info!(agent_id, runs = expired.len(), "runs beyond retention are removed");
            }
            for batch in expired.chunks(BATCH) {
                // What was not removed is logged, and looked at again the next time.
                let _ = self.remove(&agent_id, batch).await;
            }
        }
    }

    /// Removes a run that has ended, from everywhere.
    pub(crate) async fn delete(&self, run_id: &str) -> Result<()> {
        match self.standing(run_id)? {
            None => Err(not_found(run_id)),
            Some((_, RunStatus::InProgress)) => {
                Err(RpcError::conflict(format!("run `{run_id}` is open: cancel it first"))
                    .with("status", serde_json::json!(RunStatus::InProgress)))
            }
            Some((agent_id, _)) => self.remove(&agent_id, &[run_id.to_owned()]).await,
        }
    }

    /// The runs have ended; a key that names one may be used again afterwards.
    async fn remove(&self, agent_id: &str, run_ids: &[String]) -> Result<()> {
        let _starting = self.starting.lock().await;
        // Between the look and the lock, a run may have gone and its key been used again.
        let open = |run_id: &String| self.look(run_id, |run| run.ended.is_none()) == Some(true);
        let run_ids = run_ids.iter().filter(|it| !open(it)).cloned().collect();
        let gone = self.catalog.remove(agent_id.to_owned(), run_ids).await.map_err(failed)?;
        let mut ledger = self.live.ledger.lock();
        for run_id in &gone {
            ledger.remove(run_id);
        }
        drop(ledger);
        gone.iter().for_each(|run_id| self.live.followers.remove_key(run_id));
        Ok(())
    }
}
