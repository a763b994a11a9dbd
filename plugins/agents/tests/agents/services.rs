//! What other plugins hear of agents, and whom they may chat with.

use carport_agents::AskChat;
use carport_agents_api::{AGENTS, Target, Turn};
use carport_core::codes;
use serde_json::json;

use crate::{attach, chatting::say, host};

#[tokio::test]
async fn a_plugin_hears_of_every_change_of_an_agent() {
    let host = host().await;
    let agents = host.service(&AGENTS);
    let mut changes = agents.changes();
    let agent = attach(&host, "helper").await;
    let (written, bound) = (changes.recv().await.unwrap(), changes.recv().await.unwrap());
    assert_eq!((written.agent.id.as_str(), written.agent.attached), ("helper", false));
    assert_eq!((bound.agent.attached, bound.removed), (true, false));
    assert_eq!(bound.cursor, written.cursor + 1);
    assert_eq!(agents.list(), std::slice::from_ref(&bound.agent));
    host.host().await.raw("agents.remove", json!({ "id": "helper" })).await.unwrap();
    let mut last = changes.recv().await.unwrap();
    while !last.removed {
        last = changes.recv().await.unwrap();
    }
    assert_eq!((last.agent.id.as_str(), agents.list().len()), ("helper", 0));
    agent.close().await;
}

#[tokio::test]
async fn a_plugin_chats_with_any_connection_that_said_who_it_is() {
    let host = host().await;
    let mut client = host.client().await;
    let proof = json!({ "token": carport_core::testing::TOKEN });
    let id =
        client.raw("session.auth", proof).await.unwrap()["client_id"].as_str().unwrap().to_owned();
    let agents = host.service(&AGENTS);
    let target = Target::Client(id.clone());
    let turn = Turn { target, prompt: "p".into(), session_id: Some("c".into()) };
    let (chat, _) = tokio::join!(agents.chat(turn.clone()), async {
        let (ask, _) = client.asked::<AskChat>().await;
        client.answer(&ask, json!({ "accepted": true })).await;
    });
    let mut chat = chat.unwrap();
    let mut other = host.client().await;
    assert!(!say(&mut other, "c", "done", json!({})).await, "it was not asked");
    assert!(say(&mut client, "c", "done", json!({ "text": "all" })).await);
    let event = chat.events.recv().await.unwrap();
    assert_eq!((&event["agent_id"], &event["text"]), (&json!(id), &json!("all")));
    client.close().await;
    host.emptied_but(&other).await;
    assert_eq!(agents.chat(turn).await.unwrap_err().code, codes::NOT_FOUND);
    // Nobody is asked who has not said who it is.
    let _stranger = host.stranger().await;
    let nobody =
        Turn { target: Target::Client("c-0".into()), prompt: "p".into(), session_id: None };
    assert_eq!(agents.chat(nobody).await.unwrap_err().code, codes::NOT_FOUND);
}
