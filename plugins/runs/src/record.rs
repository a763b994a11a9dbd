//! The records of a run: the lines of its file, and what events and traces carry.

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock},
};

use carport_core::Time;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

use crate::free::Free;

/// The format that new files are written in.
pub(crate) const FORMAT: u32 = 1;

/// One record, tagged by `record`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum RunRecord {
    /// The first line.
    Started(RunStarted),
    /// A turn.
    Turn(RunTurn),
    /// The last line.
    Ended(RunEnded),
}

impl RunRecord {
    /// Reads a record. Its tag is read first: a derived reader would have to take values apart that stay
    /// as they are.
    pub(crate) fn read(text: &str) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Kind {
            Started,
            Turn,
            Ended,
        }
        #[derive(Deserialize)]
        struct Tagged {
            record: Kind,
        }
        match serde_json::from_str::<Tagged>(text)?.record {
            Kind::Started => serde_json::from_str(text).map(Self::Started),
            Kind::Turn => serde_json::from_str(text).map(Self::Turn),
            Kind::Ended => serde_json::from_str(text).map(Self::Ended),
        }
    }
}

/// How a run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunStarted {
    /// The run's durable name.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// What the agent was asked to do.
    pub intent: String,
    /// What it steers toward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_description: Option<String>,
    /// By the daemon's clock.
    pub started_at: Time,
    /// As the agent gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
}

/// One turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunTurn {
    /// Its place in the run, from 0.
    pub index: u64,
    /// What the model saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Free>,
    /// The tool that was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it was called with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Free>,
    /// What came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Free>,
    /// How a driven command ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cli_outcome: Option<Free>,
    /// What a verifier said; `not_run` if none did.
    #[serde(default = "not_run")]
    pub verifier_verdict: Free,
    /// Whether a policy refused the action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_rejected: Option<bool>,
    /// When the daemon accepted it.
    pub at: Time,
}

pub(crate) fn not_run() -> Free {
    static NOT_RUN: LazyLock<Free> = LazyLock::new(|| Value::from("not_run").into());
    NOT_RUN.clone()
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunEnded {
    /// The run.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// With an outcome, or without.
    pub termination: Termination,
    /// By the daemon's clock.
    pub ended_at: Time,
    /// Turns recorded.
    pub turn_count: u64,
}

/// With an outcome, or without.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Termination {
    /// The agent said how it went.
    Outcome {
        /// What it said.
        outcome: AgentOutcome,
    },
    /// It did not.
    Incomplete {
        /// Why not.
        reason: IncompleteReason,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
}

/// Why a run ended without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncompleteReason {
    /// The connection that the run was attached to ended, or the daemon stopped.
    Disconnect,
    /// Somebody cancelled it.
    Cancelled,
    /// The daemon died while it was open.
    Restart,
}

/// What an agent says about how a run went. An empty object is a valid outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentOutcome {
    /// Usually `success`, `failure`, `partial`, `timeout` or `error`.
    #[serde(default = "unknown")]
    #[schemars(length(min = 1, max = 64))]
    pub status: String,
    /// In words; cut to 16 KiB.
    #[serde(default)]
    pub summary: String,
    /// At most 256 items.
    #[serde(default)]
    pub evidence: Vec<Value>,
    /// Usually `turns`, `tool_calls`, `actions_succeeded`, `actions_failed`.
    #[serde(default)]
    pub metrics: Map<String, Value>,
    /// The reporter's clock; now, if it says nothing that reads as a time.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub timestamp: Value,
}

impl Default for AgentOutcome {
    fn default() -> Self {
        Self {
            status: unknown(),
            summary: String::new(),
            evidence: Vec::new(),
            metrics: Map::new(),
            timestamp: Value::Null,
        }
    }
}

fn unknown() -> String {
    "unknown".into()
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// It takes turns.
    InProgress,
    /// It ended with an outcome.
    Completed,
    /// It ended without.
    Incomplete,
}

impl RunStatus {
    pub(crate) fn of(ended: Option<&RunEnded>) -> Self {
        match ended.map(|ended| &ended.termination) {
            None => Self::InProgress,
            Some(Termination::Outcome { .. }) => Self::Completed,
            Some(Termination::Incomplete { .. }) => Self::Incomplete,
        }
    }
}

/// A run in a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// The run.
    pub run_id: String,
    /// Whose it is.
    pub agent_id: String,
    /// What the agent was asked to do.
    pub intent: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Where it stands.
    pub status: RunStatus,
    /// Turns recorded.
    pub turn_count: u64,
    /// As the agent gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_name: Option<String>,
    /// The status of its outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome_status: Option<String>,
    /// Why it ended without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<IncompleteReason>,
}

impl RunSummary {
    pub(crate) fn new(started: &RunStarted, end: Option<&End>, turns: u64) -> Self {
        Self {
            run_id: started.run_id.clone(),
            agent_id: started.agent_id.clone(),
            intent: started.intent.clone(),
            started_at: started.started_at,
            ended_at: end.map(|end| end.at),
            status: end.map_or(RunStatus::InProgress, |end| end.status),
            turn_count: turns,
            agent_name: started.agent_name.clone(),
            outcome_status: end.and_then(|end| end.outcome_status.clone()),
            reason: end.and_then(|end| end.reason),
        }
    }
}

/// What a header keeps of how a run ended: an outcome may be large, and is in the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    pub(crate) at: Time,
    pub(crate) status: RunStatus,
    outcome_status: Option<String>,
    reason: Option<IncompleteReason>,
}

impl From<&RunEnded> for End {
    fn from(ended: &RunEnded) -> Self {
        let (outcome_status, reason) = match &ended.termination {
            Termination::Outcome { outcome } => (Some(outcome.status.clone()), None),
            Termination::Incomplete { reason, .. } => (None, Some(*reason)),
        };
        Self { at: ended.ended_at, status: RunStatus::of(Some(ended)), outcome_status, reason }
    }
}

/// A record as it stands in the file: written once, shared by the file, memory and events.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line(Arc<RawValue>);

impl Line {
    /// The line of `record`.
    pub(crate) fn of(record: &RunRecord) -> serde_json::Result<Self> {
        serde_json::value::to_raw_value(record).map(|raw| Self(raw.into()))
    }

    pub(crate) fn read(text: &str) -> serde_json::Result<Self> {
        RawValue::from_string(text.to_owned()).map(|raw| Self(raw.into()))
    }

    /// Its JSON, without the newline.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl JsonSchema for Line {
    fn schema_name() -> Cow<'static, str> {
        "RunRecord".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "A record of a run: `started`, `turn` or `ended`.",
            "required": ["record"],
        })
    }
}
