//! One attempt at a tool: a request to the client, or a call of a tool in the daemon, under a time limit.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use carport_core::{ClientRequest, Notification, RpcError, Session, codes};
use carport_engine_api::{HostTool, ToolCall};
use futures_util::FutureExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::runtime::Halt;

/// Bytes of a tool's own error that are kept.
pub(crate) const MAX_ERROR: usize = 4096;
/// How long a cancel waits for room on its way to the client.
const CANCEL_WAIT: Duration = Duration::from_secs(30);

/// Asks the client to run one of its tools. Any `result` is a success, whatever it holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExecuteTool {
    /// The action that calls.
    pub action_id: String,
    /// The tool.
    pub tool: String,
    /// Its parameters, references filled in.
    pub parameters: Map<String, Value>,
    /// Milliseconds that this attempt may take, if the action says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Counts from 1.
    pub attempt: u32,
    /// This request's own id; `tools.cancel` names it.
    pub request_id: String,
    /// The connection that submitted the proposal.
    pub session_id: String,
    /// The proposal.
    pub proposal_id: String,
    /// The run that is current on the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Who asks, as the scope of the proposal says; a peer to whom the connection lends its tools, for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller_id: Option<String>,
    /// `streaming` or `long_running`, for a detached call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_mode: Option<String>,
    /// What to push chunks to, for a detached call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
}

impl ClientRequest for ExecuteTool {
    const NAME: &'static str = "tools.execute";
    type Reply = Value;
}

/// Nobody waits for this call any more; its answer would be dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCancel {
    /// The `tools.execute` request.
    pub request_id: String,
    /// The action that called.
    pub action_id: String,
    /// Why.
    pub reason: String,
}

impl Notification for ToolCancel {
    const NAME: &'static str = "tools.cancel";
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) class: &'static str,
}

impl Failure {
    pub(crate) fn new(class: &'static str, error: impl Into<String>) -> Self {
        Self { error: error.into(), class }
    }

    pub(crate) fn timeout(limit: Duration) -> Self {
        Self::new("timeout", format!("timed out after {} ms", limit.as_millis()))
    }

    /// What the client says of its tool, at most so much of it.
    pub(crate) fn of_client(error: &RpcError) -> Self {
        let class = match error.code {
            codes::POLICY => "rejected_by_policy",
            _ => "tool_error",
        };
        Self::new(class, cut(&error.message))
    }
}

/// A tool's own words, cut at a character.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_ERROR)]
}

/// Tells the client, once, that nobody waits for a call, unless it was answered.
pub(crate) struct Abandoned<'a> {
    session: &'a Arc<Session>,
    cancel: Option<ToolCancel>,
    halt: Option<Arc<Halt>>,
}

impl<'a> Abandoned<'a> {
    /// Armed. `reason` counts unless the proposal was ended for another.
    pub(crate) fn new(
        session: &'a Arc<Session>,
        ask: &ExecuteTool,
        reason: &str,
        halt: Option<Arc<Halt>>,
    ) -> Self {
        let (request_id, action_id) = (ask.request_id.clone(), ask.action_id.clone());
        let cancel = ToolCancel { request_id, action_id, reason: reason.into() };
        Self { session, cancel: Some(cancel), halt }
    }

    pub(crate) fn answered(&mut self) {
        self.cancel = None;
    }

    pub(crate) fn because(&mut self, reason: &str) {
        if let Some(cancel) = &mut self.cancel {
            cancel.reason = reason.into();
        }
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        let Some(mut cancel) = self.cancel.take() else { return };
        if let Some(reason) = self.halt.as_ref().and_then(|halt| halt.reason()) {
            cancel.reason = reason.into();
        }
        if self.session.notify(&cancel) || self.session.is_closed() {
            return;
        }
        // The client is slow. Where no executor is left, the daemon is over.
        if let Ok(executor) = tokio::runtime::Handle::try_current() {
            let session = self.session.clone();
            executor.spawn(async move { session.notify_wait(&cancel, CANCEL_WAIT).await });
        }
    }
}

/// Asks the client once and waits so long. `None`: the connection ended.
pub(crate) async fn ask_client(
    session: &Arc<Session>,
    mut ask: ExecuteTool,
    limit: Duration,
    halt: &Arc<Halt>,
) -> Option<Result<Value, Failure>> {
    let asking = async {
        let request = session.open_request().await?;
        ask.request_id = request.id();
        request.send(&ask).await;
        let mut open = Abandoned::new(session, &ask, "timeout", Some(halt.clone()));
        let answer = request.answer::<ExecuteTool>().await;
        open.answered();
        answer
    };
    Some(match timeout(limit, asking).await {
        Err(_) => Err(Failure::timeout(limit)),
        Ok(Ok(answer)) => answer.map_err(|error| Failure::of_client(&error)),
        Ok(Err(_)) if session.is_closed() => return None,
        Ok(Err(gone)) => Err(Failure::new("tool_error", gone.message)),
    })
}

/// Calls a tool in the daemon once and waits so long.
pub(crate) async fn call_host(
    tool: &dyn HostTool,
    parameters: Map<String, Value>,
    call: ToolCall,
) -> Result<Value, Failure> {
    let limit = call.timeout;
    let calling = AssertUnwindSafe(tool.call(parameters, call)).catch_unwind();
    match timeout(limit, calling).await {
        Err(_) => Err(Failure::timeout(limit)),
        Ok(Ok(answer)) => answer.map_err(|error| Failure::new("tool_error", cut(&error))),
        Ok(Err(_)) => {
            tracing::error!("a tool of the daemon panicked");
            Err(Failure::new("tool_error", "the tool failed inside; the daemon's log says more"))
        }
    }
}
