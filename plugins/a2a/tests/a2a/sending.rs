//! Messages, in both spellings and versions: what they make, what is answered, and what is refused.

use carport_core::testing::TestHost;
use serde_json::{Value, json};

use crate::scene::{message, say, send, state, with_engine, with_obedient, words};

fn tool(tool: &str, parameters: Value) -> Value {
    json!({ "message": message(json!({ "data": { "tool": tool, "parameters": parameters } })) })
}

async fn engine() -> TestHost {
    with_engine().start().await
}

/// Violated fields of a refusal, which has an `ErrorInfo` first.
fn fields(error: &carport_core::RpcError) -> Vec<&str> {
    let data = error.data.as_ref().expect("data");
    assert_eq!(data[0]["@type"], "type.googleapis.com/google.rpc.ErrorInfo");
    assert_eq!(data[0]["domain"], "a2a-protocol.org");
    let violations = data[1]["fieldViolations"].as_array().expect("violations");
    violations.iter().map(|it| it["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_tool_call_makes_a_task_with_its_output() {
    let host = engine().await;
    let mut client = host.client().await;
    let task = send(&mut client, tool("echo", json!({ "say": "hello" }))).await;
    assert_eq!(state(&task), "COMPLETED");
    let artifact = json!({ "artifactId": "a0", "name": "echo", "parts": [{ "text": "hello" }] });
    assert_eq!(task["artifacts"], json!([artifact]));
    assert_eq!(task["history"].as_array().unwrap().len(), 1);
    assert_eq!(task["history"][0]["taskId"], task["id"]);
    assert_eq!(task["history"][0]["contextId"], task["contextId"]);
    let time = task["status"]["timestamp"].as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");

    let data = send(&mut client, tool("echo", json!({ "say": { "n": 42 } }))).await;
    assert_eq!(data["artifacts"][0]["parts"], json!([{ "data": { "n": 42 } }]));
    let who = send(&mut client, tool("whoami", json!({}))).await;
    assert_eq!(who["artifacts"][0]["parts"], json!([{ "text": "client" }]));
}

#[tokio::test]
async fn what_does_not_succeed_ends_the_task_with_its_reason() {
    let host = engine().await;
    let mut client = host.client().await;
    for (name, ends, says) in [
        ("fail", "FAILED", "it broke"),
        ("unknown", "REJECTED", "no such tool"),
        ("broken", "REJECTED", "`actions[0]`: is bad"),
    ] {
        let mut params = tool(name, json!({}));
        let second = json!({ "data": { "tool": "echo", "parameters": { "say": "never" } } });
        params["message"]["parts"].as_array_mut().unwrap().push(second);
        let task = send(&mut client, params).await;
        assert_eq!((state(&task), words(&task)), (ends, says), "{name}");
        assert!(task.get("artifacts").is_none(), "{name}");
    }
    let mut params = tool("echo", json!({ "say": "one" }));
    let second = json!({ "data": { "tool": "echo", "parameters": { "say": "two" } } });
    params["message"]["parts"].as_array_mut().unwrap().push(second);
    let task = send(&mut client, params).await;
    let ids: Vec<_> =
        task["artifacts"].as_array().unwrap().iter().map(|it| &it["artifactId"]).collect();
    assert_eq!(ids, ["a0", "a1"]);
    let task = send(&mut client, say("just words")).await;
    assert_eq!((state(&task), words(&task)), ("COMPLETED", "Acknowledged."));
}

#[tokio::test]
async fn the_older_version_has_its_own_shapes() {
    let host = engine().await;
    let mut client = host.client().await;
    let part = json!({ "kind": "data", "data": { "tool": "echo", "parameters": { "say": [1] } } });
    let message = json!({ "kind": "message", "messageId": "m", "role": "user", "parts": [part] });
    let task = client.raw("message/send", json!({ "message": message })).await.unwrap();
    assert_eq!((&task["kind"], &task["status"]["state"]), (&json!("task"), &json!("completed")));
    let part = json!({ "kind": "data", "data": { "value": [1] }, "metadata": { "data_part_compat": true } });
    assert_eq!(task["artifacts"][0]["parts"], json!([part]));
    assert_eq!(task["history"][0]["role"], "user");

    let same = client.raw("tasks/get", json!({ "id": task["id"] })).await.unwrap();
    assert_eq!(same, task);
    let newer =
        client.raw("GetTask", json!({ "id": task["id"], "historyLength": 0 })).await.unwrap();
    assert_eq!(state(&newer), "COMPLETED");
    assert!(newer.get("history").is_none() && newer.get("kind").is_none());
    let list = client.raw("tasks/list", json!({})).await.unwrap();
    assert_eq!(list["tasks"][0]["kind"], "task");
    assert!(list["tasks"][0].get("artifacts").is_none());
}

#[tokio::test]
async fn both_spellings_give_equal_answers() {
    let host = engine().await;
    let mut client = host.client().await;
    let part = json!({ "text": "a", "media_type": "text/plain" });
    let snake = json!({
        "message": { "message_id": "m", "role": "user", "parts": [part], "context_id": "c" },
        "configuration": { "history_length": 1, "return_immediately": false },
    });
    let task = send(&mut client, snake).await;
    assert_eq!((task["contextId"].as_str(), state(&task)), (Some("c"), "COMPLETED"));
    for (snake, camel) in [
        (json!({ "context_id": "c", "page_size": 1 }), json!({ "contextId": "c", "pageSize": 1 })),
        (json!({ "page_size": "1" }), json!({ "pageSize": 1.0 })),
        (json!({ "status": "completed" }), json!({ "status": "TASK_STATE_COMPLETED" })),
        (json!({ "include_artifacts": true }), json!({ "includeArtifacts": true, "tenant": "x" })),
    ] {
        let answers = [client.raw("ListTasks", snake).await, client.raw("ListTasks", camel).await];
        let [a, b] = answers.map(|it| it.unwrap());
        assert_eq!(a, b);
        assert_eq!(a["totalSize"], 1);
        assert_eq!(a["nextPageToken"], "");
    }
}

#[tokio::test]
async fn bad_parameters_name_every_field() {
    let host = engine().await;
    let mut client = host.client().await;
    let three = ["message.messageId", "message.role", "message.parts"];
    for method in ["SendMessage", "message/send"] {
        let error = client.raw(method, json!({ "message": {} })).await.unwrap_err();
        assert_eq!((error.code, fields(&error)), (-32602, three.to_vec()));
        let error = client.raw(method, json!({})).await.unwrap_err();
        assert_eq!(fields(&error), ["message"]);
        let error = client.raw(method, json!([1])).await.unwrap_err();
        assert_eq!((error.code, fields(&error)), (-32602, vec![""]));
    }
    for (method, params, field) in [
        ("GetTask", json!({}), "id"),
        ("tasks/get", json!({ "id": "" }), "id"),
        ("ListTasks", json!({ "pageSize": 101 }), "pageSize"),
        ("ListTasks", json!({ "pageToken": "made up" }), "pageToken"),
        ("CancelTask", json!({ "id": 7 }), "id"),
    ] {
        let error = client.raw(method, params).await.unwrap_err();
        assert_eq!((error.code, fields(&error)), (-32602, vec![field]), "{method}");
    }
}

#[tokio::test]
async fn a_media_type_that_is_not_on_the_card_is_refused_unless_it_is_not_looked_at() {
    let png = json!({ "message": message(json!({ "raw": "AAAA", "mediaType": "image/png" })) });
    let host = engine().await;
    let mut client = host.client().await;
    let error = client.raw("SendMessage", png.clone()).await.unwrap_err();
    assert_eq!(error.code, -32005);
    let text = json!({ "text": "a", "mediaType": "Text/Plain; charset=utf-8" });
    send(&mut client, json!({ "message": message(text) })).await;
    let section = json!({ "check_input_modes": false });
    let host = with_engine().plugin("a2a", section).start().await;
    let mut client = host.client().await;
    assert_eq!(state(&send(&mut client, png).await), "COMPLETED");
}

#[tokio::test]
async fn others_tasks_are_none() {
    let host = engine().await;
    let (mut client, mut agent) = (host.client().await, host.agent("a").await);
    let task = send(&mut client, say("mine")).await;
    let id = &task["id"];
    let foreign = json!({ "message": { "messageId": "m", "role": "user", "taskId": id,
        "parts": [{ "text": "a" }] } });
    for (method, params) in [
        ("GetTask", json!({ "id": id })),
        ("tasks/get", json!({ "id": id })),
        ("CancelTask", json!({ "id": id })),
        ("SendMessage", foreign),
    ] {
        let refused = agent.raw(method, params.clone()).await.unwrap_err();
        let mut unknown = params;
        let at = if method == "SendMessage" { "/message/taskId" } else { "/id" };
        *unknown.pointer_mut(at).unwrap() = "none".into();
        let none = agent.raw(method, unknown).await.unwrap_err();
        assert_eq!((refused.code, none.code), (-32001, -32001), "{method}");
        assert_eq!(refused.message, none.message, "{method}");
        assert_eq!(refused.data.as_ref().unwrap()[0]["reason"], "TASK_NOT_FOUND");
    }
    assert_eq!(agent.raw("ListTasks", json!({})).await.unwrap()["totalSize"], 0);
    let mut second = host.client().await;
    assert_eq!(second.raw("GetTask", json!({ "id": id })).await.unwrap()["id"], *id);
    let mut all = host.host().await;
    assert_eq!(all.raw("ListTasks", json!({})).await.unwrap()["totalSize"], 1);
    let mut stranger = host.stranger().await;
    let error = stranger.raw("GetTask", json!({ "id": id })).await.unwrap_err();
    assert!(error.data.is_none_or(|data| !data.is_array()), "the daemon's own refusal");
}

#[tokio::test]
async fn an_executor_may_answer_without_a_task() {
    let (builder, _) = with_obedient();
    let host = builder.start().await;
    let mut client = host.client().await;
    let answer = client.raw("SendMessage", say("answer 42")).await.unwrap();
    assert_eq!(answer["message"]["parts"], json!([{ "text": "42" }]));
    assert_eq!(answer["message"]["role"], "ROLE_AGENT");
    let older = client.raw("message/send", say("answer 42")).await.unwrap();
    assert_eq!((&older["kind"], &older["role"]), (&json!("message"), &json!("agent")));
    assert_eq!(client.raw("ListTasks", json!({})).await.unwrap()["totalSize"], 0);
}

#[tokio::test]
async fn streams_are_not_of_this_connection_and_receivers_may_be_off() {
    let host = with_engine().plugin("a2a", json!({ "push": false })).start().await;
    let mut client = host.client().await;
    for method in ["SendStreamingMessage", "message/stream", "SubscribeToTask", "tasks/resubscribe"]
    {
        let error = client.raw(method, json!({})).await.unwrap_err();
        assert_eq!(error.code, -32601, "{method}");
        assert!(error.data.unwrap()["remedy"].as_str().unwrap().contains("a2a.start"));
    }
    for method in [
        "CreateTaskPushNotificationConfig",
        "GetTaskPushNotificationConfig",
        "ListTaskPushNotificationConfigs",
        "DeleteTaskPushNotificationConfig",
        "tasks/pushNotificationConfig/set",
        "tasks/pushNotificationConfig/get",
        "tasks/pushNotificationConfig/list",
        "tasks/pushNotificationConfig/delete",
    ] {
        let error = client.raw(method, json!({})).await.unwrap_err();
        assert_eq!(error.code, -32003, "{method}");
        assert_eq!(error.data.unwrap()[0]["reason"], "PUSH_NOTIFICATION_NOT_SUPPORTED");
    }
    let mut params = say("a");
    params["configuration"] =
        json!({ "taskPushNotificationConfig": { "url": "https://a.example/" } });
    assert_eq!(client.raw("SendMessage", params).await.unwrap_err().code, -32003);
    assert_eq!(client.raw("ListTasks", json!({})).await.unwrap()["totalSize"], 0);
}

#[tokio::test]
async fn the_card_shows_the_tools_in_either_version() {
    let section = json!({ "agent_name": "Tester", "url": "ws://localhost:1/",
        "organization": "Org", "organization_url": "https://org.example" });
    let host = with_engine().plugin("a2a", section).start().await;
    let mut client = host.client().await;
    let card = client.raw("GetExtendedAgentCard", json!({})).await.unwrap();
    assert_eq!((&card["name"], &card["skills"][0]["id"]), (&json!("Tester"), &json!("echo")));
    assert_eq!(card["capabilities"]["streaming"], false);
    let interface = json!({ "url": "ws://localhost:1/", "protocolVersion": "1.0",
        "protocolBinding": "urn:carport:a2a:jsonrpc-websocket:1" });
    assert_eq!(card["supportedInterfaces"][0], interface);
    assert!(card.get("url").is_none());
    let older = client.raw("agent/getAuthenticatedExtendedCard", json!({})).await.unwrap();
    assert_eq!((&older["url"], &older["protocolVersion"]), (&interface["url"], &json!("0.3.0")));
    assert_eq!(older["supportsAuthenticatedExtendedCard"], true);
}
