//! Answers, events and posts as the official schemas judge them.

use carport_a2a_api::types::Version;
use serde_json::{Value, json};

use crate::official::{faults, faults_of_details};

#[track_caller]
fn good(told: Vec<String>, of: &Value) {
    assert!(told.is_empty(), "{told:#?}\nof {of}");
}

/// What v1.0 calls the result of a method; `None` is one that answers with nothing.
fn result_of(method: &str) -> Option<&'static str> {
    Some(match method {
        "SendMessage" => "SendMessageResponse",
        "GetTask" | "CancelTask" => "Task",
        "ListTasks" => "ListTasksResponse",
        "CreateTaskPushNotificationConfig" | "GetTaskPushNotificationConfig" => {
            "TaskPushNotificationConfig"
        }
        "ListTaskPushNotificationConfigs" => "ListTaskPushNotificationConfigsResponse",
        "GetExtendedAgentCard" => "AgentCard",
        _ => return None,
    })
}

/// What v0.3 calls the envelope of a method's result.
fn envelope_of(method: &str) -> Option<&'static str> {
    Some(match method {
        "message/send" => "SendMessageSuccessResponse",
        "tasks/get" => "GetTaskSuccessResponse",
        "tasks/cancel" => "CancelTaskSuccessResponse",
        "tasks/pushNotificationConfig/set" => "SetTaskPushNotificationConfigSuccessResponse",
        "tasks/pushNotificationConfig/get" => "GetTaskPushNotificationConfigSuccessResponse",
        "tasks/pushNotificationConfig/list" => "ListTaskPushNotificationConfigSuccessResponse",
        "tasks/pushNotificationConfig/delete" => "DeleteTaskPushNotificationConfigSuccessResponse",
        "agent/getAuthenticatedExtendedCard" => "GetAuthenticatedExtendedCardSuccessResponse",
        _ => return None,
    })
}

/// The answer to a call by JSON-RPC.
#[track_caller]
pub(crate) fn envelope(method: &str, envelope: &Value) {
    let older = method.contains('/');
    let told = if let Some(error) = envelope.get("error") {
        let mut told = faults_of_details(&error["data"]);
        if older {
            told.extend(faults(Version::V03, "JSONRPCErrorResponse", envelope));
        }
        told
    } else if method == "tasks/list" {
        let tasks = envelope["result"]["tasks"].as_array().expect("a list");
        tasks.iter().flat_map(|task| faults(Version::V03, "Task", task)).collect()
    } else if older {
        envelope_of(method).map_or_else(Vec::new, |kind| faults(Version::V03, kind, envelope))
    } else {
        result_of(method).map_or_else(Vec::new, |it| faults(Version::V1, it, &envelope["result"]))
    };
    good(told, envelope);
}

/// The result of a call on the daemon's connection.
#[track_caller]
pub(crate) fn result(method: &str, result: &Value) {
    envelope(method, &json!({ "jsonrpc": "2.0", "id": 1, "result": result }));
}

/// What an event of a stream says: a result by JSON-RPC, or a bare one.
#[track_caller]
pub(crate) fn event(data: &Value) {
    let told = match data.get("result") {
        Some(result) if result.get("kind").is_some() => {
            faults(Version::V03, "SendStreamingMessageSuccessResponse", data)
        }
        Some(result) => faults(Version::V1, "StreamResponse", result),
        None => faults(Version::V1, "StreamResponse", data),
    };
    good(told, data);
}

/// What a receiver is posted.
#[track_caller]
pub(crate) fn post(body: &Value) {
    let told = match body.get("kind") {
        Some(_) => faults(Version::V03, "Task", body),
        None => faults(Version::V1, "StreamResponse", body),
    };
    good(told, body);
}

/// A `google.rpc.Status` of the REST binding.
#[track_caller]
pub(crate) fn status(body: &Value) {
    good(faults_of_details(&body["error"]["details"]), body);
}

/// A card of either version.
#[track_caller]
pub(crate) fn card(version: Version, card: &Value) {
    good(faults(version, "AgentCard", card), card);
}
