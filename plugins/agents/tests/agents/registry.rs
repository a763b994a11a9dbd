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
