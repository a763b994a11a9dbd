//! Following a run: a snapshot, then every record as it comes.

use carport_core::{Caller, Notification, Result, Session};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Book, not_found};
use crate::{
    authority,
    record::{Line, RunStatus},
    store::failed,
};

/// Bytes of turns in a snapshot.
/// The rest of the message has room in 8 MiB too.
const SNAPSHOT_BYTES: usize = (8 << 20) - (64 << 10);

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

/// What a follower gets first.
pub(crate) struct Snapshot {
    pub(crate) agent_id: String,
    pub(crate) status: RunStatus,
    pub(crate) cursor: u64,
    pub(crate) first_index: u64,
    pub(crate) turns: Vec<Line>,
}

impl Book {
    /// Follows a run: what it did so far, then each record as it comes.
    pub(crate) async fn follow(&self, run_id: &str, caller: &Caller) -> Result<Snapshot> {
        let (mut snapshot, held) = match self.live.join(run_id, caller)? {
            Some(joined) => joined,
            None => self.left(run_id, caller)?,
        };
        // What memory no longer has does not change any more, so that it is read without the lock.
        if snapshot.first_index > 0 {
            let (agent, end) = (&snapshot.agent_id, snapshot.first_index);
            let room = SNAPSHOT_BYTES.saturating_sub(held);
            let older = self.store().newest_turns(agent, run_id, end, room).await;
            let older = older.and_then(|it| it.ok_or_else(|| not_found(run_id)));
            let (first, mut older) = older.inspect_err(|_| {
                self.unfollow(run_id, caller.session());
            })?;
            older.append(&mut snapshot.turns);
            (snapshot.first_index, snapshot.turns) = (first, older);
        }
        Ok(snapshot)
    }

    /// A run that has left memory: there is nothing to listen to.
    fn left(&self, run_id: &str, caller: &Caller) -> Result<(Snapshot, usize)> {
        let past = self.catalog.find(run_id).map_err(failed)?.ok_or_else(|| not_found(run_id))?;
        authority::read(caller.identity(), &past.agent_id)?;
        let (cursor, first_index) = (past.turn_count, past.turn_count);
        let (agent_id, status) = (past.agent_id, past.status);
        Ok((Snapshot { agent_id, status, cursor, first_index, turns: Vec::new() }, 0))
    }

    pub(crate) fn unfollow(&self, run_id: &str, session: &Session) -> bool {
        self.live.followers.unsubscribe(&run_id.to_owned(), session)
    }
}
