//! What a person writes down about one agent, and the bounds of it.

use std::collections::BTreeMap;

use carport_core::{Result, RpcError, bounds, encode_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::incarnation::MARK;

/// How many agents one manifest holds.
pub const MAX_AGENTS: usize = 256;

/// Names that are set last in a child's environment; a spec may not set them.
pub const IDENTITY_NAMES: [&str; 7] = [
    "CARPORT_URL",
    "CARPORT_AGENT_ID",
    "CARPORT_AGENT_TOKEN",
    "CAR_DAEMON_URL",
    "CAR_AGENT_ID",
    "CAR_AGENT_TOKEN",
    MARK,
];

/// One agent, as it is stored and sent. Members that are not listed here are kept and written back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSpec {
    /// `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`; at most 200 bytes as a file name, in which a capital takes three.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]*$"))]
    pub id: String,
    /// For people; the id, if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub name: Option<String>,
    /// What sort of agent it is, in its maker's words.
    #[serde(default = "supervised")]
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// The program: an absolute path that meets rules C1 to C5. Required unless `interpreter` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub command: Option<String>,
    /// A bare program name that is looked up once, along the daemon's `PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9._+-]*$"))]
    pub interpreter: Option<String>,
    /// Arguments: at most 256, 128 KiB together.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub args: Vec<String>,
    /// An absolute path of an existing directory; the agent's own directory, if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cwd: Option<String>,
    /// Variables to set: at most 64, 32 KiB together.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64))]
    pub env: BTreeMap<String, String>,
    /// Names to copy from the daemon's own environment, if they are set there; at most 64.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub pass_env: Vec<String>,
    /// Whether it is started again after it ended.
    #[serde(default)]
    pub restart: Restart,
    /// Automatic restarts since somebody started it; without it there is no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_restarts: Option<u32>,
    /// Seconds before the first restart; doubled with every further failure, up to 30.
    #[serde(default = "half_a_second")]
    #[schemars(range(min = 0.1, max = 30))]
    pub backoff_secs: f64,
    /// Seconds between TERM and KILL.
    #[serde(default = "five_seconds")]
    #[schemars(range(min = 0, max = 60))]
    pub stop_grace_secs: f64,
    /// Whether the daemon starts it at boot.
    #[serde(default)]
    pub auto_start: bool,
    /// What it says it can do; `chat` makes hosts show a chat.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub capabilities: Vec<String>,
    /// If present, the only methods that a session bound to this agent may call; `ns.*` allows all of `ns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub method_allowlist: Option<Vec<String>>,
    /// Members that this build does not know.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Whether an agent is started again after it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Restart {
    /// Never.
    Never,
    /// When it failed.
    #[default]
    OnFailure,
    /// Whenever it ends.
    Always,
}

fn supervised() -> String {
    "supervised".into()
}

fn half_a_second() -> f64 {
    0.5
}

fn five_seconds() -> f64 {
    5.0
}

impl AgentSpec {
    /// Its name for people.
    pub fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// Its id as a file name. [`validate`](Self::validate) has seen to it that there is one.
    pub fn file_name(&self) -> Result<String> {
        encode_name("id", &self.id)
    }

    /// Checks the bounds of every field; touches no disk. The error names the field and the limit.
    pub fn validate(&self) -> Result<()> {
        agent_id("id", &self.id)?;
        bounds::maybe_bytes("name", self.name.as_deref(), 1..=256)?;
        bounds::bytes("kind", &self.kind, 1..=64)?;
        self.check_command()?;
        bounds::items("args", &self.args, 0..=256)?;
        together("args", self.args.iter().map(String::len), 128 * 1024)?;
        for (at, argument) in self.args.iter().enumerate() {
            no_nul(&format!("args[{at}]"), argument)?;
        }
        if let Some(cwd) = &self.cwd {
            bounds::bytes("cwd", cwd, 1..=4096)?;
            no_nul("cwd", cwd)?;
            if !cwd.starts_with('/') {
                return Err(RpcError::invalid_params("cwd", "must be an absolute path"));
            }
        }
        self.check_environment()?;
        bounds::within("backoff_secs", self.backoff_secs, 0.1..=30.0)?;
        bounds::within("stop_grace_secs", self.stop_grace_secs, 0.0..=60.0)?;
        bounds::texts("capabilities", &self.capabilities, 0..=64, 1..=128)?;
        bounds::texts(
            "method_allowlist",
            self.method_allowlist.as_deref().unwrap_or_default(),
            0..=256,
            1..=128,
        )
    }

    fn check_command(&self) -> Result<()> {
        if let Some(interpreter) = &self.interpreter {
            bounds::bytes("interpreter", interpreter, 1..=64)?;
            let word = |letter: char| letter.is_ascii_alphanumeric() || "._+-".contains(letter);
            bounds::letters("interpreter", interpreter, "[A-Za-z0-9._+-]", word)?;
        }
        match (&self.command, &self.interpreter) {
            (None, None) => Err(RpcError::invalid_params("command", "is required")),
            (Some(command), _) => bounds::bytes("command", command, 1..=4096),
            (None, Some(_)) => Ok(()),
        }
    }

    fn check_environment(&self) -> Result<()> {
        if self.env.len() > 64 {
            let why = format!("must have 0..=64 names, got {}", self.env.len());
            return Err(RpcError::invalid_params("env", why)
                .with("limit", 64)
                .with("got", self.env.len()));
        }
        together("env", self.env.iter().map(|(name, value)| name.len() + value.len()), 32 * 1024)?;
        for (name, value) in &self.env {
            let field = format!("env.{name}");
            variable(&field, name)?;
            no_nul(&field, value)?;
            if IDENTITY_NAMES.contains(&name.as_str()) {
                return Err(RpcError::invalid_params(&field, "is set by the daemon"));
            }
        }
        bounds::items("pass_env", &self.pass_env, 0..=64)?;
        let names = self.pass_env.iter().enumerate();
        names.into_iter().try_for_each(|(at, name)| variable(&format!("pass_env[{at}]"), name))
    }
}

/// An id of an agent that can be supervised: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`, and a file name.
pub fn agent_id(field: &str, id: &str) -> Result<()> {
    bounds::agent_id(field, id)?;
    if id.starts_with('-') {
        return Err(RpcError::invalid_params(field, "must not start with a dash"));
    }
    encode_name(field, id).map(drop)
}

/// A name of an environment variable.
fn variable(field: &str, name: &str) -> Result<()> {
    bounds::bytes(field, name, 1..=256)?;
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    bounds::letters(field, name, "[A-Za-z0-9_]", word)?;
    match name.starts_with(|first: char| first.is_ascii_digit()) {
        true => Err(RpcError::invalid_params(field, "must not start with a digit")),
        false => Ok(()),
    }
}

fn no_nul(field: &str, text: &str) -> Result<()> {
    match text.contains('\0') {
        true => Err(RpcError::invalid_params(field, "must not contain a NUL")),
        false => Ok(()),
    }
}

fn together(field: &str, sizes: impl Iterator<Item = usize>, limit: usize) -> Result<()> {
    let got: usize = sizes.sum();
    if got <= limit {
        return Ok(());
    }
    let why = format!("must have at most {limit} bytes together, got {got}");
    Err(RpcError::invalid_params(field, why).with("limit", limit).with("got", got))
}
