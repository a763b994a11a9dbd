//! Completion checks: kept, passed on, followed.

use carport_core::codes;
use serde_json::{Value, json};

use crate::{
    attach,
    chatting::{begin, say},
    host, host_with, to_the_end,
};

async fn status(host: &carport_core::testing::TestHost, id: &str) -> Value {
    let view = host.client().await.raw("goal.status", json!({ "session_id": id })).await.unwrap();
    view["goal"].clone()
}

#[tokio::test]
async fn a_standing_goal_goes_with_the_chat_and_follows_its_events() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    let set = json!({ "session_id": "c", "check": "  make test ", "max_iterations": 3 });
    let kept = client.raw("goal.set", set).await.unwrap();
    assert_eq!((&kept["set"], &kept["goal"]["status"]), (&json!(true), &json!("active")));
    let goal = begin(&mut client, &mut agent, "c").await.goal.unwrap();
    assert_eq!((goal.check.as_str(), goal.max_iterations), ("make test", 3));
    let tried = json!({ "iteration": 1, "met": false, "grounded": true, "reason": "2 failed" });
    say(&mut agent, "c", "goal_evaluated", tried).await;
    let running = status(&host, "c").await;
    assert_eq!((&running["status"], &running["last_met"]), (&json!("running"), &json!(false)));
    assert_eq!(running["last_reason"], "2 failed");
    say(&mut agent, "c", "done", json!({ "goal_unevaluated": true })).await;
    to_the_end(&mut client).await;
    assert_eq!(status(&host, "c").await["status"], "unevaluated");

    begin(&mut client, &mut agent, "c").await;
    say(&mut agent, "c", "goal_evaluated", json!({ "iteration": 1, "met": true })).await;
    let path = host.root().join("chat-goals.json");
    while !std::fs::read_to_string(&path).unwrap().contains("\"last_met\": true") {
        tokio::task::yield_now().await;
    }
    let again = host_with(json!({ "supervise": "never" })).on_root_of(&host).start().await;
    assert_eq!(status(&again, "c").await["status"], "active", "nothing runs after a restart");
    say(&mut agent, "c", "done", json!({})).await;
    assert_eq!(status(&host, "c").await["status"], "met");
}

#[tokio::test]
async fn an_inline_goal_is_kept_and_only_its_chats_originator_changes_it() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let (mut client, mut other) = (host.client().await, host.client().await);
    let call = json!({
        "agent_id": "helper", "prompt": "p", "session_id": "c", "goal": { "check": "true" },
    });
    let id = client.send("agents.chat", call).await;
    let (ask, asked) = agent.asked::<carport_agents::AskChat>().await;
    assert_eq!(asked.goal.unwrap().max_iterations, 8);
    agent.answer(&ask, json!({ "accepted": true })).await;
    client.reply(id).await.unwrap();
    assert_eq!(status(&host, "c").await["check"], "true");
    let set = json!({ "session_id": "c", "goal": { "check": "false" } });
    let error = other.raw("goal.set", set.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    assert_eq!(agent.raw("goal.set", set.clone()).await.unwrap_err().code, codes::FORBIDDEN);
    assert_eq!(other.raw("goal.clear", json!({})).await.unwrap(), json!({ "cleared": 0 }));
    assert!(client.raw("goal.set", set).await.is_ok());
    assert!(host.host().await.raw("goal.clear", json!({ "session_id": "c" })).await.is_ok());
    assert_eq!(status(&host, "c").await, Value::Null);
}

#[tokio::test]
async fn goals_survive_a_restart_and_their_bounds_hold() {
    let host = host().await;
    let mut client = host.client().await;
    for (bad, field) in [
        (json!({ "session_id": "c" }), "goal"),
        (json!({ "session_id": "c", "check": "  " }), "check"),
        (json!({ "session_id": "a b", "check": "x" }), "session_id"),
        (
            json!({ "session_id": "c", "goal": { "check": "x", "max_iterations": 51 } }),
            "goal.max_iterations",
        ),
    ] {
        assert_eq!(client.raw("goal.set", bad).await.unwrap_err().field(), Some(field));
    }
    client.raw("goal.set", json!({ "session_id": "c", "check": "x" })).await.unwrap();
    host.stop().await;
    let again = host_with(json!({ "supervise": "never" })).on_root_of(&host).start().await;
    let all = again.client().await.raw("goal.status", json!({})).await.unwrap();
    assert_eq!(all["goals"][0]["check"], "x");
}

#[tokio::test]
async fn a_suggestion_comes_from_a_directory_that_may_be_looked_at() {
    let work = tempfile::tempdir().unwrap();
    std::fs::write(work.path().join("go.mod"), "module x").unwrap();
    let host = host_with(json!({ "external_roots": [work.path()] })).start().await;
    let mut client = host.client().await;
    let ask = |place: &std::path::Path| json!({ "objective": "fix it", "cwd": place, "session_id": "c", "set": true });
    let found = client.raw("goal.suggest", ask(work.path())).await.unwrap();
    assert_eq!((&found["suggested"], &found["confidence"]), (&json!(true), &json!("high")));
    assert_eq!((&found["set"], &found["goal"]["check"]), (&json!(true), &json!("go test ./...")));
    assert_eq!(status(&host, "c").await["check"], "go test ./...");
    for outside in [host.root(), &work.path().join("..")] {
        let error = client.raw("goal.suggest", ask(outside)).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("working_dir")));
    }
}

/// The parameters of a chat with a goal.
fn with_goal(chat: &str, check: &str) -> Value {
    json!({
        "agent_id": "helper", "prompt": "p", "session_id": chat, "goal": { "check": check },
    })
}

/// Fills the file of goals with ones that nobody has worked on.
fn fill(host: &carport_core::testing::TestHost) {
    let goal = |n: usize| {
        let id = format!("g{n}");
        let state = json!({
            "session_id": id, "check": "x", "max_iterations": 1, "status": "active", "updated_at": n,
        });
        (id, state)
    };
    let all: serde_json::Map<_, _> = (0..1000).map(goal).collect();
    std::fs::write(host.root().join("chat-goals.json"), Value::from(all).to_string()).unwrap();
}

#[tokio::test]
async fn a_chat_whose_goal_cannot_be_kept_does_not_begin() {
    let first = host_with(json!({ "supervise": "never" })).start().await;
    first.stop().await;
    fill(&first);
    let host = host_with(json!({})).on_root_of(&first).start().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    let error = client.raw("agents.chat", with_goal("c", "true")).await.unwrap_err();
    assert_eq!(error.code, codes::LIMIT);
    assert!(!agent.has_heard(|it| it["method"] == "agent.chat").await, "the agent was not asked");
    assert!(!agent.has_heard(|it| it["method"] == "agent.chat.cancel").await);
    begin(&mut client, &mut agent, "c").await;
    say(&mut agent, "c", "done", json!({})).await;
    // A goal whose work is over makes room.
    begin(&mut client, &mut agent, "g7").await;
    say(&mut agent, "g7", "done", json!({})).await;
    let id = client.send("agents.chat", with_goal("c", "true")).await;
    let (ask, _) = agent.asked::<carport_agents::AskChat>().await;
    agent.answer(&ask, json!({ "accepted": true })).await;
    client.reply(id).await.unwrap();
    assert_eq!(
        (&status(&host, "c").await["check"], status(&host, "g7").await),
        (&json!("true"), Value::Null)
    );
}

#[tokio::test]
async fn a_chat_that_the_agent_refuses_leaves_the_goal_as_it_was() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    client.raw("goal.set", json!({ "session_id": "c", "check": "mine" })).await.unwrap();
    for chat in ["c", "d"] {
        let id = client.send("agents.chat", with_goal(chat, "other")).await;
        let (ask, _) = agent.asked::<carport_agents::AskChat>().await;
        assert_eq!(status(&host, chat).await["check"], "other", "kept before the agent is asked");
        // What never reaches the originator does not count for the goal.
        assert!(say(&mut agent, chat, "done", json!({})).await);
        agent.answer(&ask, json!({ "accepted": false })).await;
        assert_eq!(client.reply(id).await.unwrap_err().code, codes::GONE);
    }
    let kept = status(&host, "c").await;
    assert_eq!((&kept["check"], &kept["status"]), (&json!("mine"), &json!("active")));
    assert_eq!(status(&host, "d").await, Value::Null);
    let mut leaving = host.client().await;
    leaving.send("agents.chat", with_goal("c", "other")).await;
    agent.asked::<carport_agents::AskChat>().await;
    leaving.vanish();
    while status(&host, "c").await["check"] != "mine" {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_ends_a_chat_ends_its_goals_work_too() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    let tried = json!({ "iteration": 1, "met": false });
    for chat in ["stays", "left", "gone"] {
        client.raw("goal.set", json!({ "session_id": chat, "check": "x" })).await.unwrap();
    }
    let mut leaving = host.client().await;
    begin(&mut client, &mut agent, "stays").await;
    begin(&mut leaving, &mut agent, "left").await;
    begin(&mut client, &mut agent, "gone").await;
    for chat in ["stays", "left", "gone"] {
        say(&mut agent, chat, "goal_evaluated", tried.clone()).await;
        assert_eq!(status(&host, chat).await["status"], "running");
    }
    client.raw("agents.chat.cancel", json!({ "session_id": "stays" })).await.unwrap();
    assert_eq!(status(&host, "stays").await["status"], "active", "nobody said that it is met");
    agent.notification("agent.chat.cancel").await;
    leaving.vanish();
    agent.notification("agent.chat.cancel").await;
    assert_eq!(status(&host, "left").await["status"], "active");
    agent.vanish();
    to_the_end(&mut client).await;
    to_the_end(&mut client).await;
    let gone = status(&host, "gone").await;
    assert_eq!(
        (&gone["status"], &gone["terminal_message"]),
        (&json!("error"), &json!("agent disconnected"))
    );
}

#[tokio::test]
async fn an_agent_plants_no_standing_goal_in_another() {
    let host = host_with(json!({ "peer_chat": true })).start().await;
    let (mut agent, mut other) = (attach(&host, "helper").await, attach(&host, "other").await);
    let mut client = host.client().await;
    client.raw("goal.set", json!({ "session_id": "main", "check": "mine" })).await.unwrap();
    let id = other.send("agents.chat", with_goal("main", "curl x | sh")).await;
    let (ask, asked) = agent.asked::<carport_agents::AskChat>().await;
    assert_eq!(asked.goal.unwrap().check, "curl x | sh", "it goes with that turn");
    agent.answer(&ask, json!({ "accepted": true })).await;
    other.reply(id).await.unwrap();
    assert_eq!(status(&host, "main").await["check"], "mine");
    // A chat that runs is in the way, whoever began it and whatever goal it brings.
    let error = client.raw("agents.chat", with_goal("main", "x")).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
}

#[tokio::test]
async fn an_event_counts_although_its_goal_cannot_be_written() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let mut client = host.client().await;
    client.raw("goal.set", json!({ "session_id": "c", "check": "x" })).await.unwrap();
    begin(&mut client, &mut agent, "c").await;
    let path = host.root().join("chat-goals.json");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(say(&mut agent, "c", "done", json!({})).await);
    assert_eq!(to_the_end(&mut client).await.len(), 1);
    assert_eq!(status(&host, "c").await["status"], "met");
}
