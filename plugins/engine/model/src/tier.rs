//! The permission tier that an action needs, by signals on its type, its tool and its parameters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    operation::Operation,
    proposal::{Action, ActionType, Reversibility},
    words::{ends_with, has_phrase, name_words, text_words},
};

/// What a connection may do without asking.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Looks and changes nothing.
    ReadOnly,
    /// Changes what can be changed back.
    SandboxEdit,
    /// Everything; never without an approval.
    FullAccess,
}

/// How an action is classified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Classification {
    /// The action.
    pub action_id: String,
    /// The tool that it calls, if it calls one.
    pub tool: Option<String>,
    /// The tier that it needs.
    pub required_tier: Tier,
    /// By its names, whatever its author declares.
    pub reversibility: Reversibility,
    /// Declared compensable, and nothing says how.
    pub missing_compensation: bool,
}

const READ_VERBS: &[&str] = &[
    "read",
    "get",
    "list",
    "find",
    "search",
    "grep",
    "query",
    "view",
    "show",
    "stat",
    "count",
    "describe",
    "lookup",
    "calculate",
];

/// Words of a tool that reach outside or cannot be taken back.
const GRAVE_TOOL_WORDS: &[&str] = &[
    "deploy",
    "publish",
    "release",
    "send",
    "email",
    "mail",
    "sms",
    "pay",
    "payment",
    "charge",
    "refund",
    "transfer",
    "purchase",
    "delete",
    "drop",
    "destroy",
    "terminate",
    "shutdown",
    "secret",
    "secrets",
    "password",
    "credential",
    "credentials",
    "sudo",
    "prod",
    "production",
];

/// Parameters that hold a command line, in the order in which its parts are joined.
const COMMAND_KEYS: &[&str] = &["command", "cmd", "args", "argv", "flags"];
/// How many maps lie between the parts of one command line; a bound, so that the work stays linear.
const COMMAND_DEPTH: usize = 3;
const GRAVE_COMMANDS: &[&str] = &[
    "curl",
    "wget",
    "ssh",
    "scp",
    "rsync",
    "nc",
    "sudo",
    "su",
    "dd",
    "mkfs",
    "reboot",
    "shutdown",
    "systemctl",
    "kubectl",
    "terraform",
    "aws",
    "gcloud",
    "az",
    "git push",
    "docker push",
    "npm publish",
    "cargo publish",
];

const SECRET_KEYS: &[&str] = &[
    "api key",
    "apikey",
    "password",
    "passwd",
    "secret",
    "token",
    "auth",
    "credential",
    "credentials",
    "private key",
];

const PATH_KEYS: &[&str] =
    &["path", "file", "dest", "destination", "target", "source", "src", "dir"];
const GRAVE_PATH_PARTS: &[&str] =
    &[".ssh", ".aws", ".gnupg", ".kube", ".netrc", "id_rsa", "id_ed25519"];
const GRAVE_ENDINGS: &[&str] = &[".pem", ".key", ".p12"];

/// In words: `rm -rf` is `rm rf`.
const GRAVE_PHRASES: &[&str] = &[
    "drop table",
    "truncate table",
    "delete from",
    "rm rf",
    "rm fr",
    "git reset hard",
    "git push force",
];

const IRREVERSIBLE_WORDS: &[&str] = &[
    "send",
    "email",
    "mail",
    "sms",
    "pay",
    "charge",
    "transfer",
    "purchase",
    "delete",
    "drop",
    "destroy",
    "terminate",
    "rm",
];
const COMPENSABLE_WORDS: &[&str] = &[
    "insert", "create", "add", "push", "deploy", "publish", "release", "update", "upsert", "write",
    "edit", "register", "enable",
];

impl Tier {
    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::SandboxEdit => "sandbox_edit",
            Self::FullAccess => "full_access",
        }
    }
}

impl Action {
    /// Its row of `permission.classify`.
    pub fn classify(&self) -> Classification {
        let operation = self.operation();
        Classification {
            action_id: self.id.clone(),
            tool: operation.tool.map(str::to_owned),
            required_tier: operation.required_tier(),
            reversibility: operation.reversibility(),
            missing_compensation: self.is_missing_compensation(),
        }
    }
}

impl Operation<'_> {
    /// The highest tier that any signal gives.
    pub fn required_tier(&self) -> Tier {
        if self.has_word(GRAVE_TOOL_WORDS) || Place::default().is_grave(self.parameters) {
            return Tier::FullAccess;
        }
        match self.kind {
            ActionType::StateRead | ActionType::Assertion => Tier::ReadOnly,
            ActionType::ToolCall if self.begins_with_read() => Tier::ReadOnly,
            ActionType::StateWrite | ActionType::ToolCall => Tier::SandboxEdit,
        }
    }

    /// Whether it can be taken back, by its names.
    pub fn reversibility(&self) -> Reversibility {
        match self.kind {
            ActionType::ToolCall if self.begins_with_read() => Reversibility::Reversible,
            ActionType::ToolCall if self.has_word(IRREVERSIBLE_WORDS) => {
                Reversibility::Irreversible
            }
            ActionType::ToolCall if self.has_word(COMPENSABLE_WORDS) => Reversibility::Compensable,
            ActionType::ToolCall => Reversibility::Irreversible,
            _ => Reversibility::Reversible,
        }
    }

    fn has_word(&self, words: &[&str]) -> bool {
        has_phrase(name_words(self.tool.unwrap_or_default()), words)
    }

    fn begins_with_read(&self) -> bool {
        let first = name_words(self.tool.unwrap_or_default()).take(1);
        has_phrase(first, READ_VERBS)
    }
}

/// What is known of a value from the keys above it. A command line is joined once, at its topmost key,
/// so that the work stays linear.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    in_command: bool,
    in_path: bool,
}

impl Place {
    fn is_grave(self, members: &Map<String, Value>) -> bool {
        if !self.in_command && is_grave_command(members) {
            return true;
        }
        members.iter().any(|(key, value)| {
            let ends = |phrases| ends_with(name_words(key), phrases);
            let below = Self {
                in_command: self.in_command || ends(COMMAND_KEYS),
                in_path: self.in_path || ends(PATH_KEYS),
            };
            ends(SECRET_KEYS)
                || has_phrase(text_words(key), GRAVE_PHRASES)
                || below.is_grave_value(value)
        })
    }

    fn is_grave_value(self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                has_phrase(text_words(text), GRAVE_PHRASES) || (self.in_path && is_grave_path(text))
            }
            // An argument list is a text in pieces.
            Value::Array(items) => {
                let joined = items.iter().filter_map(Value::as_str).flat_map(text_words);
                has_phrase(joined, GRAVE_PHRASES)
                    || items.iter().any(|item| self.is_grave_value(item))
            }
            Value::Object(members) => self.is_grave(members),
            _ => false,
        }
    }
}

/// `{ "command": "git", "args": ["push"] }` is `git push`, and so it is with `args` in a map below.
fn is_grave_command(members: &Map<String, Value>) -> bool {
    [0, COMMAND_DEPTH].into_iter().any(|depth| {
        let mut texts = Vec::new();
        for name in COMMAND_KEYS {
            collect_named(members, name, depth, &mut texts);
        }
        let words = || texts.iter().flat_map(|text| text_words(text));
        has_phrase(words(), GRAVE_COMMANDS) || has_phrase(words(), GRAVE_PHRASES)
    })
}

/// The texts of what is named so, in these members and in maps so deep below them.
fn collect_named<'a>(
    members: &'a Map<String, Value>,
    name: &str,
    depth: usize,
    texts: &mut Vec<&'a str>,
) {
    for (key, value) in members {
        match (ends_with(name_words(key), &[name]), value) {
            (true, _) => collect_texts(value, texts),
            (false, Value::Object(below)) if depth > 0 => {
                collect_named(below, name, depth - 1, texts);
            }
            (false, Value::Array(items)) if depth > 0 => {
                let below = items.iter().filter_map(Value::as_object);
                below.for_each(|it| collect_named(it, name, depth - 1, texts));
            }
            _ => {}
        }
    }
}

fn collect_texts<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        // An option may be a key: `{ "sudo": true }`.
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            texts.push(key);
            collect_texts(value, texts);
        }),
        _ => {}
    }
}

fn is_grave_path(text: &str) -> bool {
    let lower = text.trim().to_lowercase();
    let Some(url) = lower.strip_prefix("file:") else { return is_grave_file(&lower) };
    let url = percent_decoded(url);
    // With a host, or with what is meant as the path in its place.
    let path = url.strip_prefix("//").unwrap_or(&url);
    is_grave_file(path) || path.find('/').is_some_and(|at| is_grave_file(&path[at..]))
}

/// A text with what `%` and two hex digits stand for.
fn percent_decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'%'));
        bytes.extend_from_slice(&piece.as_bytes()[if byte.is_some() { 2 } else { 0 }..]);
    }
    String::from_utf8_lossy(&bytes).to_lowercase()
}

fn is_grave_file(path: &str) -> bool {
    // Going up from an unknown place may lead to the root.
    let mut from_root = path.starts_with(['/', '\\']);
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => from_root |= parts.pop().is_none(),
            part if GRAVE_PATH_PARTS.contains(&part) => return true,
            part => parts.push(part),
        }
    }
    (from_root && parts.first() == Some(&"etc"))
        || GRAVE_ENDINGS.iter().any(|ending| path.ends_with(ending))
}
