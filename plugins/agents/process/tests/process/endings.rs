//! Trees that do not want to end, and end.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use carport_agents_process::{Ending, Status, SuperviseError, incarnation::Incarnation};

use crate::{
    helper, world,
    world::{STUBBORN_TREE, alive, until},
};

#[tokio::test]
async fn a_stubborn_tree_is_gone_when_the_stop_answers() {
    let (world, _directory) = world();
    let id = world.put("stubborn", STUBBORN_TREE, |_| {});
    let agent = world.start(&id).await;
    until("the whole tree is there", || world.alive().len() >= 5).await;
    let asked = Instant::now();
    let stopped = world.supervisor.stop(&id, Ending::Term).await.unwrap();
    world.nothing_lives();
    assert_eq!((stopped.view.status, stopped.view.pid), (Status::Stopped, None));
    assert_eq!(stopped.view.last_exit_signal, Some(9), "it ignores TERM");
    assert!(asked.elapsed() >= Duration::from_millis(200), "it had its grace");
    assert!(agent.view.pid.is_some());
    world.end().await;
}

#[tokio::test]
async fn a_tree_that_listens_ends_before_its_grace() {
    let (world, _directory) = world();
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let id = world.put("polite", script, |spec| spec.stop_grace_secs = 60.0);
    world.start(&id).await;
    let stopped = world.supervisor.stop(&id, Ending::Term).await.unwrap();
    assert_eq!(stopped.view.last_exit_code, Some(7));
    world.end().await;
}

#[tokio::test]
async fn kill_skips_the_grace() {
    let (world, _directory) = world();
    let id = world.put("stubborn", STUBBORN_TREE, |spec| spec.stop_grace_secs = 60.0);
    world.start(&id).await;
    world.kill(&id).await;
    world.nothing_lives();
    world.end().await;
}

#[tokio::test]
async fn what_a_child_leaves_behind_ends_with_it() {
    let (world, _directory) = world();
    let script = "(setsid sleep 1000 &); sleep 1000 & echo ready; exit 3";
    let id = world.put("leaver", script, |_| {});
    world.supervisor.start(&id).await.unwrap();
    let ended = world.wait(&id, Status::Errored).await;
    assert_eq!(ended.view.last_exit_code, Some(3));
    world.nothing_lives();
    world.end().await;
}

#[tokio::test]
async fn a_child_that_forks_and_forks_is_ended() {
    let (world, _directory) = world();
    let script = "trap '' TERM; echo ready; i=0
        while [ $i -lt 300 ]; do (setsid sleep 1000 &); i=$((i+1)); done; wait";
    let id = world.put("forker", script, |_| {});
    world.start(&id).await;
    world.kill(&id).await;
    world.nothing_lives();
    world.end().await;
}

#[tokio::test]
async fn a_child_that_closes_its_streams_still_runs_and_is_ended() {
    let (world, _directory) = world();
    let id = world.put("silent", "echo ready; exec <&- >&- 2>&-; sleep 1000", |_| {});
    world.start(&id).await;
    until("the streams are closed", || world.alive().len() == 2).await;
    assert_eq!(world.supervisor.get(&id).unwrap().view.status, Status::Running);
    world.kill(&id).await;
    world.end().await;
}

/// The promise that no orphan outlives the daemon, however it dies.
#[tokio::test]
async fn a_killed_daemon_leaves_nothing_alive_after_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().display().to_string();
    let mut daemon = Command::new(helper())
        .args(["supervise", &mark, "5"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let log = |number| directory.path().join(format!("logs/agent-{number}.stdout.log"));
    let ready = |number| std::fs::read_to_string(log(number)).is_ok_and(|it| it.contains("ready"));
    until("all trees are up", || (0..5).all(ready)).await;
    until("the whole trees are there", || alive(&mark).len() >= 25).await;
    daemon.kill().unwrap();
    let killed = Instant::now();
    daemon.wait().unwrap();
    until("nothing lives", || alive(&mark).is_empty()).await;
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_process_of_an_earlier_daemon_blocks_its_agent_until_it_is_gone() {
    let (world, _directory) = world();
    let mut earlier = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
    let path = world.root.join("run/agents/again.json");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let record = Incarnation::of(earlier.id(), std::process::id()).unwrap();
    // The shim of that time is gone: its number is somebody else's now.
    let record = Incarnation { shim_start_time: record.shim_start_time + 1, ..record };
    record.write(&path).unwrap();
    let id = world.put("again", "echo ready; sleep 1000", |_| {});
    let blocked = world.supervisor.start(&id).await.unwrap();
    assert_eq!(blocked.view.status, Status::Backoff);
    assert_eq!((blocked.view.blocked_by_pid, blocked.view.pid), (Some(earlier.id()), None));
    earlier.kill().unwrap();
    earlier.wait().unwrap();
    let running = world.wait(&id, Status::Running).await;
    assert_eq!((running.view.restart_count, running.view.blocked_by_pid), (0, None));
    world.end().await;
}

#[tokio::test]
async fn a_record_of_another_boot_or_start_names_nobody() {
    let (world, _directory) = world();
    let own = std::process::id();
    let right = Incarnation::of(own, own).unwrap();
    assert_eq!(right.survivor(), Some(own));
    let later = Incarnation { start_time: 1, shim_start_time: 1, ..right.clone() };
    assert_eq!((later.survivor(), later.kill()), (None, Vec::new()));
    let before = Incarnation { boot_id: "another".into(), ..right };
    assert_eq!((before.survivor(), before.kill()), (None, Vec::new()));
    world.end().await;
}

#[tokio::test]
async fn an_agent_that_is_removed_is_ended_first() {
    let (world, _directory) = world();
    let id = world.put("brief", STUBBORN_TREE, |_| {});
    world.start(&id).await;
    assert!(world.supervisor.remove(&id, true).await.unwrap());
    world.nothing_lives();
    assert!(world.heard.was_removed(&id));
    assert!(!world.root.join("logs/brief.stdout.log").exists());
    assert!(!world.supervisor.remove(&id, true).await.unwrap());
    assert!(matches!(world.supervisor.start(&id).await, Err(SuperviseError::Unknown(_))));
    world.end().await;
}

#[tokio::test]
async fn a_shutdown_ends_all_at_the_same_time() {
    let (world, _directory) = world();
    for number in 0..4 {
        let id = world.put(&format!("agent-{number}"), STUBBORN_TREE, |spec| {
            spec.stop_grace_secs = 1.0;
        });
        world.start(&id).await;
    }
    let asked = Instant::now();
    world.supervisor.shutdown().await;
    world.nothing_lives();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert!(matches!(world.supervisor.start("agent-0").await, Err(SuperviseError::Closed)));
}
