//! Shims that are killed or stopped, daemons that go with them, and what is then left of a tree.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use carport_agents_process::{
    Ending, OnSurvivor, Status,
    incarnation::{Incarnation, is_alive},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    helper, world,
    world::{STUBBORN_TREE, World, alive, until},
};

/// A child that ends, and what it leaves behind, which ignores TERM: one process in its group, for which
/// there is a grace, and one without parents in a session of its own.
const LEFT_BEHIND: &str = "trap '' TERM; sleep 1000 &
    (setsid sleep 1000 &)
    echo ready";

fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

fn record(root: &Path, id: &str) -> Incarnation {
    Incarnation::read(&root.join(format!("run/agents/{id}.json"))).unwrap()
}

#[tokio::test]
async fn when_its_shim_is_killed_the_daemon_ends_the_whole_tree() {
    let (world, _directory) = world();
    let id = world.put("shimless", STUBBORN_TREE, |_| {});
    world.start(&id).await;
    until("the whole tree is there", || world.alive().len() >= 5).await;
    kill(record(&world.root, &id).shim_pid, Signal::KILL);
    let lost = world.wait(&id, Status::Errored).await;
    assert!(lost.view.reason.as_ref().is_some_and(|it| it.contains("shim")), "{:?}", lost.view);
    world.nothing_lives();
    world.end().await;
}

#[tokio::test]
async fn what_a_child_left_behind_is_found_without_shim_and_child() {
    let (world, _directory) = world();
    let id = world.put("leaver", LEFT_BEHIND, |spec| spec.stop_grace_secs = 60.0);
    world.start(&id).await;
    let record = record(&world.root, &id);
    until("the child is gone", || !is_alive(record.pid, record.start_time)).await;
    until("what it left is there", || world.alive().len() == 2).await;
    kill(record.shim_pid, Signal::KILL);
    world.wait(&id, Status::Errored).await;
    world.nothing_lives();
    world.end().await;
}

#[tokio::test]
async fn a_record_that_no_disk_takes_still_ends_a_tree_without_shim() {
    let (world, _directory) = world();
    std::fs::create_dir(world.root.join("run")).unwrap();
    std::fs::write(world.root.join("run/agents"), "in the way").unwrap();
    let id = world.put("unwritten", STUBBORN_TREE, |_| {});
    let child = world.start(&id).await.view.pid.unwrap();
    let child = procfs::process::Process::new(child.cast_signed()).unwrap();
    kill(child.stat().unwrap().ppid.cast_unsigned(), Signal::KILL);
    world.wait(&id, Status::Errored).await;
    world.nothing_lives();
    world.end().await;
}

#[tokio::test]
async fn a_shim_that_is_stopped_does_not_keep_its_tree_alive() {
    let (world, _directory) = world();
    let id = world.put("frozen", STUBBORN_TREE, |_| {});
    world.start(&id).await;
    let shim = record(&world.root, &id);
    kill(shim.shim_pid, Signal::STOP);
    // Nobody answers, so that the clock goes on to where patience ends.
    tokio::time::pause();
    let stopped = world.supervisor.stop(&id, Ending::Term).await.unwrap();
    assert_eq!(stopped.view.status, Status::Stopped);
    world.nothing_lives();
    assert!(!is_alive(shim.shim_pid, shim.shim_start_time));
    world.end().await;
}

/// A daemon with `count` stubborn trees, all up.
async fn daemon(root: &Path, count: usize) -> Child {
    let mut daemon = Command::new(helper())
        .arg("supervise")
        .args([root, Path::new(&count.to_string())])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let log = |number| root.join(format!("logs/agent-{number}.stdout.log"));
    let ready = |number| std::fs::read_to_string(log(number)).is_ok_and(|it| it.contains("ready"));
    until("all trees are up", || (0..count).all(ready)).await;
    daemon
}

/// Nobody is left to end the trees of these agents: neither the daemon nor their shims.
fn kill_both(mut daemon: Child, records: &[Incarnation]) {
    kill(daemon.id(), Signal::STOP);
    for record in records {
        kill(record.shim_pid, Signal::KILL);
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

/// Two trees that outlived daemon and shims. Of the second one the child is gone too: what left its
/// session remains.
async fn outlived(root: &Path) -> [Incarnation; 2] {
    let daemon = daemon(root, 2).await;
    let records = [record(root, "agent-0"), record(root, "agent-1")];
    kill_both(daemon, &records);
    kill(records[1].pid, Signal::KILL);
    records
}

#[tokio::test]
async fn the_next_daemon_waits_for_trees_that_outlived_daemon_and_shim() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let records = outlived(root).await;
    let world = World::at(root.into(), helper());
    for (number, record) in records.iter().enumerate() {
        let id = world.put(&format!("agent-{number}"), "echo again; exec sleep 1000", |_| {});
        let blocked = world.supervisor.start(&id).await.unwrap();
        let by = blocked.view.blocked_by_pid.unwrap();
        assert_eq!((blocked.view.status, blocked.view.pid), (Status::Backoff, None));
        assert_eq!(by == record.pid, number == 0);
        while !record.kill().is_empty() {}
        let running = world.wait(&id, Status::Running).await;
        assert_eq!((running.view.restart_count, running.view.blocked_by_pid), (0, None));
    }
    until("both run again", || world.alive().len() == 2).await;
    world.end().await;
}

#[tokio::test]
async fn the_next_daemon_kills_trees_that_outlived_daemon_and_shim_if_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    outlived(root).await;
    let before = alive(&root.display().to_string());
    assert!(before.len() >= 6, "{before:?}");
    let world = World::with(root.into(), helper(), |settings| {
        settings.on_survivor = OnSurvivor::Kill;
    });
    for number in 0..2 {
        let id = world.put(&format!("agent-{number}"), "echo again; exec sleep 1000", |_| {});
        let running = world.supervisor.start(&id).await.unwrap();
        assert_eq!(running.view.status, Status::Running);
    }
    let now = world.alive();
    assert!(!now.iter().any(|it| before.contains(it)), "{before:?} {now:?}");
    until("both run again", || world.alive().len() == 2).await;
    world.end().await;
}

/// Each process of it lives for the time of one fork and one exec, and has a session of its own.
#[tokio::test]
async fn a_child_that_runs_away_from_its_killers_is_caught() {
    let (world, _directory) = world();
    let script = "exec python3 -c '
import os, time
print(\"ready\", flush=True)
if os.fork(): time.sleep(1000)
for hop in range(100000):
    if os.fork(): os._exit(0)
    os.setsid()
print(\"escaped\", flush=True)
'";
    let id = world.put("runner", script, |_| {});
    world.start(&id).await;
    world.kill(&id).await;
    world.nothing_lives();
    world.end().await;
}
