//! Words that go to an agent or a connection, and the reply.

use std::time::Duration;

use carport_a2a_api::{End, Ending};
use carport_a2a_types::{Content, Message};
use carport_agents_api::{Agents, Target, Turn};
use carport_core::codes;
use serde_json::Value;
use tokio::time::timeout;

use super::acknowledged;

/// How long a reply may take once the agent accepted the chat.
const REPLY_LIMIT: Duration = Duration::from_secs(180);

/// What an agent is told: the texts of a message, and its data as JSON.
fn prompt(message: &Message) -> String {
    let texts = message.parts.iter().filter_map(|part| match &part.content {
        Content::Text(text) => Some(text.clone()),
        Content::Data(data) => Some(data.to_string()),
        Content::Url(url) => Some(url.clone()),
        Content::Raw(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// Asks for a reply. Where nobody accepts the chat, the message is acknowledged. Dropped, it cancels the chat.
pub(super) async fn ask(agents: &dyn Agents, target: &Target, message: &Message) -> Ending {
    let prompt = prompt(message);
    if prompt.is_empty() {
        return acknowledged();
    }
    let turn = Turn { target: target.clone(), prompt, session_id: None };
    let mut chat = match agents.chat(turn).await {
        Ok(chat) => chat,
        // Nobody was asked, and whoever sent it can do something about it.
        Err(error) if matches!(error.code, codes::INVALID_PARAMS | codes::LIMIT) => {
            return Ending::saying(End::Failed, error.message);
        }
        Err(error) => {
            tracing::info!(%error, ?target, "nobody takes a chat from A2A");
            return acknowledged();
        }
    };
    let reply = async {
        while let Some(event) = chat.events.recv().await {
            let text = |name| event.get(name).and_then(Value::as_str).unwrap_or_default();
            match text("kind") {
                "done" if text("finish_reason") == "cancelled" => {
                    return Ending::saying(End::Failed, "the chat was cancelled");
                }
                "done" => return Ending::saying(End::Completed, text("text")),
                "error" => return Ending::saying(End::Failed, text("error")),
                _ => {}
            }
        }
        Ending::saying(End::Failed, "the chat ended without a reply")
    };
    timeout(REPLY_LIMIT, reply).await.unwrap_or_else(|_| {
        let why = format!("the agent did not reply within {} s", REPLY_LIMIT.as_secs());
        Ending::saying(End::Failed, why)
    })
}
