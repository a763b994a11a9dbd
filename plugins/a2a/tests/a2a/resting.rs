//! The REST binding: the same calls by paths, bare shapes, and errors with their HTTP status.

use serde_json::{Value, json};

use crate::{
    http::{Answer, Listener},
    judge,
    scene::{say, state, with_obedient},
};

const VERSION: (&str, &str) = ("A2A-Version", "1.0");

async fn listener() -> (carport_core::testing::TestHost, Listener) {
    let host = with_obedient().0.plugin("a2a", json!({ "rest": true })).start().await;
    let listener = Listener::of(&host, json!({})).await;
    (host, listener)
}

async fn post(listener: &Listener, path: &str, body: Value) -> Answer {
    let headers = [VERSION, ("Content-Type", "application/a2a+json")];
    listener.raw("POST", path, &headers, &body.to_string()).await
}

#[tokio::test]
async fn paths_answer_as_calls_do() {
    let (_host, listener) = listener().await;
    let sent = post(&listener, "/message:send", say("ask")).await;
    assert_eq!(sent.headers["content-type"], "application/a2a+json");
    let mut sent = sent.json().await;
    judge::result("SendMessage", &sent);
    let task = sent["task"].take();
    assert_eq!(state(&task), "INPUT_REQUIRED");
    let id = task["id"].as_str().unwrap();
    let get = async |path: String| listener.raw("GET", &path, &[VERSION], "").await.json().await;
    assert_eq!(get(format!("/tasks/{id}")).await, task);
    assert!(get(format!("/tasks/{id}?historyLength=0")).await.get("history").is_none());
    let page = get("/tasks?pageSize=1&status=TASK_STATE_INPUT_REQUIRED".into()).await;
    judge::result("ListTasks", &page);
    assert_eq!((&page["totalSize"], &page["pageSize"]), (&json!(1), &json!(1)));

    let path = format!("/tasks/{id}/pushNotificationConfigs");
    let made = post(&listener, &path, json!({ "id": "p", "url": "https://a.example/" })).await;
    assert_eq!(made.json().await["taskId"], *id);
    let all = get(path.clone()).await;
    judge::result("ListTaskPushNotificationConfigs", &all);
    assert_eq!(all["configs"].as_array().unwrap().len(), 1);
    assert_eq!(get(format!("{path}/p")).await["url"], "https://a.example/");
    let deleted = listener.raw("DELETE", &format!("{path}/p"), &[VERSION], "").await;
    assert_eq!(deleted.json().await, json!({}));

    let cancelled = post(&listener, &format!("/tasks/{id}:cancel"), json!({})).await;
    assert_eq!(state(&cancelled.json().await), "CANCELED");
    let card = listener.raw("GET", "/.well-known/agent-card.json", &[], "").await.json().await;
    judge::result("GetExtendedAgentCard", &card);
    assert_eq!(card["supportedInterfaces"][2]["protocolBinding"], "HTTP+JSON");
}

#[tokio::test]
async fn a_tenant_before_a_path_changes_nothing() {
    let (_host, listener) = listener().await;
    let sent = post(&listener, "/acme/message:send", say("ask")).await.json().await;
    let task = &sent["task"];
    let id = task["id"].as_str().unwrap();
    let get = async |path: String| listener.raw("GET", &path, &[VERSION], "").await.json().await;
    assert_eq!(get(format!("/tasks/{id}")).await, *task);
    assert_eq!(get(format!("/other/tasks/{id}?tenant=third")).await, *task);
    assert_eq!(get("/acme/tasks".into()).await["totalSize"], 1);
    let mut stream = post(&listener, "/acme/message:stream", say("it")).await;
    assert!(stream.event().await.unwrap().data["task"].is_object());
    let path = format!("/acme/tasks/{id}:cancel");
    assert_eq!(state(&post(&listener, &path, json!({})).await.json().await), "CANCELED");
    let missing = listener.raw("GET", "/acme/tasks/none", &[VERSION], "").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.json().await["error"]["details"][0]["reason"], "TASK_NOT_FOUND");
}

#[tokio::test]
async fn streams_are_bare() {
    let (_host, listener) = listener().await;
    let mut stream = post(&listener, "/message:stream", say("make it")).await;
    assert_eq!(stream.headers["content-type"], "text/event-stream");
    let mut kinds = Vec::new();
    while let Some(event) = stream.event().await {
        kinds.extend(event.data.as_object().unwrap().keys().cloned());
    }
    assert_eq!(kinds, ["task", "statusUpdate", "artifactUpdate", "statusUpdate"]);
}

#[tokio::test]
async fn errors_have_their_status() {
    let (_host, listener) = listener().await;
    let ended =
        post(&listener, "/message:send", say("it")).await.json().await["task"]["id"].clone();
    let ended = ended.as_str().unwrap();
    for (method, path, body, code, status, reason) in [
        ("GET", "/tasks/none".into(), "", 404, "NOT_FOUND", "TASK_NOT_FOUND"),
        ("POST", "/message:send".into(), "{}", 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
        ("POST", "/message:send".into(), "{", 400, "INVALID_ARGUMENT", "PARSE_ERROR"),
        (
            "POST",
            format!("/tasks/{ended}:cancel"),
            "",
            400,
            "FAILED_PRECONDITION",
            "TASK_NOT_CANCELABLE",
        ),
        (
            "GET",
            format!("/tasks/{ended}:subscribe"),
            "",
            400,
            "FAILED_PRECONDITION",
            "UNSUPPORTED_OPERATION",
        ),
        ("GET", "/tasks?pageSize=0".into(), "", 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
        (
            "GET",
            "/extendedAgentCard".into(),
            "",
            400,
            "FAILED_PRECONDITION",
            "UNSUPPORTED_OPERATION",
        ),
    ] {
        let headers = [VERSION, ("Content-Type", "application/json")];
        let answer = listener.raw(method, &path, &headers, body).await;
        assert_eq!(answer.status, code, "{path}");
        let mut body = answer.json().await;
        judge::status(&body);
        let error = body["error"].take();
        assert_eq!((&error["status"], &error["code"]), (&json!(status), &json!(code)), "{path}");
        assert_eq!(error["details"][0]["reason"], reason, "{path}");
    }
    let silent = listener.raw("GET", "/tasks", &[], "").await;
    assert_eq!(silent.json().await["error"]["details"][0]["reason"], "VERSION_NOT_SUPPORTED");
    let headers = [VERSION, ("Content-Type", "text/plain")];
    let plain = listener.raw("POST", "/message:send", &headers, "{}").await;
    assert_eq!(plain.json().await["error"]["details"][0]["reason"], "CONTENT_TYPE_NOT_SUPPORTED");
    assert_eq!(listener.raw("DELETE", "/tasks", &[VERSION], "").await.status, 405);
    assert_eq!(listener.raw("GET", "/elsewhere", &[VERSION], "").await.status, 404);
}
