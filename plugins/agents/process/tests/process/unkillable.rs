//! A process that not even KILL ends: it waits for a file system that took its question and never answers.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
};

use carport_agents_process::{Ending, Status, SuperviseError};
use carport_core::{RpcError, codes};

use crate::{world, world::until};

/// The first question of a kernel to a file system, `FUSE_INIT` of `linux/fuse.h`.
const INIT: u32 = 26;

/// Mounts a file system that answers nothing but its first question, and tells of every other.
fn mount_silence(at: &Path) -> Receiver<u32> {
    let mut device = OpenOptions::new().read(true).write(true).open("/dev/fuse").unwrap();
    let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
    let mut mount = Command::new("mount");
    mount.args(["-i", "-t", "fuse", "-o", options, "silence"]).arg(at);
    let mounted = mount.stdin(device.try_clone().unwrap()).status().unwrap();
    assert!(mounted.success());
    let (tell, asked) = channel();
    std::thread::spawn(move || {
        let mut request = vec![0; 128 << 10];
        // The device ends with the mount.
        while let Ok(length) = device.read(&mut request) {
            let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
            assert!(length >= 40, "a header");
            match word(4) {
                INIT => answer_init(&mut device, &request[8..16]),
                question => drop(tell.send(question)),
            }
        }
    });
    asked
}

/// `fuse_out_header` and `fuse_init_out` of protocol 7.31, with nothing that is optional.
fn answer_init(device: &mut File, unique: &[u8]) {
    let mut reply = vec![0; 16 + 64];
    reply[..4].copy_from_slice(&80u32.to_ne_bytes());
    reply[8..16].copy_from_slice(unique);
    reply[16..20].copy_from_slice(&7u32.to_ne_bytes());
    reply[20..24].copy_from_slice(&31u32.to_ne_bytes());
    reply[36..40].copy_from_slice(&4096u32.to_ne_bytes());
    device.write_all(&reply).unwrap();
}

/// In a mount namespace of its own, where this test runs once more.
pub(crate) fn in_a_namespace(test: &str) -> bool {
    const INSIDE: &str = "CARPORT_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut unshare = Command::new("unshare");
    unshare.arg("--mount");
    if !rustix::process::getuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let done = unshare.env(INSIDE, "yes").stdin(Stdio::null()).status().unwrap();
    assert!(done.success());
    false
}

#[tokio::test]
async fn who_outlives_kill_is_named_and_nobody_waits_for_it_forever() {
    let test = "unkillable::who_outlives_kill_is_named_and_nobody_waits_for_it_forever";
    if !in_a_namespace(test) {
        return;
    }
    let (world, _directory) = world();
    let silence = world.root.join("silence");
    std::fs::create_dir(&silence).unwrap();
    let asked = mount_silence(&silence);
    let script = format!("echo ready; exec cat {}/file", silence.display());
    let id = world.put("stuck", &script, |_| {});
    let pid = world.start(&id).await.view.pid.unwrap();
    let asked = tokio::task::spawn_blocking(move || (asked.recv().unwrap(), asked)).await.unwrap();
    let error = world.supervisor.stop(&id, Ending::Term).await.unwrap_err();
    assert!(matches!(&error, SuperviseError::Survivors { survivors, .. } if *survivors == [pid]));
    let error = RpcError::from(error);
    assert_eq!(error.code, codes::INTERNAL);
    assert_eq!(error.data.unwrap()["survivors"], serde_json::json!([pid]));
    let given_up = world.supervisor.get(&id).unwrap();
    assert_eq!(given_up.view.status, Status::Errored);
    assert!(given_up.view.reason.as_ref().is_some_and(|it| it.contains("outlived KILL")));
    let again = world.supervisor.stop(&id, Ending::Kill).await.unwrap_err();
    assert!(matches!(&again, SuperviseError::Survivors { survivors, .. } if *survivors == [pid]));
    let given_up = world.supervisor.get(&id).unwrap();
    assert_eq!((given_up.view.status, given_up.view.pid), (Status::Errored, None));
    // A start does not put a second process beside it.
    let blocked = world.supervisor.start(&id).await.unwrap();
    assert_eq!((blocked.view.status, blocked.view.blocked_by_pid), (Status::Backoff, Some(pid)));
    // Busy or not, what waits gets an error.
    Command::new("umount").arg("-f").arg(&silence).stderr(Stdio::null()).status().unwrap();
    until("it is gone", || world.alive().is_empty()).await;
    drop(asked);
    let again = world.wait(&id, Status::Running).await;
    assert!(again.view.pid.is_some_and(|it| it != pid));
    world.end().await;
}
