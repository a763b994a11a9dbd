//! What tasks do where an embedder provides nothing else: tool calls become proposals of the engine, and
//! words go to an agent, if one is named.

mod chat;
mod conformance;
mod shared;

use std::sync::Arc;

use async_trait::async_trait;
use carport_a2a_api::{End, Ending, Executor, Over, Turn, Updates};
use carport_a2a_types::{Artifact, Content, Message, Part};
use carport_agents_api::{Agents, Target};
use carport_engine_api::{EngineRuntime, Scope};
use serde_json::{Map, Value, json};

pub(crate) use conformance::TestExecutor;
pub(crate) use shared::{Shared, Sharing};

use crate::drawing::Drawing;

/// What is said of a message that asks for nothing.
const ACKNOWLEDGED: &str = "Acknowledged.";

fn acknowledged() -> Ending {
    Ending::saying(End::Completed, ACKNOWLEDGED)
}

/// Runs messages on a runtime of the engine.
pub(crate) struct EngineExecutor {
    runtime: Arc<dyn EngineRuntime>,
    /// Who words go to.
    chat: Option<(Target, Arc<dyn Agents>)>,
    /// Where surfaces in messages are drawn.
    drawing: Option<Arc<Drawing>>,
}

/// A tool call that a message asks for.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    /// Its action: `a0`, `a1`, ...
    id: String,
    tool: String,
    parameters: Map<String, Value>,
}

/// The tool calls of a message: its data parts that are objects with a text `tool`.
///
/// # Errors
/// The parameters of one are no object. None is to run then.
fn calls(message: &Message) -> Result<Vec<Call>, &'static str> {
    let asked = message.parts.iter().filter_map(|part| {
        let Content::Data(Value::Object(members)) = &part.content else { return None };
        let tool = members.get("tool")?.as_str()?.to_owned();
        let parameters = match members.get("parameters") {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(parameters)) => Ok(parameters.clone()),
            Some(_) => Err("parameters must be an object"),
        };
        Some((tool, parameters))
    });
    let numbered = asked.enumerate();
    let call =
        |(n, (tool, parameters))| Ok(Call { id: format!("a{n}"), tool, parameters: parameters? });
    numbered.map(call).collect()
}

/// A tool's output as an artifact: text if it is a string, else data.
fn artifact(call: &Call, output: Value) -> Artifact {
    let content = match output {
        Value::String(text) => Content::Text(text),
        other => Content::Data(other),
    };
    Artifact { name: Some(call.tool.clone()), ..Artifact::of(&*call.id, Part::of(content)) }
}

impl EngineExecutor {
    pub(crate) fn new(
        runtime: Arc<dyn EngineRuntime>,
        chat: Option<(Target, Arc<dyn Agents>)>,
        drawing: Option<Arc<Drawing>>,
    ) -> Self {
        Self { runtime, chat, drawing }
    }

    /// Runs one call; `None` if it succeeded and more may follow.
    async fn run(&self, call: &Call, turn: &Turn, updates: &dyn Updates) -> Option<Ending> {
        let proposal = json!({
            "source": "a2a",
            "actions": [{
                "id": call.id,
                "type": "tool_call",
                "tool": call.tool,
                "parameters": call.parameters,
            }],
        });
        let scope = Scope { caller_id: Some(turn.owner.clone()), ..Scope::default() };
        let result = match self.runtime.execute(proposal, Some(scope)).await {
            Ok(mut result) => result["results"][0].take(),
            Err(error) => return Some(Ending::saying(End::Rejected, error.message)),
        };
        let error = result["error"].as_str().unwrap_or("the engine gave no reason").to_owned();
        let output = result.get("output").cloned().unwrap_or_default();
        match result["status"].as_str() {
            Some("succeeded") => {
                let kept = updates.artifact(artifact(call, output), false, true).await;
                kept.err().map(|Over| Ending::saying(End::Failed, ""))
            }
            Some("rejected") => Some(Ending::saying(End::Rejected, error)),
            _ => Some(Ending::saying(End::Failed, error)),
        }
    }
}

#[async_trait]
impl Executor for EngineExecutor {
    async fn turn(&self, turn: Turn, updates: &dyn Updates) -> Ending {
        if let Some(drawing) = &self.drawing {
            drawing.said(&turn.owner, &turn.task, &turn.message);
        }
        let calls = match calls(&turn.message) {
            Ok(calls) => calls,
            Err(why) => return Ending::saying(End::Failed, why),
        };
        for call in &calls {
            if let Some(ending) = self.run(call, &turn, updates).await {
                return ending;
            }
        }
        match &self.chat {
            _ if !calls.is_empty() => Ending::saying(End::Completed, ""),
            Some((target, agents)) => chat::ask(agents.as_ref(), target, &turn.message).await,
            None => acknowledged(),
        }
    }
}

#[cfg(test)]
mod tests {
    use carport_a2a_types::{Version, read::read};

    use super::*;

    #[test]
    fn only_objects_with_a_tool_are_calls() {
        let message = json!({ "messageId": "m", "role": "user", "parts": [
            { "data": { "tool": "a", "parameters": { "x": 1 } } },
            { "text": "words" },
            { "data": { "tool": 7 } },
            { "data": ["tool"] },
            { "data": { "tool": "b", "parameters": null } },
        ] });
        let mut message: Message = read(message, Version::V1).unwrap();
        let found = calls(&message).unwrap();
        let named: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.tool.as_str())).collect();
        assert_eq!(named, [("a0", "a"), ("a1", "b")]);
        assert_eq!((found[0].parameters.len(), found[1].parameters.len()), (1, 0));
        let bad = json!({ "tool": "c", "parameters": "no object" });
        message.parts.push(Part::of(Content::Data(bad)));
        assert_eq!(calls(&message), Err("parameters must be an object"));
    }

    #[test]
    fn a_text_stays_a_text() {
        let call = Call { id: "a0".into(), tool: "t".into(), parameters: Map::new() };
        let made = artifact(&call, "words".into());
        assert_eq!(made.parts[0].content, Content::Text("words".into()));
        assert_eq!((made.artifact_id.as_str(), made.name.as_deref()), ("a0", Some("t")));
        assert_eq!(artifact(&call, json!(42)).parts[0].content, Content::Data(json!(42)));
    }
}
