//! Words that go to an agent, and its reply.

use std::time::Duration;

use carport_a2a_api::{End, Ending};
use carport_a2a_types::{Content, Message};
use carport_agents_api::{Agents, Target, Turn};
use serde_json::Value;
use tokio::time::timeout;

use super::ACKNOWLEDGED;

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

/// Asks an agent. One that does not accept leaves the message acknowledged.
pub(super) async fn ask(agents: &dyn Agents, agent: &str, message: &Message) -> Ending {
    let prompt = prompt(message);
    if prompt.is_empty() {
        return Ending::saying(End::Completed, ACKNOWLEDGED);
    }
    let turn = Turn { target: Target::Agent(agent.to_owned()), prompt, session_id: None };
    let mut chat = match agents.chat(turn).await {
        Ok(chat) => chat,
        Err(error) => {
            tracing::info!(%error, agent, "the agent takes no chat from A2A");
            return Ending::saying(End::Completed, ACKNOWLEDGED);
        }
    };
    let reply = async {
        while let Some(event) = chat.events.recv().await {
            let text = |name| event.get(name).and_then(Value::as_str).unwrap_or_default();
            match text("kind") {
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
