//! Detached calls: handles, chunks, ends, cancellation, streams.

use std::sync::Arc;

use carport_core::{
    ManualClock, RpcError, Time,
    testing::{TestClient, TestHost},
};
use carport_engine::{ExecuteTool, ToolCancel};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::{call, client_with, echo, error_of, events, finish, proposal, statuses, with};

fn streaming(id: &str) -> Value {
    with(call(id, "s", json!({ "q": 1 })), json!({ "invocation_mode": "streaming" }))
}

/// Starts a detached call: its request as it reached the client, and its handle.
async fn start(client: &mut TestClient) -> (Value, ExecuteTool, String) {
    let id = client.send("proposal.submit", proposal(json!([streaming("a")]))).await;
    let (asked, ask) = client.asked::<ExecuteTool>().await;
    let result = client.reply(id).await.unwrap();
    assert_eq!(statuses(&result), ["succeeded"], "before any answer");
    let output = &result["results"][0]["output"];
    assert_eq!(output["status"], "running");
    let handle = output["tool_handle"].as_str().unwrap().to_owned();
    assert_eq!(
        (ask.handle.as_deref(), ask.invocation_mode.as_deref()),
        (Some(&*handle), Some("streaming"))
    );
    (asked, ask, handle)
}

async fn push(client: &mut TestClient, handle: &str, chunk: Value) -> bool {
    let params = json!({ "handle": handle, "chunk": chunk });
    client.raw("tools.stream.push", params).await.unwrap()["accepted"] == true
}

async fn poll(client: &mut TestClient, handle: &str) -> Value {
    client.raw("tools.poll", json!({ "handle": handle })).await.unwrap()
}

#[tokio::test]
async fn chunks_come_by_polling_and_as_events() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["s"]).await;
    let subscribed = client.raw("tools.stream.subscribe", json!({})).await.unwrap();
    assert_eq!(subscribed, json!({ "subscribed": true }));
    let (asked, _, handle) = start(&mut client).await;
    client.answer(&asked, json!({ "accepted": true })).await;
    let chunks = [
        json!({ "kind": "text", "text": "a" }),
        json!({ "kind": "progress", "fraction": 0.5, "message": "half" }),
        json!({ "kind": "data", "data": [1] }),
        json!({ "kind": "done", "result": { "ok": true } }),
    ];
    assert!(push(&mut client, &handle, chunks[0].clone()).await);
    let polled = poll(&mut client, &handle).await;
    assert_eq!(
        polled,
        json!({ "handle": handle, "tool": "s", "action_id": "a", "status": "running", "chunks": [chunks[0]] })
    );
    for chunk in &chunks[1..] {
        assert!(push(&mut client, &handle, chunk.clone()).await);
    }
    assert!(!push(&mut client, &handle, chunks[0].clone()).await, "it has ended");
    for chunk in &chunks {
        let event = client.notification("tools.stream.event").await;
        assert_eq!(event, json!({ "handle": handle, "chunk": chunk }));
    }
    let polled = poll(&mut client, &handle).await;
    assert_eq!(
        (&polled["status"], &polled["result"]),
        (&json!("succeeded"), &json!({ "ok": true }))
    );
    assert_eq!(polled["chunks"], json!(chunks[1..]));
    assert_eq!(poll(&mut client, &handle).await["status"], "succeeded");
    assert_eq!(poll(&mut client, &handle).await, Value::Null);
    let ended = events(&mut client, "tool_stream_ended").await;
    assert_eq!(ended[0]["data"], json!({ "handle": handle, "status": "succeeded", "chunks": 4 }));
    assert_eq!(events(&mut client, "tool_stream_started").await.len(), 1);
}

/// Clients that know only one-shot calls take part: their answer is the end.
#[tokio::test]
async fn a_plain_answer_is_the_end() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["s"]).await;
    client.raw("tools.stream.subscribe", json!({})).await.unwrap();
    let (asked, _, handle) = start(&mut client).await;
    client.answer(&asked, json!({ "answer": 42 })).await;
    let event = client.notification("tools.stream.event").await;
    assert_eq!(event["chunk"], json!({ "kind": "done", "result": { "answer": 42 } }));
    assert_eq!(poll(&mut client, &handle).await["result"], json!({ "answer": 42 }));
    let (asked, _, handle) = start(&mut client).await;
    client.answer_error(&asked, &RpcError::new(-32000, "no luck")).await;
    client.notification("tools.stream.event").await;
    let polled = poll(&mut client, &handle).await;
    assert_eq!((&polled["status"], &polled["error"]), (&json!("failed"), &json!("no luck")));
}

#[tokio::test]
async fn a_cancelled_call_is_sealed_and_the_client_is_told() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["s"]).await;
    for accepts in [true, false] {
        let (asked, ask, handle) = start(&mut client).await;
        if accepts {
            client.answer(&asked, json!({ "accepted": true })).await;
        }
        push(&mut client, &handle, json!({ "kind": "text", "text": "a" })).await;
        let cancelled = client.raw("tools.cancel", json!({ "handle": handle })).await.unwrap();
        assert_eq!(cancelled, json!({ "cancelled": true }));
        let cancel = client.event::<ToolCancel>().await;
        assert_eq!((cancel.request_id, cancel.reason.as_str()), (ask.request_id, "cancelled"));
        assert!(!push(&mut client, &handle, json!({ "kind": "text", "text": "b" })).await);
        let again = client.raw("tools.cancel", json!({ "handle": handle })).await.unwrap();
        assert_eq!(again["cancelled"], true, "false is for unknown handles only");
        let polled = poll(&mut client, &handle).await;
        assert_eq!(
            (&polled["status"], polled["chunks"].as_array().unwrap().len()),
            (&json!("cancelled"), 1)
        );
        poll(&mut client, &handle).await;
        assert_eq!(poll(&mut client, &handle).await, Value::Null);
        let unknown = client.raw("tools.cancel", json!({ "handle": handle })).await.unwrap();
        assert_eq!(unknown["cancelled"], false);
        if !accepts {
            client.answer(&asked, json!("late")).await;
        }
    }
    assert!(!client.has_heard(|it| it["method"] == "tools.cancel").await);
}

#[tokio::test]
async fn a_handle_belongs_to_its_connection() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["s"]).await;
    let (_, _, handle) = start(&mut client).await;
    let mut other = host.client().await;
    assert_eq!(poll(&mut other, &handle).await, Value::Null);
    assert!(!push(&mut other, &handle, json!({ "kind": "text", "text": "x" })).await);
    let cancelled = other.raw("tools.cancel", json!({ "handle": handle })).await.unwrap();
    assert_eq!(cancelled["cancelled"], false);
    assert_eq!(poll(&mut client, &handle).await["status"], "running");
}

#[tokio::test]
async fn sixty_four_run_and_the_next_fails() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["s"]).await;
    let actions: Vec<_> = (0..65)
        .map(|n| with(streaming(&format!("a{n}")), json!({ "failure_behavior": "skip" })))
        .collect();
    let id = client.send("proposal.submit", proposal(json!(actions))).await;
    let result = client.reply(id).await.unwrap();
    let failed: Vec<_> = (0..65).filter(|at| statuses(&result)[*at] != "succeeded").collect();
    assert_eq!(failed.len(), 1);
    assert!(error_of(&result, failed[0]).contains("the limit is 64"));
}

#[tokio::test]
async fn handles_go_in_time() {
    let clock = ManualClock::at(Time::default());
    let host = TestHost::builder().clock(clock.clone() as Arc<_>).start().await;
    let mut client = client_with(&host, &["s"]).await;
    let (_, _, cancelled) = start(&mut client).await;
    client.raw("tools.cancel", json!({ "handle": cancelled })).await.unwrap();
    client.event::<ToolCancel>().await;
    let (_, ask, running) = start(&mut client).await;
    clock.advance(TimeDelta::minutes(15));
    assert_eq!(poll(&mut client, &cancelled).await, Value::Null);
    clock.advance(TimeDelta::hours(24));
    let polled = poll(&mut client, &running).await;
    assert_eq!(polled["status"], "failed");
    let cancel = client.event::<ToolCancel>().await;
    assert_eq!((cancel.request_id, cancel.reason.as_str()), (ask.request_id, "timeout"));
}

#[tokio::test]
async fn a_chunk_has_bounds() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["s"]).await;
    let (_, _, handle) = start(&mut client).await;
    for (chunk, field) in [
        (json!({ "kind": "nonsense" }), "chunk"),
        (json!({ "kind": "text" }), "chunk"),
        (json!({ "kind": "progress", "fraction": 1.5 }), "chunk.fraction"),
        (json!({ "kind": "text", "text": "x".repeat(1 << 20) }), "chunk"),
    ] {
        let params = json!({ "handle": handle, "chunk": chunk });
        let error = client.raw("tools.stream.push", params).await.unwrap_err();
        assert!(error.field().unwrap().starts_with(field), "{error:?}");
    }
    assert_eq!(poll(&mut client, &handle).await["chunks"], json!([]));
}

/// A detached call does not stop its proposal, and uses no cache.
#[tokio::test]
async fn what_follows_sees_the_handle() {
    let host = TestHost::start().await;
    let mut client = client_with(&host, &["s", "t"]).await;
    let actions = json!([
        with(streaming("a"), json!({ "idempotent": true })),
        call("b", "t", json!({ "handle": "$a.output.tool_handle" })),
    ]);
    for _ in 0..2 {
        let id = client.send("proposal.submit", proposal(actions.clone())).await;
        let (_, first) = client.asked::<ExecuteTool>().await;
        let (asked, second) = client.asked::<ExecuteTool>().await;
        assert_eq!(second.parameters["handle"], json!(first.handle.unwrap()));
        client.answer(&asked, json!(1)).await;
        finish(&mut client, id, echo).await.unwrap();
    }
}
