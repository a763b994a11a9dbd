//! What people approved and rejected: one file for the whole daemon, a record a line.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use carport_core::{Durability, Guarded, Result, RpcError, Time};
use carport_engine_model::{
    Action, Approval, ApprovalRecord, Decision, Ledger as _, Tier, newest_live,
};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

/// A link in the place of the file is refused.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;

/// Records by operation, newest last. A record that can never count again is not kept.
#[derive(Debug, Default)]
struct Index(HashMap<String, Vec<ApprovalRecord>>);

impl Index {
    fn add(&mut self, record: ApprovalRecord) {
        let records = self.0.entry(record.fingerprint.clone()).or_default();
        // An older one counts again only once this one has expired.
        match record.expires_at {
            None => records.clear(),
            Some(end) => records.retain(|it| it.expires_at.is_none_or(|its| its > end)),
        }
        records.push(record);
    }
}

impl carport_engine_model::Ledger for Index {
    fn newest(&self, fingerprint: &str, now: Time) -> Option<&ApprovalRecord> {
        newest_live(self.0.get(fingerprint)?.iter(), now)
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
    pub(crate) fn open(path: PathBuf, durability: Durability) -> io::Result<Self> {
        let mut index = Index::default();
        for line in whole_lines(&path)? {
            match serde_json::from_slice(&line) {
                Ok(record) => index.add(record),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "a record is not readable and does not count");
                }
            }
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

    /// Whether people approved an operation up to this tier, or above.
    pub(crate) fn approves(&self, fingerprint: &str, required: Tier, now: Time) -> bool {
        let index = self.index.lock();
        let newest = index.newest(fingerprint, now);
        newest.is_some_and(|it| it.decision == Approval::Approved && it.required_tier >= required)
    }

    /// Writes a record; it counts once it is in the file.
    pub(crate) async fn record(&self, record: ApprovalRecord) -> Result<()> {
        let _one = self.writing.lock().await;
        let mut line = serde_json::to_vec(&record).map_err(RpcError::internal)?;
        line.push(b'\n');
        let (path, durability) = (self.path.clone(), self.durability);
        let written = tokio::task::spawn_blocking(move || append(&path, &line, durability));
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
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < text.len() {
        let torn = text.len() - whole;
        tracing::warn!(file = %path.display(), bytes = torn, "a torn last line was cut off");
        OpenOptions::new().write(true).custom_flags(NO_FOLLOW).open(path)?.set_len(whole as u64)?;
    }
    let lines = text[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(<[u8]>::to_vec).collect())
}

/// Appends a line in one write. If that fails, the file is as it was.
fn append(path: &Path, line: &[u8], durability: Durability) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(NO_FOLLOW);
    let mut file: File = options.open(path)?;
    let length = file.metadata()?.len();
    if let Err(error) = file.write_all(line) {
        file.set_len(length)?;
        return Err(error);
    }
    // Approvals are rare, so that each may be synced where any loss is to be bounded.
    match durability {
        Durability::Process => Ok(()),
        Durability::Interval | Durability::Record => file.sync_data(),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(secs: i64) -> Time {
        (chrono::DateTime::UNIX_EPOCH + TimeDelta::seconds(secs)).into()
    }

    fn record(decision: Approval, at_secs: i64, end: Option<i64>) -> ApprovalRecord {
        ApprovalRecord {
            fingerprint: "f".into(),
            decision,
            required_tier: Tier::FullAccess,
            reviewer: "host:c".into(),
            reason: None,
            evidence: None,
            at: at(at_secs),
            expires_at: end.map(at),
        }
    }

    #[test]
    fn the_newest_that_has_not_expired_counts() {
        let mut index = Index::default();
        index.add(record(Approval::Rejected, 0, None));
        index.add(record(Approval::Approved, 1, Some(10)));
        index.add(record(Approval::Rejected, 2, Some(5)));
        let decision = |now| index.newest("f", at(now)).map(|it| it.decision);
        assert_eq!(decision(4), Some(Approval::Rejected));
        assert_eq!(decision(5), Some(Approval::Approved));
        assert_eq!(decision(10), Some(Approval::Rejected));
        assert_eq!(index.newest("g", at(0)), None);
        index.add(record(Approval::Approved, 3, None));
        assert_eq!(index.0["f"].len(), 1, "nothing before it can count again");
    }

    #[tokio::test]
    async fn records_survive_and_a_torn_line_does_not() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("approvals.jsonl");
        let ledger = Ledger::open(path.clone(), Durability::Record).unwrap();
        ledger.record(record(Approval::Approved, 1, None)).await.unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"no record\n{\"fingerprint\":\"f\",\"deci").unwrap();
        let ledger = Ledger::open(path.clone(), Durability::Process).unwrap();
        assert!(ledger.approves("f", Tier::FullAccess, at(2)));
        ledger.record(record(Approval::Rejected, 3, None)).await.unwrap();
        let ledger = Ledger::open(path.clone(), Durability::Process).unwrap();
        assert!(!ledger.approves("f", Tier::ReadOnly, at(4)));
        assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 3);
    }
}
