//! What people approved and rejected: one file for the whole daemon, a record a line.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use carport_core::{Durability, Guarded, Result, RpcError, Time};
use carport_engine_model::{Action, Approval, ApprovalRecord, Decision, Tier, newest_live};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

/// A link in the place of the file is refused.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Records by operation with their positions, newest last. A record that can never count again is not
/// kept.
#[derive(Debug, Default)]
struct Index {
    records: HashMap<String, Vec<(u64, ApprovalRecord)>>,
    /// How many records there ever were.
    length: u64,
}

impl Index {
    fn add(&mut self, record: ApprovalRecord) {
        let records = self.records.entry(record.fingerprint.clone()).or_default();
        // An older one counts again once this one has expired, or where this one does not reach.
        records.retain(|(_, it)| it.reach() > record.reach() || outlives(it, &record));
        self.length += 1;
        records.push((self.length, record));
    }
}

fn outlives(one: &ApprovalRecord, other: &ApprovalRecord) -> bool {
    other.expires_at.is_some_and(|end| one.expires_at.is_none_or(|its| its > end))
}

impl carport_engine_model::Ledger for Index {
    fn newest(&self, fingerprint: &str, required: Tier, now: Time) -> Option<&ApprovalRecord> {
        let records = self.records.get(fingerprint)?.iter().map(|(_, record)| record);
        newest_live(records, required, now)
    }
}

/// The ledger. There is one writer, and it writes whole lines.
#[derive(Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
    durability: Durability,
    index: Guarded<Index>,
    /// Held over a write, so that lines and records have one order.
    writing: Mutex<()>,
}

impl Ledger {
    /// Reads the ledger at `path`, which need not exist. A torn last line is cut off. Blocks.
    ///
    /// # Errors
    /// It cannot be read, a link stands in its place, or a whole line is no record.
    pub(crate) fn open(path: PathBuf, durability: Durability) -> io::Result<Self> {
        let mut index = Index::default();
        for (number, line) in whole_lines(&path)?.iter().enumerate() {
            // It may be a rejection: without it, more would be allowed than people allowed.
            let record = serde_json::from_slice(line).map_err(|error| {
                let place = format!("{}, line {}", path.display(), number + 1);
                io::Error::new(io::ErrorKind::InvalidData, format!("{place}: no record: {error}"))
            })?;
            index.add(record);
        }
        let (index, writing) = (Guarded::new(index), Mutex::new(()));
        Ok(Self { path, durability, index, writing })
    }

    /// What becomes of an action with these parameters, its own or filled in: the one decision, for
    /// `permission.evaluate` and for `proposal.submit` alike.
    pub(crate) fn evaluate(
        &self,
        action: &Action,
        parameters: &Map<String, Value>,
        granted: Tier,
        now: Time,
    ) -> Decision {
        action.evaluate_with(parameters, &*self.index.lock(), granted, now)
    }

    /// How many records there are so far.
    pub(crate) fn position(&self) -> u64 {
        self.index.lock().length
    }

    /// Whether people approved an operation up to this tier, or above, after the ledger was at `since`.
    pub(crate) fn approves(
        &self,
        fingerprint: &str,
        required: Tier,
        since: u64,
        now: Time,
    ) -> bool {
        let index = self.index.lock();
        let records = index.records.get(fingerprint).into_iter().flatten();
        let mut live = records.rev().filter(|(_, it)| it.is_live(now) && it.reach() >= required);
        let newest = live.next();
        newest.is_some_and(|(at, it)| *at > since && it.decision == Approval::Approved)
    }

    /// Writes a record; it counts once it is in the file. Begun, it is done whole, also if nobody waits
    /// for it any more.
    pub(crate) async fn record(self: &Arc<Self>, record: ApprovalRecord) -> Result<()> {
        let ledger = self.clone();
        let written = tokio::spawn(async move { ledger.write(record).await }).await;
        written.unwrap_or_else(|error| Err(RpcError::internal(error)))
    }

    async fn write(&self, record: ApprovalRecord) -> Result<()> {
        let _one = self.writing.lock().await;
        let mut line = serde_json::to_vec(&record).map_err(RpcError::internal)?;
        line.push(b'\n');
        let (path, durability) = (self.path.clone(), self.durability);
        let sync = move |file: &File| match durability {
            // Approvals are rare, so that each may be synced where any loss is to be bounded.
            Durability::Process => Ok(()),
            Durability::Interval | Durability::Record => file.sync_data(),
        };
        let written = tokio::task::spawn_blocking(move || append(&path, &line, sync));
        let written = written.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        written.map_err(|error| {
            tracing::error!(%error, "an approval was not recorded");
            let why = format!("the ledger of approvals could not be written: {}", error.kind());
            RpcError::internal(why).with("retryable", true)
        })?;
        self.index.lock().add(record);
        Ok(())
    }
}

/// The lines of a file; what follows the last newline is cut off.
fn whole_lines(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut options = OpenOptions::new();
    let mut file = match options.read(true).custom_flags(NO_FOLLOW).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < text.len() {
        let torn = text.len() - whole;
        tracing::warn!(file = %path.display(), bytes = torn, "a torn last line was cut off");
        OpenOptions::new().write(true).custom_flags(NO_FOLLOW).open(path)?.set_len(whole as u64)?;
    }
    let lines = text[..whole].split_inclusive(|byte| *byte == b'\n');
    Ok(lines.map(<[u8]>::to_vec).collect())
}

/// Appends a line in one write and syncs it. If either fails, the file is as it was: what is not
/// counted now must not count after a restart.
fn append(path: &Path, line: &[u8], sync: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(NO_FOLLOW);
    let mut file: File = options.open(path)?;
    let length = file.metadata()?.len();
    let written = file.write_all(line).and_then(|()| sync(&file));
    if written.is_err() {
        file.set_len(length)?;
    }
    written
}

#[cfg(test)]
mod tests;
