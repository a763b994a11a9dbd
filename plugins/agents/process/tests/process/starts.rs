//! Starts that fail, restarts, and what a command must be.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use carport_agents_process::{AgentSpec, Rules, Status, SuperviseError};
use carport_core::{RpcError, codes};
use serde_json::json;

use crate::{world, world::always};

#[tokio::test]
async fn a_child_that_exits_at_once_is_restarted_thirty_times() {
    let (world, _directory) = world();
    let id = world.put("brief", "exit 0", |spec| {
        always(spec);
        spec.max_restarts = Some(30);
    });
    world.supervisor.start(&id).await.unwrap();
    let given_up = world.wait(&id, Status::Errored).await;
    assert_eq!(given_up.view.restart_count, 30);
    assert!(given_up.view.reason.as_ref().unwrap().contains("30 automatic restarts"));
    assert_eq!(
        world.heard.statuses(&id)[..4],
        [Status::Stopped, Status::Starting, Status::Running, Status::Backoff]
    );
    world.end().await;
}

/// The waits pass at once; the processes are real. While a blocking task runs the clock stands still, so
/// that no wait for a process comes to an early end.
async fn exits_at_once(times: u32) {
    let (world, _directory) = world();
    let (done, running) = std::sync::mpsc::channel::<()>();
    let standstill = tokio::task::spawn_blocking(move || running.recv());
    let id = world.put("brief", "", |spec| {
        always(spec);
        (spec.command, spec.args) = (Some("/bin/true".into()), Vec::new());
        spec.backoff_secs = 30.0;
    });
    world.supervisor.start(&id).await.unwrap();
    for round in 0..times {
        let waits = || {
            let seen = world.supervisor.get(&id).unwrap();
            (seen.view.restart_count, seen.view.status) == (round, Status::Backoff)
        };
        while !waits() {
            // Tokio's own clock stands still.
            let look_again = || std::thread::park_timeout(Duration::from_millis(1));
            tokio::task::spawn_blocking(look_again).await.unwrap();
        }
        tokio::time::advance(Duration::from_secs(30)).await;
    }
    drop(done);
    assert!(standstill.await.unwrap().is_err());
    world.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_exits_at_once_is_restarted_a_hundred_times() {
    exits_at_once(100).await;
}

#[tokio::test(start_paused = true)]
#[ignore = "long: tests/run --long"]
async fn a_child_that_exits_at_once_is_restarted_a_thousand_times() {
    exits_at_once(1000).await;
}

#[tokio::test]
async fn five_failures_are_the_end_until_somebody_starts_it() {
    let (world, _directory) = world();
    let id = world.put("crash", "kill -9 $$", |spec| {
        spec.restart = carport_agents_process::Restart::OnFailure;
    });
    world.supervisor.start(&id).await.unwrap();
    let given_up = world.wait(&id, Status::Errored).await;
    assert_eq!((given_up.view.restart_count, given_up.view.last_exit_signal), (4, Some(9)));
    let again = world.supervisor.start(&id).await.unwrap();
    assert_eq!(again.view.restart_count, 0);
    world.end().await;
}

#[tokio::test]
async fn a_start_is_done_once_and_a_new_spec_waits_for_a_restart() {
    let (world, _directory) = world();
    let id = world.put("long", "echo ready; exec sleep 1000", |_| {});
    let (one, two) = tokio::join!(world.supervisor.start(&id), world.supervisor.start(&id));
    let pid = one.unwrap().view.pid.unwrap();
    assert_eq!(two.unwrap().view.pid, Some(pid));
    world.put(&id, "echo ready; exec sleep 999", |_| {});
    let seen = world.supervisor.get(&id).unwrap();
    assert!(seen.view.pending_restart && seen.view.pid == Some(pid));
    let fresh = world.supervisor.restart(&id).await.unwrap();
    assert!(!fresh.view.pending_restart && fresh.view.pid != Some(pid));
    assert!(world.root.join("run/agents/long.json").exists());
    world.end().await;
}

#[tokio::test]
async fn a_command_that_does_not_run_says_why() {
    let ((world, _directory), home) = (world(), home());
    let script = home.path().join("text");
    program(&script, 0o755, "#!/no/such/interpreter\n");
    let unreadable = world.put("text", "", |spec| spec.command = script.to_str().map(Into::into));
    let error = world.supervisor.start(&unreadable).await.unwrap_err();
    assert!(error.to_string().contains("text`: No such file"), "{error}");
    let missing = world.put("missing", "", |spec| spec.command = Some("/usr/bin/no-such".into()));
    let error = world.supervisor.start(&missing).await.unwrap_err();
    assert!(matches!(error, SuperviseError::NotStarted { status: Status::Errored, .. }));
    let error = RpcError::from(error);
    assert_eq!(error.code, codes::UNAVAILABLE);
    assert!(error.message.contains("C2") && error.message.contains("/usr/bin/no-such"));
    let nowhere = world.put("nowhere", "", |spec| spec.cwd = Some("/no/such/place".into()));
    assert!(world.supervisor.start(&nowhere).await.unwrap_err().to_string().contains("cwd"));
    world.end().await;
}

/// A directory that the rules take: it belongs to this user, all the way up.
fn home() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
}

fn program(path: &Path, mode: u32, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn rule(rules: &Rules, path: &Path) -> &'static str {
    rules.check_command(path).err().map_or("", |broken| broken.rule)
}

#[test]
fn each_rule_refuses_what_breaks_it() {
    let home = home();
    let at = |name: &str| home.path().join(name);
    let rules = Rules::new(None, "".into());
    program(&at("good"), 0o755, "#!/bin/sh\n");
    assert_eq!(rules.check_command(&at("good")), Ok(()));
    symlink(at("good"), at("link")).unwrap();
    assert_eq!(rules.check_command(&at("link")), Ok(()));
    for relative in ["sh", "./sh"] {
        assert_eq!(rule(&rules, Path::new(relative)), "C1");
    }
    assert_eq!(rule(&rules, &at("../x")), "C1");
    assert_eq!(rule(&rules, Path::new("/bin/./sh")), "C1");
    assert_eq!(rule(&rules, Path::new(&format!("/{}", "x".repeat(4096)))), "C1");
    program(&at("plain"), 0o644, "#!/bin/sh\n");
    program(&at("setuid"), 0o4755, "#!/bin/sh\n");
    symlink("loop", at("loop")).unwrap();
    for bad in ["missing", "plain", "setuid", "loop", "."] {
        let path = if bad == "." { home.path().to_owned() } else { at(bad) };
        assert_eq!(rule(&rules, &path), "C2", "{bad}");
    }
    program(&at("open"), 0o757, "#!/bin/sh\n");
    assert_eq!(rule(&rules, &at("open")), "C3");
    fs::create_dir(at("shared")).unwrap();
    program(&at("shared/good"), 0o755, "#!/bin/sh\n");
    fs::set_permissions(at("shared"), fs::Permissions::from_mode(0o777)).unwrap();
    symlink("shared/good", at("through")).unwrap();
    for bad in ["shared/good", "through"] {
        let broken = rules.check_command(&at(bad)).unwrap_err();
        assert_eq!((broken.rule, broken.path), ("C3", at("shared")));
    }
    fs::set_permissions(at("shared"), fs::Permissions::from_mode(0o755)).unwrap();
    let scratch = Rules::new(Some(vec![at("shared")]), "".into());
    for bad in ["shared/good", "through"] {
        assert_eq!(rule(&scratch, &at(bad)), "C4");
    }
    assert_eq!(rule(&rules, Path::new("/tmp/x")), "C4");
}

#[test]
fn an_interpreter_is_the_first_match_or_an_error() {
    let home = home();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("one")).unwrap();
    fs::create_dir(at("two")).unwrap();
    program(&at("one/bad"), 0o644, "#!/bin/sh\n");
    program(&at("two/bad"), 0o755, "#!/bin/sh\n");
    program(&at("two/good"), 0o755, "#!/bin/sh\n");
    let path = format!(":relative:{}:{}", at("one").display(), at("two").display());
    let rules = Rules::new(Some(Vec::new()), path.into());
    assert_eq!(rules.look_up("good").unwrap(), at("two/good"));
    assert_eq!(rules.look_up("bad").unwrap_err().rule, "C2");
    assert_eq!(rules.look_up("none").unwrap_err().rule, "lookup");
    let asked: AgentSpec =
        serde_json::from_value(json!({"id": "a", "interpreter": "good"})).unwrap();
    let settled = rules.settle(asked, None).unwrap();
    assert_eq!(settled.command.as_deref(), at("two/good").to_str());
    assert_eq!(settled.name.as_deref(), Some("a"));
    assert!(rules.settle(settled.clone(), Some(&settled)).is_ok(), "read and sent back");
    assert_eq!(rules.settle(settled, None).unwrap_err().field(), Some("command"));
}
