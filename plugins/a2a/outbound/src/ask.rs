//! What an agent is asked, in the words of either version of A2A.

use carport_a2a_types::{ListTasks, Message, Version, v03};
use serde_json::{Value, json};

/// A question.
#[derive(Debug, Clone, Copy)]
pub enum Ask<'a> {
    /// Takes a message; the answer may wait until the turn is over.
    Send {
        /// The message.
        message: &'a Message,
        /// Whether the answer waits.
        wait: bool,
    },
    /// Takes a message, and tells each change until the turn is over.
    SendStreaming(&'a Message),
    /// Reads a task.
    Get(&'a str),
    /// Lists tasks.
    List(&'a ListTasks),
    /// Ends a task.
    Cancel(&'a str),
    /// Tells each change of a task.
    Follow {
        /// The task.
        id: &'a str,
        /// The last event that was heard of it, if one was: agents that keep them go on from there.
        after: Option<&'a str>,
    },
}

impl Ask<'_> {
    /// The method and its parameters.
    pub fn spoken(&self, version: Version) -> (&'static str, Value) {
        let by_id = |id: &str| json!({ "id": id });
        match (self, version) {
            (Self::Send { message, wait }, Version::V1) => {
                let configuration = json!({ "returnImmediately": !wait });
                ("SendMessage", json!({ "message": message, "configuration": configuration }))
            }
            (Self::Send { message, wait }, Version::V03) => {
                let configuration = json!({ "blocking": wait });
                (
                    "message/send",
                    json!({ "message": older(message), "configuration": configuration }),
                )
            }
            (Self::SendStreaming(message), Version::V1) => {
                ("SendStreamingMessage", json!({ "message": message }))
            }
            (Self::SendStreaming(message), Version::V03) => {
                ("message/stream", json!({ "message": older(message) }))
            }
            (Self::Get(id), Version::V1) => ("GetTask", by_id(id)),
            (Self::Get(id), Version::V03) => ("tasks/get", by_id(id)),
            (Self::List(query), Version::V1) => ("ListTasks", json!(query)),
            (Self::List(query), Version::V03) => ("tasks/list", json!(query)),
            (Self::Cancel(id), Version::V1) => ("CancelTask", by_id(id)),
            (Self::Cancel(id), Version::V03) => ("tasks/cancel", by_id(id)),
            (Self::Follow { id, .. }, Version::V1) => ("SubscribeToTask", by_id(id)),
            (Self::Follow { id, .. }, Version::V03) => ("tasks/resubscribe", by_id(id)),
        }
    }
}

impl<'a> Ask<'a> {
    /// The event after which a stream is to go on.
    pub(crate) const fn after(&self) -> Option<&'a str> {
        match self {
            Self::Follow { after, .. } => *after,
            _ => None,
        }
    }
}

fn older(message: &Message) -> v03::Message {
    v03::Message::from(message.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_own_words() {
        let message = Message::of_agent("m", "hello");
        let send = Ask::Send { message: &message, wait: true };
        let (method, params) = send.spoken(Version::V1);
        assert_eq!(
            (method, &params["configuration"]),
            ("SendMessage", &json!({ "returnImmediately": false }))
        );
        assert_eq!(params["message"]["parts"], json!([{ "text": "hello" }]));
        let (method, params) = send.spoken(Version::V03);
        assert_eq!(
            (method, &params["configuration"]),
            ("message/send", &json!({ "blocking": true }))
        );
        assert_eq!(params["message"]["parts"], json!([{ "kind": "text", "text": "hello" }]));
        let follow =
            [Version::V1, Version::V03].map(|it| Ask::Follow { id: "t", after: None }.spoken(it));
        assert_eq!(follow[0], ("SubscribeToTask", json!({ "id": "t" })));
        assert_eq!(follow[1], ("tasks/resubscribe", json!({ "id": "t" })));
    }
}
