//! The statements of the index.

use std::{collections::HashMap, time::Duration};

use carport_core::Time;
use chrono::DateTime;
use rusqlite::{Connection, OptionalExtension, Row as Columns, named_params, params};

use crate::{
    ledger::Place,
    record::{RunStatus, RunSummary},
    store::Stamp,
};

/// How long a connection waits for another process that looks at the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// A run that has ended, and what its file looked like then.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) summary: RunSummary,
    pub(crate) stamp: Stamp,
}

/// What retention wants to know of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) run_id: String,
    pub(crate) started_at: Time,
    pub(crate) ended_at: Time,
    pub(crate) bytes: u64,
}

/// A page of an agent's runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) agent_id: &'a str,
    /// Only those that come after it.
    pub(crate) before: Option<&'a Place>,
    pub(crate) status: Option<RunStatus>,
    pub(crate) limit: usize,
}

/// Makes the table unless it is there in this version.
pub(super) fn prepare(connection: Connection, version: i64) -> rusqlite::Result<Connection> {
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found != version {
        let tables = "SELECT count(*) FROM sqlite_schema";
        if connection.query_row(tables, [], |row| row.get::<_, i64>(0))? > 0 {
            return Err(rusqlite::Error::InvalidQuery);
        }
        connection.execute_batch(include_str!("schema.sql"))?;
        connection.pragma_update(None, "user_version", version)?;
    }
    Ok(connection)
}

pub(super) fn is_sound(table: &Connection) -> rusqlite::Result<bool> {
    table.query_row("PRAGMA quick_check(1)", [], |row| Ok(row.get::<_, String>(0)? == "ok"))
}

pub(super) fn find(table: &Connection, run_id: &str) -> rusqlite::Result<Option<RunSummary>> {
    let mut query = table.prepare_cached("SELECT summary FROM runs WHERE run_id = ?1")?;
    query.query_row([run_id], summary).optional()
}

pub(super) fn list(table: &Connection, wanted: &Wanted<'_>) -> rusqlite::Result<Vec<RunSummary>> {
    let mut sql = String::from("SELECT summary FROM runs WHERE agent_id = :agent");
    let status = wanted.status.map(word);
    let (before_at, before_id) = match wanted.before {
        Some((at, run_id)) => (at.timestamp_millis(), run_id.as_str()),
        None => (i64::MAX, ""),
    };
    if status.is_some() {
        sql += " AND status = :status";
    } else {
        sql += " AND :status IS NULL";
    }
    sql += " AND (started_at, run_id) < (:before_at, :before_id)
             ORDER BY started_at DESC, run_id DESC LIMIT :limit";
    let params = named_params! {
        ":agent": wanted.agent_id, ":status": status, ":before_at": before_at,
        ":before_id": before_id, ":limit": wanted.limit,
    };
    table.prepare_cached(&sql)?.query_map(params, summary)?.collect()
}

pub(super) fn stamps(
    table: &Connection,
    agent_id: &str,
) -> rusqlite::Result<HashMap<String, Stamp>> {
    let sql = "SELECT run_id, bytes, modified FROM runs WHERE agent_id = ?1";
    let mut query = table.prepare_cached(sql)?;
    let stamp =
        |row: &Columns<'_>| Ok((row.get(0)?, Stamp { bytes: row.get(1)?, modified: row.get(2)? }));
    query.query_map([agent_id], stamp)?.collect()
}

pub(super) fn kept(table: &Connection, agent_id: &str) -> rusqlite::Result<Vec<Kept>> {
    let sql = "SELECT run_id, started_at, ended_at, bytes FROM runs WHERE agent_id = ?1";
    let mut query = table.prepare_cached(sql)?;
    let kept = |row: &Columns<'_>| {
        let (started_at, ended_at) = (time(row.get(1)?), time(row.get(2)?));
        Ok(Kept { run_id: row.get(0)?, started_at, ended_at, bytes: row.get(3)? })
    };
    query.query_map([agent_id], kept)?.collect()
}

pub(super) fn agents(table: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = table.prepare_cached("SELECT DISTINCT agent_id FROM runs")?;
    query.query_map([], |row| row.get(0))?.collect()
}

pub(super) fn write(table: &mut Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO runs
        (run_id, agent_id, started_at, ended_at, status, bytes, modified, summary)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let transaction = table.transaction()?;
    {
        let mut insert = transaction.prepare_cached(sql)?;
        for Row { summary, stamp } in rows {
            let ended_at = summary.ended_at.unwrap_or(summary.started_at);
            let text = serde_json::to_string(summary)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
            insert.execute(params![
                summary.run_id,
                summary.agent_id,
                summary.started_at.timestamp_millis(),
                ended_at.timestamp_millis(),
                word(summary.status),
                stamp.bytes,
                stamp.modified,
                text,
            ])?;
        }
    }
    transaction.commit()
}

pub(super) fn forget(table: &mut Connection, run_ids: &[String]) -> rusqlite::Result<()> {
    let transaction = table.transaction()?;
    {
        let mut delete = transaction.prepare_cached("DELETE FROM runs WHERE run_id = ?1")?;
        for run_id in run_ids {
            delete.execute([run_id])?;
        }
    }
    transaction.commit()
}

fn word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::InProgress => "in_progress",
        RunStatus::Completed => "completed",
        RunStatus::Incomplete => "incomplete",
    }
}

fn summary(row: &Columns<'_>) -> rusqlite::Result<RunSummary> {
    let read = serde_json::from_str(row.get_ref(0)?.as_str()?);
    // A row of ours always reads: the database is damaged.
    read.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })
}

fn time(millis: i64) -> Time {
    DateTime::from_timestamp_millis(millis).unwrap_or_default().into()
}
