//! What holds of starts and waits whatever else happens at that moment.

use std::{fs, time::Duration};

use carport_agents_process::{Status, SuperviseError, incarnation::Incarnation};
use rustix::fs::{CWD, FileType, Mode};

use crate::{
    helper, world,
    world::{World, always, until},
};

/// What leads elsewhere for each process that looks is the daemon's to follow, not the child's.
#[tokio::test]
async fn what_was_checked_is_what_is_executed() {
    let (world, _directory) = world();
    let id = world.put("magic", "", |spec| {
        spec.command = Some("/proc/self/exe".into());
        spec.args = vec!["--list".into()];
    });
    world.supervisor.start(&id).await.unwrap();
    let ended = world.wait(&id, Status::Stopped).await;
    assert_eq!(ended.view.last_exit_code, Some(0));
    assert!(world.log(&id).contains("what_was_checked_is_what_is_executed: test"));
    world.end().await;
}

#[tokio::test]
async fn a_child_gets_the_usual_limit_of_descriptors_and_its_own_name() {
    let (world, _directory) = world();
    let id = world.put("limited", "ulimit -Sn; echo $0 ready", |_| {});
    world.start(&id).await;
    let log = world.log(&id);
    let limit: u64 = log.lines().next().unwrap().parse().unwrap();
    assert!(limit <= 1024, "{log}");
    assert!(log.contains("/bin/sh ready"), "{log}");
    world.end().await;
}

#[tokio::test]
async fn nothing_is_started_again_while_the_daemon_stops() {
    let (world, _directory) = world();
    let id = world.put("leaver", "echo ready; read line < go", always);
    let go = world.root.join("agents/leaver/go");
    fs::create_dir_all(go.parent().unwrap()).unwrap();
    rustix::fs::mknodat(CWD, &go, FileType::Fifo, Mode::RWXU, 0).unwrap();
    world.start(&id).await;
    world.supervisor.close();
    tokio::task::spawn_blocking(move || fs::write(go, "\n")).await.unwrap().unwrap();
    world.wait(&id, Status::Backoff).await;
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let seen = world.supervisor.get(&id).unwrap();
    assert_eq!((seen.view.status, seen.view.restart_count), (Status::Backoff, 0));
    tokio::time::resume();
    world.end().await;
}

/// A shim that never answers: what it may have started is known to the next daemon, and is ended.
#[tokio::test]
async fn a_shim_that_says_nothing_is_on_record_and_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let silent = "sleep 1000 & echo $! > \"$0.pid\"; exec sleep 1000";
    let place = directory.path().join("silent");
    let shim = ["/bin/sh".into(), "-c".into(), silent.into(), place.clone().into_os_string()];
    let world = World::with(directory.path().into(), helper(), |it| it.shim = shim.into());
    let id = world.put("hung", "true", |_| {});
    let supervisor = world.supervisor.clone();
    let starting = tokio::spawn(async move { supervisor.start("hung").await });
    let record = world.root.join("run/agents/hung.json");
    let pid = || fs::read_to_string(place.with_extension("pid")).ok()?.trim().parse().ok();
    until("the shim runs", || pid().is_some() && record.exists()).await;
    let known = Incarnation::read(&record).unwrap();
    let left: u32 = pid().unwrap();
    let left = Incarnation::of(left, left).unwrap();
    assert!(left.survivor().is_some());
    assert_eq!(known.survivor(), Some(known.shim_pid));
    tokio::time::pause();
    assert!(matches!(starting.await.unwrap(), Err(SuperviseError::NotStarted { .. })));
    tokio::time::resume();
    assert!(known.survivor().is_none() && !record.exists());
    assert_eq!(left.survivor(), None);
    assert_eq!(world.supervisor.get(&id).unwrap().view.status, Status::Errored);
    world.end().await;
}

/// A status that lasts no longer than the next change is seen by who waits for it.
#[tokio::test]
async fn who_waits_hears_also_of_what_passes_at_once() {
    let (world, _directory) = world();
    let id = world.put("brief", "exit 0", |_| {});
    let supervisor = &world.supervisor;
    let (starting, running, started) = tokio::join!(
        supervisor.wait(&id, &[Status::Starting]),
        supervisor.wait(&id, &[Status::Running]),
        supervisor.start(&id),
    );
    assert_eq!(starting.unwrap().view.status, Status::Starting);
    assert_eq!(running.unwrap().view.status, Status::Running);
    started.unwrap();
    let never = supervisor.wait(&id, &[Status::Errored]);
    let (never, removed) = tokio::join!(never, supervisor.remove(&id, false));
    assert!(matches!(never, Err(SuperviseError::Unknown(_))) && removed.unwrap());
    world.end().await;
}

#[tokio::test]
async fn calls_whose_callers_left_do_nothing() {
    let (world, _directory) = world();
    let id = world.put("busy", "trap '' TERM; echo ready; while :; do sleep 1000; done", |spec| {
        spec.stop_grace_secs = 0.5;
    });
    let first = world.start(&id).await;
    let stopping = world.supervisor.clone();
    let stopping = tokio::spawn(async move { stopping.restart("busy").await });
    tokio::task::yield_now().await;
    for _ in 0..32 {
        let restarting = world.supervisor.clone();
        let restarting = tokio::spawn(async move { restarting.restart("busy").await });
        tokio::task::yield_now().await;
        restarting.abort();
        let _ = restarting.await;
    }
    let second = stopping.await.unwrap().unwrap();
    assert_ne!(first.view.pid, second.view.pid);
    let third = world.supervisor.start(&id).await.unwrap();
    assert_eq!(third.view.pid, second.view.pid);
    world.end().await;
}
