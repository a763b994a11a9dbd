//! Words that go to an agent: what its reply makes of the task, and what its silence does.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use carport_agents_api::{AGENTS, Agent, Agents, Change, Chat, Target, Turn};
use carport_core::{
    ManifestRole, Result, RpcError, codes,
    testing::{TestClient, TestHost},
};
use serde_json::{Map, Value, json};
use tokio::{
    sync::{broadcast, mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::scene::{at_once, message, say, send, state, with_engine, words};

type Events = mpsc::Sender<Map<String, Value>>;

/// A chat that was asked for and not answered.
struct Asked {
    turn: Turn,
    /// Dropped, nobody acknowledged.
    answer: oneshot::Sender<Result<Chat>>,
}

impl Asked {
    /// Accepts; what is sent to the events is what the agent says.
    fn accept(self) -> Events {
        let (events, heard) = mpsc::channel(8);
        let chat = Chat { session_id: "c".into(), events: heard };
        self.answer.send(Ok(chat)).expect("somebody waits");
        events
    }
}

/// Agents as the test plays them.
struct Played {
    asked: mpsc::Sender<Asked>,
    changes: broadcast::Sender<Change>,
}

#[async_trait]
impl Agents for Played {
    fn list(&self) -> Vec<Agent> {
        Vec::new()
    }

    fn attached(&self, _: &str) -> Option<String> {
        None
    }

    fn role(&self) -> (Option<String>, ManifestRole) {
        (None, ManifestRole::Owner)
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    async fn chat(&self, turn: Turn) -> Result<Chat> {
        let (answer, answered) = oneshot::channel();
        self.asked.try_send(Asked { turn, answer }).expect("the test plays");
        let silent = |_| Err(RpcError::new(codes::GONE, "agent `helper` did not take the chat"));
        answered.await.unwrap_or_else(silent)
    }
}

/// A host whose words go to `helper`, a client of it, and what is asked of the agent.
async fn scene() -> (TestHost, TestClient, mpsc::Receiver<Asked>) {
    let (asked, asks) = mpsc::channel(8);
    let agents = Played { asked, changes: broadcast::channel(1).0 };
    let section = json!({ "chat_agent": "helper", "store": "memory" });
    let builder = with_engine().plugin("a2a", section);
    let builder =
        builder.config(|config| config.provide(&AGENTS, Arc::new(agents) as Arc<dyn Agents>));
    // A client that says nothing for minutes of paused time is kept.
    let builder =
        builder.settings(|it| (it.transport.stuck_secs, it.transport.ping_secs) = (86_400, 86_400));
    let host = builder.start().await;
    let client = host.client().await;
    (host, client, asks)
}

async fn tell(events: &Events, event: Value) {
    events.send(event.as_object().unwrap().clone()).await.unwrap();
}

async fn get(client: &mut TestClient, task: &Value) -> Value {
    client.raw("GetTask", json!({ "id": task["id"] })).await.unwrap()
}

#[tokio::test]
async fn the_reply_is_a_message_of_the_completed_task() {
    let (_host, mut client, mut asks) = scene().await;
    let mut params = say("one");
    let more = [json!({ "data": { "n": 2 } }), json!({ "url": "https://x.example/" })];
    params["message"]["parts"].as_array_mut().unwrap().extend(more);
    let id = client.send("SendMessage", params).await;
    let asked = asks.recv().await.unwrap();
    assert_eq!(asked.turn.target, Target::Agent("helper".into()));
    assert_eq!(asked.turn.prompt, "one\n\n{\"n\":2}\n\nhttps://x.example/");
    let events = asked.accept();
    tell(&events, json!({ "kind": "token", "delta": "t" })).await;
    tell(&events, json!({ "kind": "done", "text": "two", "finish_reason": "stop" })).await;
    let task = client.reply(id).await.unwrap()["task"].take();
    assert_eq!((state(&task), words(&task)), ("COMPLETED", "two"));
    let history = task["history"].as_array().unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(
        (&history[1]["role"], &history[1]["parts"]),
        (&json!("ROLE_AGENT"), &json!([{ "text": "two" }]))
    );
    assert_eq!(history[1], task["status"]["message"]);
    // A tool is no word.
    let echo = message(json!({ "data": { "tool": "echo", "parameters": { "say": 1 } } }));
    assert_eq!(state(&send(&mut client, json!({ "message": echo })).await), "COMPLETED");
    assert!(asks.try_recv().is_err());
}

#[tokio::test]
async fn a_chat_that_ends_otherwise_fails_the_task_and_says_why() {
    let (_host, mut client, mut asks) = scene().await;
    for (event, why) in [
        (json!({ "kind": "error", "error": "agent disconnected" }), "agent disconnected"),
        (
            json!({ "kind": "done", "text": "half", "finish_reason": "cancelled" }),
            "the chat was cancelled",
        ),
        (json!({ "kind": "token", "delta": "half" }), "the chat ended without a reply"),
    ] {
        let id = client.send("SendMessage", say("hello")).await;
        let events = asks.recv().await.unwrap().accept();
        tell(&events, event).await;
        drop(events);
        let task = client.reply(id).await.unwrap()["task"].take();
        assert_eq!((state(&task), words(&task)), ("FAILED", why));
    }
}

#[tokio::test]
async fn whom_nobody_hears_is_acknowledged_and_what_cannot_be_asked_fails() {
    let (_host, mut client, mut asks) = scene().await;
    for (error, expected) in [
        (None, ("COMPLETED", "Acknowledged.")),
        (Some(RpcError::not_found("agent `helper`")), ("COMPLETED", "Acknowledged.")),
        (Some(RpcError::new(codes::LIMIT, "too many")), ("FAILED", "too many")),
        (Some(RpcError::new(codes::INVALID_PARAMS, "too long")), ("FAILED", "too long")),
    ] {
        let id = client.send("SendMessage", say("hello")).await;
        let asked = asks.recv().await.unwrap();
        if let Some(error) = error {
            asked.answer.send(Err(error)).unwrap();
        } else {
            drop(asked);
        }
        let task = client.reply(id).await.unwrap()["task"].take();
        assert_eq!((state(&task), words(&task)), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_may_take_three_minutes_and_no_longer() {
    let (_host, mut client, mut asks) = scene().await;
    let task = send(&mut client, at_once(say("hello"))).await;
    let events = asks.recv().await.unwrap().accept();
    sleep(Duration::from_secs(179)).await;
    tell(&events, json!({ "kind": "token", "delta": "still" })).await;
    assert_eq!(state(&get(&mut client, &task).await), "WORKING");
    sleep(Duration::from_secs(2)).await;
    let task = get(&mut client, &task).await;
    assert_eq!((state(&task), words(&task)), ("FAILED", "the agent did not reply within 180 s"));
    assert!(events.is_closed(), "the agent is told");
}

#[tokio::test]
async fn a_cancelled_task_ends_at_once_and_its_chat_with_it() {
    let (_host, mut client, mut asks) = scene().await;
    let patience = Duration::from_secs(60);
    for accepts in [true, false] {
        let task = send(&mut client, at_once(say("hello"))).await;
        let mut asked = asks.recv().await.unwrap();
        let cancel = json!({ "id": task["id"] });
        if accepts {
            let events = asked.accept();
            tell(&events, json!({ "kind": "token", "delta": "half" })).await;
            let cancelled = client.raw("CancelTask", cancel).await.unwrap();
            assert_eq!(state(&cancelled), "CANCELED");
            timeout(patience, events.closed()).await.expect("the chat is cancelled");
        } else {
            let cancelled = client.raw("CancelTask", cancel).await.unwrap();
            assert_eq!(state(&cancelled), "CANCELED");
            let gone = timeout(patience, asked.answer.closed()).await;
            gone.expect("nobody waits for its acknowledgement");
        }
        assert_eq!(state(&get(&mut client, &task).await), "CANCELED");
    }
}
