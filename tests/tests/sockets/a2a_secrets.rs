//! Whatever is given to a daemon for receivers and peers alone is in nothing that it says, logs or keeps elsewhere.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Duration, sleep, timeout},
};

use crate::{
    a2a::{Http, message, state},
    daemon::{Daemon, PATIENCE},
};

const TOKEN: &str = "t0ken-of-a-receiver-5f2e";
const CREDENTIALS: &str = "cr3dentials-of-a-receiver-9a1c";
const QUERY: &str = "qu3ry-of-a-url-77d0";
const ROUTE: &str = "r0ute-to-a-peer-3b8b";
const BEARER: &str = "b3arer-of-a-caller-c44e";

/// A web server that takes everything and answers each request with this; the first words of what it was asked.
async fn server(answer: String) -> (u16, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, requests) = tokio::sync::mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 65_536];
            let mut read = 0;
            // Head and body of what is asked here come together or one after the other.
            while let Ok(Ok(more @ 1..)) =
                timeout(Duration::from_millis(100), stream.read(&mut request[read..])).await
            {
                read += more;
            }
            let _ = asked.send(String::from_utf8_lossy(&request[..read]).into_owned()).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, requests)
}

/// Every file under a directory whose text holds one of these.
fn holding(directory: &Path, secrets: &[&str], all: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            holding(&path, secrets, all);
        } else if kind.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            if secrets.iter().any(|it| text.contains(it)) {
                all.push(path);
            }
        }
    }
}

#[tokio::test]
async fn no_secret_of_a_receiver_or_a_peer_shows_anywhere() {
    let secrets = [TOKEN, CREDENTIALS, ROUTE, BEARER];
    let outside = tempfile::tempdir().unwrap();
    let key = outside.path().join("key");
    fs::write(&key, BEARER).unwrap();
    let config = format!(
        "[a2a]\ntest_executor = true\nallow = [\"127.0.0.1\"]\ntokens = {{ friend = \"file:{}\" }}\n\
         [a2a.listen]\nbind = \"127.0.0.1:0\"\nauth = \"bearer\"\n",
        key.display()
    );
    let root = std::sync::Arc::new(tempfile::tempdir().unwrap());
    fs::write(root.path().join("config.toml"), config).unwrap();
    let daemon = Daemon::start_on(root, &["--log", "trace"]).await;
    let answer = |status: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let (hook, mut posts) = server(answer("400 No", &format!("you said {CREDENTIALS}"))).await;
    let task =
        json!({ "id": "t", "contextId": "c", "status": { "state": "TASK_STATE_COMPLETED" } });
    let result = json!({ "jsonrpc": "2.0", "id": 1, "result": { "task": task } });
    let (good, mut asked) = server(answer("200 OK", &result.to_string())).await;
    let (bad, _asked) = server(answer("401 Unauthorized", "no")).await;

    let receiver = json!({ "id": "p", "url": format!("http://127.0.0.1:{hook}/?k={QUERY}"), "token": TOKEN,
        "authentication": { "scheme": "Bearer", "credentials": CREDENTIALS } });
    let mut params = message("tck-input-required");
    params["configuration"]["taskPushNotificationConfig"] = receiver.clone();
    let mut peer = daemon.client().await;
    let mut host = daemon.host().await;
    let mut said = String::new();
    let sent = peer.call("SendMessage", params.clone()).await.unwrap();
    assert_eq!(state(&sent["task"]), "INPUT_REQUIRED");
    let id = &sent["task"]["id"];
    let mut again = receiver.clone();
    // In the place of the first one it would end what that one is still to be told.
    (again["id"], again["taskId"]) = (json!("q"), id.clone());
    let mut wrong = again.clone();
    wrong["token"] = json!(format!("{TOKEN}\r\n"));
    let send = |port: u16, auth: Value| json!({ "endpoint": format!("http://127.0.0.1:{port}/rpc"), "message": message("m")["message"], "routeAuth": auth });
    let bearer = json!({ "type": "bearer", "token": ROUTE });
    for (method, params) in [
        ("CreateTaskPushNotificationConfig", again),
        ("CreateTaskPushNotificationConfig", wrong),
        ("GetTaskPushNotificationConfig", json!({ "taskId": id, "id": "p" })),
        ("ListTaskPushNotificationConfigs", json!({ "taskId": id })),
        ("tasks/pushNotificationConfig/get", json!({ "id": id })),
        ("tasks/pushNotificationConfig/list", json!({ "id": id })),
        ("GetTask", json!({ "id": id })),
        ("ListTasks", json!({ "includeArtifacts": true })),
        ("GetExtendedAgentCard", json!({})),
        ("a2a.send", send(good, bearer.clone())),
        ("a2a.send", send(bad, json!({ "type": "header", "name": "x-key", "value": ROUTE }))),
        ("a2a.send", send(1, bearer.clone())),
        ("a2a.send", send(good, json!({ "type": "header", "name": "x key", "value": ROUTE }))),
        ("a2a.send", send(good, json!({ "type": "bearer", "token": format!("{ROUTE}\n") }))),
        ("a2a.peers.add", json!({ "url": format!("http://127.0.0.1:{good}") })),
        ("a2a.peers.list", json!({})),
        ("a2a.status", json!({})),
    ] {
        said.push_str(&format!("{:?}\n", peer.call(method, params).await));
    }
    assert!(asked.recv().await.unwrap().contains(ROUTE), "the peer it is meant for gets it");
    for _ in 0..2 {
        let post = timeout(PATIENCE, posts.recv()).await.expect("a post in time").unwrap();
        assert!(post.contains(TOKEN) && post.contains(CREDENTIALS), "{post}");
    }
    let http = Http::of(&daemon).await;
    let proof = format!("Authorization: Bearer {BEARER}\r\n");
    let mut stream = http.open("SendStreamingMessage", &params, &proof).await.unwrap();
    let mut events = 0;
    while let Some((_, event)) = stream.event().await {
        said.push_str(&event.to_string());
        events += 1;
    }
    assert_eq!(events, 3, "whoever shows the token is let in");
    let refused = format!("Authorization: Bearer {BEARER}x\r\n");
    assert!(
        http.open("SendStreamingMessage", &params, &refused).await.unwrap().event().await.is_none()
    );
    for method in ["host.metrics", "host.events", "rpc.discover"] {
        said.push_str(&format!("{:?}\n", host.call(method, json!({})).await));
    }
    for args in [&["config", "show"][..], &["doctor"], &["plugins"]] {
        let out = daemon.run(args).await;
        said.push_str(&String::from_utf8_lossy(&out.stdout));
        said.push_str(&String::from_utf8_lossy(&out.stderr));
    }
    // What is posted meanwhile is logged by now.
    sleep(Duration::from_millis(50)).await;
    let log = daemon.log();
    assert!(log.contains("TRACE") && said.contains("peer_error"));
    for secret in secrets {
        assert!(!said.contains(secret), "{secret} was said: {said}");
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} was logged");
    }
    let line = log.lines().find(|line| line.contains(QUERY));
    assert_eq!(line, None, "the query of a URL was logged");
    let mut files = Vec::new();
    holding(daemon.root.path(), &secrets, &mut files);
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(file.parent(), Some(daemon.path("a2a/push").as_path()), "{}", file.display());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
