//! What a restart leaves of tasks, and what time does to them.

use carport_core::{ManualClock, Time};
use chrono::{DateTime, TimeDelta};
use serde_json::json;
use tokio::time::{Duration, advance};

use crate::scene::{at_once, go_on, say, send, state, with_obedient, words};

#[tokio::test]
async fn a_restart_keeps_tasks_and_fails_those_that_were_worked_on() {
    let (builder, obedient) = with_obedient();
    let first = builder.start().await;
    let mut client = first.client().await;
    let done = send(&mut client, say("it")).await;
    let asks = send(&mut client, say("ask")).await;
    let works = send(&mut client, at_once(say("wait"))).await;
    obedient.waits.acquire().await.unwrap().forget();
    client.close().await;
    first.stop().await;

    let (builder, _) = with_obedient();
    let second = builder.on_root_of(&first).start().await;
    let mut client = second.client().await;
    let read = |id: &serde_json::Value| json!({ "id": id });
    assert_eq!(client.raw("GetTask", read(&done["id"])).await.unwrap(), done);
    assert_eq!(client.raw("GetTask", read(&asks["id"])).await.unwrap(), asks);
    let failed = client.raw("GetTask", read(&works["id"])).await.unwrap();
    assert_eq!(state(&failed), "FAILED");
    assert_eq!(words(&failed), "interrupted by a restart of the daemon");
    let list = client.raw("ListTasks", json!({})).await.unwrap();
    assert_eq!(list["totalSize"], 3);
    let task = asks["id"].as_str().unwrap();
    let went_on = send(&mut client, go_on(task, "it")).await;
    assert_eq!(state(&went_on), "COMPLETED");
    let mut stranger = second.agent("other").await;
    assert_eq!(stranger.raw("ListTasks", json!({})).await.unwrap()["totalSize"], 0);
}

#[tokio::test]
async fn in_memory_nothing_is_left() {
    let section = json!({ "store": "memory" });
    let (builder, _) = with_obedient();
    let first = builder.plugin("a2a", section.clone()).start().await;
    send(&mut first.client().await, say("it")).await;
    first.stop().await;
    assert!(!first.root().join("a2a/tasks").exists());
    let (builder, _) = with_obedient();
    let second = builder.plugin("a2a", section).on_root_of(&first).start().await;
    let list = second.client().await.raw("ListTasks", json!({})).await.unwrap();
    assert_eq!(list["totalSize"], 0);
}

#[tokio::test(start_paused = true)]
async fn time_lets_tasks_go() {
    let start: Time = DateTime::from_timestamp(1_700_000_000, 0).unwrap().into();
    let clock = ManualClock::at(start);
    let (builder, _) = with_obedient();
    let host =
        builder.plugin("a2a", json!({ "store": "memory" })).clock(clock.clone()).start().await;
    let mut client = host.client().await;
    send(&mut client, say("it")).await;
    let asks = send(&mut client, say("ask")).await;
    clock.advance(TimeDelta::days(8));
    advance(Duration::from_secs(61)).await;
    while client.raw("ListTasks", json!({})).await.unwrap()["totalSize"] != 1 {
        advance(Duration::from_secs(61)).await;
    }
    clock.advance(TimeDelta::days(23));
    loop {
        advance(Duration::from_secs(61)).await;
        let task = client.raw("GetTask", json!({ "id": asks["id"] })).await.unwrap();
        match state(&task) {
            "INPUT_REQUIRED" => {}
            ended => {
                break assert_eq!((ended, words(&task)), ("FAILED", "no message came in time"));
            }
        }
    }
}

#[tokio::test]
async fn a_full_store_says_so() {
    let (builder, _) = with_obedient();
    let host = builder.plugin("a2a", json!({ "max_tasks": 2 })).start().await;
    let mut client = host.client().await;
    send(&mut client, say("ask")).await;
    let ended = send(&mut client, say("it")).await;
    send(&mut client, say("ask")).await;
    let gone = client.raw("GetTask", json!({ "id": ended["id"] })).await.unwrap_err();
    assert_eq!(gone.code, -32001);
    let full = client.raw("SendMessage", say("it")).await.unwrap_err();
    assert_eq!(full.code, -32603);
    assert_eq!(full.data.unwrap()[0]["reason"], "RESOURCE_EXHAUSTED");
}
