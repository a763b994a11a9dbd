//! One turn with an agent that speaks the Agent Client Protocol, version 1: JSON-RPC 2.0, a message a line.
//!
//! The daemon is the client: `initialize`, `session/new` or `session/load`, one `session/prompt`. It
//! offers neither files nor terminals. Who asks for a permission gets it for tools that the call allows,
//! and only once. <https://agentclientprotocol.com/protocol/v1/overview>.

use std::path::Path;

use serde_json::{Value, json};

use super::{Said, document::tool_call};
use crate::adapter::Values;

/// The version of the protocol that is spoken.
const VERSION: u64 = 1;

/// The client's side of one turn.
pub(super) struct Acp {
    stage: Stage,
    task: String,
    allowed_tools: Vec<String>,
    load: Option<String>,
    cwd: String,
    mcp_endpoint: Option<String>,
    /// Messages for the agent.
    pub(super) outgoing: Vec<String>,
}

/// What is waited for. Its number is the id of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Initialize,
    Session,
    Prompt,
    Over,
}

impl Acp {
    pub(super) fn new(values: &Values, cwd: &Path, mcp_endpoint: Option<&str>) -> Self {
        let mut own = Self {
            stage: Stage::Initialize,
            task: values.task.clone(),
            allowed_tools: values.allowed_tools.clone().unwrap_or_default(),
            load: values.session_id.clone(),
            cwd: cwd.display().to_string(),
            mcp_endpoint: mcp_endpoint.map(str::to_owned),
            outgoing: Vec::new(),
        };
        let files = json!({ "readTextFile": false, "writeTextFile": false });
        let params = json!({
            "protocolVersion": VERSION,
            "clientCapabilities": { "fs": files, "terminal": false },
            "clientInfo": { "name": "carport", "version": env!("CARGO_PKG_VERSION") },
        });
        own.ask(Stage::Initialize, "initialize", &params);
        own
    }

    /// Whether the turn is over: the agent has nothing more to do.
    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Takes one message of the agent.
    pub(super) fn take(&mut self, said: &mut Said, message: &Value) {
        let (id, method) = (message.get("id"), message["method"].as_str());
        match (id, method) {
            (Some(id), Some("session/request_permission")) => {
                let outcome = json!({ "outcome": self.decide(&message["params"]) });
                self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": outcome }));
            }
            (Some(id), Some(_)) => {
                let error = json!({ "code": -32601, "message": "this client has no such method" });
                self.send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            }
            // What a session that is loaded tells before the prompt is its past.
            (None, Some("session/update")) if self.stage == Stage::Prompt => {
                update(said, &message["params"]["update"]);
            }
            (Some(id), None) if !self.is_over() && *id == json!(self.stage as u64) => {
                self.answered(said, message);
            }
            _ => {}
        }
    }

    /// The answer to what is waited for: on to the next stage.
    fn answered(&mut self, said: &mut Said, message: &Value) {
        if let Some(error) = message.get("error") {
            said.fail(error["message"].as_str().unwrap_or("the agent gave no reason"));
            self.stage = Stage::Over;
            return;
        }
        let result = &message["result"];
        match self.stage {
            Stage::Initialize => match self.missing(result) {
                None => self.open(),
                Some(why) => {
                    said.fail(&why);
                    self.stage = Stage::Over;
                }
            },
            Stage::Session => {
                let new = result["sessionId"].as_str().map(str::to_owned);
                let session = self.load.take().or(new).unwrap_or_default();
                let prompt = json!([{ "type": "text", "text": self.task }]);
                let params = json!({ "sessionId": session, "prompt": prompt });
                said.outcome.session_id = Some(session);
                self.ask(Stage::Prompt, "session/prompt", &params);
            }
            Stage::Prompt | Stage::Over => {
                said.outcome.turns = Some(1);
                match result["stopReason"].as_str() {
                    Some("end_turn") => {}
                    why => {
                        said.fail(&format!("its turn ended: {}", why.unwrap_or("without a reason")))
                    }
                }
                self.stage = Stage::Over;
            }
        }
    }

    /// Why the agent cannot do what is asked for, by what it says of itself.
    fn missing(&self, result: &Value) -> Option<String> {
        let can = &result["agentCapabilities"];
        if result["protocolVersion"] != VERSION {
            let other = &result["protocolVersion"];
            return Some(format!("it speaks version {other} of the protocol, not {VERSION}"));
        }
        if self.load.is_some() && can["loadSession"] != true {
            return Some("it cannot go on with a session".into());
        }
        let mcp = self.mcp_endpoint.is_some() && can["mcpCapabilities"]["http"] != true;
        mcp.then(|| "it takes no MCP server over HTTP".into())
    }

    fn open(&mut self) {
        let server = |url| json!({ "type": "http", "name": "carport", "url": url, "headers": [] });
        let servers: Vec<Value> = self.mcp_endpoint.iter().map(server).collect();
        let mut params = json!({ "cwd": self.cwd, "mcpServers": servers });
        let method = match &self.load {
            Some(id) => {
                params["sessionId"] = json!(id);
                "session/load"
            }
            None => "session/new",
        };
        self.ask(Stage::Session, method, &params);
    }

    /// Allows once what the call allows, by the name or the kind of the tool; else rejects.
    fn decide(&self, params: &Value) -> Value {
        let tool = &params["toolCall"];
        let names = [tool["name"].as_str(), tool["kind"].as_str()];
        let allowed =
            names.into_iter().flatten().any(|it| self.allowed_tools.iter().any(|own| own == it));
        let wanted = if allowed { "allow_once" } else { "reject_once" };
        let options = params["options"].as_array().into_iter().flatten();
        let option =
            options.filter(|it| it["kind"] == wanted).find_map(|it| it["optionId"].as_str());
        match option {
            Some(id) => json!({ "outcome": "selected", "optionId": id }),
            None => json!({ "outcome": "cancelled" }),
        }
    }

    fn ask(&mut self, stage: Stage, method: &str, params: &Value) {
        self.stage = stage;
        let id = stage as u64;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
    }

    fn send(&mut self, message: &Value) {
        self.outgoing.push(format!("{message}\n"));
    }
}

fn update(said: &mut Said, update: &Value) {
    match update["sessionUpdate"].as_str() {
        Some("agent_message_chunk") => said.token(update["content"]["text"].as_str().unwrap_or("")),
        Some("tool_call") => {
            let tool = update["name"].as_str().or(update["title"].as_str());
            tool_call(said, tool.unwrap_or_default(), update.get("rawInput"));
        }
        Some("usage_update") if update["cost"]["currency"] == "USD" => {
            said.outcome.total_cost_usd = update["cost"]["amount"].as_f64();
        }
        _ => {}
    }
}

#[cfg(test)]
#[path = "acp_tests.rs"]
mod tests;
