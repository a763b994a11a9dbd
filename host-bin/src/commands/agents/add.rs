//! `carport agents add`: an agent for the manifest, from flags or from a file.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::{sentence, stands};
use crate::{
    cli::Global,
    client::{
        agents::{self, refused},
        connect::connect,
        proof::{Role, agent_id},
    },
    exit::Exit,
    output::Output,
};

/// The agent: an id with flags, or a file. The agent is written whole: what is not given falls back to
/// its default, also where an agent with this id exists.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("program").required(true).args(["command", "interpreter", "file"]))]
pub(super) struct Add {
    /// Its id
    #[arg(value_parser = agent_id, required_unless_present = "file")]
    id: Option<String>,
    /// The program; a relative path is taken from here
    #[arg(long, value_name = "PATH")]
    command: Option<PathBuf>,
    /// A program's bare name, looked up once along the daemon's PATH
    #[arg(long, value_name = "NAME")]
    interpreter: Option<String>,
    /// The agent as JSON, as `carport agents list --json` shows it under `spec`; `-` reads standard input
    #[arg(long, value_name = "SPEC.json", conflicts_with = "flags")]
    file: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    /// Start it too
    #[arg(long)]
    start: bool,
}

#[derive(Debug, clap::Args)]
#[group(id = "flags", multiple = true)]
struct Flags {
    /// An argument of the program; repeat it for more
    #[arg(long = "arg", value_name = "A", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Where it runs (default: a directory of its own in the state root)
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// A variable of its environment
    #[arg(long, value_name = "K=V", value_parser = variable)]
    env: Vec<(String, String)>,
    /// A variable that it gets from the daemon's own environment
    #[arg(long, value_name = "N")]
    pass_env: Vec<String>,
    /// Whether it is started again after it ended (default: on_failure)
    #[arg(long, value_name = "P")]
    restart: Option<Restart>,
    /// Give up after so many restarts
    #[arg(long, value_name = "N")]
    max_restarts: Option<u32>,
    /// Start it whenever the daemon starts
    #[arg(long)]
    auto_start: bool,
    /// What it can do; `chat` makes hosts show a chat
    #[arg(long = "capability", value_name = "C")]
    capabilities: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Restart {
    /// Never
    Never,
    /// When it failed
    OnFailure,
    /// Whenever it ends
    Always,
}

impl Restart {
    fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on_failure",
            Self::Always => "always",
        }
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("NAME=VALUE".into()),
    }
}

impl Add {
    /// The spec as the daemon takes it.
    fn spec(&self) -> Result<Value, Exit> {
        match &self.file {
            Some(file) => from_file(file, self.id.as_deref()),
            None => self.flagged(),
        }
    }

    fn flagged(&self) -> Result<Value, Exit> {
        let flags = &self.flags;
        let mut spec = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                spec.insert(name.to_owned(), value);
            }
        };
        let listed = |list: &[String]| (!list.is_empty()).then(|| json!(list));
        put("id", self.id.as_deref().map(Value::from));
        put("command", self.command.as_deref().map(absolute).transpose()?);
        put("interpreter", self.interpreter.as_deref().map(Value::from));
        put("args", listed(&flags.args));
        put("cwd", flags.cwd.as_deref().map(absolute).transpose()?);
        let env: Map<_, _> =
            flags.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        put("env", (!env.is_empty()).then(|| env.into()));
        put("pass_env", listed(&flags.pass_env));
        put("restart", flags.restart.map(|restart| restart.word().into()));
        put("max_restarts", flags.max_restarts.map(Value::from));
        put("auto_start", flags.auto_start.then(|| true.into()));
        put("capabilities", listed(&flags.capabilities));
        Ok(spec.into())
    }
}

/// The daemon takes absolute paths only.
fn absolute(path: &Path) -> Result<Value, Exit> {
    let named = |why: &dyn std::fmt::Display| Exit::usage(format!("{}: {why}", path.display()));
    let absolute = std::path::absolute(path).map_err(|error| named(&error))?;
    absolute.to_str().map(Value::from).ok_or_else(|| named(&"the path is not UTF-8"))
}

fn from_file(file: &Path, id: Option<&str>) -> Result<Value, Exit> {
    let read = match file == Path::new("-") {
        true => io::read_to_string(io::stdin().by_ref()),
        false => fs::read_to_string(file),
    };
    let named = |why: &dyn std::fmt::Display| Exit::usage(format!("{}: {why}", file.display()));
    let text = read.map_err(|error| named(&error))?;
    let mut spec: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| named(&format!("no agent: {error}")))?;
    match (id, spec.get("id")) {
        (Some(id), _) => drop(spec.insert("id".into(), id.into())),
        (None, Some(Value::String(_))) => {}
        (None, _) => return Err(named(&"it has no `id`; add one, or give it as an argument")),
    }
    Ok(spec.into())
}

pub(super) async fn run(wanted: Add, global: &Global, output: Output) -> Result<(), Exit> {
    let spec = wanted.spec()?;
    let id = spec["id"].as_str().unwrap_or_default();
    let (link, _) = connect(global, &Role::Host).await?;
    let written = agents::about(&link, "agents.upsert", &spec).await;
    let mut agent = written.map_err(|error| refused(error, id))?;
    if wanted.start {
        let started = agents::about(&link, "agents.start", &json!({ "id": id })).await;
        agent = started.map_err(|error| refused(error, id))?;
    }
    match output.is_json() {
        true => output.document(&agent)?,
        false => output.line(sentence(&agent))?,
    }
    match (wanted.start, agent.pending_restart) {
        (true, _) => stands(&agent)?,
        (false, true) => {
            output.note(format_args!("it runs as before until `carport agents restart {id}`"));
        }
        (false, false) => output.note(format_args!("`carport agents start {id}` starts it")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    fn spec(words: &[&str]) -> Result<Value, Exit> {
        flags::<Add>(words.iter().copied()).map_err(Exit::usage)?.spec()
    }

    #[test]
    fn flags_become_the_members_that_were_given() {
        let bare = spec(&["a", "--command", "/bin/true"]).unwrap();
        assert_eq!(bare, json!({ "id": "a", "command": "/bin/true" }));
        let words = [
            "a",
            "--interpreter",
            "python3",
            "--arg",
            "-u",
            "--arg",
            "x.py",
            "--env",
            "K=a=b",
            "--pass-env",
            "KEY",
            "--restart",
            "always",
            "--max-restarts",
            "3",
            "--auto-start",
            "--capability",
            "chat",
            "--cwd",
            "/",
        ];
        let whole = json!({
            "id": "a", "interpreter": "python3", "args": ["-u", "x.py"], "env": { "K": "a=b" },
            "pass_env": ["KEY"], "restart": "always", "max_restarts": 3, "auto_start": true,
            "capabilities": ["chat"], "cwd": "/",
        });
        assert_eq!(spec(&words).unwrap(), whole);
    }

    #[test]
    fn a_relative_program_is_taken_from_here() {
        let spec = spec(&["a", "--command", "./run"]).unwrap();
        let here = std::env::current_dir().unwrap().join("run");
        assert_eq!(spec["command"], here.to_str().unwrap());
    }

    #[test]
    fn a_program_or_a_file_and_never_both() {
        for wrong in [
            &["a"][..],
            &["--command", "/x"],
            &["a", "--command", "/x", "--interpreter", "y"],
            &["a", "--file", "f", "--auto-start"],
            &["a", "--file", "f", "--command", "/x"],
            &["a", "--command", "/x", "--env", "K"],
            &["a", "--command", "/x", "--restart", "sometimes"],
        ] {
            assert!(spec(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_is_the_spec_and_an_id_beside_it_wins() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("spec.json");
        let path = file.to_str().unwrap();
        fs::write(&file, r#"{"id":"a","command":"/x","future":1}"#).unwrap();
        assert_eq!(spec(&["--file", path]).unwrap()["future"], 1);
        assert_eq!(spec(&["b", "--file", path]).unwrap()["id"], "b");
        for (text, why) in
            [(r#"{"command":"/x"}"#, "no `id`"), ("[]", "no agent"), ("{", "no agent")]
        {
            fs::write(&file, text).unwrap();
            let exit = spec(&["--file", path]).unwrap_err();
            assert!(exit.message.contains(why), "{}", exit.message);
        }
    }
}
