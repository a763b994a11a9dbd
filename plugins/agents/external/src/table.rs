//! The table of one adapter, as an operator writes it: `[agents.external.ID]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::view::HealthStatus;

/// How an external agent is found, asked, run and read. What a table leaves out is as in the built-in
/// table of the same id, if there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdapterTable {
    /// `false` takes the adapter out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// For people; the id, if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The program: a bare name that is looked up along `PATH`, or an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// Arguments that ask for the version; `["--version"]`, if they are not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_args: Option<Vec<String>>,
    /// Arguments that ask whether somebody is signed in: exit code 0 says yes. Not given: not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_args: Option<Vec<String>>,
    /// What the answer to that question says, in any case of letters, when it says no: texts by status.
    /// `not_configured`, if none of them is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in_says: Option<BTreeMap<HealthStatus, Vec<String>>>,
    /// Arguments of a run. An argument, or a group of them in brackets, is left out if a placeholder
    /// in it has no value; a group with `{image}` is there once for each image. Placeholders: `{task}
    /// {model} {max_turns} {allowed_tools} {no_tools} {session_id} {mcp_config} {image}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_args: Option<Vec<Argument>>,
    /// A letter at which the agent takes `{image}` for several paths: an image with it in its path is
    /// not handed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_separator: Option<char>,
    /// What is written to its standard input, with the same placeholders. Not given: nothing to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Variables of the daemon's own environment that it gets beside the basic set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pass_env: Option<Vec<String>>,
    /// Variables to set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<BTreeMap<String, String>>,
    /// How its output is read; `text`, if it is not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputFormat>,
    /// What is taken from its output, for the formats `json` and `json_lines`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<EventRule>>,
}

/// An argument, or some that are there or missing together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Argument {
    /// One.
    One(String),
    /// A group.
    Group(Vec<String>),
}

/// How output is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutputFormat {
    /// All of it is the answer.
    #[default]
    Text,
    /// All of it is the answer, and each line is passed on as it comes.
    Lines,
    /// It is one JSON document.
    Json,
    /// Each line is a JSON document; other lines are passed over.
    JsonLines,
    /// It speaks the Agent Client Protocol, version 1, over standard input and output. The protocol
    /// hands over task, session, tools by their name or kind, and MCP endpoint; no placeholder has to.
    Acp,
}

/// What is taken from a JSON document. Places in it are JSON pointers (RFC 6901).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventRule {
    /// What the document has to hold at these places for the rule to count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, Value>,
    /// A list in the document: the members below are then those of each of its items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// What an item has to hold at these places.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub of: BTreeMap<String, Value>,
    /// Text that is passed on as it comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The name of a tool that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it is called with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<String>,
    /// The answer; the last one counts. Without any, the tokens are the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The agent's own name for its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// How many turns there were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<String>,
    /// Whether each document that this rule is for is one turn.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_turn: bool,
    /// What all of it cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
    /// A boolean that is true if the task failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Why the task failed. If there is such a text, it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
