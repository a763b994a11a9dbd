//! A task that the disk does not take the end of: it ends when the disk takes it.

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_a2a_api::{A2A_EXECUTOR, End, Ending, Executor, Turn, Updates, types::Part};
use serde_json::json;
use tokio::{sync::Semaphore, time::advance};

use crate::scene::{at_once, go_on, say, send, state, with_engine, words};

/// Says something when it may, and then never ends.
struct Endless {
    go: Semaphore,
    /// What it said was not kept.
    refused: Semaphore,
    dropped: Arc<Semaphore>,
}

struct Dropped(Arc<Semaphore>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

#[async_trait]
impl Executor for Endless {
    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending {
        if turn.message.first_text() == Some("end") {
            return Ending::saying(End::Completed, "ended");
        }
        let _dropped = Dropped(self.dropped.clone());
        self.go.acquire().await.unwrap().forget();
        if updates.says(vec![Part::text("is it kept?")]).await.is_err() {
            self.refused.add_permits(1);
        }
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_end_could_not_be_kept_ends_once_it_can() {
    let (go, refused) = (Semaphore::new(0), Semaphore::new(0));
    let endless = Arc::new(Endless { go, refused, dropped: Arc::new(Semaphore::new(0)) });
    let executor = endless.clone();
    let builder = with_engine().config(|config| {
        config.provide(&A2A_EXECUTOR, executor as Arc<dyn Executor>);
    });
    let host = builder.start().await;
    let mut client = host.client().await;
    let task = send(&mut client, at_once(say("begin"))).await;
    let id = task["id"].as_str().unwrap();
    loop {
        let task = client.raw("GetTask", json!({ "id": id })).await.unwrap();
        if state(&task) == "WORKING" {
            break;
        }
    }
    // What stands in its place takes no line.
    let tasks = host.root().join("a2a/tasks");
    let (file, aside) = (tasks.join(format!("{id}.jsonl")), tasks.join("aside"));
    fs::rename(&file, &aside).unwrap();
    fs::create_dir(&file).unwrap();
    endless.go.add_permits(1);
    endless.refused.acquire().await.unwrap().forget();
    let refused = client.raw("SendMessage", go_on(id, "more")).await.unwrap_err();
    assert_eq!(refused.code, -32603);
    let others = send(&mut client, say("end")).await;
    assert_eq!(state(&others), "COMPLETED", "it is that task only");
    let list = client.raw("ListTasks", json!({})).await.unwrap();
    assert_eq!((&list["totalSize"], &list["tasks"][0]["id"]), (&json!(2), &others["id"]));
    // The sweep tries in vain, but nothing works on the task any more.
    while endless.dropped.available_permits() == 0 {
        advance(Duration::from_secs(61)).await;
        client.raw("ListTasks", json!({})).await.unwrap();
    }

    fs::remove_dir(&file).unwrap();
    fs::rename(&aside, &file).unwrap();
    loop {
        advance(Duration::from_secs(61)).await;
        let task = client.raw("GetTask", json!({ "id": id })).await.unwrap();
        if state(&task) != "WORKING" {
            assert_eq!(state(&task), "FAILED");
            assert!(words(&task).contains("could not be kept"), "{}", words(&task));
            break;
        }
    }
}
