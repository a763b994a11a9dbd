//! `runs.*`, a file a method.

mod cancel;
mod complete;
mod delete;
mod export;
mod get_trace;
mod list;
mod record_turns;
mod resume;
mod start;
mod subscribe;

pub use cancel::{Cancel, Cancelled, RunCancelled};
pub use complete::{Complete, Completed};
pub use delete::{Delete, Deleted};
pub use export::{Export, ExportFormat, ExportPage};
pub use get_trace::{GetTrace, Trace};
pub use list::{List, RunList};
pub(crate) use record_turns::MAX_BATCH;
pub use record_turns::{RecordModelTurn, RecordTurns, Recorded};
pub use resume::{Resume, Resumed};
pub use start::{Start, Started};
pub use subscribe::{Followed, Subscribe, Unsubscribe, Unsubscribed};

use carport_core::{Owner, Result, bounds};

use crate::{Runs, store::Bounds};

fn check_run_id(run_id: &str) -> Result<()> {
    bounds::bytes("run_id", run_id, 1..=128)
}

/// What a page may hold.
fn page_bounds(limit: Option<u32>, bytes: usize) -> Bounds {
    Bounds { records: limit.map_or(usize::MAX, |limit| limit as usize), bytes }
}

/// Whose a run is; a run that nobody knows is for the method to speak of. While the disk says nothing, it
/// is nobody's.
fn owner_of(runs: &Runs, run_id: &str) -> Owner {
    match runs.book.standing(run_id) {
        Ok(Some((agent_id, _))) => Owner::Agent(agent_id),
        Ok(None) => Owner::Unknown,
        Err(_) => Owner::Nobody,
    }
}
