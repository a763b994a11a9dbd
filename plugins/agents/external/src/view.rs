//! External agents as clients see them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One adapter and what was found for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalAgentSpec {
    /// The adapter.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// The program that was found; what was looked for, if none was.
    pub binary_path: String,
    /// The first line of its answer to the version question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How somebody signs in to it, which is the agent's own affair.
    pub auth_kind: AuthKind,
    /// What the adapter can hand over and tell.
    pub capabilities: Capabilities,
    /// When it was looked for, in Unix seconds.
    pub detected_at: i64,
    /// How it is, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<ExternalAgentHealth>,
    /// Whether it can be run.
    pub execution: Execution,
}

/// How somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    /// The daemon does not know.
    Unknown,
}

/// What an adapter can hand over and tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capabilities {
    /// Whether its words come one by one.
    pub streaming: bool,
    /// Whether it takes images.
    pub images: bool,
    /// Whether it takes an MCP endpoint.
    pub mcp: bool,
}

/// Whether an adapter can be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Execution {
    /// Its program answered the version question.
    Runnable,
    /// No program did.
    Unusable {
        /// Why, for each that was tried.
        reason: String,
        /// When, in Unix seconds.
        checked_at: i64,
    },
}

/// How an external agent is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalAgentHealth {
    /// The adapter.
    pub id: String,
    /// In a word.
    pub status: HealthStatus,
    /// What the sign-in question was answered with.
    pub details: BTreeMap<String, Value>,
    /// Why it is not `ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was asked, in Unix seconds.
    pub checked_at: i64,
}

/// How an external agent is, in a word.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Somebody is signed in.
    Ready,
    /// Nobody is.
    NotConfigured,
    /// The sign-in has run out.
    Expired,
    /// It could not ask its own service.
    NetworkError,
    /// No program of it runs.
    NotExecutable,
    /// It cannot be asked, or gave no answer.
    Unknown,
}
