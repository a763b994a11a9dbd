//! What is written in either version is what its official schema says.

use carport_a2a_types::{
    A2aError, Configuration, Kind, PageOfPushConfigs, PageOfTasks, SendMessage, SendResult,
    StreamResponse, Version, v03,
};
use carport_core::RpcError;
use proptest::{collection::vec, option, prelude::*};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    cards::card,
    made::{event, message, metadata, push_config, task},
    official::{faults, faults_of_details},
};

/// What the definition says against a value as it is written.
fn against(version: Version, kind: &str, value: &impl Serialize) -> Vec<String> {
    faults(version, kind, &serde_json::to_value(value).unwrap())
}

const NONE: [String; 0] = [];

proptest! {
    #[test]
    fn events_are_as_the_schemas_say(event in event(), last in any::<bool>()) {
        prop_assert_eq!(against(Version::V1, "StreamResponse", &event), NONE);
        let kind = match &event {
            StreamResponse::Task(_) => "Task",
            StreamResponse::Message(_) => "Message",
            StreamResponse::StatusUpdate(_) => "TaskStatusUpdateEvent",
            StreamResponse::ArtifactUpdate(_) => "TaskArtifactUpdateEvent",
        };
        let older = v03::StreamResponse::of(event, last);
        prop_assert_eq!(against(Version::V03, kind, &older), NONE);
        let envelope = json!({ "jsonrpc": "2.0", "id": 1, "result": older });
        prop_assert_eq!(against(Version::V03, "SendStreamingMessageSuccessResponse", &envelope), NONE);
    }

    #[test]
    fn answers_are_as_the_schemas_say(tasks in vec(task(), 0..3), message in message()) {
        let first = tasks.first().cloned();
        for result in first.map(SendResult::Task).into_iter().chain([SendResult::Message(message)]) {
            prop_assert_eq!(against(Version::V1, "SendMessageResponse", &result), NONE);
        }
        let total_size = tasks.len();
        let page = PageOfTasks { tasks, next_page_token: "t".into(), page_size: 50, total_size };
        prop_assert_eq!(against(Version::V1, "ListTasksResponse", &page), NONE);
    }

    #[test]
    fn requests_are_as_the_schema_says(
        message in message(),
        push in option::of(push_config()),
        history_length in option::of(0..100_u32),
        return_immediately in any::<bool>(),
        metadata in metadata(),
    ) {
        let configuration = Configuration {
            accepted_output_modes: vec!["text/plain".into()],
            task_push_notification_config: push,
            history_length,
            return_immediately,
        };
        let request = SendMessage { message, configuration: Some(configuration), metadata };
        prop_assert_eq!(against(Version::V1, "SendMessageRequest", &request), NONE);
    }

    #[test]
    fn receivers_are_as_the_schemas_say(configs in vec(push_config(), 1..3)) {
        let first = configs[0].clone();
        prop_assert_eq!(against(Version::V1, "TaskPushNotificationConfig", &first), NONE);
        let older = v03::TaskPushConfig::from(first);
        prop_assert_eq!(against(Version::V03, "TaskPushNotificationConfig", &older), NONE);
        let page = PageOfPushConfigs { configs, next_page_token: String::new() };
        prop_assert_eq!(against(Version::V1, "ListTaskPushNotificationConfigsResponse", &page), NONE);
    }

    #[test]
    fn cards_are_as_the_schemas_say(card in card()) {
        prop_assert_eq!(against(Version::V1, "AgentCard", &card), NONE);
        prop_assert_eq!(against(Version::V03, "AgentCard", &v03::AgentCard::of(card.clone())), NONE);
        // That of v1.0 forbids what it does not know, so a card of both is one of v0.3 only.
        prop_assert_eq!(against(Version::V03, "AgentCard", &v03::union(&card)), NONE);
    }
}

const KINDS: [Kind; 15] = [
    Kind::Parse,
    Kind::InvalidRequest,
    Kind::MethodNotFound,
    Kind::InvalidParams,
    Kind::Internal,
    Kind::TaskNotFound,
    Kind::TaskNotCancelable,
    Kind::PushNotSupported,
    Kind::UnsupportedOperation,
    Kind::ContentTypeNotSupported,
    Kind::InvalidAgentResponse,
    Kind::ExtendedCardNotConfigured,
    Kind::ExtensionSupportRequired,
    Kind::VersionNotSupported,
    Kind::ResourceExhausted,
];

#[test]
fn errors_are_as_the_schemas_say() {
    let errors = KINDS.map(|kind| A2aError::new(kind, "no").with("taskId", "t"));
    let others = [A2aError::field("message.parts", "is required"), A2aError::no_task("t")];
    for error in errors.into_iter().chain(others) {
        assert_eq!(faults_of_details(&error.details()), NONE);
        let older: RpcError = error.rpc(Version::V03);
        let envelope = json!({ "jsonrpc": "2.0", "id": 1, "error": older });
        assert_eq!(against(Version::V03, "JSONRPCErrorResponse", &envelope), NONE);
    }
}

#[test]
fn the_schemas_say_no() {
    let wrong = |version, kind: &str, value: Value| !faults(version, kind, &value).is_empty();
    let status = json!({ "state": "TASK_STATE_ASLEEP" });
    assert!(wrong(Version::V1, "Task", json!({ "id": "t", "status": status })));
    assert!(wrong(Version::V1, "Task", json!({ "id": "t", "kind": "task" })));
    assert!(wrong(Version::V1, "Task", json!({ "id": "t" })));
    let status = json!({ "state": "TASK_STATE_WORKING", "timestamp": "yesterday" });
    assert!(wrong(Version::V1, "TaskStatus", status));
    assert!(wrong(Version::V1, "Part", json!({ "text": "a", "url": "b" })));
    assert!(wrong(Version::V1, "StreamResponse", json!({})));
    assert!(wrong(Version::V03, "Task", json!({ "id": "t", "kind": "task" })));
    let message = json!({ "kind": "message", "messageId": "m", "role": "user", "parts": [{}] });
    assert!(wrong(Version::V03, "Message", message));
    assert!(!faults_of_details(&json!([{ "reason": "no" }])).is_empty());
}
