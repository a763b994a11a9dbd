//! What is in the file, what survives there, and what becomes of it when it cannot be written.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{PermissionsExt, symlink},
    sync::{Arc, Mutex},
};

use carport_core::{Durability, SystemClock};
use carport_engine_journal::{Journals, chain::Verdict, log::Retention};

use crate::{Scene, append, event, lines, read};

const COUNT: fn(usize) -> Retention =
    |most| Retention { max_events: Some(most), max_age_secs: None };

#[tokio::test]
async fn closing_flushes_and_a_line_is_an_event() {
    for durability in [Durability::Process, Durability::Interval, Durability::Record] {
        let scene = Scene::with(durability, Arc::new(SystemClock));
        let journal = scene.open("c-1").await;
        assert!(!scene.path("c-1").exists(), "no event, no file");
        append(&journal, 500).await;
        let kept = journal.query(Default::default()).await.unwrap();
        journal.close().await.unwrap();
        let mode = fs::metadata(scene.path("c-1")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let lines = scene.lines("c-1");
        let expected: Vec<_> = kept.iter().rev().map(|event| event.canonical()).collect();
        assert_eq!(lines, expected);
        assert_eq!(lines.len(), 500);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn lines_of_many_appenders_stand_in_the_order_of_their_numbers() {
    let scene = Scene::new();
    let journal = scene.open("c-1").await;
    journal.enable_chain();
    let appenders = (0..8).map(|_| {
        let journal = journal.clone();
        tokio::spawn(async move { append(&journal, 250).await })
    });
    for appender in appenders.collect::<Vec<_>>() {
        appender.await.unwrap();
    }
    assert_eq!(journal.verify().await.unwrap(), Verdict::Verified(2000));
    let numbers: Vec<_> = scene.lines("c-1").iter().map(|line| read(line).sequence).collect();
    assert_eq!(numbers, (1..=2000).collect::<Vec<_>>());
}

#[tokio::test]
async fn twenty_thousand_appends_leave_little() {
    let scene = Scene::new();
    let journal = scene.open("c-1").await;
    journal.enable_chain();
    journal.set_retention(COUNT(100)).await;
    for n in 0..20_000 {
        journal.append(event(n)).await;
        if n % 2500 == 0 {
            journal.flush().await.unwrap();
            assert!(journal.count() <= 100 && scene.lines("c-1").len() < 1400);
        }
    }
    assert_eq!(journal.count(), 100);
    journal.flush().await.unwrap();
    let lines = scene.lines("c-1");
    assert!(lines.len() < 1400, "{}", lines.len());
    assert_eq!(read(lines.last().unwrap()).sequence, 20_000);
    assert_eq!(journal.verify().await.unwrap(), Verdict::Verified(lines.len() as u64));
}

#[tokio::test]
async fn a_burst_makes_the_file_no_longer_than_it_may_be() {
    let root = tempfile::tempdir().unwrap();
    // No writer runs: everything is written at once.
    let (journals, _writer) =
        Journals::new(root.path().into(), Durability::Process, Arc::new(SystemClock));
    let journal = journals.open("c-1").await.unwrap();
    journal.set_retention(COUNT(100)).await;
    append(&journal, 4000).await;
    journal.flush().await.unwrap();
    assert_eq!(lines(&root.path().join("c-1.jsonl")).len(), 100);
}

#[tokio::test]
async fn a_policy_that_is_set_shrinks_the_file_at_once() {
    let scene = Scene::new();
    let journal = scene.open("c-1").await;
    append(&journal, 1000).await;
    journal.enable_chain();
    append(&journal, 2000).await;
    assert_eq!(journal.set_retention(COUNT(2500)).await, 500);
    journal.flush().await.unwrap();
    assert_eq!(scene.lines("c-1").len(), 3000, "not worth it yet");
    assert_eq!(journal.set_retention(COUNT(1500)).await, 1000);
    journal.flush().await.unwrap();
    assert_eq!(scene.lines("c-1").len(), 1500);
    assert_eq!(journal.verify().await.unwrap(), Verdict::Verified(1500));
    append(&journal, 1).await;
    assert_eq!(journal.verify().await.unwrap(), Verdict::Verified(1501));
    assert!(!scene.root.path().join("c-1.jsonl.half").exists());
}

#[tokio::test]
async fn an_edit_in_the_file_is_found_with_its_index() {
    let scene = Scene::new();
    let journal = scene.open("c-1").await;
    append(&journal, 3).await;
    journal.enable_chain();
    append(&journal, 40).await;
    assert_eq!(journal.verify().await.unwrap(), Verdict::Verified(40));
    let whole = fs::read(scene.path("c-1")).unwrap();
    for at in (0..whole.len() - 1).step_by(97) {
        let index = whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        if index < 3 {
            continue;
        }
        let mut edited = whole.clone();
        edited[at] ^= 1;
        fs::write(scene.path("c-1"), &edited).unwrap();
        assert_eq!(journal.verify().await.unwrap(), Verdict::TamperedAt(index), "{at}");
    }
    fs::write(scene.path("c-1"), &whole[..whole.len() - 1]).unwrap();
    assert_eq!(journal.verify().await.unwrap(), Verdict::TamperedAt(42));
}

#[tokio::test]
async fn a_file_cut_at_every_byte_goes_on_and_loses_at_most_its_last_line() {
    let scene = Scene::new();
    let journal = scene.open("c-1").await;
    journal.enable_chain();
    append(&journal, 4).await;
    journal.close().await.unwrap();
    let whole = fs::read(scene.path("c-1")).unwrap();
    for length in 0..=whole.len() {
        let name = format!("c-cut-{length}");
        fs::write(scene.path(&name), &whole[..length]).unwrap();
        let journal = scene.open(&name).await;
        let left = whole[..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(journal.count(), left, "cut at {length}");
        let (before, after) = (&whole[..length], fs::read(scene.path(&name)).unwrap());
        assert!(before.starts_with(&after) && after.ends_with(b"\n") == (left > 0));
        journal.enable_chain();
        append(&journal, 1).await;
        assert_eq!(journal.verify().await.unwrap(), Verdict::Verified(left as u64 + 1));
        let last = read(scene.lines(&name).last().unwrap());
        assert_eq!(last.sequence, left as u64 + 1);
    }
}

/// Everything that is logged while the tests run.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_reported_once_and_recovers_whole() {
    let (logged, scene) = (Logged::default(), Scene::new());
    let writer = logged.clone();
    let log = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false);
    tracing::subscriber::set_global_default(log.finish()).unwrap();
    let path = scene.path("c-1");
    let reports = |what: &str| {
        let text = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
        let of_this = |line: &&str| line.contains(what) && line.contains(path.to_str().unwrap());
        text.lines().filter(of_this).count()
    };
    let journal = scene.open("c-1").await;
    journal.enable_chain();
    append(&journal, 2).await;
    journal.flush().await.unwrap();
    for spell in 1..=2 {
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        for n in 0..3 {
            journal.append(event(n)).await;
            journal.flush().await.unwrap_err();
        }
        let error = journal.verify().await.unwrap_err();
        assert!(error.message.contains("could not be used"), "{error}");
        assert!(journal.write_failures() >= 4 * spell, "{}", journal.write_failures());
        assert_eq!(journal.count(), 2 + 3 * spell as usize, "memory goes on");
        assert_eq!(reports("could not be written"), spell as usize);
        fs::remove_dir(&path).unwrap();
        journal.flush().await.unwrap();
        assert_eq!(reports("is whole on disk again"), spell as usize);
        assert_eq!(journal.verify().await.unwrap(), Verdict::Verified(2 + 3 * spell));
    }
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_directory_that_vanished_is_made_again() {
    let scene = Scene::new();
    let journal = scene.open("c-1").await;
    fs::remove_dir_all(scene.root.path()).unwrap();
    append(&journal, 3).await;
    // The first write fails, the second brings everything.
    let _ = journal.flush().await;
    journal.flush().await.unwrap();
    assert_eq!(scene.lines("c-1").len(), 3);
    assert_eq!(journal.write_failures(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_neither_opened_nor_replaced() {
    let scene = Scene::new();
    let target = scene.root.path().join("target");
    fs::write(&target, "mine").unwrap();
    symlink(&target, scene.path("c-1")).unwrap();
    fs::create_dir(scene.path("c-2")).unwrap();
    for client in ["c-1", "c-2"] {
        let error = scene.journals.open(client).await.map(drop).unwrap_err();
        assert!(error.message.contains("could not be read"), "{error}");
    }
    assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    assert!(fs::symlink_metadata(scene.path("c-1")).unwrap().is_symlink());
    // It is not in use, so that it may be opened once it can be.
    fs::remove_file(scene.path("c-1")).unwrap();
    append(&scene.open("c-1").await, 1).await;
}
