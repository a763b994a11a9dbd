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

/// The lines of the audit, once there are so many.
async fn audited(host: &carport_core::testing::TestHost, lines: usize) -> String {
    let path = host.root().join("journals/peer.jsonl");
    loop {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.lines().count() >= lines {
            return text;
        }
        tokio::task::yield_now().await;
    }
}

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
    // The agent hears of it although it says nothing.
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
    let lines = audited(&host, 2).await;
    assert!(lines.contains("chat.begin") && lines.contains("chat.done"), "{lines}");
    assert!(!lines.contains("secret") && !lines.contains("hello"), "{lines}");
}

#[tokio::test]
async fn a_plugins_chat_has_the_bounds_of_a_connections_and_holds_what_came_early() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let agents = host.service(&AGENTS);
    let turn = |id: &str, prompt: String, chat: &str| Turn {
        target: Target::Agent(id.into()),
        prompt,
        session_id: Some(chat.into()),
    };
    for (bad, field) in [
        (turn("a/b", "p".into(), "c"), "agent_id"),
        (turn("helper", String::new(), "c"), "prompt"),
        (turn("helper", "p".repeat(256 * 1024 + 1), "c"), "prompt"),
        (turn("helper", "p".into(), "a b"), "session_id"),
    ] {
        let error = agents.chat(bad).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)));
    }
    let (chat, ()) = tokio::join!(agents.chat(turn("helper", "p".into(), "c")), async {
        let (id, _) = agent.asked::<AskChat>().await;
        for _ in 0..256 {
            assert!(say(&mut agent, "c", "token", json!({ "delta": "x" })).await);
        }
        agent.answer(&id, json!({ "accepted": true })).await;
    });
    let mut chat = chat.unwrap();
    for seq in 1..=256 {
        assert_eq!(chat.events.recv().await.unwrap()["seq"], seq);
    }
}

#[tokio::test]
async fn an_agents_own_words_are_cut_and_in_no_audit() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    let call = json!({ "agent_id": "helper", "prompt": "p", "session_id": "c" });
    let id = client.send("agents.chat", call).await;
    let (ask, _) = agent.asked::<AskChat>().await;
    let words = format!("secret {}", "\u{fc}".repeat(1 << 14));
    agent.answer_error(&ask, &carport_core::RpcError::new(-32050, &words)).await;
    let error = client.reply(id).await.unwrap_err();
    let said = error.data.unwrap()["agent_error"].as_str().unwrap().to_owned();
    assert!(said.len() <= 1024 && words.starts_with(&said) && said.len() > 1000);
    assert!(error.message.len() < 1200);

    begin(&mut client, &mut agent, "c").await;
    let pending = json!({ "approval_id": "a", "tool": "rm" });
    say(&mut agent, "c", "approval_pending", pending).await;
    let decide = json!({ "session_id": "c", "approval_id": "a", "decision": null });
    let id = client.send("agents.chat.approve", decide.clone()).await;
    let (ask, asked) = agent.asked::<carport_agents::AskApprove>().await;
    assert_eq!(asked.decision, json!(false), "null is as good as absent");
    agent.answer_error(&ask, &carport_core::RpcError::new(-32050, &words)).await;
    assert!(client.reply(id).await.unwrap_err().message.len() < 1200);
    say(&mut agent, "c", "error", json!({ "error": words })).await;
    to_the_end(&mut client).await;
    begin(&mut client, &mut agent, "c").await;
    say(&mut agent, "c", "error", json!({ "delta": "secret too" })).await;
    let lines = audited(&host, 5).await;
    assert!(lines.contains("code -32050") && lines.contains("chat.error"), "{lines}");
    assert!(!lines.contains("secret"), "{lines}");
}

#[tokio::test]
async fn whoever_leaves_while_the_agent_is_asked_leaves_a_line_and_no_decision() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let (mut client, mut leaving) = (host.client().await, host.host().await);
    begin(&mut client, &mut agent, "c").await;
    say(&mut agent, "c", "approval_pending", json!({ "approval_id": "a" })).await;
    let decide = json!({ "session_id": "c", "approval_id": "a", "decision": true });
    leaving.send("agents.chat.approve", decide.clone()).await;
    agent.asked::<carport_agents::AskApprove>().await;
    leaving.send("agents.chat", json!({ "agent_id": "helper", "prompt": "p" })).await;
    agent.asked::<AskChat>().await;
    leaving.vanish();
    agent.notification("agent.chat.cancel").await;
    assert!(audited(&host, 2).await.contains("abandoned"));
    let id = client.send("agents.chat.approve", decide).await;
    let (ask, _) = agent.asked::<carport_agents::AskApprove>().await;
    agent.answer(&ask, json!({ "resolved": true })).await;
    assert_eq!(client.reply(id).await.unwrap()["resolved"], true);
}

#[tokio::test]
async fn an_agent_of_a_manifest_that_nobody_took_is_known_and_not_there() {
    let host = host().await;
    attach(&host, "helper").await;
    host.stop().await;
    let section = json!({ "supervise": "on_demand" });
    let again = crate::host_with(section).on_root_of(&host).start().await;
    let mut client = again.client().await;
    for (agent, code) in [("helper", codes::GONE), ("nobody", codes::NOT_FOUND)] {
        let call = json!({ "agent_id": agent, "prompt": "p" });
        assert_eq!(client.raw("agents.chat", call).await.unwrap_err().code, code, "{agent}");
    }
}
