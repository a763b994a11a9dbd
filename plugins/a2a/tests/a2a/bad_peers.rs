//! Peers that lie in their cards or answer with too much: each is told by a clear error, and costs no more
//! than an answer may.

use carport_core::{RpcError, testing::TestClient};
use serde_json::{Value, json};

use crate::{
    asking::{answering, host, send},
    scene::state,
};

/// A card with these interfaces.
fn card(interfaces: Value) -> Value {
    json!({ "name": "liar", "description": "", "version": "1", "capabilities": {},
        "supportedInterfaces": interfaces })
}

fn interface(url: &str, version: &str) -> Value {
    json!({ "url": url, "protocolBinding": "JSONRPC", "protocolVersion": version })
}

/// What `a2a.send` says of a peer that answers so, by its card or by its URL; and what the peer was asked.
async fn refused(
    client: &mut TestClient,
    path: &str,
    answers: Vec<String>,
) -> (RpcError, Vec<String>) {
    let (url, serving) = answering(answers).await;
    let mut params = send(&format!("{url}{path}"));
    params["routeAuth"] = json!({ "type": "bearer", "token": "s3cret" });
    let error = client.raw("a2a.send", params).await.expect_err("it is refused");
    (error, serving.await.unwrap())
}

#[tokio::test]
async fn a_card_that_lies_gets_no_credentials_and_one_clear_error() {
    let host = host().await;
    let mut client = host.client().await;
    let elsewhere = "a card without a JSON-RPC interface of its own origin";
    let unread = "a card that does not read";
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for (answer, says) in [
        (card(json!([interface("https://other.example/", "1.0")])).to_string(), elsewhere),
        (card(json!([interface("http://127.0.0.1:9/", "1.0")])).to_string(), elsewhere),
        (card(json!([interface("http://a:b@127.0.0.1/", "1.0")])).to_string(), elsewhere),
        (card(json!([interface("file:///etc/passwd", "1.0")])).to_string(), elsewhere),
        (card(json!([interface("/rpc", "1.0")])).to_string(), elsewhere),
        (card(json!([])).to_string(), elsewhere),
        (
            card(json!([{ "url": "OWN/", "protocolBinding": "GRPC", "protocolVersion": "1.0" }]))
                .to_string(),
            elsewhere,
        ),
        (card(json!({ "url": "OWN/" })).to_string(), unread),
        (card(json!([7])).to_string(), unread),
        ("[]".into(), unread),
        ("null".into(), unread),
        ("{}".into(), unread),
        (deep, unread),
    ] {
        let (error, asked) = refused(&mut client, "", vec![format!("200 OK\n{answer}")]).await;
        let data = error.data.unwrap();
        assert_eq!((error.code, &data["reason"]), (-32603, &json!("peer_error")), "{answer}");
        assert!(error.message.contains(says), "{answer}: {}", error.message);
        assert!(
            asked.iter().all(|it| it.starts_with("GET ") && !it.contains("s3cret")),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn a_card_of_too_much_is_not_read() {
    let host = host().await;
    let mut client = host.client().await;
    let skill = json!({ "id": "s", "name": "s", "description": "x".repeat(1000), "tags": [] });
    let mut huge = card(json!([interface("OWN/", "1.0")]));
    huge["skills"] = vec![skill; 300].into();
    let (error, _) = refused(&mut client, "", vec![format!("200 OK\n{huge}")]).await;
    assert_eq!(error.data.unwrap()["limit"], 262_144);
    assert!(error.message.contains("more than 262144 bytes"), "{}", error.message);
}

#[tokio::test]
async fn a_card_that_names_another_version_is_believed_only_when_the_peer_answers_so() {
    let task =
        json!({ "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_COMPLETED" } });
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": { "task": task } });
    let host = host().await;
    let mut client = host.client().await;
    for version in ["9.9", "0.3", "x"] {
        let card = card(json!([interface("OWN/", version)]));
        let answers = vec![format!("200 OK\n{card}"), format!("200 OK\n{answer}")];
        let (url, serving) = answering(answers).await;
        let sent = client.raw("a2a.send", send(&url)).await.unwrap();
        assert_eq!(
            (&sent["version"], state(&sent["result"]["task"])),
            (&json!("1.0"), "COMPLETED")
        );
        assert_eq!(serving.await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_card_of_the_older_version_is_read_at_the_newer_place() {
    let card = json!({ "name": "old", "description": "", "version": "1", "capabilities": {}, "url": "OWN/rpc",
        "protocolVersion": "0.3.0", "preferredTransport": "JSONRPC", "skills": [],
        "defaultInputModes": [], "defaultOutputModes": [] });
    let unknown =
        json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32601, "message": "no" } });
    let task =
        json!({ "kind": "task", "id": "t", "contextId": "c", "status": { "state": "completed" } });
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": task });
    let answers = [card, unknown, answer].map(|it| format!("200 OK\n{it}"));
    let (url, serving) = answering(answers.into()).await;
    let sent = host().await.client().await.raw("a2a.send", send(&url)).await.unwrap();
    assert_eq!((&sent["version"], state(&sent["result"]["task"])), (&json!("0.3"), "COMPLETED"));
    let asked = serving.await.unwrap();
    assert!(asked[1].starts_with("POST /rpc ") && asked[2].starts_with("POST /rpc "), "{asked:?}");
}

#[tokio::test]
async fn a_peer_where_nothing_is_at_the_newer_place_is_asked_in_the_older_version() {
    let task =
        json!({ "kind": "task", "id": "t", "contextId": "c", "status": { "state": "completed" } });
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": task });
    let host = host().await;
    let mut client = host.client().await;
    for missing in [
        "404 Not Found\n{\"error\":\"not found\"}",
        "405 Method Not Allowed\n{\"error\":{\"why\":1}}",
        "404 Not Found\n{\"detail\":\"Not Found\"}",
        "404 Not Found\nnothing",
    ] {
        let answers = vec![missing.to_owned(), format!("200 OK\n{answer}")];
        let (url, serving) = answering(answers).await;
        let sent = client.raw("a2a.send", send(&format!("{url}/rpc"))).await.unwrap();
        assert_eq!(sent["version"], "0.3", "{missing}");
        assert_eq!(serving.await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_as_the_peers_own() {
    let host = host().await;
    let mut client = host.client().await;
    let task =
        json!({ "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_COMPLETED" } });
    let event = json!({ "jsonrpc": "2.0", "id": 1, "result": { "task": task } });
    let deep = format!("{{\"result\":{}1{}}}", "[".repeat(500), "]".repeat(500));
    let mut data = json!(1);
    for _ in 0..110 {
        data = json!([data]);
    }
    let mut too_deep = event.clone();
    too_deep["result"]["task"]["metadata"] = json!({ "a": data });
    for answer in [
        format!("200 OK\r\nContent-Type: text/event-stream\ndata: {event}\n\n"),
        format!("200 OK\n{deep}"),
        format!("200 OK\n{too_deep}"),
        "200 OK\n{\"result\":{\"task\":{}}}".into(),
        "200 OK\n{\"result\":{\"message\":{},\"task\":{}}}".into(),
        "200 OK\n{\"error\":7}".into(),
        "200 OK\n{\"error\":{\"code\":\"x\",\"message\":1}}".into(),
        "500 Internal Server Error\nwrong".into(),
        "401 Unauthorized\nwho".into(),
        "204 No Content\n".into(),
        "302 Found\r\nLocation: http://169.254.169.254/latest\n".into(),
    ] {
        let (error, asked) = refused(&mut client, "/rpc", vec![answer.clone()]).await;
        let data = error.data.unwrap();
        assert_eq!((error.code, &data["reason"]), (-32603, &json!("peer_error")), "{answer}");
        assert!(!error.message.contains("s3cret") && !data.to_string().contains("s3cret"));
        assert_eq!((asked.len(), &data["retryable"]), (1, &json!(false)), "{answer}");
    }
}
