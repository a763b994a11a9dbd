//! What the runs plugin says on the wire, as far as commands show it.

use carport_core::{RpcError, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::link::{CallError, Link, Notice};

/// The status of a run that has not ended.
pub(crate) const IN_PROGRESS: &str = "in_progress";
/// Rows of one page of a list.
const PAGE: usize = 500;

/// A row of `runs.list`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunSummary {
    pub(crate) run_id: String,
    pub(crate) agent_id: String,
    pub(crate) intent: String,
    pub(crate) started_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended_at: Option<Time>,
    pub(crate) status: String,
    pub(crate) turn_count: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome_status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct RunPage {
    runs: Vec<RunSummary>,
    next_before: Option<String>,
}

/// The runs of an agent, newest first, at most `limit` of them.
pub(crate) async fn list(
    link: &Link,
    agent: &str,
    status: Option<&str>,
    limit: usize,
) -> Result<Vec<RunSummary>, CallError> {
    let mut runs = Vec::new();
    let mut before: Option<String> = None;
    while runs.len() < limit {
        let page = PAGE.min(limit - runs.len());
        let params =
            json!({ "agent_id": agent, "status": status, "limit": page, "before": before });
        let page: RunPage = link.ask("runs.list", &params).await?;
        runs.extend(page.runs);
        before = page.next_before;
        if before.is_none() {
            break;
        }
    }
    Ok(runs)
}

#[derive(Debug, Deserialize)]
struct TracePage {
    #[serde(default)]
    records: Vec<Value>,
    next_cursor: Option<u64>,
    #[serde(default)]
    not_found: bool,
}

/// The records of a run from an offset on: `started`, its turns, `ended`.
pub(crate) async fn trace(link: &Link, run_id: &str, from: u64) -> Result<Vec<Value>, CallError> {
    let mut records = Vec::new();
    let mut cursor = from;
    loop {
        let params = json!({ "run_id": run_id, "cursor": cursor });
        let page: TracePage = link.ask("runs.get_trace", &params).await?;
        if page.not_found {
            return Err(RpcError::not_found(format!("run `{run_id}`")).into());
        }
        records.extend(page.records);
        match page.next_cursor {
            Some(next) if next > cursor => cursor = next,
            _ => return Ok(records),
        }
    }
}

/// A page of a run that is written for other tools.
#[derive(Debug, Deserialize)]
pub(crate) struct ExportPage {
    pub(crate) content: String,
    pub(crate) next_cursor: Option<u64>,
}

/// Asks for a page of a run as `format`, from a record on.
pub(crate) async fn export(
    link: &Link,
    run_id: &str,
    format: &str,
    cursor: u64,
) -> Result<ExportPage, CallError> {
    link.ask("runs.export", &json!({ "run_id": run_id, "format": format, "cursor": cursor })).await
}

/// Removes a run that has ended, for good.
pub(crate) async fn delete(link: &Link, run_id: &str) -> Result<Value, CallError> {
    link.ask("runs.delete", &json!({ "run_id": run_id })).await
}

/// The snapshot that a subscription begins with.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Subscribed {
    pub(crate) agent_id: String,
    pub(crate) turns_so_far: Vec<Value>,
    pub(crate) cursor: u64,
    pub(crate) status: String,
    /// The index of the first turn above, if older ones did not fit.
    #[serde(default)]
    pub(crate) first_index: u64,
}

/// Subscribes to a run.
pub(crate) async fn subscribe(link: &Link, run_id: &str) -> Result<Subscribed, CallError> {
    link.ask("runs.subscribe", &json!({ "run_id": run_id })).await
}

/// A record as it is made.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct TraceEvent {
    pub(crate) run_id: String,
    pub(crate) record: Value,
    /// How many turns there are with this one.
    pub(crate) cursor: u64,
}

impl TraceEvent {
    /// The event in a notification, if it is one.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        let is_event = notice.method == "runs.trace.event";
        is_event.then(|| Self::deserialize(&notice.params).ok()).flatten()
    }
}
