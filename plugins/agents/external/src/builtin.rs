//! The tables of the command-line agents that clients know by name.
//!
//! They say what the agents' own documentation says of running without a terminal:
//! - `claude-code`: `claude --print --output-format stream-json` prints a `system` event with the
//!   session, `assistant` events with whole messages, `stream_event`s with pieces of them, and one
//!   `result` with answer, turns and cost. `claude auth status` ends with 0 if somebody is signed in.
//! - `codex`: `codex exec --json -` prints `thread.started`, `item.*` and `turn.*` events; messages come
//!   whole. There is no limit of turns, no list of tools and no cost. `codex login status` ends with 0 if
//!   somebody is signed in.
//! - `gemini`: `gemini --output-format stream-json` prints `init`, `message`, `tool_use` and `result`. It
//!   tells no cost and no number of turns, and cannot be asked whether somebody is signed in.
//!
//! What an agent cannot be told has no placeholder in its table; a call that asks for it is refused
//! rather than half obeyed.

use std::collections::BTreeMap;

use crate::table::AdapterTable;

const TABLES: &str = include_str!("builtin.json");

/// The built-in tables by id: `claude-code`, `codex`, `gemini`.
pub fn builtin_tables() -> BTreeMap<String, AdapterTable> {
    serde_json::from_str(TABLES).expect("a test reads them")
}
