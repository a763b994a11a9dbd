//! What cannot be kept: because the disk does not take it, or because nobody could read it again.

use std::{fs, sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_a2a_api::{
    A2A_EXECUTOR, End, Ending, Executor, Turn, Updates,
    types::{Artifact, Message, Part},
};
use carport_core::testing::TestHost;
use serde_json::json;
use tokio::{sync::Semaphore, time::advance};

use crate::{
    http::Listener,
    scene::{at_once, go_on, say, send, state, with_engine, words},
};

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
    async fn answer(&self, message: &Message, _: &str) -> Option<Vec<Part>> {
        match message.first_text() {
            Some("answer nothing") => Some(Vec::new()),
            _ => None,
        }
    }

    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending {
        match turn.message.first_text() {
            Some("end") => return Ending::saying(End::Completed, "ended"),
            Some("make nothing") => {
                let nothing = Artifact { parts: Vec::new(), ..Artifact::of("a", Part::text("")) };
                let kept = updates.artifact(nothing, false, true).await;
                return Ending::saying(End::Completed, format!("{}", kept.is_ok()));
            }
            Some("say much") => {
                return Ending { end: End::InputRequired, says: vec![Part::text("x"); 101] };
            }
            _ => {}
        }
        let _dropped = Dropped(self.dropped.clone());
        self.go.acquire().await.unwrap().forget();
        if updates.says(vec![Part::text("is it kept?")]).await.is_err() {
            self.refused.add_permits(1);
        }
        std::future::pending().await
    }
}

/// A host, and what works for it.
async fn start() -> (TestHost, Arc<Endless>) {
    let (go, refused) = (Semaphore::new(0), Semaphore::new(0));
    let endless = Arc::new(Endless { go, refused, dropped: Arc::new(Semaphore::new(0)) });
    let executor = endless.clone();
    let builder = with_engine().config(|config| {
        config.provide(&A2A_EXECUTOR, executor as Arc<dyn Executor>);
    });
    (builder.start().await, endless)
}

#[tokio::test]
async fn what_nobody_could_read_again_is_told_to_nobody() {
    let (host, _endless) = start().await;
    let listener = Listener::of(&host, json!({})).await;
    for (asks, why) in [("make nothing", "must have an item"), ("say much", "1..=100 items")] {
        let told = listener.stream("SendStreamingMessage", say(asks), &[]).await.results().await;
        let [task, works, fails] = told.as_slice() else { panic!("{told:?}") };
        let states = [works, fails].map(|it| state(&it["statusUpdate"]));
        assert_eq!(states, ["WORKING", "FAILED"], "{asks}");
        let params = json!({ "id": task["task"]["id"] });
        let now = listener.call("GetTask", params).await["result"].take();
        assert_eq!(now["status"], fails["statusUpdate"]["status"]);
        assert!(words(&now).contains(why), "{}", words(&now));
    }
    let answer = listener.call("SendMessage", say("answer nothing")).await;
    assert_eq!(answer["error"]["code"], -32006, "{answer}");
    assert_eq!(answer["error"]["data"][0]["reason"], "INVALID_AGENT_RESPONSE");
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_end_could_not_be_kept_ends_once_it_can() {
    let (host, endless) = start().await;
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
