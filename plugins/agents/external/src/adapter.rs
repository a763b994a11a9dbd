//! An adapter: a table that was checked, and the arguments that it makes of a call.

use std::{collections::BTreeMap, path::Path};

use carport_core::bounds;

use crate::{
    table::{AdapterTable, Argument, EventRule, OutputFormat},
    view::{Capabilities, HealthStatus},
};

/// Every placeholder.
const PLACEHOLDERS: [&str; 8] = [
    "task",
    "model",
    "max_turns",
    "allowed_tools",
    "no_tools",
    "session_id",
    "mcp_config",
    "image",
];

/// What the Agent Client Protocol hands over without a placeholder.
const OF_ACP: [&str; 5] = ["task", "allowed_tools", "no_tools", "session_id", "mcp_config"];

/// Why a table is no adapter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`agents.external.{id}{field}` {why}")]
pub struct BadAdapter {
    id: String,
    field: &'static str,
    why: String,
}

/// A checked table.
#[derive(Debug, Clone)]
pub struct Adapter {
    pub(crate) id: String,
    pub(crate) display_name: String,
    pub(crate) binary: String,
    pub(crate) version_args: Vec<String>,
    pub(crate) sign_in_args: Option<Vec<String>>,
    pub(crate) sign_in_says: BTreeMap<HealthStatus, Vec<String>>,
    run_args: Vec<Argument>,
    pub(crate) image_separator: Option<char>,
    stdin: Option<String>,
    pub(crate) pass_env: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) output: OutputFormat,
    pub(crate) events: Vec<EventRule>,
}

/// What the placeholders of a table stand for.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// What is to be done.
    pub task: String,
    /// The model, in the agent's words.
    pub model: Option<String>,
    /// How many turns it may take.
    pub max_turns: Option<u32>,
    /// The tools that it may use without asking; an empty list is none at all.
    pub allowed_tools: Option<Vec<String>>,
    /// The session of an earlier run to go on with, in the agent's words.
    pub session_id: Option<String>,
    /// A file with the MCP servers that it may use.
    pub mcp_config: Option<String>,
    /// Paths of images.
    pub images: Vec<String>,
}

impl AdapterTable {
    /// This table with what it leaves out taken from another.
    pub fn over(self, base: Self) -> Self {
        Self {
            enabled: self.enabled.or(base.enabled),
            display_name: self.display_name.or(base.display_name),
            binary: self.binary.or(base.binary),
            version_args: self.version_args.or(base.version_args),
            sign_in_args: self.sign_in_args.or(base.sign_in_args),
            sign_in_says: self.sign_in_says.or(base.sign_in_says),
            run_args: self.run_args.or(base.run_args),
            image_separator: self.image_separator.or(base.image_separator),
            stdin: self.stdin.or(base.stdin),
            pass_env: self.pass_env.or(base.pass_env),
            env: self.env.or(base.env),
            output: self.output.or(base.output),
            events: self.events.or(base.events),
        }
    }
}

impl Adapter {
    /// Checks a table.
    pub fn new(id: &str, table: AdapterTable) -> Result<Self, BadAdapter> {
        let bad = |field, why: &str| BadAdapter { id: id.into(), field, why: why.into() };
        if let Err(error) = bounds::agent_id("id", id) {
            return Err(bad("", &format!("is no id: {}", error.message)));
        }
        let binary = table.binary.ok_or_else(|| bad(".binary", "is required"))?;
        let word = |letter: char| letter.is_ascii_alphanumeric() || "._+-".contains(letter);
        let bare = (1..=64).contains(&binary.len()) && binary.chars().all(word);
        if !bare && !Path::new(&binary).is_absolute() {
            return Err(bad(".binary", "must be a bare name or an absolute path"));
        }
        let adapter = Self {
            id: id.into(),
            display_name: table.display_name.unwrap_or_else(|| id.into()),
            binary,
            version_args: table.version_args.unwrap_or_else(|| vec!["--version".into()]),
            sign_in_args: table.sign_in_args,
            sign_in_says: table.sign_in_says.unwrap_or_default(),
            run_args: table.run_args.unwrap_or_default(),
            image_separator: table.image_separator,
            stdin: table.stdin,
            pass_env: table.pass_env.unwrap_or_default(),
            env: table.env.unwrap_or_default(),
            output: table.output.unwrap_or_default(),
            events: table.events.unwrap_or_default(),
        };
        adapter.check().map_err(|(field, why)| BadAdapter { id: id.into(), field, why })?;
        Ok(adapter)
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        for (field, template) in self.templates() {
            if let Some(unknown) =
                placeholders(template).into_iter().find(|it| !PLACEHOLDERS.contains(it))
            {
                let known = PLACEHOLDERS.join("} {");
                return Err((field, format!("has `{{{unknown}}}`; there are {{{known}}}")));
            }
        }
        if !self.takes("task") {
            return Err((".run_args", "or `stdin` must have `{task}`".into()));
        }
        if self.output == OutputFormat::Acp && self.stdin.is_some() {
            return Err((".stdin", "is the protocol's for the format `acp`".into()));
        }
        let is_json = matches!(self.output, OutputFormat::Json | OutputFormat::JsonLines);
        match (is_json, self.events.is_empty()) {
            (true, true) => return Err((".events", "are required for this format".into())),
            (false, false) => {
                return Err((".events", "are for the formats `json` and `json_lines`".into()));
            }
            _ => {}
        }
        let bad = self.events.iter().flat_map(EventRule::pointers).find(|it| !is_pointer(it));
        bad.map_or(Ok(()), |it| Err((".events", format!("`{it}` is no JSON pointer"))))
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether what this placeholder stands for can be handed over.
    pub fn takes(&self, placeholder: &str) -> bool {
        let by_protocol = self.output == OutputFormat::Acp && OF_ACP.contains(&placeholder);
        by_protocol || self.templates().any(|(_, it)| placeholders(it).contains(&placeholder))
    }

    /// What can be handed over and told.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            streaming: match self.output {
                OutputFormat::Lines | OutputFormat::Acp => true,
                OutputFormat::JsonLines => self.events.iter().any(|it| it.token.is_some()),
                OutputFormat::Text | OutputFormat::Json => false,
            },
            images: self.takes("image"),
            mcp: self.takes("mcp_config"),
        }
    }

    /// The arguments of a run.
    pub fn arguments(&self, values: &Values) -> Vec<String> {
        let mut arguments = Vec::new();
        for argument in &self.run_args {
            let group = argument.parts();
            let filled = |image: Option<&str>| -> Option<Vec<String>> {
                group.iter().map(|it| fill(it, &|name| values.get(name, image))).collect()
            };
            match group.iter().any(|it| placeholders(it).contains(&"image")) {
                true => values.images.iter().filter_map(|it| filled(Some(it))).for_each(|it| {
                    arguments.extend(it);
                }),
                false => arguments.extend(filled(None).unwrap_or_default()),
            }
        }
        arguments
    }

    /// What a run reads; `None` if it has nothing to read.
    pub fn input(&self, values: &Values) -> Option<String> {
        fill(self.stdin.as_deref()?, &|name| values.get(name, None))
    }

    /// A placeholder whose value would be taken for an option: one that begins an argument, not behind
    /// `--`, with a value that begins with `-`. Groups that are left out count for nothing, nor do
    /// those of an image.
    pub(crate) fn option_in(&self, values: &Values) -> Option<&'static str> {
        let get = |name: &str| values.get(name, None);
        let is_there =
            |it: &&Argument| it.parts().iter().all(|template| fill(template, &get).is_some());
        let there = self.run_args.iter().filter(is_there).flat_map(Argument::parts);
        there.take_while(|it| *it != "--").find_map(|template| {
            let name = placeholders(template).first().copied()?;
            let begins = template.starts_with('{') && template[1..].starts_with(name);
            let value = get(name).filter(|_| begins)?;
            PLACEHOLDERS.into_iter().find(|it| *it == name && value.starts_with('-'))
        })
    }

    fn arguments_as_written(&self) -> impl Iterator<Item = &str> {
        self.run_args.iter().flat_map(Argument::parts).map(String::as_str)
    }

    fn templates(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let arguments = self.arguments_as_written().map(|it| (".run_args", it));
        arguments.chain(self.stdin.iter().map(|it| (".stdin", it.as_str())))
    }
}

impl Argument {
    fn parts(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Group(group) => group,
        }
    }
}

impl Values {
    fn get(&self, placeholder: &str, image: Option<&str>) -> Option<String> {
        let tools = self.allowed_tools.as_ref();
        match placeholder {
            "task" => Some(self.task.clone()),
            "model" => self.model.clone(),
            "max_turns" => self.max_turns.map(|it| it.to_string()),
            "allowed_tools" => tools.filter(|it| !it.is_empty()).map(|it| it.join(",")),
            "no_tools" => tools.filter(|it| it.is_empty()).map(|_| String::new()),
            "session_id" => self.session_id.clone(),
            "mcp_config" => self.mcp_config.clone(),
            "image" => image.map(str::to_owned),
            _ => None,
        }
    }
}

impl EventRule {
    fn pointers(&self) -> impl Iterator<Item = &String> {
        let single = [
            &self.each,
            &self.token,
            &self.tool,
            &self.params,
            &self.answer,
            &self.session_id,
            &self.turns,
            &self.cost,
            &self.failed,
            &self.error,
        ];
        let single = single.into_iter().flatten();
        single.chain(self.when.keys()).chain(self.of.keys())
    }
}

fn is_pointer(text: &str) -> bool {
    text.is_empty() || text.starts_with('/')
}

/// The parts of a template: text, and words in braces without them.
fn parts(template: &str) -> Vec<Result<&str, &str>> {
    let (mut parts, mut rest) = (Vec::new(), template);
    let is_word =
        |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let mut from = 0;
    while let Some(open) = rest[from..].find('{').map(|it| it + from) {
        let close = rest[open..].find('}').map(|it| it + open);
        match close.filter(|close| is_word(&rest[open + 1..*close])) {
            Some(close) => {
                parts.push(Ok(&rest[..open]));
                parts.push(Err(&rest[open + 1..close]));
                (rest, from) = (&rest[close + 1..], 0);
            }
            None => from = open + 1,
        }
    }
    parts.push(Ok(rest));
    parts
}

fn placeholders(template: &str) -> Vec<&str> {
    parts(template).into_iter().filter_map(Result::err).collect()
}

/// A template with its placeholders filled in; `None` if one of them has no value. Braces in a value
/// stay what they are.
fn fill(template: &str, get: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let part = |part: Result<&str, &str>| part.map_or_else(get, |text| Some(text.to_owned()));
    parts(template).into_iter().map(part).collect()
}

#[cfg(test)]
#[path = "adapter_tests.rs"]
mod tests;
