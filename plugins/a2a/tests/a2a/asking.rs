//! Messages to agents of others, who may be this daemon itself, lie, or never stop; and the peers that are known.

use carport_core::testing::TestHost;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    http::Listener,
    scene::{message, state, with_obedient},
};

/// A host that may call this machine.
pub(crate) async fn host() -> TestHost {
    with_obedient().0.plugin("a2a", json!({ "allow": ["127.0.0.1"] })).start().await
}

/// A whole request.
pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |it| it.lines().next().unwrap().parse::<usize>().unwrap());
        if body.len() >= length {
            return String::from_utf8_lossy(&request).into_owned();
        }
    }
}

/// A web server that answers every request with the next of these, a status and a body; what it was asked.
pub(crate) async fn answering(
    answers: Vec<String>,
) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let own = url.clone();
    let serving = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            asked.push(read_request(&mut stream).await);
            let answer = answer.replace("OWN", &own);
            // A header goes on after a CR and an LF; the body begins after an LF alone.
            let ends = answer.match_indices('\n').find(|(at, _)| !answer[..*at].ends_with('\r'));
            let (status, body) = answer.split_at(ends.unwrap().0);
            let (head, body) =
                (format!("HTTP/1.1 {status}\r\nConnection: close\r\n\r\n"), &body[1..]);
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
        asked
    });
    (url, serving)
}

pub(crate) fn send(endpoint: &str) -> Value {
    json!({ "endpoint": endpoint, "message": message(json!({ "text": "make it" })), "blocking": true })
}

#[tokio::test]
async fn a_daemon_asks_another_one_by_its_card_or_by_its_url() {
    let (asker, asked) = (host().await, with_obedient().0.start().await);
    let listener = Listener::of(&asked, json!({})).await;
    let mut client = asker.client().await;
    for path in ["", "/", "/a2a"] {
        let sent =
            client.raw("a2a.send", send(&format!("http://{}{path}", listener.0))).await.unwrap();
        assert_eq!(
            (&sent["version"], state(&sent["result"]["task"])),
            (&json!("1.0"), "COMPLETED")
        );
        assert_eq!(sent["a2ui"], json!({ "applied": [], "errors": [] }));
        // What was heard event by event is what the other one has.
        let task = &sent["result"]["task"];
        let same = asked.host().await.raw("GetTask", json!({ "id": task["id"] })).await.unwrap();
        assert_eq!(*task, same);
    }
    let older = json!({ "endpoint": format!("http://{}", listener.0), "message": {
        "kind": "message", "role": "user", "parts": [{ "kind": "text", "text": "answer 42" }] } });
    let sent = client.raw("a2a.send", older).await.unwrap();
    assert_eq!(sent["result"]["message"]["parts"], json!([{ "text": "42" }]));
}

#[tokio::test]
async fn a_task_that_waited_goes_on_until_its_message_is_answered() {
    let (asker, asked) = (host().await, with_obedient().0.start().await);
    let listener = Listener::of(&asked, json!({})).await;
    let mut client = asker.client().await;
    let url = format!("http://{}", listener.0);
    let mut params = send(&url);
    params["message"]["parts"][0]["text"] = "ask".into();
    let first = client.raw("a2a.send", params.clone()).await.unwrap()["result"]["task"].take();
    assert_eq!(state(&first), "INPUT_REQUIRED");
    params["message"]["taskId"] = first["id"].clone();
    let again = client.raw("a2a.send", params.clone()).await.unwrap()["result"]["task"].take();
    assert_eq!((state(&again), &again["id"]), ("INPUT_REQUIRED", &first["id"]));
    params["message"]["parts"][0]["text"] = "make it".into();
    let last = client.raw("a2a.send", params.clone()).await.unwrap()["result"]["task"].take();
    assert_eq!((state(&last), &last["id"]), ("COMPLETED", &first["id"]));
    let error = client.raw("a2a.send", params).await.unwrap_err();
    assert_eq!(error.data.unwrap()["peer"]["code"], -32004);
}

#[tokio::test]
async fn a_peer_that_knows_only_the_older_version_is_asked_in_it() {
    let refused =
        json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32601, "message": "no" } });
    let task =
        json!({ "kind": "task", "id": "t", "contextId": "c", "status": { "state": "completed" } });
    let answer = json!({ "jsonrpc": "2.0", "id": 1, "result": task });
    let (url, serving) =
        answering(vec![format!("200 OK\n{refused}"), format!("200 OK\n{answer}")]).await;
    let host = host().await;
    let mut params = send(&format!("{url}/rpc"));
    params["routeAuth"] = json!({ "type": "bearer", "token": "s3cret" });
    let sent = host.client().await.raw("a2a.send", params).await.unwrap();
    assert_eq!((&sent["version"], state(&sent["result"]["task"])), (&json!("0.3"), "COMPLETED"));
    let asked = serving.await.unwrap();
    assert!(asked[0].contains("SendMessage") && asked[1].contains("message/send"));
    assert!(asked[1].contains(r#""kind":"text""#) && asked[1].contains("a2a-version: 0.3"));
    assert!(asked.iter().all(|it| it.contains("authorization: Bearer s3cret")));
}

#[tokio::test]
async fn a_card_that_points_elsewhere_gets_nothing() {
    let card = json!({ "name": "liar", "description": "", "version": "1", "capabilities": {},
        "supportedInterfaces": [{ "url": "http://127.0.0.1:9/", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }] });
    let (url, serving) = answering(vec![format!("200 OK\n{card}")]).await;
    let host = host().await;
    let mut params = send(&url);
    params["routeAuth"] = json!({ "type": "header", "name": "x-key", "value": "s3cret" });
    let error = host.client().await.raw("a2a.send", params).await.unwrap_err();
    assert_eq!((error.code, &error.data.unwrap()["reason"]), (-32603, &json!("peer_error")));
    let asked = serving.await.unwrap();
    assert!(
        asked.iter().all(|it| !it.contains("s3cret")),
        "a card is asked for without credentials"
    );
}

#[tokio::test]
async fn what_a_peer_does_wrong_is_told_as_its_own() {
    let own = json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32001, "message": "Task not found" } });
    let host = host().await;
    let mut client = host.client().await;
    for (answer, reason) in [
        (format!("200 OK\n{own}"), "peer_error"),
        ("200 OK\nno json".into(), "peer_error"),
        (format!("200 OK\n{}", "x".repeat(9 << 20)), "peer_error"),
        ("307 Temporary Redirect\r\nLocation: OWN/elsewhere\n".into(), "peer_error"),
        ("200 OK\n{}".into(), "peer_error"),
    ] {
        let (url, serving) = answering(vec![answer]).await;
        let error = client.raw("a2a.send", send(&format!("{url}/rpc"))).await.unwrap_err();
        let data = error.data.unwrap();
        assert_eq!((error.code, &data["reason"]), (-32603, &json!(reason)), "{}", error.message);
        if let Some(peer) = data.get("peer") {
            assert_eq!(peer["code"], -32001);
        }
        assert_eq!(serving.await.unwrap().len(), 1);
    }
    let error = client.raw("a2a.send", send("http://127.0.0.1:1")).await.unwrap_err();
    let data = error.data.unwrap();
    assert_eq!((&data["reason"], &data["retryable"]), (&json!("peer_unreachable"), &json!(true)));
}

#[tokio::test]
async fn what_may_not_be_called_is_refused() {
    let host = with_obedient().0.start().await;
    let mut client = host.client().await;
    let bad = json!({ "endpoint": "http://127.0.0.1:1", "message": {} });
    let error = client.raw("a2a.send", bad).await.unwrap_err();
    assert_eq!((error.code, error.field()), (-32602, Some("message.role")));
    for (endpoint, reason) in [
        ("http://127.0.0.1:1", "blocked_address"),
        ("https://localhost/x", "blocked_address"),
        ("ftp://a.example", "bad_url"),
        ("https://a.example", "untrusted_endpoint"),
    ] {
        let error = client.raw("a2a.send", send(endpoint)).await.unwrap_err();
        let data = error.data.unwrap();
        assert_eq!((error.code, &data["reason"]), (-32011, &json!(reason)), "{endpoint}");
        assert!(data["remedy"].is_string() && data["host"].is_string());
    }
}

#[tokio::test]
async fn peers_are_kept_and_need_no_more_consent() {
    let first = with_obedient().0.start().await;
    let mut client = first.client().await;
    let add = |url: &str| json!({ "url": url, "label": "A", "allowUntrusted": true });
    let peer = client.raw("a2a.peers.add", add("https://A.Example:443/x/")).await.unwrap();
    assert_eq!(peer, json!({ "slug": "a_example", "url": "https://a.example/x", "label": "A" }));
    let again = client.raw("a2a.peers.add", add("https://a.example/x")).await.unwrap_err();
    assert_eq!(again.code, -32008);
    let second = client.raw("a2a.peers.add", add("https://a.example/y")).await.unwrap();
    assert_eq!(second["slug"], "a_example_2");
    for (url, consent) in [("https://b.example", false), ("https://127.0.0.1", true)] {
        let params = json!({ "url": url, "allowUntrusted": consent });
        assert_eq!(client.raw("a2a.peers.add", params).await.unwrap_err().code, -32011, "{url}");
    }
    first.stop().await;
    let second = with_obedient().0.on_root_of(&first).start().await;
    let mut client = second.client().await;
    let list = client.raw("a2a.peers.list", json!({})).await.unwrap();
    assert_eq!(list["peers"].as_array().unwrap().len(), 2);
    let removed = async |client: &mut carport_core::testing::TestClient| {
        let slug = json!({ "slug": "a_example_2" });
        client.raw("a2a.peers.remove", slug).await.unwrap()["removed"].clone()
    };
    assert_eq!(
        (removed(&mut client).await, removed(&mut client).await),
        (json!(true), json!(false))
    );
    use std::os::unix::fs::PermissionsExt;
    let file = std::fs::metadata(second.root().join("a2a/peers.json")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}
