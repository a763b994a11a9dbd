//! Journals of ended connections.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    time::{Duration, SystemTime},
};

use carport_core::{Clock, Durability, ManualClock, SystemClock};
use carport_engine_journal::Keep;
use chrono::TimeDelta;

use crate::{Scene, append};

fn age(scene: &Scene, client_id: &str, seconds: u64) {
    let file = File::options().write(true).open(scene.path(client_id)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

#[tokio::test]
async fn old_ones_go_and_open_ones_stay() {
    let clock = ManualClock::at(SystemClock.now());
    let scene = Scene::with(Durability::Process, clock.clone());
    let open = scene.open("c-open").await;
    append(&open, 1).await;
    open.flush().await.unwrap();
    let ended = scene.open("c-ended").await;
    append(&ended, 1).await;
    ended.close().await.unwrap();
    fs::write(scene.root.path().join("notes.txt"), "mine").unwrap();
    fs::write(scene.root.path().join("c-left.jsonl.half"), "half").unwrap();
    fs::write(scene.root.path().join("Not-Ours.jsonl"), "").unwrap();
    symlink("notes.txt", scene.root.path().join("c-link.jsonl")).unwrap();
    let keep = Keep { max_age: Some(TimeDelta::days(30)), max_bytes: None };
    assert_eq!(scene.journals.retire(keep).await.unwrap(), 1, "what a rewrite left");
    clock.advance(TimeDelta::days(29));
    assert_eq!(scene.journals.retire(keep).await.unwrap(), 0);
    clock.advance(TimeDelta::days(2));
    assert_eq!(scene.journals.retire(keep).await.unwrap(), 1);
    let mut left: Vec<_> =
        fs::read_dir(scene.root.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["Not-Ours.jsonl", "c-link.jsonl", "c-open.jsonl", "notes.txt"]);
    append(&open, 1).await;
    open.close().await.unwrap();
    assert_eq!(scene.lines("c-open").len(), 2);
}

#[tokio::test]
async fn the_oldest_go_until_the_rest_fits() {
    let scene = Scene::new();
    let open = scene.open("c-open").await;
    append(&open, 10).await;
    open.flush().await.unwrap();
    age(&scene, "c-open", 1000);
    for (n, client_id) in ["c-1", "c-2", "c-3"].into_iter().enumerate() {
        let journal = scene.open(client_id).await;
        append(&journal, 10).await;
        journal.close().await.unwrap();
        age(&scene, client_id, 500 - 100 * n as u64);
    }
    let one = fs::metadata(scene.path("c-open")).unwrap().len();
    let keep = Keep { max_age: None, max_bytes: Some(2 * one + one / 2) };
    assert_eq!(scene.journals.retire(keep).await.unwrap(), 2);
    let there = ["c-open", "c-1", "c-2", "c-3"].map(|it| scene.path(it).exists());
    assert_eq!(there, [true, false, false, true]);
    let none = Keep { max_age: None, max_bytes: Some(0) };
    assert_eq!(scene.journals.retire(none).await.unwrap(), 1);
    assert!(scene.path("c-open").exists(), "an open one never goes");
}
