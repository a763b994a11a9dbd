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
