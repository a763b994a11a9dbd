//! A disk that does not sync: what is not acknowledged is not there either.

use std::{
    cell::Cell,
    io::{BufRead, Error},
};

use super::*;

thread_local! {
    /// How many syncs go well before one fails; and how many were asked for.
    static GOOD: Cell<usize> = const { Cell::new(usize::MAX) };
    static ASKED: Cell<usize> = const { Cell::new(0) };
    /// Whether a file can be cut.
    static CUTS: Cell<bool> = const { Cell::new(true) };
}

fn sync(_: &File) -> io::Result<()> {
    ASKED.set(ASKED.get() + 1);
    match GOOD.get().checked_sub(1) {
        Some(left) => {
            GOOD.set(left);
            Ok(())
        }
        None => Err(Error::other("no sync")),
    }
}

/// Cuts, or does not.
fn cut(file: &File, length: u64) -> io::Result<()> {
    match CUTS.get() {
        true => file.set_len(length),
        false => Err(Error::other("no cut")),
    }
}

/// Does something after so many good syncs every sync fails.
fn failing_after<T>(good: usize, work: impl FnOnce() -> T) -> T {
    GOOD.set(good);
    let done = work();
    GOOD.set(usize::MAX);
    done
}

fn disk(durability: Durability) -> (Disk, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk { sync, cut, ..Disk::new(directory.path(), durability) };
    make_private_dir(&disk.tasks).unwrap();
    make_private_dir(&disk.push).unwrap();
    (disk, directory)
}

fn lines(disk: &Disk) -> Vec<String> {
    disk.read("t", 0).unwrap().lines().map(Result::unwrap).collect()
}

#[test]
fn a_change_that_is_not_synced_is_cut_off_and_the_next_one_takes_its_place() {
    let (disk, _directory) = disk(Durability::Record);
    disk.begin("t", b"created\n").unwrap();
    failing_after(0, || disk.append("t", b"lost\n")).unwrap_err();
    assert_eq!(lines(&disk), ["created"]);
    disk.append("t", b"kept\n").unwrap();
    assert_eq!(lines(&disk), ["created", "kept"]);
}

#[test]
fn a_change_that_could_not_be_cut_off_at_once_is_cut_off_before_the_next_one() {
    let (disk, _directory) = disk(Durability::Record);
    disk.begin("t", b"created\n").unwrap();
    CUTS.set(false);
    failing_after(0, || disk.append("t", b"lost\n")).unwrap_err();
    disk.append("t", b"too early\n").unwrap_err();
    CUTS.set(true);
    disk.append("t", b"kept\n").unwrap();
    assert_eq!(lines(&disk), ["created", "kept"]);
}

#[test]
fn a_task_whose_file_or_name_is_not_synced_is_not_there_and_can_be_made() {
    for good in [0, 1] {
        let (disk, _directory) = disk(Durability::Record);
        failing_after(good, || disk.begin("t", b"lost\n")).unwrap_err();
        assert!(!disk.task("t").unwrap().exists(), "after {good}");
        disk.begin("t", b"created\n").unwrap();
        assert_eq!(lines(&disk), ["created"]);
    }
}

#[test]
fn what_could_not_be_synced_in_time_is_tried_again_the_next_time() {
    let (disk, _directory) = disk(Durability::Interval);
    disk.begin("t", b"created\n").unwrap();
    assert_eq!(ASKED.get(), 0, "neither the file nor its name is synced yet");
    failing_after(1, || disk.sync());
    assert_eq!(ASKED.replace(0), 2);
    disk.sync();
    assert_eq!(ASKED.replace(0), 1, "only what failed");
    disk.sync();
    assert_eq!(ASKED.get(), 0);
}

#[test]
fn more_files_than_may_wait_are_synced_at_once() {
    let (disk, _directory) = disk(Durability::Interval);
    for n in 0..UNSYNCED {
        disk.begin(&format!("t{n}"), b"created\n").unwrap();
    }
    // The directory of their names waits, too.
    assert_eq!(ASKED.replace(0), 1);
    failing_after(0, || disk.append("t255", b"lost\n")).unwrap_err();
    disk.append("t0", b"waits already\n").unwrap();
    assert_eq!(ASKED.get(), 1);
}

#[test]
fn a_change_is_not_read_before_it_is_whole_and_a_torn_one_is_cut_off() {
    let (disk, _directory) = disk(Durability::Process);
    let created = r#"{"created":{"id":"t","context_id":"c","owner":"me","at":"2026-01-01T00:00:00.000Z",
        "message":{"messageId":"m","role":"ROLE_USER","parts":[{"text":"x"}]}}}"#;
    let created = created.replace('\n', "") + "\n";
    disk.begin("t", created.as_bytes()).unwrap();
    disk.append("t", b"{\"event\":{\"seq\":1,").unwrap();
    let index = disk.load().unwrap();
    assert_eq!(index.row("t").map(|row| row.progress.seq), Some(0));
    assert_eq!(fs::read(disk.task("t").unwrap()).unwrap(), created.as_bytes());
}
