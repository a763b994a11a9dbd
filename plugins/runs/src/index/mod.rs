//! The index of runs that have ended: a SQLite file beside them. It is a cache, never the truth: it may be
//! deleted, old or damaged at any time, and is made anew from the files.

mod table;

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use carport_core::Guarded;
use rusqlite::{Connection, ErrorCode, OpenFlags};

pub(crate) use table::{Kept, Row, Wanted};

use crate::{
    record::RunSummary,
    store::{NO_FOLLOW, Stamp},
};

/// Changes when the schema does; an index of another version is made anew.
const VERSION: i64 = 1;

/// The index could not answer; the files can.
#[derive(Debug, thiserror::Error)]
#[error("the index of runs could not be used")]
pub(crate) struct Unusable;

/// The index. One connection reads, one goes through many rows at a time and one writes, so that nothing
/// long delays a read. Every function blocks for as long as one bounded statement or transaction takes.
pub(crate) struct Index {
    path: PathBuf,
    reader: Guarded<Option<Connection>>,
    scanner: Guarded<Option<Connection>>,
    writer: Guarded<Option<Connection>>,
}

impl Index {
    /// The index in `path`, or a new one in its place. It may turn out unusable, which is logged.
    pub(crate) fn open(path: PathBuf) -> Self {
        let none = || Guarded::new(None);
        let index = Self { path, reader: none(), scanner: none(), writer: none() };
        if let Err(error) = index.connect() {
            tracing::warn!(index = %index.path.display(), %error, "the index of runs is made anew");
            index.renew();
        }
        index
    }

    pub(crate) fn is_open(&self) -> bool {
        self.reader.lock().is_some()
    }

    /// Deletes what is there and makes an empty index. `true` if it can be used.
    pub(crate) fn renew(&self) -> bool {
        self.close();
        let made = remove(&self.path).map_err(rusqlite_io).and_then(|()| self.connect());
        if let Err(error) = &made {
            tracing::error!(index = %self.path.display(), %error, "there is no index of runs: lists read the files");
        }
        made.is_ok()
    }

    fn connect(&self) -> rusqlite::Result<()> {
        // What SQLite makes beside it has the same mode.
        let mut options = fs::OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(NO_FOLLOW);
        options.open(&self.path).map_err(rusqlite_io)?;
        let writer = table::prepare(Connection::open(&self.path)?, VERSION)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reader = Connection::open_with_flags(&self.path, flags)?;
        let scanner = Connection::open_with_flags(&self.path, flags)?;
        *self.writer.lock() = Some(writer);
        *self.scanner.lock() = Some(scanner);
        *self.reader.lock() = Some(reader);
        Ok(())
    }

    /// What is there cannot be trusted: the files answer until it is made anew.
    pub(crate) fn close(&self) {
        // The reader first: without a reader, nobody takes what a write left for an answer.
        *self.reader.lock() = None;
        *self.scanner.lock() = None;
        *self.writer.lock() = None;
    }

    /// Whether every page of it is sound.
    pub(crate) fn is_sound(&self) -> bool {
        self.scan(table::is_sound).unwrap_or(false)
    }

    /// The run, if it is here.
    pub(crate) fn find(&self, run_id: &str) -> Result<Option<RunSummary>, Unusable> {
        self.read(|table| table::find(table, run_id))
    }

    /// Runs of an agent, newest first.
    pub(crate) fn list(&self, wanted: &Wanted<'_>) -> Result<Vec<RunSummary>, Unusable> {
        self.read(|table| table::list(table, wanted))
    }

    /// What the files of an agent's runs looked like when they were taken in.
    pub(crate) fn stamps(&self, agent_id: &str) -> Result<HashMap<String, Stamp>, Unusable> {
        self.scan(|table| table::stamps(table, agent_id))
    }

    /// What retention wants to know of an agent's runs.
    pub(crate) fn kept(&self, agent_id: &str) -> Result<Vec<Kept>, Unusable> {
        self.scan(|table| table::kept(table, agent_id))
    }

    /// The agents with runs in it.
    pub(crate) fn agents(&self) -> Result<Vec<String>, Unusable> {
        self.scan(table::agents)
    }

    /// Takes runs in, all of them or none.
    pub(crate) fn write(&self, rows: &[Row]) -> Result<(), Unusable> {
        self.change(|table| table::write(table, rows))
    }

    /// Lets runs go, all of them or none.
    pub(crate) fn forget(&self, run_ids: &[String]) -> Result<(), Unusable> {
        self.change(|table| table::forget(table, run_ids))
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Unusable> {
        self.ask(&self.reader, read)
    }

    fn scan<T>(
        &self,
        scan: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Unusable> {
        self.ask(&self.scanner, scan)
    }

    fn ask<T>(
        &self,
        connection: &Guarded<Option<Connection>>,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Unusable> {
        let connection = connection.lock();
        let answer = ask(connection.as_ref().ok_or(Unusable)?);
        drop(connection);
        answer.map_err(|error| self.failed(&error))
    }

    fn change(
        &self,
        change: impl FnOnce(&mut Connection) -> rusqlite::Result<()>,
    ) -> Result<(), Unusable> {
        let mut writer = self.writer.lock();
        let changed = change(writer.as_mut().ok_or(Unusable)?);
        drop(writer);
        changed.map_err(|error| self.failed(&error))
    }

    /// A full disk or a lock passes; anything else means that what is there cannot be trusted.
    fn failed(&self, error: &rusqlite::Error) -> Unusable {
        let passes = [ErrorCode::DiskFull, ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked];
        tracing::error!(index = %self.path.display(), %error, "the index of runs failed");
        if !error.sqlite_error_code().is_some_and(|code| passes.contains(&code)) {
            self.close();
        }
        Unusable
    }
}

/// The database and what SQLite keeps beside it.
fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn rusqlite_io(error: io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}
