//! The connection of a client against a daemon that says what the test says.

use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::*;

type Daemon = WebSocketStream<DuplexStream>;

async fn pair() -> (Link, Inbox, Daemon) {
    let (near, far) = tokio::io::duplex(4096);
    let near = WebSocketStream::from_raw_socket(near, Role::Client, None).await;
    let (link, inbox) = Link::on(near);
    (link, inbox, WebSocketStream::from_raw_socket(far, Role::Server, None).await)
}

async fn heard(daemon: &mut Daemon) -> Value {
    let message = daemon.next().await.unwrap().unwrap();
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

async fn says(daemon: &mut Daemon, frame: Value) {
    daemon.send(Message::text(frame.to_string())).await.unwrap();
}

#[tokio::test]
async fn replies_find_their_calls_in_any_order() {
    let (link, _inbox, mut daemon) = pair().await;
    let first = link.begin("a.one", &json!({ "n": 1 })).await.unwrap();
    let second = link.begin("a.two", &json!({})).await.unwrap();
    let (one, two) = (heard(&mut daemon).await, heard(&mut daemon).await);
    assert_eq!((&one["method"], &one["params"]["n"]), (&json!("a.one"), &json!(1)));
    says(&mut daemon, json!({ "jsonrpc": "2.0", "id": 999, "result": 0 })).await;
    let error = RpcError::not_found("thing");
    says(&mut daemon, json!({ "jsonrpc": "2.0", "id": two["id"], "error": error })).await;
    says(&mut daemon, json!({ "jsonrpc": "2.0", "id": one["id"], "result": [1] })).await;
    assert!(matches!(second.reply().await, Err(CallError::Rpc(it)) if it == error));
    assert_eq!(first.reply().await.unwrap(), json!([1]));
}

/// JSON that nests deeper than is read.
fn deep() -> String {
    format!("{}{}", "[".repeat(200), "]".repeat(200))
}

#[tokio::test]
async fn a_reply_that_does_not_read_is_an_error_of_its_call() {
    let (link, _inbox, mut daemon) = pair().await;
    for member in ["result", "error"] {
        let call = link.begin("a2ui.surfaces", &json!({})).await.unwrap();
        let id = heard(&mut daemon).await["id"].clone();
        let frame = format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{}}}"#, deep());
        daemon.send(Message::text(frame)).await.unwrap();
        let error = call.reply().await.unwrap_err().to_string();
        let said = ["`a2ui.surfaces`", "recursion limit"];
        assert!(said.iter().all(|it| error.contains(it)) || member == "error", "{error}");
        assert!(error.contains("does not read"), "{error}");
    }
    // The connection goes on.
    let call = link.begin("a.one", &json!({})).await.unwrap();
    let id = heard(&mut daemon).await["id"].clone();
    says(&mut daemon, json!({ "jsonrpc": "2.0", "id": id, "result": null })).await;
    assert_eq!(call.reply().await.unwrap(), Value::Null);
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection_and_says_what_came() {
    let unread = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "nests too deep" } });
    for (sent, why) in [
        ("surfaces".to_owned(), "no JSON-RPC frame: expected value"),
        (r#"{"id":1,"result":"#.to_owned(), "no JSON-RPC frame: EOF"),
        (format!(r#"{{"id":{},"result":1}}"#, deep()), "no JSON-RPC frame: recursion limit"),
        (unread.to_string(), "could not read what it was asked: nests too deep"),
    ] {
        let (link, _inbox, mut daemon) = pair().await;
        let call = link.begin("a2ui.surfaces", &json!({})).await.unwrap();
        heard(&mut daemon).await;
        daemon.send(Message::text(sent)).await.unwrap();
        let error = call.reply().await.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn news_that_do_not_read_take_nothing_else_along() {
    let (_link, mut inbox, mut daemon) = pair().await;
    for id in ["", r#""id":"cb-1","#] {
        let frame = format!(r#"{{"jsonrpc":"2.0",{id}"method":"x.y","params":{}}}"#, deep());
        daemon.send(Message::text(frame)).await.unwrap();
    }
    let refused = heard(&mut daemon).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!("cb-1"), &json!(-32602)));
    says(&mut daemon, json!({ "jsonrpc": "2.0", "method": "x.z" })).await;
    let Some(Incoming::Notice(notice)) = inbox.recv().await else { panic!("a notice") };
    assert_eq!((&*notice.method, &notice.params), ("x.z", &Value::Null));
}

#[tokio::test]
async fn a_question_that_nobody_takes_is_turned_down() {
    let (_link, inbox, mut daemon) = pair().await;
    drop(inbox);
    says(&mut daemon, json!({ "jsonrpc": "2.0", "id": "cb-1", "method": "tools.execute" })).await;
    let answer = heard(&mut daemon).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!("cb-1"), &json!(-32601)));
}

#[tokio::test]
async fn a_question_is_answered_once() {
    let (_link, mut inbox, mut daemon) = pair().await;
    says(&mut daemon, json!({ "jsonrpc": "2.0", "id": "cb-1", "method": "x.y", "params": {} }))
        .await;
    let Some(Incoming::Ask(ask)) = inbox.recv().await else { panic!("a question") };
    ask.answer(Ok(json!(7))).await;
    says(&mut daemon, json!({ "jsonrpc": "2.0", "id": "cb-2", "method": "x.z" })).await;
    drop(inbox.recv().await);
    assert_eq!(heard(&mut daemon).await["result"], 7);
    assert_eq!(heard(&mut daemon).await["id"], "cb-2");
}

#[tokio::test]
async fn an_end_reaches_every_call_and_says_how() {
    let (link, mut inbox, mut daemon) = pair().await;
    let call = link.begin("a.one", &json!({})).await.unwrap();
    let close = CloseFrame { code: 1001.into(), reason: "shutting down".into() };
    daemon.close(Some(close)).await.unwrap();
    let Err(CallError::Ended(ending)) = call.reply().await else { panic!("ended") };
    assert_eq!(ending.code, Some(1001));
    assert!(ending.to_string().contains("shutting down"));
    assert!(inbox.recv().await.is_none());
    let late = link.raw("a.two", &json!({})).await;
    assert!(matches!(late, Err(CallError::Ended(it)) if it == ending));
}

#[tokio::test]
async fn the_last_link_closes_the_connection() {
    let (link, _inbox, mut daemon) = pair().await;
    let clone = link.clone();
    drop(link);
    clone.begin("a.one", &json!({})).await.map(drop).unwrap();
    heard(&mut daemon).await;
    drop(clone);
    assert!(matches!(daemon.next().await, Some(Ok(Message::Close(_)))));
}
