//! How chats end: by a word, by a leaving end, by silence.

use carport_agents::AskChat;
use carport_agents_api::{AGENTS, Target, Turn};
use carport_core::codes;
use serde_json::json;

use crate::{
    attach,
    chatting::{begin, say},
    host, to_the_end,
};

#[tokio::test]
async fn only_the_originator_or_the_host_cancels_and_hears_how_far_it_came() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let (mut client, mut other) = (host.client().await, host.client().await);
    begin(&mut client, &mut agent, "c").await;
    say(&mut agent, "c", "token", json!({ "delta": "half" })).await;
    let cancel = json!({ "session_id": "c" });
    let error = other.raw("agents.chat.cancel", cancel.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    let reply = client.raw("agents.chat.cancel", cancel.clone()).await.unwrap();
    assert_eq!(reply, json!({ "cancelled": true, "session_id": "c" }));
    let last = to_the_end(&mut client).await.pop().unwrap();
    assert_eq!((&last["text"], &last["finish_reason"]), (&json!("half"), &json!("cancelled")));
    assert_eq!(agent.notification("agent.chat.cancel").await, cancel);
    let again = client.raw("agents.chat.cancel", cancel.clone()).await.unwrap();
    assert_eq!(again["cancelled"], false);
    begin(&mut client, &mut agent, "c").await;
    let by_host = host.host().await.raw("agents.chat.cancel", cancel).await.unwrap();
    assert_eq!(by_host["cancelled"], true);
    assert_eq!(to_the_end(&mut client).await.len(), 1);
}

#[tokio::test]
async fn an_originator_that_leaves_takes_its_chats_with_it() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    begin(&mut client, &mut agent, "c").await;
    client.vanish();
    assert_eq!(agent.notification("agent.chat.cancel").await["session_id"], "c");
    assert!(!say(&mut agent, "c", "token", json!({})).await);
    let mut next = host.client().await;
    begin(&mut next, &mut agent, "c").await;
}

#[tokio::test]
async fn an_agent_that_leaves_ends_its_chats_with_an_error() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    begin(&mut client, &mut agent, "c").await;
    agent.vanish();
    let last = to_the_end(&mut client).await.pop().unwrap();
    assert_eq!((&last["kind"], &last["error"]), (&json!("error"), &json!("agent disconnected")));
}

#[tokio::test(start_paused = true)]
async fn a_silent_chat_is_swept_away() {
    let clock = carport_core::ManualClock::at(carport_core::Time::default());
    let host =
        crate::host_with(json!({ "chat_idle_secs": 100 })).clock(clock.clone()).start().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    begin(&mut client, &mut agent, "stale").await;
    begin(&mut client, &mut agent, "waits").await;
    let pending = json!({ "approval_id": "a", "tool": "rm" });
    say(&mut agent, "waits", "approval_pending", pending).await;
    assert_eq!(client.notification("agents.chat.event").await["kind"], "approval_pending");
    clock.advance(chrono::TimeDelta::seconds(101));
    let last = client.notification("agents.chat.event").await;
    assert_eq!((&last["session_id"], &last["error"]), (&json!("stale"), &json!("stale")));
    assert_eq!(agent.notification("agent.chat.cancel").await["session_id"], "stale");
    assert!(say(&mut agent, "waits", "token", json!({ "delta": "still here" })).await);
}

#[tokio::test]
async fn a_plugin_chats_too_and_cancels_by_letting_go() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let agents = host.service(&AGENTS);
    assert!(agents.attached("helper").is_some() && agents.attached("nobody").is_none());
    let turn =
        Turn { target: Target::Agent("helper".into()), prompt: "p".into(), session_id: None };
    let (chat, id) = tokio::join!(agents.chat(turn.clone()), async {
        let (id, ask) = agent.asked::<AskChat>().await;
        agent.answer(&id, json!({ "accepted": true })).await;
        ask.session_id
    });
    let mut chat = chat.unwrap();
    assert_eq!(chat.session_id, id);
    assert!(say(&mut agent, &id, "done", json!({ "text": "all" })).await);
    let event = chat.events.recv().await.unwrap();
    assert_eq!((&event["kind"], &event["text"]), (&json!("done"), &json!("all")));
    assert!(chat.events.recv().await.is_none());

    let (chat, id) = tokio::join!(agents.chat(turn), async {
        let (id, ask) = agent.asked::<AskChat>().await;
        agent.answer(&id, json!({ "accepted": true })).await;
        ask.session_id
    });
    drop(chat);
    say(&mut agent, &id, "token", json!({ "delta": "to nobody" })).await;
    assert_eq!(agent.notification("agent.chat.cancel").await["session_id"], json!(id));
    assert!(!say(&mut agent, &id, "token", json!({})).await);
}

#[tokio::test]
async fn a_clean_stop_writes_down_what_it_ended() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    begin(&mut client, &mut agent, "c").await;
    host.stop().await;
    let lines = std::fs::read_to_string(host.root().join("journals/peer.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("chat.error"), "{lines}");
}

#[tokio::test]
async fn the_audit_holds_outcomes_and_no_text() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    begin(&mut client, &mut agent, "c").await;
    say(&mut agent, "c", "done", json!({ "text": "a secret answer" })).await;
    to_the_end(&mut client).await;
    let path = host.root().join("journals/peer.jsonl");
    let mut lines = String::new();
    while lines.lines().count() < 2 {
        tokio::task::yield_now().await;
        lines = std::fs::read_to_string(&path).unwrap_or_default();
    }
    assert!(lines.contains("chat.begin") && lines.contains("chat.done"), "{lines}");
    assert!(!lines.contains("secret") && !lines.contains("hello"), "{lines}");
}
