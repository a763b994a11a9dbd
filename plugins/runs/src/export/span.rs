//! The spans of a run: one for the run, one for each turn, with the attributes of the GenAI semantic
//! conventions beside our own. Pure.

use carport_core::Time;
use serde::{Deserialize, de::IgnoredAny};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    free::Free,
    record::{RunEnded, RunStarted, RunStatus, RunTurn, Termination},
};

/// Names of the GenAI semantic conventions that are used here. They are written down rather than taken
/// from a crate: the conventions are still in development, and a document that changes its names with a
/// dependency helps nobody.
mod genai {
    pub(super) const OPERATION: &str = "gen_ai.operation.name";
    pub(super) const AGENT_ID: &str = "gen_ai.agent.id";
    pub(super) const AGENT_NAME: &str = "gen_ai.agent.name";
    pub(super) const TOOL_NAME: &str = "gen_ai.tool.name";
    pub(super) const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
    pub(super) const TOOL_RESULT: &str = "gen_ai.tool.call.result";
    pub(super) const INVOKE_AGENT: &str = "invoke_agent";
    pub(super) const EXECUTE_TOOL: &str = "execute_tool";
    pub(super) const CHAT: &str = "chat";
}

/// `service.name` of everything that is exported.
pub(crate) const SERVICE: &str = "carport";
/// The instrumentation scope.
pub(crate) const SCOPE: &str = "carport.runs";

/// A stretch of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    pub(crate) name: String,
    pub(crate) start: Time,
    /// An open run has none.
    pub(crate) end: Option<Time>,
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
    /// Whether it went well, as far as somebody said so.
    pub(crate) went_well: Option<bool>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attribute {
    Text(String),
    Int(i64),
    Flag(bool),
}

/// The span of the whole run.
pub(crate) fn of_run(started: &RunStarted, ended: Option<&RunEnded>) -> Span {
    let outcome = ended.and_then(|ended| match &ended.termination {
        Termination::Outcome { outcome } => Some(outcome.status.as_str()),
        Termination::Incomplete { .. } => None,
    });
    let status = match RunStatus::of(ended) {
        RunStatus::InProgress => "in_progress",
        RunStatus::Completed => "completed",
        RunStatus::Incomplete => "incomplete",
    };
    let good = outcome.is_some_and(|it| !matches!(it, "failure" | "error" | "timeout"));
    Span {
        trace_id: trace_id(&started.run_id),
        span_id: span_id(&started.run_id, "root"),
        parent: None,
        name: "run".into(),
        start: started.started_at,
        end: ended.map(|ended| ended.ended_at),
        attributes: present([
            ("run.id", text(&started.run_id)),
            ("run.intent", text(&started.intent)),
            ("run.status", text(status)),
            ("run.outcome.status", outcome.and_then(text)),
            (genai::OPERATION, text(genai::INVOKE_AGENT)),
            (genai::AGENT_ID, text(&started.agent_id)),
            (genai::AGENT_NAME, started.agent_name.as_deref().and_then(text)),
        ]),
        went_well: ended.map(|_| good),
    }
}

/// The span of a turn; `since` is when the turn before it was accepted, or when the run started.
pub(crate) fn of_turn(started: &RunStarted, turn: &RunTurn, since: Time) -> Span {
    let tool = turn.tool.as_deref();
    let operation = if tool.is_some() { genai::EXECUTE_TOOL } else { genai::CHAT };
    let rejected = turn.policy_rejected == Some(true);
    let failed = turn.output.as_ref().is_some_and(has_error);
    Span {
        trace_id: trace_id(&started.run_id),
        span_id: span_id(&started.run_id, &turn.index.to_string()),
        parent: Some(span_id(&started.run_id, "root")),
        name: tool.unwrap_or("turn").into(),
        start: since,
        end: Some(turn.at),
        attributes: present([
            ("turn.index", i64::try_from(turn.index).ok().map(Attribute::Int)),
            ("tool.name", tool.and_then(text)),
            ("tool.parameters", turn.parameters.as_ref().and_then(any)),
            ("tool.output", turn.output.as_ref().and_then(any)),
            ("prompt", turn.prompt.as_ref().and_then(any)),
            ("verifier.verdict", any(&turn.verifier_verdict)),
            ("policy.rejected", turn.policy_rejected.map(Attribute::Flag)),
            (genai::OPERATION, text(operation)),
            (genai::AGENT_ID, text(&started.agent_id)),
            (genai::TOOL_NAME, tool.and_then(text)),
            (genai::TOOL_ARGUMENTS, tool.and(turn.parameters.as_ref()).and_then(any)),
            (genai::TOOL_RESULT, tool.and(turn.output.as_ref()).and_then(any)),
        ]),
        went_well: (rejected || failed).then_some(false),
    }
}

fn present<const N: usize>(
    all: [(&'static str, Option<Attribute>); N],
) -> Vec<(&'static str, Attribute)> {
    all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "an attribute that is always present, beside others")]
fn text(text: &str) -> Option<Attribute> {
    Some(Attribute::Text(text.to_owned()))
}

/// Strings stay as they are, any other value becomes its JSON.
fn any(value: &Free) -> Option<Attribute> {
    match value.text() {
        "null" => None,
        json => text(&serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())),
    }
}

fn has_error(output: &Free) -> bool {
    #[derive(Deserialize)]
    struct Failed {
        #[serde(rename = "error")]
        _error: IgnoredAny,
    }
    // A derived reader would take a list of one for it.
    output.text().starts_with('{') && serde_json::from_str::<Failed>(output.text()).is_ok()
}

/// The 16 bytes of a run id that is a UUID, else the first 16 of its SHA-256.
fn trace_id(run_id: &str) -> [u8; 16] {
    Uuid::try_parse(run_id).map_or_else(|_| first(&Sha256::digest(run_id)), Uuid::into_bytes)
}

/// The first 8 bytes of SHA-256(run id + `/` + `part`).
fn span_id(run_id: &str, part: &str) -> [u8; 8] {
    first(&Sha256::digest(format!("{run_id}/{part}")))
}

fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    std::array::from_fn(|at| digest[at])
}
