//! Lists and traces, paged, for those who may read.

use carport_core::{codes, testing::TestHost};
use carport_runs::{GetTrace, List};
use serde_json::{Value, json};

use crate::{complete, record, start};

async fn list(host: &TestHost, params: Value) -> Value {
    host.host().await.raw("runs.list", params).await.unwrap()
}

#[tokio::test]
async fn a_list_is_newest_first_and_pages_without_a_gap() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let mut started = Vec::new();
    for n in 0..7 {
        let run_id = start(&mut agent, &format!("run {n}")).await;
        complete(&mut agent, &run_id).await;
        started.push(run_id);
    }
    let all = list(&host, json!({ "agent_id": "builder" })).await;
    let ids = |page: &Value| -> Vec<String> {
        let rows = page["runs"].as_array().unwrap();
        rows.iter().map(|it| it["run_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&all).len(), 7);
    assert!(all.get("next_before").is_none());
    let (mut paged, mut before) = (Vec::new(), Value::Null);
    loop {
        let params = json!({ "agent_id": "builder", "limit": 1, "before": before });
        let page = list(&host, params).await;
        paged.extend(ids(&page));
        // A run that comes meanwhile changes nothing for the pages that follow.
        start(&mut agent, "meanwhile").await;
        match page.get("next_before") {
            Some(next) => before = next.clone(),
            None => break,
        }
    }
    assert_eq!(paged, ids(&all));
    let row = &all["runs"][0];
    assert_eq!((&row["status"], &row["outcome_status"]), (&json!("completed"), &json!("unknown")));
    let open = list(&host, json!({ "agent_id": "builder", "status": "in_progress" })).await;
    assert_eq!(open["runs"].as_array().unwrap().len(), 7);
}

#[tokio::test]
async fn a_list_is_the_same_after_a_restart() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    for n in 0..3 {
        let run_id = start(&mut agent, &format!("run {n}")).await;
        record(&mut agent, &run_id, "t").await;
        complete(&mut agent, &run_id).await;
    }
    let before = list(&host, json!({ "agent_id": "builder" })).await;
    host.stop().await;
    let next = TestHost::builder().on_root_of(&host).start().await;
    assert_eq!(list(&next, json!({ "agent_id": "builder" })).await, before);
}

#[tokio::test]
async fn strangers_see_nothing_of_anothers_runs() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "a secret intent").await;
    let own = List { agent_id: "builder".into(), ..List::default() };
    assert_eq!(agent.call(own).await.unwrap().runs.len(), 1);
    for mut stranger in [host.client().await, host.agent("other").await] {
        for (method, params) in [
            ("runs.list", json!({ "agent_id": "builder" })),
            ("runs.list", json!({ "agent_id": "nobody" })),
            ("runs.get_trace", json!({ "run_id": run_id })),
        ] {
            let error = stranger.raw(method, params).await.unwrap_err();
            assert_eq!(error.code, codes::FORBIDDEN, "{method}");
            assert!(!format!("{error:?}").contains("secret"));
        }
        let none = stranger.call(GetTrace { run_id: "none".into(), ..GetTrace::default() }).await;
        assert_eq!(none.unwrap().not_found, Some(true));
    }
    assert_eq!(list(&host, json!({ "agent_id": "nobody" })).await["runs"], json!([]));
}

#[tokio::test]
async fn a_trace_pages_by_records() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    for _ in 0..5 {
        record(&mut agent, &run_id, "t").await;
    }
    complete(&mut agent, &run_id).await;
    let (mut cursor, mut paged) = (Some(0), Vec::new());
    while let Some(from) = cursor {
        let page = GetTrace { run_id: run_id.clone(), cursor: Some(from), limit: Some(3) };
        let page = agent.call(page).await.unwrap();
        paged.extend(page.records.unwrap());
        cursor = page.next_cursor;
    }
    let all = GetTrace { run_id: run_id.clone(), ..GetTrace::default() };
    assert_eq!(paged, agent.call(all).await.unwrap().records.unwrap());
    assert_eq!(paged.len(), 7);
    let past = GetTrace { run_id: run_id.clone(), cursor: Some(99), limit: None };
    assert_eq!(agent.call(past).await.unwrap().records, Some(Vec::new()));
}

#[tokio::test]
async fn wrong_pages_name_their_field() {
    let host = TestHost::start().await;
    let mut person = host.host().await;
    for (method, params, field) in [
        ("runs.list", json!({ "agent_id": "a", "limit": 0 }), "limit"),
        ("runs.list", json!({ "agent_id": "a", "limit": 1001 }), "limit"),
        ("runs.list", json!({ "agent_id": "a", "before": "soon" }), "before"),
        ("runs.list", json!({ "agent_id": "" }), "agent_id"),
        ("runs.list", json!({ "agent_id": "a", "status": "odd" }), "status"),
        ("runs.get_trace", json!({ "run_id": "r", "cursor": -1 }), "cursor"),
        ("runs.get_trace", json!({ "run_id": "r", "limit": 2003 }), "limit"),
    ] {
        let error = person.raw(method, params.clone()).await.unwrap_err();
        assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some(field)), "{params}");
    }
}
