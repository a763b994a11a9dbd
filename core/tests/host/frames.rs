//! Frames that are no calls, and what the connection answers.

use carport_core::{codes, testing::TestHost};
use serde_json::{Value, json};

use crate::lab::Rang;

#[tokio::test]
async fn what_is_no_request_gets_one_error_and_the_connection_lives() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for (text, code, id) in [
        ("not json", codes::PARSE, Value::Null),
        ("[1]", codes::INVALID_REQUEST, Value::Null),
        ("[]", codes::INVALID_REQUEST, Value::Null),
        ("7", codes::INVALID_REQUEST, Value::Null),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"server.ping"}"#, -32600, Value::Null),
        (r#"{"jsonrpc":"2.0","id":null,"method":"server.ping"}"#, -32600, Value::Null),
        (r#"{"id":4711,"method":"server.ping"}"#, -32600, json!(4711)),
        (r#"{"jsonrpc":"2.0","id":"x","method":[]}"#, -32600, json!("x")),
    ] {
        client.text(text).await;
        let reply = client.frame(|frame| frame.get("error").is_some()).await;
        assert_eq!((&reply["error"]["code"], &reply["id"]), (&json!(code), &id), "{text}");
    }
    assert!(client.raw("server.ping", json!({})).await.is_ok());
}

#[tokio::test]
async fn params_may_be_an_object_null_or_absent() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    for params in ["", r#","params":null"#, r#","params":{}"#] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":"p","method":"server.ping"{params}}}"#);
        client.text(&text).await;
        let reply = client.frame(|frame| frame["id"] == "p").await;
        assert_eq!(reply["result"], json!({ "ok": true }), "{text}");
    }
}

#[tokio::test]
async fn a_notification_is_never_answered() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    client.notify("server.ping", json!({})).await;
    client.notify("no.such", json!({})).await;
    client.notify("lab.panic", json!({ "late": false })).await;
    client.notify("lab.bounded", json!([])).await;
    assert!(!client.has_heard(|frame| frame.get("method").is_none()).await);
}

#[tokio::test]
async fn a_binary_frame_reaches_the_plugin_that_claims_its_type() {
    let host = TestHost::start().await;
    let mut client = host.client().await;
    let frame = |kind: u8, size: usize| {
        let mut frame = vec![0; size];
        frame[0] = kind;
        frame[size - 1] = 9;
        frame
    };
    client.binary(frame(0x77, 25)).await;
    client.binary(frame(0x78, 27)).await;
    client.binary(frame(0x77, 27)).await;
    assert_eq!(client.event::<Rang>().await.number, 9);
    let metrics = host.host().await.raw("host.metrics", json!({})).await.unwrap();
    assert!(metrics["text"].as_str().unwrap().contains("carport_ignored_frames_total 2"));
}

#[tokio::test]
async fn a_binary_frame_of_a_stranger_ends_its_connection() {
    let host = TestHost::start().await;
    let mut stranger = host.stranger().await;
    stranger.binary(vec![0x77; 64]).await;
    assert_eq!(stranger.closed().await, Some(1008));
}

#[tokio::test]
async fn a_message_above_the_limit_closes_with_1009() {
    let host =
        TestHost::builder().settings(|it| it.transport.max_message_bytes = 65_536).start().await;
    let mut client = host.client().await;
    client.text(&"x".repeat(70_000)).await;
    assert_eq!(client.closed().await, Some(1009));
}

#[tokio::test]
async fn a_stranger_may_send_64_kib_and_no_more() {
    let host = TestHost::start().await;
    let padded = |size: usize| {
        let frame = json!({ "jsonrpc": "2.0", "id": 1, "method": "rpc.discover", "x": "" });
        let text = frame.to_string();
        text.replace(r#""x":"""#, &format!(r#""x":"{}""#, "y".repeat(size - text.len())))
    };
    let mut stranger = host.stranger().await;
    stranger.text(&padded(64 * 1024)).await;
    assert!(stranger.reply(1).await.is_ok());
    let mut stranger = host.stranger().await;
    stranger.text(&padded(80 * 1024)).await;
    assert_eq!(stranger.closed().await, Some(1009));
    let mut client = host.client().await;
    client.text(&padded(200 * 1024)).await;
    assert!(client.reply(1).await.is_ok());
}
