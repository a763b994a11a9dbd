//! `runs.export`: a run for other tools, a page at a time.

use carport_core::{Access, Caller, Method, Owner, Result, RpcError, bounds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{check_run_id, owner_of, page_bounds};
use crate::{
    Runs,
    book::not_found,
    export::json::document,
    record::{Line, RunEnded, RunRecord, RunStarted, RunStatus},
    store::Page,
};

/// Bytes of records on a page. OTLP says much of a record twice, as strings within JSON, and a page is a
/// string within JSON again: at the worst it is eight times as long, and still within 8 MiB.
const PAGE_BYTES: usize = 512 << 10;

/// What a run is written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// A line a record, as in the run's file.
    #[default]
    Jsonl,
    /// OpenTelemetry traces in their JSON encoding.
    OtlpJson,
}

/// Writes a run for other tools. Pages of `jsonl` are to be concatenated; each page of `otlp_json` is a
/// document.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Export {
    /// The run.
    #[schemars(length(min = 1, max = 128))]
    pub run_id: String,
    /// `jsonl` if absent.
    pub format: Option<ExportFormat>,
    /// The offset of the first record; 0 if absent.
    pub cursor: Option<u64>,
    /// How many records at most; what fits into 512 KiB if absent.
    #[schemars(range(min = 1, max = 2002))]
    pub limit: Option<u32>,
}

/// A page of a run.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExportPage {
    /// The run.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// What it is written as.
    pub format: ExportFormat,
    /// The page.
    pub content: String,
    /// The offset of its first record.
    pub cursor: u64,
    /// The offset to go on from, if records remain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<u64>,
    /// Where the run stands.
    pub status: RunStatus,
}

impl Method for Export {
    const NAME: &'static str = "runs.export";
    const ACCESS: Access = Access::AgentOwner;
    type Plugin = Runs;
    type Reply = ExportPage;

    fn validate(&self) -> Result<()> {
        check_run_id(&self.run_id)?;
        bounds::within("limit", self.limit.unwrap_or(1), 1..=2002)
    }

    fn owner(&self, runs: &Runs) -> Owner {
        owner_of(runs, &self.run_id)
    }

    async fn run(self, runs: &Runs, caller: &Caller) -> Result<ExportPage> {
        let run_id = self.run_id;
        let cursor = self.cursor.unwrap_or(0);
        let gone = || not_found(&run_id);
        let (agent_id, status) =
            runs.book.readable(&run_id, caller.identity())?.ok_or_else(gone)?;
        // The record before the page says when its first turn began.
        let before = cursor.min(1);
        let mut bounds = page_bounds(self.limit, PAGE_BYTES);
        bounds.records = bounds.records.saturating_add(before as usize);
        let page = runs.book.page(&agent_id, &run_id, cursor - before, bounds).await?;
        let page = page.ok_or_else(gone)?;
        let (format, next_cursor) = (self.format.unwrap_or_default(), page.next);
        let content = match format {
            ExportFormat::Jsonl => jsonl(&page, before as usize),
            ExportFormat::OtlpJson => {
                let ends = runs.book.ends(&agent_id, &run_id).await?.ok_or_else(gone)?;
                otlp(&ends, &page, before as usize)?
            }
        };
        Ok(ExportPage { run_id, agent_id, format, content, cursor, next_cursor, status })
    }
}

fn jsonl(page: &Page, from: usize) -> String {
    page.lines.iter().skip(from).map(|line| format!("{}\n", line.text())).collect()
}

fn otlp(
    (started, ended): &(RunStarted, Option<RunEnded>),
    page: &Page,
    from: usize,
) -> Result<String> {
    let read = |line: &Line| RunRecord::read(line.text()).ok();
    let before = page.lines.first().filter(|_| from > 0).and_then(read);
    let records: Vec<_> = page.lines.iter().skip(from).filter_map(read).collect();
    let document = document(started, ended.as_ref(), before.as_ref(), &records);
    serde_json::to_string(&document).map_err(RpcError::internal)
}
