//! What a model proposes: actions with their dependencies, conditions and effects.

use std::collections::HashSet;

use carport_core::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};

/// Actions of one proposal.
pub(crate) const MAX_ACTIONS: usize = 1000;
/// Further attempts of one action.
pub(crate) const MAX_RETRIES: u32 = 20;
/// A day, in milliseconds: the longest attempt.
pub(crate) const MAX_TIMEOUT_MS: u64 = 86_400_000;

/// A batch of actions. [`fill`](Self::fill) it after reading, then [`check`](Self::check) it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionProposal {
    /// 12 hex digits if absent.
    #[serde(default, deserialize_with = "given_id")]
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// Who proposes: usually a model's name.
    #[serde(default = "unknown")]
    #[schemars(length(max = 256))]
    pub source: String,
    /// When; now if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Time>,
    /// What is to be done. The order of the list decides little: see [`Order`](crate::Order).
    #[schemars(length(max = 1000))]
    pub actions: Vec<Action>,
    /// Journaled as a digest, never interpreted.
    #[serde(default)]
    pub context: Map<String, Value>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    /// Unique in the proposal, `[A-Za-z0-9_.:-]`; 12 hex digits if absent.
    #[serde(default, deserialize_with = "given_id")]
    #[schemars(length(min = 1, max = 128))]
    pub id: String,
    /// What it does.
    #[serde(rename = "type")]
    pub kind: ActionType,
    /// Required for a tool call, ignored otherwise; see [`called_tool`](Self::called_tool).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub tool: Option<String>,
    /// Handed to the tool once references are filled in. The other types take `key` and the like.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// Actions of this proposal that must succeed first.
    #[serde(default)]
    pub dependencies: Vec<String>,
    /// State keys that must exist. They order, too.
    #[serde(default)]
    pub state_dependencies: Vec<String>,
    /// What must hold just before it runs. They do not order.
    #[serde(default)]
    pub preconditions: Vec<Precondition>,
    /// State keys and values that are written when it succeeds.
    #[serde(default)]
    pub expected_effects: Map<String, Value>,
    /// More keys that it reads, for order and conflicts.
    #[serde(default)]
    pub read_set: Vec<String>,
    /// More keys that it writes, for order and conflicts.
    #[serde(default)]
    pub write_set: Vec<String>,
    /// What the author took for granted; only verification looks.
    #[serde(default)]
    pub assumptions: Vec<Assumption>,
    /// Whether a tool call answers at once. Only for tool calls.
    #[serde(default)]
    pub invocation_mode: InvocationMode,
    /// As its author declares. Reported and audited, never enforced.
    #[serde(default)]
    pub reversibility: Reversibility,
    /// How it could be undone: a claim, not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Compensation>,
    /// Whether the idempotency cache may answer.
    #[serde(default)]
    pub idempotent: bool,
    /// What follows a failure.
    #[serde(default)]
    pub failure_behavior: FailureBehavior,
    /// Attempts beyond the first, under [`FailureBehavior::Retry`] only.
    #[serde(default = "three")]
    #[schemars(range(max = 20))]
    pub max_retries: u32,
    /// Of each attempt, in milliseconds; the tool default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400_000))]
    pub timeout_ms: Option<u64>,
    /// Carried, not interpreted.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionType {
    /// Calls `tool`.
    ToolCall,
    /// Writes `value` (`null` if absent) to state `key`.
    StateWrite,
    /// Reads state `key`; its output is the value, or `null`.
    StateRead,
    /// Compares state `key` with `expected`, else `value`, by `operator`, else `eq`; fails if it does
    /// not hold.
    Assertion,
}

/// What must hold of a state key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Precondition {
    /// The state key.
    #[schemars(length(min = 1, max = 512))]
    pub key: String,
    /// One of [`Operator`](crate::Operator); any other name never holds, and the error names it.
    #[serde(default = "eq")]
    pub operator: String,
    /// What the state is compared with.
    #[serde(default)]
    pub value: Value,
    /// In words, quoted in the error.
    #[serde(default)]
    pub description: String,
}

/// What the author took for granted about a state key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Assumption {
    /// The state key.
    #[schemars(length(min = 1, max = 512))]
    pub key: String,
    /// The value that it was seen with; absent: nothing is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_value: Option<Value>,
    /// The version that it was read at. State has no versions here, so it is carried only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_version: Option<Value>,
}

/// Whether a tool call answers at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvocationMode {
    /// The answer is the output.
    #[default]
    OneShot,
    /// The action succeeds with a handle; chunks follow.
    Streaming,
    /// The action succeeds with a handle; the end follows.
    LongRunning,
}

/// Whether it can be taken back, from the best to the worst.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reversibility {
    /// Nothing stays behind.
    Reversible,
    /// Something else can make up for it.
    Compensable,
    /// What is done stays done.
    #[default]
    Irreversible,
}

/// How an action could be undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Compensation {
    /// By a tool call.
    Tool {
        /// The tool.
        tool: String,
        /// What it would be called with.
        #[serde(default)]
        parameters: Map<String, Value>,
    },
    /// By another action.
    ActionRef {
        /// That action.
        action_id: String,
    },
}

/// What follows a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureBehavior {
    /// The proposal ends and its state is rolled back.
    #[default]
    Abort,
    /// Further attempts, then as [`Self::Abort`].
    Retry,
    /// The proposal goes on without it.
    Skip,
}

/// An id that is given is not empty; empty means absent from here until [`ActionProposal::fill`].
fn given_id<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let id = String::deserialize(from)?;
    match id.is_empty() {
        true => Err(D::Error::custom("must have 1..=128 bytes, got 0")),
        false => Ok(id),
    }
}

fn unknown() -> String {
    "unknown".into()
}

fn eq() -> String {
    "eq".into()
}

fn three() -> u32 {
    3
}

impl ActionProposal {
    /// Gives the absent ids and the absent time. `fresh` is asked for six random bytes each time, and
    /// again if they spell an id that is taken.
    pub fn fill(&mut self, now: Time, mut fresh: impl FnMut() -> [u8; 6]) {
        let mut hex = || fresh().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.timestamp.get_or_insert(now);
        if self.id.is_empty() {
            self.id = hex();
        }
        let mut taken: HashSet<String> =
            self.actions.iter().map(|action| action.id.clone()).collect();
        for action in self.actions.iter_mut().filter(|action| action.id.is_empty()) {
            while !taken.insert(action.id.clone()) {
                action.id = hex();
            }
        }
    }

    /// Six bytes that count up from 1, for [`fill`](Self::fill) where equal input has to give equal
    /// output.
    pub fn counted() -> impl FnMut() -> [u8; 6] {
        let mut count = 0u64;
        move || {
            count += 1;
            let [_, _, bytes @ ..] = count.to_be_bytes();
            bytes
        }
    }

    /// The worst reversibility that an action declares; an empty proposal is reversible.
    pub fn declared_rollback_contract(&self) -> Reversibility {
        let declared = self.actions.iter().map(|action| action.reversibility);
        declared.max().unwrap_or(Reversibility::Reversible)
    }
}

impl Action {
    /// The tool of a tool call; none for the other types, whatever `tool` holds.
    pub fn called_tool(&self) -> Option<&str> {
        self.tool.as_deref().filter(|_| self.kind == ActionType::ToolCall)
    }

    /// The state key in the parameters of the types that work on state, before references are filled in.
    pub fn state_key(&self) -> Option<&str> {
        match self.kind {
            ActionType::ToolCall => None,
            _ => self.parameters.get("key")?.as_str(),
        }
    }

    /// How often it may be tried in all.
    pub fn attempts(&self) -> u32 {
        match self.failure_behavior {
            FailureBehavior::Retry => self.max_retries.saturating_add(1),
            _ => 1,
        }
    }

    /// Declared compensable, and nothing says how.
    pub fn is_missing_compensation(&self) -> bool {
        self.reversibility == Reversibility::Compensable && self.compensation.is_none()
    }
}

impl ActionType {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToolCall => "tool_call",
            Self::StateWrite => "state_write",
            Self::StateRead => "state_read",
            Self::Assertion => "assertion",
        }
    }
}
