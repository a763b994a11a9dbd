//! One command under a shim: what it reads and prints, and that nothing of it stays.

use std::{collections::BTreeMap, ffi::OsString, fs, time::Duration};

use carport_agents_process::{Command, Gone, Process, SpawnError, Started, machine::Exit};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::AsyncReadExt;

use crate::{
    helper,
    world::{STUBBORN_TREE, alive, until},
};

/// The mark of the test's processes, and what a list of processes shows of their shim.
fn fresh() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().display().to_string();
    (directory, mark)
}

async fn start(mark: &str, program: &str, script: &str) -> Result<Started, SpawnError> {
    let command = Command {
        program: program.into(),
        name: program.into(),
        args: vec!["-c".into(), script.into()],
        env: BTreeMap::from([
            ("MARK".into(), mark.into()),
            ("PATH".into(), "/usr/bin:/bin".into()),
        ]),
        cwd: "/".into(),
        grace: Duration::from_millis(200),
        input: true,
    };
    let shim: [OsString; 3] = [helper().into(), "shim".into(), mark.into()];
    command.start(&shim).await
}

#[tokio::test]
async fn a_command_reads_what_is_written_to_it_in_order_and_then_its_end() {
    let (_directory, mark) = fresh();
    let Started { mut process, mut stdout, .. } =
        start(&mark, "/bin/sh", "cat; exit 3").await.unwrap();
    let large = "x".repeat(1 << 20);
    for text in ["one ", &large, " two"] {
        process.write(text.into()).await;
    }
    process.finish_input().await;
    process.write("never".into()).await;
    let mut read = String::new();
    stdout.read_to_string(&mut read).await.unwrap();
    assert_eq!(read, format!("one {large} two"));
    assert_eq!(process.gone().await, Gone::Exited(Exit::Code(3)));
}

#[tokio::test]
async fn a_command_that_reads_nothing_is_ended_all_the_same() {
    let (_directory, mark) = fresh();
    let Started { mut process, mut stdout, .. } =
        start(&mark, "/bin/sh", STUBBORN_TREE).await.unwrap();
    for _ in 0..1000 {
        process.write("x".repeat(10_000)).await;
    }
    ready(&mut stdout).await;
    process.end(Duration::ZERO).await;
    assert_eq!(process.gone().await, Gone::Exited(Exit::Signal(9)));
    assert_eq!(alive(&mark), Vec::<i32>::new());
}

#[tokio::test]
async fn a_command_that_cannot_be_executed_says_so() {
    let (_directory, mark) = fresh();
    let error = start(&mark, "/no/such/program", "").await.err().unwrap();
    assert!(matches!(error, SpawnError::Exec(_)), "{error}");
}

#[tokio::test]
async fn a_tree_whose_shim_was_killed_is_ended_from_here() {
    let (_directory, mark) = fresh();
    let script = "trap '' TERM; sleep 1000 & echo ready; wait; wait";
    let Started { mut process, mut stdout, .. } = start(&mark, "/bin/sh", script).await.unwrap();
    ready(&mut stdout).await;
    kill_process(shim(&mark), Signal::KILL).unwrap();
    assert_eq!(process.gone().await, Gone::Exited(Exit::Unknown));
    assert_eq!(alive(&mark), Vec::<i32>::new());
}

#[tokio::test]
async fn a_tree_whose_shim_was_stopped_keeps_nobody_waiting() {
    let (_directory, mark) = fresh();
    let Started { mut process, mut stdout, .. } =
        start(&mark, "/bin/sh", STUBBORN_TREE).await.unwrap();
    ready(&mut stdout).await;
    kill_process(shim(&mark), Signal::STOP).unwrap();
    // Nobody answers, so that the clock goes on to where patience ends.
    tokio::time::pause();
    process.end(Duration::ZERO).await;
    assert_eq!(process.gone().await, Gone::Exited(Exit::Unknown));
    assert_eq!(alive(&mark), Vec::<i32>::new());
}

#[tokio::test]
async fn a_command_that_is_dropped_is_dead_soon() {
    let (_directory, mark) = fresh();
    let Started { process, mut stdout, .. } = start(&mark, "/bin/sh", STUBBORN_TREE).await.unwrap();
    ready(&mut stdout).await;
    drop::<Process>(process);
    until("nothing lives", || alive(&mark).is_empty()).await;
}

async fn ready(stdout: &mut tokio::process::ChildStdout) {
    let mut line = [0; 6];
    stdout.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"ready\n");
}

/// The shim that shows this mark.
fn shim(mark: &str) -> Pid {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let shim = all.filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let shows = line.split(|byte| *byte == 0).nth(2)? == mark.as_bytes();
        shows.then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    });
    Pid::from_raw(shim.min().unwrap()).unwrap()
}
