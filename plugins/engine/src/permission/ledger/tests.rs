//! Which records count, and what is in the file.

use std::fs;

use carport_engine_model::Ledger as _;
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

fn open(path: &Path) -> Arc<Ledger> {
    Arc::new(Ledger::open(path.into(), Durability::Process).unwrap())
}

#[test]
fn the_newest_that_has_not_expired_counts() {
    let mut index = Index::default();
    index.add(record(Approval::Rejected, 0, None));
    index.add(record(Approval::Approved, 1, Some(10)));
    index.add(record(Approval::Rejected, 2, Some(5)));
    let decision = |now| index.newest("f", Tier::FullAccess, at(now)).map(|it| it.decision);
    assert_eq!(decision(4), Some(Approval::Rejected));
    assert_eq!(decision(5), Some(Approval::Approved));
    assert_eq!(decision(10), Some(Approval::Rejected));
    assert_eq!(index.newest("g", Tier::ReadOnly, at(0)), None);
    index.add(record(Approval::Approved, 3, None));
    assert_eq!(index.records["f"].len(), 1, "nothing before it can count again");
}

#[test]
fn an_approval_below_the_required_tier_hides_nothing() {
    let mut index = Index::default();
    index.add(record(Approval::Rejected, 0, None));
    index.add(ApprovalRecord {
        required_tier: Tier::SandboxEdit,
        ..record(Approval::Approved, 1, None)
    });
    let decision = |tier| index.newest("f", tier, at(2)).map(|it| it.decision);
    assert_eq!(decision(Tier::FullAccess), Some(Approval::Rejected));
    assert_eq!(decision(Tier::SandboxEdit), Some(Approval::Approved));
}

#[tokio::test]
async fn records_survive_and_a_torn_line_does_not() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("approvals.jsonl");
    let ledger = Arc::new(Ledger::open(path.clone(), Durability::Record).unwrap());
    ledger.record(record(Approval::Approved, 1, None)).await.unwrap();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"fingerprint\":\"f\",\"deci").unwrap();
    let ledger = open(&path);
    assert!(ledger.approves("f", Tier::FullAccess, 0, at(2)));
    ledger.record(record(Approval::Rejected, 3, None)).await.unwrap();
    assert!(!open(&path).approves("f", Tier::ReadOnly, 0, at(4)));
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn only_an_approval_after_a_position_is_one_since_then() {
    let root = tempfile::tempdir().unwrap();
    let ledger = open(&root.path().join("approvals.jsonl"));
    ledger.record(record(Approval::Approved, 1, None)).await.unwrap();
    let since = ledger.position();
    assert!(!ledger.approves("f", Tier::FullAccess, since, at(2)));
    ledger.record(record(Approval::Approved, 1, None)).await.unwrap();
    assert!(ledger.approves("f", Tier::FullAccess, since, at(2)));
    ledger.record(record(Approval::Rejected, 1, None)).await.unwrap();
    assert!(!ledger.approves("f", Tier::FullAccess, since, at(2)));
}

/// A rejection that does not read would allow what it rejects.
#[test]
fn a_whole_line_that_is_no_record_is_named() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("approvals.jsonl");
    let good = serde_json::to_string(&record(Approval::Approved, 1, None)).unwrap();
    for bad in ["no record", ""] {
        fs::write(&path, format!("{good}\n{bad}\n")).unwrap();
        let error = Ledger::open(path.clone(), Durability::Process).unwrap_err().to_string();
        assert!(error.contains("approvals.jsonl, line 2"), "{error}");
    }
}

#[test]
fn a_link_in_the_place_of_the_ledger_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let (path, target) = (root.path().join("approvals.jsonl"), root.path().join("target"));
    fs::write(&target, "").unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    assert!(Ledger::open(path, Durability::Process).is_err());
}

#[test]
fn a_line_that_is_not_synced_is_not_in_the_file() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("approvals.jsonl");
    append(&path, b"one\n", |_| Ok(())).unwrap();
    append(&path, b"two\n", |_| Err(io::Error::other("the disk is gone"))).unwrap_err();
    assert_eq!(fs::read_to_string(path).unwrap(), "one\n");
}

/// Whoever gives up waiting leaves the file, the memory and the order of writes as one.
#[tokio::test]
async fn a_record_that_nobody_waits_for_is_written_whole() {
    use std::future::Future;
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("approvals.jsonl");
    let ledger = open(&path);
    let held = ledger.writing.lock().await;
    {
        let mut given_up = std::pin::pin!(ledger.record(record(Approval::Rejected, 1, None)));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(given_up.as_mut().poll(&mut cx).is_pending());
        tokio::task::yield_now().await;
    }
    drop(held);
    let other = ApprovalRecord { fingerprint: "g".into(), ..record(Approval::Approved, 2, None) };
    ledger.record(other).await.unwrap();
    assert_eq!((ledger.position(), open(&path).position()), (2, 2));
}
