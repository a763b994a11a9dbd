//! What the agents plugin says on the wire, as far as commands show it.

use carport_core::{RpcError, codes};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::link::{CallError, Link, Notice};
use crate::exit::{Code, Exit};

/// An agent. What a command does not show is kept for `--json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ManagedAgent {
    pub(crate) spec: AgentSpec,
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<u32>,
    #[serde(default)]
    pub(crate) restart_count: u32,
    /// Unix seconds, as `next_start_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started_at: Option<i64>,
    #[serde(default)]
    pub(crate) attached: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next_start_at: Option<i64>,
    #[serde(default)]
    pub(crate) pending_restart: bool,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// What was written down about an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct AgentSpec {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

impl ManagedAgent {
    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.spec.id
    }
}

/// Every agent, by id.
pub(crate) async fn list(link: &Link) -> Result<Vec<ManagedAgent>, CallError> {
    link.ask("agents.list", &json!({})).await
}

/// A call about one agent whose reply is that agent: `agents.start`, `.stop`, `.restart`.
pub(crate) async fn about(
    link: &Link,
    method: &str,
    params: &Value,
) -> Result<ManagedAgent, CallError> {
    link.ask(method, params).await
}

/// Whether an agent could be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) id: String,
    pub(crate) command: Option<String>,
    pub(crate) ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Every agent's command, held against the rules.
pub(crate) async fn health(link: &Link) -> Result<Vec<Health>, CallError> {
    link.ask("agents.health", &json!({})).await
}

/// The end of an agent's logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TailLog {
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
    /// Whether older lines were left out.
    pub(crate) more: bool,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// The last `lines` lines of each stream that `stream` includes; 0 for all.
pub(crate) async fn tail(
    link: &Link,
    id: &str,
    lines: u32,
    stream: &str,
) -> Result<TailLog, CallError> {
    link.ask("agents.tail_log", &json!({ "id": id, "n": lines, "stream": stream })).await
}

/// The end of an agent's logs as they were when the following of them began.
#[derive(Debug, Deserialize)]
pub(crate) struct LogFollowed {
    #[serde(flatten)]
    pub(crate) tail: TailLog,
    pub(crate) cursor: LogCursor,
}

/// The number of the last line of each stream.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct LogCursor {
    pub(crate) stdout: u64,
    pub(crate) stderr: u64,
}

/// As [`tail`]; every later line follows as a [`LogLine`].
pub(crate) async fn follow_log(
    link: &Link,
    id: &str,
    lines: u32,
    stream: &str,
) -> Result<LogFollowed, CallError> {
    link.ask("agents.follow_log", &json!({ "id": id, "n": lines, "stream": stream })).await
}

/// A line that an agent printed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct LogLine {
    pub(crate) id: String,
    pub(crate) stream: String,
    pub(crate) line: String,
    /// Counts the lines of the stream.
    pub(crate) cursor: u64,
}

impl LogLine {
    /// The line in a notification, if it is one.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        let is_line = notice.method == "agents.log";
        is_line.then(|| Self::deserialize(&notice.params).ok()).flatten()
    }
}

/// The snapshot that a subscription to agents begins with.
#[derive(Debug, Deserialize)]
pub(crate) struct Subscribed {
    pub(crate) agents: Vec<ManagedAgent>,
    pub(crate) cursor: u64,
}

/// Subscribes to every change of an agent.
pub(crate) async fn subscribe(link: &Link) -> Result<Subscribed, CallError> {
    link.ask("agents.subscribe", &json!({})).await
}

/// A change of an agent.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct AgentChanged {
    pub(crate) agent: ManagedAgent,
    pub(crate) cursor: u64,
    pub(crate) removed: bool,
}

impl AgentChanged {
    /// The change in a notification, if it is one.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        let is_change = notice.method == "agents.changed";
        is_change.then(|| Self::deserialize(&notice.params).ok()).flatten()
    }
}

/// Something happened in a chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChatEvent {
    pub(crate) session_id: String,
    pub(crate) seq: u64,
    pub(crate) kind: String,
    #[serde(flatten)]
    pub(crate) members: Map<String, Value>,
}

impl ChatEvent {
    /// The event in a notification, if it is one.
    pub(crate) fn of(notice: &Notice) -> Option<Self> {
        let is_event = notice.method == "agents.chat.event";
        is_event.then(|| Self::deserialize(&notice.params).ok()).flatten()
    }

    /// A member that is a text; empty if there is none.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.members.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A failed call about an agent, with what to do about it.
pub(crate) fn refused(error: CallError, id: &str) -> Exit {
    let CallError::Rpc(error) = error else { return error.into() };
    let remedy = match error.code {
        codes::NOT_FOUND => Some("`carport agents list` shows what there is".to_owned()),
        codes::GONE => Some(format!("`carport agents doctor {id}` says why")),
        _ => None,
    };
    let gone = error.code == codes::GONE;
    let mut exit = Exit::from(match &remedy {
        Some(remedy) => with_remedy(error, remedy),
        None => error,
    });
    if let Some(remedy) = remedy {
        exit.message = format!("{}; {remedy}", exit.message);
    }
    if gone {
        // The daemon is there; it is the agent who is not.
        exit.code = Code::Answered;
    }
    exit
}

fn with_remedy(error: RpcError, remedy: &str) -> RpcError {
    match error.data.as_ref().is_some_and(|data| data.get("remedy").is_some()) {
        true => error,
        false => error.with("remedy", remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_reads_and_writes_back_whole() {
        let agent = json!({
            "spec": { "id": "a", "command": "/bin/true", "future": [1] }, "status": "backoff",
            "last_exit_code": 3, "restart_count": 2, "attached": false, "reason": "exited with 3",
            "next_start_at": 7, "pending_restart": false, "log_path": "/l",
        });
        let read: ManagedAgent = serde_json::from_value(agent.clone()).unwrap();
        assert_eq!((read.id(), read.next_start_at), ("a", Some(7)));
        assert_eq!(serde_json::to_value(read).unwrap(), agent);
    }

    #[test]
    fn an_absent_agent_is_not_an_absent_daemon() {
        let gone = CallError::Rpc(RpcError::new(codes::GONE, "agent `a` is not attached"));
        let exit = refused(gone, "a");
        assert_eq!(exit.code, Code::Answered);
        assert_eq!(
            exit.message,
            "agent `a` is not attached (-32010); `carport agents doctor a` says why"
        );
        assert!(exit.rpc.unwrap().data.unwrap()["remedy"].as_str().unwrap().contains("doctor"));
        let exit = refused(CallError::Rpc(RpcError::not_found("agent `a`")), "a");
        assert!(exit.message.contains("carport agents list"), "{}", exit.message);
    }
}
