//! Names and shapes of v1.0.

use carport_a2a_types as types;
use schemars::json_schema;

use super::a2a_method;

a2a_method! {
    /// Says something to the agent: makes a task, or goes on with one that `message.taskId` names. Waits until the
    /// task has ended or asks for something, unless `configuration.returnImmediately` is set.
    SendMessage = "SendMessage", V1, Send;
    types::SendMessage::json_schema => types::SendResult
}

a2a_method! {
    /// Reads a task of the caller's.
    GetTask = "GetTask", V1, Get;
    types::GetTask::json_schema => types::Task
}

a2a_method! {
    /// Lists the caller's tasks, the one whose status is newest first.
    ListTasks = "ListTasks", V1, List;
    types::ListTasks::json_schema => types::PageOfTasks
}

a2a_method! {
    /// Ends a task of the caller's, and what it does.
    CancelTask = "CancelTask", V1, Cancel;
    types::CancelTask::json_schema => types::Task
}

a2a_method! {
    /// Adds a receiver of a task's changes.
    CreatePushConfig = "CreateTaskPushNotificationConfig", V1, Push(crate::calls::Push::Create);
    types::PushConfig::json_schema => types::PushConfig
}

a2a_method! {
    /// Reads a receiver of a task's changes, less its secrets.
    GetPushConfig = "GetTaskPushNotificationConfig", V1, Push(crate::calls::Push::Get);
    types::PushConfigOf::json_schema => types::PushConfig
}

a2a_method! {
    /// Lists the receivers of a task's changes, less their secrets.
    ListPushConfigs = "ListTaskPushNotificationConfigs", V1, Push(crate::calls::Push::List);
    types::PushConfigsOf::json_schema => types::PageOfPushConfigs
}

a2a_method! {
    /// Forgets a receiver of a task's changes.
    DeletePushConfig = "DeleteTaskPushNotificationConfig", V1, Push(crate::calls::Push::Delete);
    types::PushConfigOf::json_schema => ()
}

a2a_method! {
    /// Reads the agent card for callers that are known, which on this connection everybody is.
    GetExtendedCard = "GetExtendedAgentCard", V1, ExtendedCard;
    |_| json_schema!({ "type": "object" }) => types::card::AgentCard
}
