//! What an agent's memory learns from proposals that failed, over a real daemon's end.

use serde_json::{Value, json};

use crate::daemon::{Daemon, Peer};

/// Submits a call of the tool `fetch` that is tried twice, and fails it twice.
async fn failing(agent: &mut Peer, error: &str) {
    let action = json!({
        "id": "a", "type": "tool_call", "tool": "fetch",
        "failure_behavior": "retry", "max_retries": 1,
    });
    let id = agent.send("proposal.submit", json!({ "proposal": { "actions": [action] } })).await;
    for attempt in [1, 2] {
        let asked = agent.frame(|it| it["method"] == "tools.execute").await;
        assert_eq!(asked["params"]["attempt"], attempt);
        agent.answer_error(&asked["id"], error).await;
    }
    let result = agent.reply(id).await.unwrap();
    assert_eq!(result["results"][0]["status"], "failed", "{result}");
}

async fn intervene(agent: &mut Peer) -> Value {
    let moment = json!({ "query": "fetch the page", "trigger": { "tool_error": true } });
    agent.call("memory.intervene", moment).await.unwrap()
}

#[tokio::test]
async fn a_failed_proposal_becomes_a_reminder_of_its_agent() {
    let mut daemon = Daemon::start(&[]).await;
    let mut agent = daemon.agent("ada").await;
    agent.call("tools.register", json!([{ "name": "fetch" }])).await.unwrap();
    let silent = intervene(&mut agent).await;
    assert_eq!(silent["decision"], "silent", "{silent}");
    failing(&mut agent, "the mirror answers 503").await;
    failing(&mut agent, "the mirror still answers 503").await;

    let learned = agent.call("memory.maintain", json!({})).await.unwrap();
    // The tool's newest failure, and each time that its retries were used up.
    assert_eq!(learned["saved"], 3, "{learned}");
    assert_eq!(
        (&learned["trigger"]["repeated_failures"], &learned["trigger"]["tool_error"]),
        (&json!(1), &json!(true))
    );
    let again = agent.call("memory.maintain", json!({})).await.unwrap();
    assert_eq!((&again["saved"], &again["skipped_existing"]), (&json!(0), &json!(3)));

    daemon.crash().await;
    let daemon = Daemon::start_on(daemon.root.clone(), &[]).await;
    let mut agent = daemon.agent("ada").await;
    let nothing = agent.call("memory.maintain", json!({})).await.unwrap();
    assert_eq!((&nothing["saved"], &nothing["skipped_existing"]), (&json!(0), &json!(0)));
    let injected = intervene(&mut agent).await;
    assert_eq!(injected["decision"], "inject", "{injected}");
    let reminder = injected["reminder"].as_str().unwrap();
    assert!(reminder.starts_with("fetch: ") && reminder.contains("answers 503"), "{reminder}");
    assert_eq!(injected["bank"], json!({ "knowledge": 0, "procedural": 3, "constraints": 0 }));
    let silent = intervene(&mut daemon.agent("bob").await).await;
    assert_eq!(silent["decision"], "silent", "another agent learned nothing: {silent}");
}
