//! Memory that speaks up: status, learning, reminders, their measure, tidying up.

use carport_core::{Time, testing::TestHost};
use carport_memory_api::{Event, GraphRef, MEMORY, Observed, Turn};
use serde_json::json;

use crate::{bodies, call, count, refused};

#[tokio::test]
async fn a_status_is_the_connections_own() {
    let host = TestHost::start().await;
    let (mut one, mut two) = (crate::bound(&host, "n").await, crate::bound(&host, "n").await);
    let set = call(&mut one, "update_status", json!({ "body": "testing the zebra" })).await;
    assert_eq!(set, json!({ "id": "proactive-status:global", "body": "testing the zebra" }));
    let red = call(&mut one, "update_status", json!({ "body": "r", "tenant_id": "red" })).await;
    assert_eq!(red, json!({ "id": "proactive-status:red", "body": "r", "tenant_id": "red" }));
    let none = json!({ "repeated_failures": 0, "tool_error": false, "explicit_uncertainty": false, "high_risk_action": false, "context_shift": false });
    let nothing = json!({ "trigger": none, "saved": 0, "skipped_existing": 0, "ids": [] });
    let mut with = nothing.clone();
    with["status"] = json!("testing the zebra");
    assert_eq!(call(&mut one, "maintain", json!({})).await, with);
    assert_eq!(call(&mut two, "maintain", json!({})).await, nothing);
    assert_eq!(bodies(&mut one, "zebra").await, [""; 0]);
    assert_eq!(call(&mut one, "build_context", json!({ "query": "zebra" })).await, "");
    let gone = call(&mut one, "delete", json!({ "id": "proactive-status:global" })).await;
    assert_eq!((&gone["deleted"], &gone["kind"]), (&json!(true), &json!("status")));
    assert_eq!(call(&mut one, "maintain", json!({})).await, nothing);
}

#[tokio::test]
async fn what_went_wrong_is_learned_once() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    let (memory, session) = (host.service(&MEMORY), host.session_of("ada"));
    for (tool, error) in [("shell", "exit 1"), ("shell", "exit 2"), ("web", "404")] {
        let observed = Observed::ActionFailed { tool: tool.into(), error: error.into() };
        memory.observe(&session, Event { tenant_id: None, observed });
    }
    let first = call(&mut agent, "maintain", json!({})).await;
    assert_eq!((&first["saved"], &first["skipped_existing"]), (&json!(2), &json!(0)));
    assert_eq!(
        (&first["trigger"]["repeated_failures"], &first["trigger"]["tool_error"]),
        (&json!(1), &json!(true))
    );
    let again = call(&mut agent, "maintain", json!({})).await;
    assert_eq!(
        (&again["saved"], &again["skipped_existing"], &again["ids"]),
        (&json!(0), &json!(2), &json!([]))
    );
    assert_eq!(
        (count(&mut agent).await, bodies(&mut agent, "shell").await),
        (2, vec!["exit 2".to_owned()])
    );
    let newest = call(&mut agent, "maintain", json!({ "max_recent": 1 })).await;
    assert_eq!(newest["skipped_existing"], 1);
    assert_eq!(refused(&mut agent, "maintain", json!({ "max_recent": 0 })).await.0, -32602);
}

#[tokio::test]
async fn a_reminder_is_counted_and_an_evaluation_is_not() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    let saved = call(
        &mut agent,
        "save_procedural",
        json!({ "subject": "deploy", "body": "migrate first" }),
    )
    .await;
    let silent = call(&mut agent, "intervene", json!({ "query": "zebra", "force": true })).await;
    assert_eq!((&silent["decision"], &silent["candidates"]), (&json!("silent"), &json!([])));
    let inject = call(
        &mut agent,
        "intervene",
        json!({ "query": "deploy", "recent": ["now"], "trigger": { "tool_error": true } }),
    )
    .await;
    assert_eq!(
        (&inject["decision"], &inject["reminder"]),
        (&json!("inject"), &json!("deploy: migrate first"))
    );
    assert_eq!(inject["bank"], json!({ "knowledge": 0, "procedural": 1, "constraints": 0 }));
    let cases = json!([{ "id": "1", "request": "deploy", "relevant_fact_ids": [saved["id"]] }, { "id": "2", "request": "zebra" }]);
    let done = call(&mut agent, "evaluate", json!({ "cases": cases })).await;
    assert_eq!(
        (&done["cases"], &done["selective"]["precision"], &done["selective"]["interruption_rate"]),
        (&json!(2), &json!(1.0), &json!(0.5))
    );
    call(&mut agent, "persist", json!({ "path": "x.json" })).await;
    let text = std::fs::read_to_string(host.root().join("memory/exports/x.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(facts[0]["uses"], 1);
    let many: Vec<_> = (0..1001).map(|at| json!({ "id": at.to_string(), "request": "" })).collect();
    assert_eq!(
        refused(&mut agent, "evaluate", json!({ "cases": many })).await,
        (-32602, Some("cases".into()))
    );
}

#[tokio::test]
async fn the_fact_that_was_brought_up_is_counted_and_no_other_of_its_id() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    let fact = |body: &str, tenant: Option<&str>| json!({ "id": "a", "subject": "deploy", "body": body, "tenant_id": tenant });
    call(&mut agent, "save_procedural", fact("migrate first", None)).await;
    call(&mut agent, "save_procedural", fact("see the list of zebras", Some("acme"))).await;
    let moment = json!({ "query": "deploy migrate", "tenant_id": "acme" });
    let inject = call(&mut agent, "intervene", moment).await;
    assert_eq!(inject["reminder"], "deploy: migrate first");
    assert_eq!(inject["selected"].get("tenant"), None, "it is nobody's business");
    for (tenant, uses) in [(None, 1), (Some("acme"), 0)] {
        let asked = json!({ "id": "a", "tenant_id": tenant });
        assert_eq!(call(&mut agent, "get", asked).await["uses"], uses, "{tenant:?}");
    }
}

#[tokio::test]
async fn tidying_up_twice_changes_nothing_the_second_time() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    for body in ["Flush the cache, twice.", "flush THE cache twice", "warm it"] {
        crate::add(&mut agent, "cache", body).await;
    }
    let first = call(&mut agent, "consolidate", json!({})).await;
    let numbers = |it: &serde_json::Value| {
        ["merged", "pruned", "facts_before", "facts_after", "conversation_dropped"]
            .map(|name| it[name].as_u64().unwrap())
    };
    assert_eq!(numbers(&first), [1, 0, 3, 2, 0]);
    let found = call(&mut agent, "query", json!({ "query": "cache" })).await;
    let file = || std::fs::read(host.root().join("memory/agents/ada.jsonl")).unwrap();
    let before = file();
    assert_eq!(before.iter().filter(|it| **it == b'\n').count(), 3, "the file is compacted");
    assert_eq!(numbers(&call(&mut agent, "consolidate", json!({})).await), [0, 0, 2, 2, 0]);
    assert_eq!(
        (file(), call(&mut agent, "query", json!({ "query": "cache" })).await),
        (before, found)
    );
}

#[tokio::test]
async fn turns_that_were_too_many_are_told() {
    let host = TestHost::start().await;
    let mut agent = host.agent("ada").await;
    let (memory, graph) = (host.service(&MEMORY), GraphRef::Agent("ada".into()));
    for at in 0..2003 {
        let turn = Turn {
            key: at.to_string(),
            speaker: "Bo".into(),
            text: format!("turn {at}"),
            at: Time::default(),
            origin: "m".into(),
        };
        memory.ingest(&graph, turn).await.unwrap();
    }
    for dropped in [3, 0] {
        let done = call(&mut agent, "consolidate", json!({})).await;
        assert_eq!(done["conversation_dropped"], dropped);
    }
    let asked = json!({ "query": "turn", "k": 100, "kinds": ["conversation"] });
    assert_eq!(call(&mut agent, "query", asked).await.as_array().unwrap().len(), 100);
}
