//! Names and shapes of v0.3.

use carport_a2a_types::{PageOfTasks, v03};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::a2a_method;

fn message(generator: &mut SchemaGenerator) -> Schema {
    let message = generator.subschema_for::<v03::Message>();
    let push = generator.subschema_for::<v03::PushConfig>();
    json_schema!({
        "type": "object",
        "properties": {
            "message": message,
            "configuration": {
                "type": "object",
                "description": "How it is answered.",
                "properties": {
                    "acceptedOutputModes": { "type": "array", "items": { "type": "string" } },
                    "blocking": { "type": "boolean", "default": true },
                    "historyLength": { "type": "integer", "minimum": 0 },
                    "pushNotificationConfig": push,
                },
            },
            "metadata": { "type": "object", "description": "Anything else; becomes the metadata of the task." },
        },
        "required": ["message"],
    })
}

fn task(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "minLength": 1, "description": "The task." },
        },
        "required": ["id"],
    })
}

fn task_with_history(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "minLength": 1, "description": "The task." },
            "historyLength": {
                "type": "integer",
                "minimum": 0,
                "description": "How many messages of the history the answer has; all if absent.",
            },
        },
        "required": ["id"],
    })
}

fn receiver(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "minLength": 1, "description": "The task." },
            "pushNotificationConfigId": { "type": "string", "description": "The receiver." },
        },
        "required": ["id"],
    })
}

a2a_method! {
    /// Says something to the agent: makes a task, or goes on with one that `message.taskId` names. Waits until the
    /// task has ended or asks for something, unless `configuration.blocking` is false.
    MessageSend = "message/send", V03, Send;
    message => v03::StreamResponse
}

a2a_method! {
    /// Reads a task of the caller's.
    TasksGet = "tasks/get", V03, Get;
    task_with_history => v03::Task
}

a2a_method! {
    /// Lists the caller's tasks, the one whose status is newest first. v0.3 has no such method; the envelope is that
    /// of v1.0.
    TasksList = "tasks/list", V03, List;
    carport_a2a_types::ListTasks::json_schema => PageOfTasks<v03::Task>
}

a2a_method! {
    /// Ends a task of the caller's, and what it does.
    TasksCancel = "tasks/cancel", V03, Cancel;
    task => v03::Task
}

a2a_method! {
    /// Adds a receiver of a task's changes.
    PushConfigSet = "tasks/pushNotificationConfig/set", V03, Push(crate::calls::Push::Create);
    v03::TaskPushConfig::json_schema => v03::TaskPushConfig
}

a2a_method! {
    /// Reads a receiver of a task's changes, the first one if none is named, less its secrets.
    PushConfigGet = "tasks/pushNotificationConfig/get", V03, Push(crate::calls::Push::Get);
    receiver => v03::TaskPushConfig
}

a2a_method! {
    /// Lists the receivers of a task's changes, less their secrets.
    PushConfigList = "tasks/pushNotificationConfig/list", V03, Push(crate::calls::Push::List);
    task => Vec<v03::TaskPushConfig>
}

a2a_method! {
    /// Forgets a receiver of a task's changes.
    PushConfigDelete = "tasks/pushNotificationConfig/delete", V03, Push(crate::calls::Push::Delete);
    receiver => ()
}

a2a_method! {
    /// Reads the agent card for callers that are known, which on this connection everybody is.
    AuthenticatedExtendedCard = "agent/getAuthenticatedExtendedCard", V03, ExtendedCard;
    |_| json_schema!({ "type": "object" }) => v03::AgentCard
}
