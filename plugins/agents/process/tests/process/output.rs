//! What children print, and where it goes.

use std::{fs, time::Duration};

use carport_agents_process::{
    Status,
    logs::{ROTATE_AT, Streams, Window, tail},
};

use rustix::fs::{CWD, FileType, Mode};

use crate::world;

const ALL: Window = Window { lines: 0, offset: 0, streams: Streams::Combined };

#[tokio::test]
async fn both_streams_are_kept_apart_and_shown_together() {
    let (world, _directory) = world();
    let script = "printf 'one\\ntwo\\nthree\\n'; printf 'bad \\377\\nlast' >&2";
    let id = world.put("printer", script, |_| {});
    world.supervisor.start(&id).await.unwrap();
    world.wait(&id, Status::Stopped).await;
    let seen = tail(&world.root, &id, ALL).unwrap();
    assert_eq!(seen.lines, ["one", "two", "three", "bad \u{fffd}", "last"]);
    assert_eq!((seen.stdout_total, seen.stderr_total, seen.more), (3, 2, false));
    let window = Window { lines: 1, offset: 1, streams: Streams::Stdout };
    let seen = tail(&world.root, &id, window).unwrap();
    assert_eq!((seen.lines.as_slice(), seen.stderr_total), (&["two".to_owned()][..], 0));
    assert!(seen.more && seen.stderr.is_empty());
    world.end().await;
}

/// Waits for the bytes, not for the clock: the limit is that of the suite.
#[tokio::test]
async fn a_hundred_megabytes_without_a_newline_are_taken_and_rotated() {
    let (world, _directory) = world();
    let id = world.put("flood", "head -c 104857600 /dev/zero", |_| {});
    world.supervisor.start(&id).await.unwrap();
    world.wait(&id, Status::Stopped).await;
    let log = world.root.join("logs/flood.stdout.log");
    let size = |path: String| fs::metadata(path).map_or(0, |it| it.len());
    let kept: Vec<_> = (1..=5).map(|it| size(format!("{}.{it}", log.display()))).collect();
    assert!(kept[..4].iter().all(|it| (ROTATE_AT..ROTATE_AT + 65536).contains(it)), "{kept:?}");
    assert_eq!(kept[4], 0);
    assert_eq!(world.dropped.get(), 0);
    let seen = tail(&world.root, &id, ALL).unwrap();
    assert_eq!((seen.stdout_total, seen.more), (0, true), "the only line was cut by the ceiling");
    world.end().await;
}

#[tokio::test]
async fn a_full_disk_costs_the_output_and_not_the_child() {
    let (world, _directory) = world();
    fs::create_dir(world.root.join("logs")).unwrap();
    std::os::unix::fs::symlink("/dev/full", world.root.join("logs/full.stdout.log")).unwrap();
    let script = "head -c 1000000 /dev/zero && echo told >&2";
    let id = world.put("full", script, |_| {});
    world.supervisor.start(&id).await.unwrap();
    let ended = world.wait(&id, Status::Stopped).await;
    assert_eq!(ended.view.last_exit_code, Some(0));
    assert_eq!(world.dropped.get(), 1_000_000);
    let window = Window { streams: Streams::Stderr, ..ALL };
    assert_eq!(tail(&world.root, &id, window).unwrap().lines, ["told"]);
    world.end().await;
}

#[tokio::test]
async fn who_follows_hears_every_line_once() {
    let (world, _directory) = world();
    let script = "for i in 1 2 3 4 5 6 7 8; do echo line $i; done; printf unfi; read x < go; echo nished; echo end";
    let id = world.put("talker", script, |_| {});
    let own = world.root.join("agents/talker");
    fs::create_dir_all(&own).unwrap();
    rustix::fs::mknodat(CWD, own.join("go"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    world.supervisor.start(&id).await.unwrap();
    world::until_log(&world, &id, "unfi").await;
    let mut followed = world.supervisor.follow(&id, Window { lines: 2, ..ALL }).await.unwrap();
    assert_eq!(followed.tail.lines, ["line 7", "line 8"], "the unfinished line comes whole");
    let own = own.join("go");
    tokio::task::spawn_blocking(move || fs::write(own, "\n")).await.unwrap().unwrap();
    for expected in ["unfinished", "end"] {
        let line = tokio::time::timeout(Duration::from_secs(10), followed.lines.recv()).await;
        assert_eq!(line.unwrap().unwrap().text, expected);
    }
    world.end().await;
}
