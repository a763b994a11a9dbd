//! A disk that fills up while an agent prints: a real one, in a mount namespace of its own.

use std::{fs, path::Path, process::Command};

use carport_agents_process::Status;

use crate::{unkillable::in_a_namespace, world};

fn run(program: &str, arguments: &[&str], at: &Path) {
    assert!(Command::new(program).args(arguments).arg(at).status().unwrap().success());
}

#[tokio::test]
async fn a_full_disk_costs_the_output_and_not_the_child_and_takes_more_once_there_is_room() {
    let test = "bad_disks::a_full_disk_costs_the_output_and_not_the_child_and_takes_more_once_there_is_room";
    if !in_a_namespace(test) {
        return;
    }
    let (world, _directory) = world();
    let logs = world.root.join("logs");
    fs::create_dir(&logs).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=256k,mode=700", "logs"], &logs);
    let id = world.put("full", "head -c 1000000 /dev/zero", |_| {});
    world.supervisor.start(&id).await.unwrap();
    let ended = world.wait(&id, Status::Stopped).await;
    assert_eq!(ended.view.last_exit_code, Some(0));
    let length = || fs::metadata(logs.join("full.stdout.log")).unwrap().len();
    let (kept, dropped) = (length(), world.dropped.get());
    // The file could be opened: it was a write that failed.
    assert!((1..=256 << 10).contains(&kept), "{kept}");
    assert!(dropped < 1_000_000 && kept + dropped >= 1_000_000, "{kept} {dropped}");
    run("mount", &["-o", "remount,size=1m"], &logs);
    world.put("full", "head -c 100000 /dev/zero", |_| {});
    world.supervisor.start(&id).await.unwrap();
    world.wait(&id, Status::Stopped).await;
    assert_eq!((length(), world.dropped.get()), (kept + 100_000, dropped));
    world.end().await;
    run("umount", &["-l"], &logs);
}
