//! Services that announce themselves by files.

use std::fs;

use carport_core::{ManualClock, Time, codes};
use serde_json::{Value, json};

use crate::{host, host_with};

fn entry(name: &str) -> Value {
    json!({ "entry": { "name": name, "dashboard_url": "http://127.0.0.1:1/", "team": "x" } })
}

#[tokio::test]
async fn a_service_comes_beats_and_is_reaped_when_it_falls_silent() {
    let clock = ManualClock::at(Time::default());
    let host = host_with(json!({})).clock(clock.clone()).start().await;
    let mut client = host.client().await;
    clock.advance(chrono::TimeDelta::seconds(1000));
    for name in ["b", "A", "c"] {
        assert_eq!(client.raw("registry.register", entry(name)).await.unwrap(), Value::Null);
    }
    let listed = client.raw("registry.list", json!({})).await.unwrap();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["A", "b", "c"]);
    assert_eq!((&listed[0]["registered_at"], &listed[0]["team"]), (&json!(1000), &json!("x")));
    clock.advance(chrono::TimeDelta::seconds(61));
    let beat = client.raw("registry.heartbeat", json!({ "name": "b" })).await.unwrap();
    assert_eq!(beat["refreshed"], true);
    let beat = client.raw("registry.heartbeat", json!({ "name": "never" })).await.unwrap();
    assert_eq!(beat["refreshed"], false);
    assert_eq!(client.raw("registry.reap", json!({})).await.unwrap(), json!(["A", "c"]));
    client.raw("registry.unregister", json!({ "name": "b" })).await.unwrap();
    client.raw("registry.unregister", json!({ "name": "b" })).await.unwrap();
    assert_eq!(client.raw("registry.list", json!({})).await.unwrap(), json!([]));
}

/// The directories that `path` is taken for, and what is said of others.
async fn listed(
    host: &carport_core::testing::TestHost,
    path: &std::path::Path,
) -> Result<Value, String> {
    let call = json!({ "registry_path": path });
    host.client().await.raw("registry.list", call).await.map_err(|error| {
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("registry_path")));
        error.message
    })
}

#[tokio::test]
async fn an_absolute_path_has_to_be_listed() {
    let elsewhere = tempfile::tempdir().unwrap();
    let (open, closed) = (elsewhere.path().join("open"), elsewhere.path().join("closed"));
    let host = host_with(json!({ "registry_paths": [open] })).start().await;
    let mut mine = entry("mine");
    mine["registry_path"] = json!(open);
    host.client().await.raw("registry.register", mine).await.unwrap();
    assert!(open.join("mine.json").exists());
    assert_eq!(listed(&host, &open).await.unwrap()[0]["name"], "mine");
    assert!(listed(&host, &closed).await.unwrap_err().contains("registry_paths"));
    assert!(!closed.exists());
}

#[tokio::test]
async fn a_foreign_directory_is_taken_if_nothing_else_can_be_overwritten() {
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name);
    let host = host_with(json!({ "registry_foreign_paths": "entries_only" })).start().await;
    let mut mine = entry("mine");
    mine["registry_path"] = json!(at("new"));
    host.client().await.raw("registry.register", mine).await.unwrap();
    assert_eq!(listed(&host, &at("new")).await.unwrap()[0]["name"], "mine");
    fs::write(at("new").join("notes.txt"), "not our affair").unwrap();
    assert!(listed(&host, &at("new")).await.is_ok());
    std::os::unix::fs::symlink(at("new"), at("link")).unwrap();
    for link in ["link", "link/", "link/."] {
        assert!(listed(&host, &at(link)).await.unwrap_err().contains("link"), "{link}");
    }
    assert!(listed(&host, &at("new/../new")).await.unwrap_err().contains(".."));
    fs::write(at("file"), "").unwrap();
    assert!(listed(&host, &at("file")).await.unwrap_err().contains("no directory"));
    for (name, text) in [
        ("package.json", json!({ "name": "package" }).to_string()),
        ("other.json", entry("mine")["entry"].to_string()),
        ("%zz.json", entry("mine")["entry"].to_string()),
    ] {
        fs::write(at("new").join(name), text).unwrap();
        assert!(listed(&host, &at("new")).await.unwrap_err().contains("no entries"), "{name}");
        fs::remove_file(at("new").join(name)).unwrap();
    }
    assert!(listed(&host, &at("new")).await.is_ok());
}

#[tokio::test]
async fn files_that_are_no_entries_are_passed_over_and_paths_stay_inside() {
    let host = host().await;
    let mut client = host.client().await;
    client.raw("registry.register", entry("good")).await.unwrap();
    let directory = host.root().join("registry");
    fs::write(directory.join("torn.json"), "{\"name\":").unwrap();
    fs::write(directory.join("other.json"), entry("good")["entry"].to_string()).unwrap();
    fs::write(directory.join("large.json"), "x".repeat(70_000)).unwrap();
    let listed = client.raw("registry.list", json!({})).await.unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let mut own = entry("mine");
    own["registry_path"] = json!("team/a");
    client.raw("registry.register", own).await.unwrap();
    assert!(directory.join("team/a/mine.json").exists());
    for path in ["/etc", "../x", "a/../../b"] {
        let error =
            client.raw("registry.list", json!({ "registry_path": path })).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("registry_path")));
    }
    let mut bad = entry("x");
    bad["entry"]["dashboard_url"] = json!("javascript:1");
    let error = client.raw("registry.register", bad).await.unwrap_err();
    assert_eq!(error.field(), Some("entry.dashboard_url"));
}

#[tokio::test]
async fn an_entry_is_refused_if_its_file_would_not_be_read_again() {
    let host = host().await;
    let mut client = host.client().await;
    let mut wide = entry("wide");
    // Below the limit as it comes, far above it as it is written.
    wide["entry"]["numbers"] = json!(vec![0; 30_000]);
    let error = client.raw("registry.register", wide).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("entry")));
    assert_eq!(error.data.unwrap()["limit"], 65_536);
    assert_eq!(client.raw("registry.list", json!({})).await.unwrap(), json!([]));
    for (time, field) in
        [("registered_at", "entry.registered_at"), ("last_heartbeat_at", "entry.last_heartbeat_at")]
    {
        for bad in [i64::MIN, -1, 1 << 53] {
            let mut timed = entry("timed");
            timed["entry"][time] = json!(bad);
            let error = client.raw("registry.register", timed).await.unwrap_err();
            assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
        }
    }
}

#[tokio::test]
async fn writers_of_a_directory_take_turns_and_its_bounds_hold() {
    let host = host().await;
    let mut client = host.client().await;
    let directory = host.root().join("registry");
    fs::create_dir_all(&directory).unwrap();
    for n in 0..1020 {
        let name = format!("s{n}");
        fs::write(directory.join(format!("{name}.json")), entry(&name)["entry"].to_string())
            .unwrap();
    }
    let mut calls = Vec::new();
    for n in 0..12 {
        calls.push(client.send("registry.register", entry(&format!("new{n}"))).await);
    }
    let mut taken = 0;
    for id in calls {
        match client.reply(id).await {
            Ok(_) => taken += 1,
            Err(error) => {
                assert_eq!(
                    (error.code, &error.data.unwrap()["limit"]),
                    (codes::LIMIT, &json!(1024))
                );
            }
        }
    }
    assert_eq!(taken, 4);
}

#[tokio::test]
async fn only_who_registers_makes_a_directory_and_not_without_end() {
    let host = host().await;
    let mut client = host.client().await;
    let directory = host.root().join("registry");
    let below = |path: &str| json!({ "registry_path": path, "name": "a" });
    assert_eq!(client.raw("registry.list", below("team")).await.unwrap(), json!([]));
    assert_eq!(client.raw("registry.reap", below("team")).await.unwrap(), json!([]));
    let beat = client.raw("registry.heartbeat", below("team")).await.unwrap();
    assert_eq!(beat["refreshed"], false);
    client.raw("registry.unregister", below("team")).await.unwrap();
    assert!(!directory.join("team").exists());
    let at = |path: &str| {
        let mut call = entry("mine");
        call["registry_path"] = json!(path);
        call
    };
    for path in ["victim.json", "a/victim.json/b"] {
        let error = client.raw("registry.register", at(path)).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("registry_path")));
    }
    client.raw("registry.register", at(&vec!["d"; 200].join("/"))).await.unwrap();
    let error = client.raw("registry.register", at(&vec!["e"; 57].join("/"))).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(256)));
    assert!(!directory.join("e").exists());
    client.raw("registry.register", at(&vec!["e"; 56].join("/"))).await.unwrap();
}

#[tokio::test]
async fn a_list_fits_a_reply_whatever_is_registered() {
    let host = host().await;
    let mut client = host.client().await;
    let large = |n: usize| {
        let mut call = entry(&format!("s{n:03}"));
        call["entry"]["note"] = json!("x".repeat(60_000));
        call
    };
    client.raw("registry.register", large(0)).await.unwrap();
    let directory = host.root().join("registry");
    for n in 1..150 {
        let text = large(n)["entry"].to_string();
        fs::write(directory.join(format!("s{n:03}.json")), text).unwrap();
    }
    let error = client.raw("registry.register", large(150)).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["limit"]), (codes::LIMIT, &json!(6 << 20)));
    let listed = client.raw("registry.list", json!({})).await.unwrap();
    assert_eq!(listed[0]["name"], "s000");
    let all = listed.as_array().unwrap().len();
    assert!((100..110).contains(&all) && listed.to_string().len() <= 6 << 20, "{all}");
    for n in 50..150 {
        client.raw("registry.unregister", json!({ "name": format!("s{n:03}") })).await.unwrap();
    }
    client.raw("registry.register", large(0)).await.unwrap();
}

#[tokio::test]
async fn times_that_make_no_sense_are_taken_for_now_and_reaping_goes_on() {
    let clock = ManualClock::at(Time::default());
    let host = host_with(json!({})).clock(clock.clone()).start().await;
    let mut client = host.client().await;
    clock.advance(chrono::TimeDelta::seconds(1000));
    let mut ahead = entry("ahead");
    ahead["entry"]["last_heartbeat_at"] = json!(1_i64 << 52);
    ahead["entry"]["registered_at"] = json!(null);
    client.raw("registry.register", ahead).await.unwrap();
    let listed = client.raw("registry.list", json!({})).await.unwrap();
    let times = (&listed[0]["last_heartbeat_at"], &listed[0]["registered_at"]);
    assert_eq!(times, (&json!(1000), &json!(1000)));
    let mut odd = entry("odd")["entry"].clone();
    odd["last_heartbeat_at"] = json!(i64::MIN);
    fs::write(host.root().join("registry/odd.json"), odd.to_string()).unwrap();
    assert_eq!(client.raw("registry.reap", json!({})).await.unwrap(), json!(["odd"]));
}
