//! What an external agent prints, turned into what it says and how its run came out. Pure and bounded.

mod acp;
mod document;
mod lines;

use std::path::Path;

use serde_json::Value;

use self::{acp::Acp, lines::Lines};
use crate::{
    adapter::{Adapter, Values},
    table::{EventRule, OutputFormat},
};

/// How much of an answer is kept, in bytes.
const ANSWER_BYTES: usize = 1 << 20;
/// How large one JSON document may be. A larger line is passed over, a larger whole output is an error.
const DOCUMENT_BYTES: usize = 8 << 20;
/// How much one token has at the most, in bytes.
const TOKEN_BYTES: usize = 64 << 10;

/// Something that an external agent says while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Saying {
    /// A piece of text, at most 64 KiB.
    Token(String),
    /// It calls a tool of its own.
    ToolCall {
        /// Its name, at most 256 bytes.
        tool: String,
        /// What it is called with; `None` if that is more than 64 KiB of JSON.
        params: Option<Value>,
    },
}

/// How a run came out, by what was printed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The answer, at most 1 MiB.
    pub answer: String,
    /// Whether there was more of it.
    pub truncated: bool,
    /// The agent's own name for its session.
    pub session_id: Option<String>,
    /// How many turns it took, if it told.
    pub turns: Option<u32>,
    /// How many tools it called.
    pub tool_calls: u32,
    /// What it cost, in US dollars, if it told.
    pub total_cost_usd: Option<f64>,
    /// Why the task failed, if it did.
    pub error: Option<String>,
}

/// Reads the output of one run.
pub struct Reader {
    format: OutputFormat,
    rules: Vec<EventRule>,
    acp: Option<Acp>,
    lines: Lines,
    said: Said,
}

/// What was said so far.
#[derive(Default)]
struct Said {
    sayings: Vec<Saying>,
    /// The tokens together.
    text: Text,
    has_token: bool,
    answer: Option<Text>,
    failed: bool,
    /// Whether any document was one that a rule is for.
    understood: bool,
    outcome: Outcome,
}

/// A text with a bound.
#[derive(Default)]
struct Text {
    text: String,
    truncated: bool,
}

impl Text {
    fn push(&mut self, more: &str) {
        let room = ANSWER_BYTES - self.text.len();
        self.text.push_str(&more[..more.floor_char_boundary(room)]);
        self.truncated |= more.len() > room;
    }

    fn of(text: &str) -> Self {
        let mut own = Self::default();
        own.push(text);
        own
    }
}

impl Reader {
    /// A reader of what this adapter's agent prints, when it is told `values` and runs in `cwd`.
    pub fn new(adapter: &Adapter, values: &Values, cwd: &Path, mcp_endpoint: Option<&str>) -> Self {
        let lines = match adapter.output {
            OutputFormat::Text => Lines::all(ANSWER_BYTES),
            OutputFormat::Json => Lines::all(DOCUMENT_BYTES),
            OutputFormat::Lines => Lines::pieces(TOKEN_BYTES),
            OutputFormat::JsonLines | OutputFormat::Acp => Lines::whole(DOCUMENT_BYTES),
        };
        let rules = adapter.events.clone();
        let acp =
            (adapter.output == OutputFormat::Acp).then(|| Acp::new(values, cwd, mcp_endpoint));
        Self { format: adapter.output, rules, acp, lines, said: Said::default() }
    }

    /// Takes more of the output, and answers what it says.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Saying> {
        let (format, rules, acp) = (self.format, &self.rules, &mut self.acp);
        let said = &mut self.said;
        self.lines.push(bytes, |line| take(format, rules, acp.as_mut(), said, line));
        std::mem::take(&mut said.sayings)
    }

    /// What is to be written to the agent by now, in this order; it may be asked for at any time.
    pub fn outgoing(&mut self) -> Vec<String> {
        self.acp.as_mut().map(|it| std::mem::take(&mut it.outgoing)).unwrap_or_default()
    }

    /// Whether an agent that would go on has nothing more to do.
    pub fn is_over(&self) -> bool {
        self.acp.as_ref().is_some_and(Acp::is_over)
    }

    /// Takes the end of the output: what it still says, and how it came out.
    pub fn finish(mut self) -> (Vec<Saying>, Outcome) {
        let (format, rules, acp) = (self.format, &self.rules, &mut self.acp);
        let said = &mut self.said;
        let complete = self.lines.finish(|line| take(format, rules, acp.as_mut(), said, line));
        if self.format == OutputFormat::Acp && !self.is_over() {
            self.said.fail("it ended before its turn did");
        }
        match (self.format, complete) {
            (OutputFormat::Text, false) => {
                self.said.answer.get_or_insert_default().truncated = true;
            }
            (OutputFormat::Json, false) => {
                self.said.fail(&format!("it printed more than {DOCUMENT_BYTES} bytes of JSON"));
            }
            _ => {}
        }
        let is_json = matches!(self.format, OutputFormat::Json | OutputFormat::JsonLines);
        if is_json && !self.said.understood {
            self.said.fail("it printed nothing that its table reads");
        }
        self.said.finish()
    }
}

/// Takes one line, or all of the output.
fn take(
    format: OutputFormat,
    rules: &[EventRule],
    acp: Option<&mut Acp>,
    said: &mut Said,
    bytes: &[u8],
) {
    match format {
        OutputFormat::Text => said.answer = Some(Text::of(&String::from_utf8_lossy(bytes))),
        OutputFormat::Lines => said.token(&String::from_utf8_lossy(bytes)),
        OutputFormat::Json | OutputFormat::JsonLines | OutputFormat::Acp => {
            let Ok(document) = serde_json::from_slice(bytes) else { return };
            match acp {
                Some(acp) => acp.take(said, &document),
                None => document::take(rules, said, &document),
            }
        }
    }
}

impl Said {
    fn token(&mut self, text: &str) {
        self.text.push(text);
        self.has_token |= !text.is_empty();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rest.floor_char_boundary(TOKEN_BYTES));
            self.sayings.push(Saying::Token(piece.to_owned()));
            rest = more;
        }
    }

    /// Notes why the task failed; the first reason counts.
    fn fail(&mut self, why: &str) {
        let why = Text::of(why).text;
        self.outcome.error.get_or_insert(why);
    }

    fn finish(mut self) -> (Vec<Saying>, Outcome) {
        let answer = self.answer.take().unwrap_or_else(|| std::mem::take(&mut self.text));
        let text = answer.text.trim_end_matches(['\r', '\n']);
        if !self.has_token && !text.is_empty() {
            let text = text.to_owned();
            self.token(&text);
        }
        if self.failed {
            self.fail("the agent says that it failed");
        }
        self.outcome.answer = text.to_owned();
        self.outcome.truncated = answer.truncated;
        (self.sayings, self.outcome)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
