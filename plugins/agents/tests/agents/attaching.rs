//! Who an agent is: tokens, claims, allow lists.

use carport_agents_api::AGENTS;
use carport_core::{AGENT_AUTHORITY, codes, testing::TestHost};
use serde_json::{Value, json};

use crate::{attach, host, host_with, spec, token, upsert};

/// An agent as `agents.list` shows it to a client.
async fn listed(host: &TestHost, id: &str) -> Value {
    let all = host.client().await.raw("agents.list", json!({})).await.unwrap();
    all.as_array().unwrap().iter().find(|it| it["spec"]["id"] == id).cloned().unwrap()
}

#[tokio::test]
async fn only_its_own_token_makes_an_agent_and_no_reply_holds_it() {
    let host = host().await;
    let written = upsert(&host, spec("helper", "true")).await;
    upsert(&host, spec("other", "true")).await;
    let own = token(&host, "helper");
    assert!(!written.to_string().contains(&own));
    let mut stranger = host.stranger().await;
    let mut answers = Vec::new();
    for (id, token) in [
        ("helper", carport_core::testing::TOKEN.to_owned()),
        ("helper", token(&host, "other")),
        ("nobody", own.clone()),
    ] {
        let proof = json!({ "agent_id": id, "token": token });
        let error = stranger.raw("session.auth", proof).await.unwrap_err();
        assert_eq!(error.code, codes::NOT_AUTHENTICATED);
        answers.push(error.message);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "an unknown id and a wrong token sound alike");
    let bound = stranger.raw("session.auth", json!({ "agent_id": "helper", "token": own })).await;
    assert_eq!(bound.unwrap()["role"], "agent");
    upsert(&host, spec("helper", "sleep 1")).await;
    assert_eq!(token(&host, "helper"), own, "an upsert keeps the token");
}

#[tokio::test]
async fn one_connection_holds_an_agent_and_the_list_says_which() {
    let host = host().await;
    upsert(&host, spec("helper", "true")).await;
    let mut follower = host.client().await;
    let snapshot = follower.raw("agents.subscribe", json!({})).await.unwrap();
    assert_eq!(snapshot["agents"][0]["attached"], false);
    let proof = json!({ "agent_id": "helper", "token": token(&host, "helper") });
    let mut first = host.stranger().await;
    let bound = first.raw("session.auth", proof.clone()).await.unwrap();
    let changed = follower.notification("agents.changed").await;
    assert_eq!(changed["agent"]["session_id"], bound["client_id"]);
    assert_eq!(changed["cursor"], snapshot["cursor"].as_u64().unwrap() + 1);
    let shown = listed(&host, "helper").await;
    assert_eq!((&shown["attached"], &shown["status"]), (&json!(true), &json!("stopped")));

    let mut second = host.client().await;
    let error = second.raw("session.auth", proof.clone()).await.unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
    assert!(error.message.contains("already attached"), "{}", error.message);
    assert!(first.raw("session.auth", proof.clone()).await.is_ok(), "the same again");
    first.close().await;
    assert_eq!(follower.notification("agents.changed").await["agent"]["attached"], false);
    assert!(second.raw("session.auth", proof).await.is_ok());
}

#[tokio::test]
async fn an_allow_list_narrows_at_once_and_what_answers_a_chat_stays() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    assert!(agent.raw("agents.list", json!({})).await.is_ok());
    let mut narrow = spec("helper", "true");
    narrow["method_allowlist"] = json!(["registry.*"]);
    upsert(&host, narrow).await;
    let error = agent.raw("agents.list", json!({})).await.unwrap_err();
    assert_eq!(
        (error.code, &error.data.unwrap()["method"]),
        (codes::FORBIDDEN, &json!("agents.list"))
    );
    assert!(agent.raw("registry.list", json!({})).await.is_ok());
    let event = json!({ "session_id": "none", "kind": "done" });
    assert_eq!(agent.raw("agent.chat.event", event).await.unwrap()["ok"], false);
}

#[tokio::test]
async fn an_agent_names_only_itself_and_never_changes_the_manifest() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    upsert(&host, spec("other", "true")).await;
    for method in ["agents.start", "agents.stop", "agents.restart", "agents.tail_log"] {
        let error = agent.raw(method, json!({ "id": "other" })).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN, "{method}");
    }
    let mut client = host.client().await;
    for (method, params) in
        [("agents.upsert", spec("x", "true")), ("agents.remove", json!({ "id": "other" }))]
    {
        for caller in [&mut agent, &mut client] {
            let error = caller.raw(method, params.clone()).await.unwrap_err();
            assert_eq!(error.code, codes::FORBIDDEN, "{method}");
        }
    }
    assert!(agent.raw("agents.tail_log", json!({ "id": "helper" })).await.is_ok());
}

#[tokio::test]
async fn a_removed_agents_connection_closes_and_its_token_is_worth_nothing() {
    let host = host().await;
    let mut agent = attach(&host, "helper").await;
    let proof = json!({ "agent_id": "helper", "token": token(&host, "helper") });
    let mut owner = host.host().await;
    let removed = owner.raw("agents.remove", json!({ "id": "helper" })).await.unwrap();
    assert_eq!(removed["removed"], true);
    assert_eq!(agent.closed().await, Some(1008));
    assert!(host.stranger().await.raw("session.auth", proof).await.is_err());
    let again = owner.raw("agents.remove", json!({ "id": "helper" })).await.unwrap();
    assert_eq!(again["removed"], false);
}

/// The token of an agent, as a daemon that was killed leaves it.
fn leave_token(host: &TestHost, id: &str) -> Value {
    let path = host.root().join("run/agents").join(format!("{id}.token"));
    std::fs::write(path, "left").unwrap();
    json!({ "agent_id": id, "token": "left" })
}

#[tokio::test]
async fn an_agent_that_binds_before_anything_is_supervised_is_narrowed_all_the_same() {
    let earlier = host().await;
    let mut narrow = spec("helper", "true");
    narrow["method_allowlist"] = json!(["registry.*"]);
    upsert(&earlier, narrow).await;
    earlier.stop().await;
    let root = earlier.clone();
    drop(earlier);
    let lazy = host_with(json!({ "supervise": "on_demand" })).on_root_of(&root);
    drop(root);
    let lazy = lazy.start().await;
    let proof = leave_token(&lazy, "helper");
    let wrong = json!({ "agent_id": "helper", "token": "other" });
    assert!(lazy.stranger().await.raw("session.auth", wrong).await.is_err());
    let snapshot = lazy.host().await.raw("host.subscribe", json!({})).await.unwrap();
    assert_eq!(snapshot["identity"]["manifest_role"], "none", "a wrong token takes no lock");
    let mut agent = lazy.proven(proof).await;
    let error = agent.raw("agents.list", json!({})).await.unwrap_err();
    assert_eq!(error.code, codes::FORBIDDEN);
    assert_eq!(listed(&lazy, "helper").await["attached"], true);
}

#[tokio::test]
async fn who_proved_to_be_an_agent_that_is_removed_meanwhile_is_not_bound() {
    let host = host().await;
    let _agent = attach(&host, "helper").await;
    let (authority, session) = (host.service(&AGENT_AUTHORITY), host.session_of("helper"));
    let error = authority.attach("gone", &session).unwrap_err();
    assert_eq!(error.code, codes::CONFLICT);
    assert_eq!(host.service(&AGENTS).attached("gone"), None);
    leave_token(&host, "gone");
    assert!(authority.attach("gone", &session).is_ok(), "one that has a token may have no spec");
}

#[tokio::test]
async fn removing_closes_also_a_connection_that_only_a_token_bound() {
    let host = host_with(json!({})).config(|config| {
        config.tokens.agents = config.state_root.as_ref().map(|root| root.join("run/agents"));
    });
    let host = host.start().await;
    let mut ghost = host.proven(leave_token(&host, "ghost")).await;
    let removed = host.host().await.raw("agents.remove", json!({ "id": "ghost" })).await.unwrap();
    assert_eq!(removed["removed"], false);
    assert_eq!(ghost.closed().await, Some(1008));
    assert!(!host.root().join("run/agents/ghost.token").exists());
}
