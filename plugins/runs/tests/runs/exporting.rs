//! Runs for other tools: lines, and OpenTelemetry documents.

use std::collections::HashSet;

use carport_core::{
    codes,
    testing::{TestClient, TestHost},
};
use carport_runs::{Export, ExportFormat};
use serde_json::{Value, json};

use crate::{complete, record, start, start_with_key, trace};

/// The pages of an export.
async fn pages(
    client: &mut TestClient,
    run_id: &str,
    format: ExportFormat,
    limit: Option<u32>,
) -> Vec<String> {
    let (mut pages, mut cursor) = (Vec::new(), Some(0));
    while let Some(from) = cursor {
        let export =
            Export { run_id: run_id.into(), format: Some(format), cursor: Some(from), limit };
        let page = client.call(export).await.unwrap();
        assert_eq!((page.cursor, page.format), (from, format));
        pages.push(page.content);
        cursor = page.next_cursor;
    }
    pages
}

/// The spans of documents, by their ids.
fn spans(documents: &[String]) -> Vec<Value> {
    let mut spans = Vec::new();
    for document in documents {
        let document: Value = serde_json::from_str(document).unwrap();
        let resource = &document["resourceSpans"][0];
        assert_eq!(
            attribute(&resource["resource"], "service.name"),
            json!({ "stringValue": "carport" })
        );
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    }
    let ids: HashSet<_> = spans.iter().map(|it| it["spanId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len());
    spans
}

fn attribute(of: &Value, key: &str) -> Value {
    let all = of["attributes"].as_array().unwrap();
    all.iter().find(|it| it["key"] == key).map_or(Value::Null, |it| it["value"].clone())
}

#[tokio::test]
async fn lines_are_those_of_the_trace_however_they_are_paged() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "x").await;
    for _ in 0..5 {
        record(&mut agent, &run_id, "t").await;
    }
    complete(&mut agent, &run_id).await;
    let expected = trace(&host, &run_id).await;
    for limit in [None, Some(1), Some(3)] {
        let text = pages(&mut agent, &run_id, ExportFormat::Jsonl, limit).await.concat();
        let lines: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
        assert_eq!(lines, expected);
        assert!(text.ends_with('\n'));
    }
}

#[tokio::test]
async fn spans_tell_the_run_and_each_turn_once() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "measure").await;
    let turns = json!([
        { "tool": "compile", "parameters": { "target": "lib" }, "output": "done" },
        { "tool": "deploy", "policy_rejected": true },
        { "prompt": "why?", "output": { "error": "none" } },
        { "tool": "fine", "output": ["error"] },
    ]);
    let batch = json!({ "run_id": run_id, "turns": turns });
    agent.raw("runs.record_turns", batch).await.unwrap();
    let open = spans(&pages(&mut agent, &run_id, ExportFormat::OtlpJson, None).await);
    assert_eq!((open.len(), open[0].get("endTimeUnixNano")), (5, None), "an open run has no end");
    complete(&mut agent, &run_id).await;
    let whole = spans(&pages(&mut agent, &run_id, ExportFormat::OtlpJson, None).await);
    for limit in 1..=5 {
        let paged = pages(&mut agent, &run_id, ExportFormat::OtlpJson, Some(limit)).await;
        assert_eq!(spans(&paged), whole, "pages of {limit}");
    }
    let (root, turns) = whole.split_first().unwrap();
    assert_eq!(root["name"], "run");
    assert_eq!(root["traceId"], run_id.replace('-', ""), "a run id that is a UUID is the trace's");
    assert_eq!(attribute(root, "run.status"), json!({ "stringValue": "completed" }));
    assert_eq!(attribute(root, "gen_ai.operation.name"), json!({ "stringValue": "invoke_agent" }));
    assert_eq!(root["status"]["code"], 1);
    assert!(turns.iter().all(|it| it["parentSpanId"] == root["spanId"]));
    assert_eq!(turns[0]["startTimeUnixNano"], root["startTimeUnixNano"]);
    assert_eq!(turns[1]["startTimeUnixNano"], turns[0]["endTimeUnixNano"]);
    let codes: Vec<_> = turns.iter().map(|it| it["status"]["code"].clone()).collect();
    assert_eq!(codes, [Value::Null, json!(2), json!(2), Value::Null]);
    assert_eq!(attribute(&turns[0], "tool.output"), json!({ "stringValue": "done" }));
    let arguments = json!({ "stringValue": "{\"target\":\"lib\"}" });
    assert_eq!(attribute(&turns[0], "gen_ai.tool.call.arguments"), arguments);
    assert_eq!(attribute(&turns[2], "turn.index"), json!({ "intValue": "2" }));
    assert_eq!(turns[2]["name"], "turn");
}

#[tokio::test]
async fn a_key_that_is_no_uuid_names_its_trace_by_hash() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    start_with_key(&mut agent, "job").await;
    let spans = spans(&pages(&mut agent, "job", ExportFormat::OtlpJson, None).await);
    // SHA-256 of `job` and of `job/root`.
    assert_eq!(spans[0]["traceId"], "5e8c9902207afaeb7120430c585a445f");
    assert_eq!(spans[0]["spanId"], "a315aad1f70afb06");
}

#[tokio::test]
async fn only_its_agent_and_the_host_export_a_run() {
    let host = TestHost::start().await;
    let mut agent = host.agent("builder").await;
    let run_id = start(&mut agent, "a secret intent").await;
    let export = |run_id: &str| Export { run_id: run_id.into(), ..Export::default() };
    assert!(agent.call(export(&run_id)).await.is_ok());
    assert!(host.host().await.call(export(&run_id)).await.is_ok());
    for mut stranger in [host.client().await, host.agent("other").await] {
        let error = stranger.call(export(&run_id)).await.unwrap_err();
        assert_eq!(error.code, codes::FORBIDDEN);
        assert!(!format!("{error:?}").contains("secret"));
        assert_eq!(stranger.call(export("none")).await.unwrap_err().code, codes::NOT_FOUND);
    }
    let bad = json!({ "run_id": run_id, "format": "csv" });
    let error = agent.raw("runs.export", bad).await.unwrap_err();
    assert_eq!((error.code, error.field()), (codes::INVALID_PARAMS, Some("format")));
}

#[cfg(not(feature = "otlp"))]
#[tokio::test]
async fn a_build_without_live_export_refuses_to_be_asked_for_it() {
    let root = tempfile::tempdir().unwrap();
    let state_root = Some(root.path().into());
    let mut config = carport_core::Config { state_root, ..Default::default() };
    let section = json!({ "otlp_endpoint": "http://127.0.0.1:4318/v1/traces" });
    config.plugins.insert("runs".into(), section);
    let registry = carport_core::Registry::linked(&[], &[]).unwrap();
    let error = carport_core::Host::start(registry, config).await.err().unwrap().to_string();
    assert!(error.contains("--features otlp"), "{error}");
}
