//! `runs.get_trace`: the records of a run, a page at a time.

use carport_core::{Access, Caller, Method, Owner, Result, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_run_id, owner_of, page_bounds};
use crate::{Runs, record::Line};

/// Bytes of records in a reply.
/// The rest of the message has room in 8 MiB too.
const PAGE_BYTES: usize = (8 << 20) - (64 << 10);

/// Reads the records of a run: how it started, its turns, how it ended.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct GetTrace {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
    /// The offset of the first record; 0 if absent. Turn `i` is at offset `i + 1`.
    pub cursor: Option<u64>,
    /// How many records at most; what fits into 8 MiB if absent.
    #[schemars(range(min = 1, max = 2002))]
    pub limit: Option<u32>,
}

/// Records, or the marker that there is no such run.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// The run.
    pub run_id: String,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// In order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<Line>>,
    /// The offset of the first record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<u64>,
    /// The offset to go on from, if records remain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<u64>,
    /// Lines of the file among these records that do not read, if there are any. They are passed over,
    /// and kept beside the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<u64>,
    /// Present and true if there is no such run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_found: Option<bool>,
}

impl Method for GetTrace {
    const NAME: &'static str = "runs.get_trace";
    const ACCESS: Access = Access::AgentOwner;
    type Plugin = Runs;
    type Reply = Trace;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)?;
        bounds::within("limit", self.limit.unwrap_or(1), 1..=2002)
    }

    fn owner(&self, runs: &Runs) -> Owner {
        owner_of(runs, &self.run_id)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<Trace> {
        let cursor = self.cursor.unwrap_or(0);
        let bounds = page_bounds(self.limit, PAGE_BYTES);
        let unknown = |run_id| Trace { run_id, not_found: Some(true), ..Trace::default() };
        let Some((agent_id, _)) = runs.book.readable(&self.run_id, caller.identity())? else {
            return Ok(unknown(self.run_id));
        };
        let Some(page) = runs.book.page(&agent_id, &self.run_id, cursor, bounds).await? else {
            return Ok(unknown(self.run_id));
        };
        Ok(Trace {
            run_id: self.run_id,
            agent_id: Some(agent_id),
            records: Some(page.lines),
            cursor: Some(cursor),
            next_cursor: page.next,
            unreadable: (page.unreadable > 0).then_some(page.unreadable),
            not_found: None,
        })
    }
}
