//! Receivers: how they are kept without showing their secrets, and what they are told, whatever they do.

use std::time::Duration;

use carport_core::testing::{TestClient, TestHost, TestHostBuilder};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    judge,
    scene::{at_once, go_on, say, send, state, with_obedient},
};

/// A web server of the test's own.
pub(crate) struct Receiver {
    pub(crate) listener: TcpListener,
}

/// A post that waits for its answer.
pub(crate) struct Posted {
    pub(crate) headers: String,
    pub(crate) body: Value,
    pub(crate) stream: BufReader<TcpStream>,
}

impl Receiver {
    pub(crate) async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?secret=in-the-url", self.listener.local_addr().unwrap())
    }

    /// The next post.
    pub(crate) async fn next(&self) -> Posted {
        let accepted = timeout(Duration::from_secs(120), self.listener.accept()).await;
        let mut stream = BufReader::new(accepted.expect("a post in time").unwrap().0);
        let (mut headers, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.unwrap();
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.to_lowercase().strip_prefix("content-length: ") {
                length = text.parse().unwrap();
            }
            headers.push_str(line);
            headers.push('\n');
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap();
        judge::post(&body);
        Posted { headers, body, stream }
    }

    /// Takes the next post with this status; its body.
    pub(crate) async fn answer(&self, status: &str) -> Value {
        let mut posted = self.next().await;
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        posted.stream.write_all(answer.as_bytes()).await.unwrap();
        posted.body
    }
}

fn allowing(builder: TestHostBuilder) -> TestHostBuilder {
    builder.plugin("a2a", json!({ "allow": ["127.0.0.1"] }))
}

pub(crate) async fn host() -> TestHost {
    allowing(with_obedient().0).start().await
}

/// A message with a receiver.
pub(crate) fn told_to(receiver: &Receiver, text: &str) -> Value {
    let mut params = say(text);
    params["configuration"]["taskPushNotificationConfig"] = json!({
        "url": receiver.url(),
        "token": "t0ken",
        "authentication": { "scheme": "Bearer", "credentials": "cr3dentials" },
    });
    params
}

pub(crate) fn status_of(body: &Value) -> &str {
    state(&body["statusUpdate"])
}

async fn receivers(client: &mut TestClient, task: &Value) -> usize {
    let params = json!({ "taskId": task["id"] });
    let list = client.raw("ListTaskPushNotificationConfigs", params).await.unwrap();
    list["configs"].as_array().unwrap().len()
}

#[tokio::test]
async fn receivers_are_kept_and_their_secrets_never_shown() {
    let host = host().await;
    let mut client = host.client().await;
    let task = send(&mut client, say("ask")).await;
    let config = json!({ "taskId": task["id"], "id": "p1", "url": "https://a.example/hook",
        "token": "t0ken", "authentication": { "scheme": "Bearer", "credentials": "cr3dentials" } });
    let shown = json!({ "taskId": task["id"], "id": "p1", "url": "https://a.example/hook",
        "authentication": { "scheme": "Bearer" } });
    let made = client.raw("CreateTaskPushNotificationConfig", config.clone()).await.unwrap();
    assert_eq!(made, shown);
    let older = json!({ "taskId": task["id"], "pushNotificationConfig": {
        "url": "https://b.example/", "authentication": { "schemes": ["Basic"], "credentials": "x" } } });
    let second = client.raw("tasks/pushNotificationConfig/set", older).await.unwrap();
    let second_id = second["pushNotificationConfig"]["id"].as_str().unwrap().to_owned();
    assert_eq!(second["pushNotificationConfig"]["authentication"], json!({ "schemes": ["Basic"] }));

    let get = json!({ "taskId": task["id"], "id": "p1" });
    assert_eq!(client.raw("GetTaskPushNotificationConfig", get.clone()).await.unwrap(), shown);
    let first = client.raw("tasks/pushNotificationConfig/get", json!({ "id": task["id"] })).await;
    assert_eq!(first.unwrap()["pushNotificationConfig"]["id"], "p1");
    let page = json!({ "taskId": task["id"], "pageSize": 1 });
    let page = client.raw("ListTaskPushNotificationConfigs", page).await.unwrap();
    assert_eq!((&page["configs"], &page["nextPageToken"]), (&json!([shown]), &json!("1")));
    let rest = json!({ "taskId": task["id"], "pageToken": "1" });
    let rest = client.raw("ListTaskPushNotificationConfigs", rest).await.unwrap();
    assert_eq!(
        (&rest["configs"][0]["id"], &rest["nextPageToken"]),
        (&json!(second_id), &json!(""))
    );
    let all = client.raw("tasks/pushNotificationConfig/list", json!({ "id": task["id"] })).await;
    assert_eq!(all.unwrap().as_array().unwrap().len(), 2);

    let older = json!({ "id": task["id"], "pushNotificationConfigId": second_id });
    for _ in 0..2 {
        let deleted = client.raw("tasks/pushNotificationConfig/delete", older.clone()).await;
        assert_eq!(deleted.unwrap(), Value::Null);
    }
    assert_eq!(receivers(&mut client, &task).await, 1);
    let missing = json!({ "taskId": task["id"], "id": second_id });
    let error = client.raw("GetTaskPushNotificationConfig", missing).await.unwrap_err();
    assert_eq!(error.code, -32001);
    let mut other = host.agent("other").await;
    for method in [
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
    ] {
        assert_eq!(other.raw(method, config.clone()).await.unwrap_err().code, -32001, "{method}");
    }
}

#[tokio::test]
async fn what_may_not_be_called_is_refused_before_a_task_is_made() {
    let host = with_obedient().0.start().await;
    let mut client = host.client().await;
    let task = send(&mut client, say("ask")).await;
    for url in [
        "http://127.0.0.1:9/hook",
        "https://localhost/",
        "https://[::1]/",
        "ftp://a.example/",
        "http://a.example/",
        "https://169.254.169.254/latest",
        "nonsense",
    ] {
        let config = json!({ "taskId": task["id"], "url": url });
        let error = client.raw("CreateTaskPushNotificationConfig", config).await.unwrap_err();
        assert_eq!(error.code, -32602, "{url}");
        assert_eq!(error.data.unwrap()[1]["fieldViolations"][0]["field"], "url");
        let mut params = say("it");
        params["configuration"]["taskPushNotificationConfig"]["url"] = url.into();
        assert_eq!(client.raw("SendMessage", params).await.unwrap_err().code, -32602, "{url}");
    }
    let config = json!({ "taskId": task["id"], "url": "https://a.example/", "token": "a\r\nX: y" });
    let error = client.raw("CreateTaskPushNotificationConfig", config).await.unwrap_err();
    assert_eq!(error.data.unwrap()[1]["fieldViolations"][0]["field"], "token");
    assert_eq!(client.raw("ListTasks", json!({})).await.unwrap()["totalSize"], 1);
}

#[tokio::test]
async fn every_change_is_posted_in_order_with_its_credentials() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    client.send("SendMessage", told_to(&receiver, "make it")).await;
    let mut first = receiver.next().await;
    let headers = first.headers.to_lowercase();
    for header in ["content-type: application/a2a+json", "a2a-version: 1.0"] {
        assert!(headers.contains(header), "{headers}");
    }
    assert!(first.headers.to_lowercase().contains("authorization: bearer cr3dentials"));
    assert!(headers.contains("x-a2a-notification-token: t0ken"));
    assert_eq!(status_of(&first.body), "WORKING");
    first.stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
    let made = receiver.answer("200 OK").await;
    assert_eq!(made["artifactUpdate"]["artifact"]["parts"], json!([{ "text": "it" }]));
    assert_eq!(status_of(&receiver.answer("200 OK").await), "COMPLETED");
}

#[tokio::test]
async fn a_receiver_of_the_older_version_is_posted_the_task() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    let mut params = say("make it");
    params["configuration"]["pushNotificationConfig"] = json!({ "url": receiver.url() });
    client.send("message/send", params).await;
    let mut posted = receiver.next().await;
    assert!(posted.headers.to_lowercase().contains("a2a-version: 0.3"));
    assert_eq!(
        (&posted.body["kind"], &posted.body["status"]["state"]),
        (&json!("task"), &json!("working"))
    );
    posted
        .stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(receiver.answer("200 OK").await["artifacts"][0]["artifactId"], "a");
    assert_eq!(receiver.answer("200 OK").await["status"]["state"], "completed");
}

#[tokio::test]
async fn a_post_that_fails_is_repeated_and_the_next_one_waits() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    client.send("SendMessage", told_to(&receiver, "it")).await;
    let refused = receiver.answer("503 Service Unavailable").await;
    let again = receiver.answer("200 OK").await;
    assert_eq!(refused, again);
    assert_eq!(status_of(&receiver.answer("200 OK").await), "COMPLETED");
}

#[tokio::test]
async fn redirects_are_not_followed_and_a_receiver_that_is_gone_is_forgotten() {
    let (host, receiver, elsewhere) = (host().await, Receiver::new().await, Receiver::new().await);
    let mut client = host.client().await;
    let task = send(&mut client, at_once(told_to(&receiver, "ask"))).await;
    receiver.answer(&format!("307 Temporary Redirect\r\nLocation: {}", elsewhere.url())).await;
    receiver.answer("410 Gone").await;
    while receivers(&mut client, &task).await > 0 {
        tokio::task::yield_now().await;
    }
    let connected = timeout(Duration::from_millis(50), elsewhere.listener.accept()).await;
    assert!(connected.is_err(), "nothing was posted elsewhere");
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_nothing() {
    let (host, receiver) = (host().await, Receiver::new().await);
    let mut client = host.client().await;
    let task = send(&mut client, told_to(&receiver, "ask")).await;
    assert_eq!(state(&task), "INPUT_REQUIRED");
    let held = receiver.next().await;
    let id = task["id"].as_str().unwrap();
    let done = send(&mut client, go_on(id, "make it")).await;
    assert_eq!(state(&done), "COMPLETED");
    assert_eq!(status_of(&held.body), "WORKING");
}

#[tokio::test]
async fn the_end_that_a_receiver_was_not_told_is_told_after_a_restart() {
    let receiver = Receiver::new().await;
    let first = host().await;
    let mut client = first.client().await;
    let task = send(&mut client, told_to(&receiver, "it")).await;
    assert_eq!(state(&task), "COMPLETED");
    drop(receiver.next().await);
    client.close().await;
    first.stop().await;
    let second = allowing(with_obedient().0).on_root_of(&first).start().await;
    // The first process may have begun another try.
    let told = loop {
        let body = receiver.answer("200 OK").await;
        if status_of(&body) == "COMPLETED" {
            break body;
        }
    };
    assert_eq!(told["statusUpdate"]["taskId"], task["id"]);
    second.stop().await;
}
