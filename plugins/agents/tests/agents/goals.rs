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
