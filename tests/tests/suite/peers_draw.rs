//! A peer draws here, and hears what people do with it: A2A and A2UI in one daemon, and a peer that is a real server.

use std::path::Path;

use carport_core::testing::{TestClient, TestHost};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
    sync::mpsc,
};

const SECRET: &str = "s3cret-of-the-peer";

/// What a peer was asked: the head of the request, and its body.
type Asked = (String, Value);

/// A peer that answers with these results, one after the other.
async fn peer(answers: Vec<Value>) -> (String, mpsc::Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/rpc", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel(8);
    tokio::spawn(async move {
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                let line = line.trim_end().to_lowercase();
                if let Some(said) = line.strip_prefix("content-length: ") {
                    length = said.parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
                head.push_str(&line);
                head.push('\n');
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            tell.send((head, serde_json::from_slice(&body).unwrap())).await.unwrap();
            let body = json!({ "jsonrpc": "2.0", "id": 1, "result": answer }).to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        }
    });
    (url, asked)
}

/// A task that waits, with these envelopes in what it says.
fn drawing(envelopes: &Value) -> Value {
    let part = json!({ "data": envelopes, "mediaType": "application/a2ui+json" });
    let says = json!({ "messageId": "m", "role": "ROLE_AGENT", "parts": [part] });
    json!({ "task": { "id": "t1", "contextId": "c1",
        "status": { "state": "TASK_STATE_INPUT_REQUIRED", "message": says } } })
}

fn surface() -> Value {
    json!([
        { "version": "v0.9", "createSurface": { "surfaceId": "s", "sendDataModel": true } },
        { "version": "v0.9", "updateComponents": { "surfaceId": "s",
            "components": [{ "id": "root", "component": "Text", "text": { "path": "/n" } }] } },
        { "version": "v0.9", "updateDataModel": { "surfaceId": "s", "value": { "n": "1" } } },
    ])
}

/// Calls a method, and keeps what is heard.
async fn call(
    client: &mut TestClient,
    heard: &mut Vec<String>,
    method: &str,
    params: Value,
) -> Value {
    let reply =
        client.raw(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"));
    heard.push(reply.to_string());
    reply
}

fn files(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => {
                found.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned())
            }
        }
    }
}

#[tokio::test]
async fn a_peer_draws_hears_of_actions_and_its_credential_is_seen_by_nobody_else() {
    let change = json!([{ "version": "v0.9", "updateDataModel": { "surfaceId": "s", "path": "/n", "value": "2" } }]);
    let repeats = json!({ "task": { "id": "t1", "contextId": "c1", "metadata": { "you": SECRET },
        "status": { "state": "TASK_STATE_FAILED" } } });
    let (url, mut asked) = peer(vec![
        drawing(&surface()),
        drawing(&change),
        repeats,
        drawing(&surface()),
        drawing(&json!([])),
    ])
    .await;
    let host = TestHost::builder().plugin("a2a", json!({ "allow": ["127.0.0.1"] })).start().await;
    let mut client = host.client().await;
    let mut heard = Vec::new();
    call(&mut client, &mut heard, "a2ui/subscribe", json!({})).await;
    let message = json!({ "role": "ROLE_USER", "parts": [{ "text": "draw" }] });
    // The query is a part of who the peer is, and is shown to nobody.
    let mut send = json!({ "endpoint": format!("{url}?k=1"), "message": message,
        "routeAuth": { "type": "header", "name": "X-Key", "value": SECRET } });
    let sent = call(&mut client, &mut heard, "a2a.send", send.clone()).await;
    assert_eq!(
        (sent["a2ui"]["applied"].as_array().unwrap().len(), &sent["a2ui"]["errors"]),
        (3, &json!([]))
    );
    let (head, body) = asked.recv().await.unwrap();
    assert!(
        head.contains(&format!("x-key: {SECRET}\n"))
            && head.contains("\na2a-extensions: https://a2ui.org/")
    );
    let told = &body["params"]["message"]["metadata"]["a2uiClientCapabilities"]["v0.9"];
    assert_eq!(told["supportedCatalogIds"][0], "urn:carport:a2ui:catalog:extended:1");
    let shown = call(&mut client, &mut heard, "a2ui.get", json!({ "surfaceId": "s" })).await;
    let owner = json!({ "kind": "a2a", "taskId": "t1", "contextId": "c1", "endpoint": url });
    assert_eq!((&shown["owner"], &shown["createdBy"]["kind"]), (&owner, &json!("peer")));

    let act = json!({ "surfaceId": "s", "name": "go", "sourceComponentId": "root" });
    let acted = call(&mut client, &mut heard, "a2ui.action", act.clone()).await;
    let route = json!({ "kind": "a2a", "delivered": true, "endpoint": url, "version": "1.0", "taskId": "t1", "applied": 1 });
    assert_eq!(acted["route"], route);
    let (head, body) = asked.recv().await.unwrap();
    assert!(head.contains(&format!("x-key: {SECRET}\n")), "{head}");
    let said = &body["params"]["message"];
    assert_eq!((&said["taskId"], &said["contextId"]), (&json!("t1"), &json!("c1")));
    assert_eq!(said["metadata"]["a2uiClientDataModel"]["surfaces"], json!({ "s": { "n": "1" } }));
    assert_eq!(said["parts"][0]["data"][0]["action"]["name"], "go");
    let shown = call(&mut client, &mut heard, "a2ui.get", json!({ "surfaceId": "s" })).await;
    assert_eq!(shown["dataModel"], json!({ "n": "2" }));
    call(&mut client, &mut heard, "a2ui.action", act.clone()).await;
    asked.recv().await.unwrap();

    // What was kept goes with the surface: the same one, drawn anew without a credential, has none.
    let gone = json!({ "deleteSurface": { "surfaceId": "s" } });
    call(&mut client, &mut heard, "a2ui.apply", gone).await;
    send["routeAuth"] = Value::Null;
    let sent = call(&mut client, &mut heard, "a2a.send", send).await;
    assert_eq!(sent["a2ui"]["errors"], json!([]));
    asked.recv().await.unwrap();
    let acted = call(&mut client, &mut heard, "a2ui.action", act).await;
    assert_eq!(acted["route"]["delivered"], true);
    let (head, _) = asked.recv().await.unwrap();
    assert!(!head.contains("x-key"), "{head}");

    while heard.iter().filter(|it| it.contains("a2ui.")).count() < 10 {
        heard.push(client.notification("a2ui.event").await.to_string());
    }
    heard.push(call(&mut client, &mut Vec::new(), "host.events", json!({})).await.to_string());
    files(host.root(), &mut heard);
    assert!(heard.len() > 20);
    for heard in heard {
        assert!(!heard.contains(SECRET), "{heard}");
    }
}

#[tokio::test]
async fn what_a_caller_draws_in_one_message_it_changes_in_the_next_and_nobody_else_does() {
    let host = TestHost::builder().start().await;
    let (mut own, mut other) = (host.agent("a").await, host.agent("b").await);
    let say = async |client: &mut TestClient, key: &str, body: Value| {
        let part = json!({ "data": [{ "version": "v0.9", key: body }], "mediaType": "application/a2ui+json" });
        let message =
            json!({ "messageId": "m", "role": "ROLE_USER", "contextId": "c", "parts": [part] });
        let done = client.raw("SendMessage", json!({ "message": message })).await.unwrap();
        assert_eq!(done["task"]["status"]["state"], "TASK_STATE_COMPLETED", "{done}");
    };
    say(&mut own, "createSurface", json!({ "surfaceId": "s" })).await;
    say(&mut own, "updateDataModel", json!({ "surfaceId": "s", "value": { "n": 1 } })).await;
    say(&mut other, "updateDataModel", json!({ "surfaceId": "s", "value": { "n": 2 } })).await;
    let mut client = host.client().await;
    let shown = client.raw("a2ui.get", json!({ "surfaceId": "s" })).await.unwrap();
    assert_eq!(shown["dataModel"], json!({ "n": 1 }));
}
