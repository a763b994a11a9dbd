//! `carport agents`: agents under supervision, what they say, and talking with them.

use clap::{Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    cli::Global,
    client::{
        agents::{self, ManagedAgent, refused},
        connect::connect,
        proof::{Role, agent_id},
    },
    exit::Exit,
    output::{Output, Tone, one_line},
};

mod add;
#[cfg(feature = "agents")]
mod bundle;
mod chat;
mod doctor;
mod list;
mod logs;
mod wait;

/// Flags of `carport agents`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the agents, how they stand and why
    List,
    /// Write an agent into the manifest, in the place of the one with this id
    Add(Box<add::Add>),
    /// Start an agent; nothing happens while it runs
    Start(Agent),
    /// End an agent and every process that it started
    Stop {
        #[command(flatten)]
        agent: Agent,
        /// Leave it no grace
        #[arg(long)]
        kill: bool,
    },
    /// End an agent and start it again
    Restart(Agent),
    /// End an agent and take it out of the manifest
    Remove {
        #[command(flatten)]
        agent: Agent,
        /// Its logs too
        #[arg(long)]
        purge: bool,
    },
    /// Print the end of what an agent printed
    Logs(logs::Logs),
    /// Say something to an agent and print its answer as it comes
    Chat(chat::Chat),
    /// Wait until an agent stands as it should
    Wait(wait::Wait),
    /// Look for what is wrong with agents, and say the remedy
    Doctor {
        /// Only this agent
        #[arg(value_parser = agent_id)]
        id: Option<String>,
    },
    /// Hold every agent's command against the rules for commands
    Health,
    /// Install an agent from its manifest
    #[cfg(feature = "agents")]
    Install(bundle::Install),
    /// Sign a manifest, in its file
    #[cfg(feature = "agents")]
    Sign(bundle::Sign),
    /// Say whether a manifest is as its publisher signed it
    #[cfg(feature = "agents")]
    Verify(bundle::Verify),
    /// Make a key that signs manifests, in a file of its own
    #[cfg(feature = "agents")]
    Keygen(bundle::Keygen),
}

#[derive(Debug, clap::Args)]
struct Agent {
    /// The agent: `carport agents list` shows it
    #[arg(value_parser = agent_id)]
    id: String,
}

/// What an agent may be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Status {
    /// Not running, and will not start by itself
    Stopped,
    /// A start is under way
    Starting,
    /// The process exists
    Running,
    /// Waiting for the next attempt
    Backoff,
    /// Given up
    Errored,
}

impl Status {
    /// The word on the wire.
    fn word(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Errored => "errored",
        }
    }
}

/// How a status looks.
fn tone(status: &str) -> Tone {
    match status {
        "running" => Tone::Good,
        "starting" | "backoff" => Tone::Warn,
        "errored" => Tone::Bad,
        _ => Tone::Faint,
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    match args.what {
        What::List => list::run(global, output).await,
        What::Health => list::health(global, output).await,
        What::Add(wanted) => add::run(*wanted, global, output).await,
        What::Start(agent) => turn("agents.start", &agent.id, global, output).await,
        What::Restart(agent) => turn("agents.restart", &agent.id, global, output).await,
        What::Stop { agent, kill } => stop(&agent.id, kill, global, output).await,
        What::Remove { agent, purge } => remove(&agent.id, purge, global, output).await,
        What::Logs(wanted) => logs::run(&wanted, global, output).await,
        What::Chat(wanted) => chat::run(wanted, global, output).await,
        What::Wait(wanted) => wait::run(&wanted, global, output).await,
        #[cfg(feature = "agents")]
        What::Install(wanted) => bundle::install(&wanted, global, output).await,
        #[cfg(feature = "agents")]
        What::Sign(wanted) => bundle::sign(&wanted, output),
        #[cfg(feature = "agents")]
        What::Verify(wanted) => bundle::verify(&wanted, output),
        #[cfg(feature = "agents")]
        What::Keygen(wanted) => bundle::keygen(&wanted, output),
        What::Doctor { id } => doctor::run(id.as_deref(), global, output).await,
    }
}

/// Starts or restarts; an agent that does not stand afterwards is a failure.
async fn turn(method: &str, id: &str, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Client).await?;
    let agent = agents::about(&link, method, &json!({ "id": id })).await;
    let agent = agent.map_err(|error| refused(error, id))?;
    say(&agent, output)?;
    stands(&agent)
}

async fn stop(id: &str, kill: bool, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Client).await?;
    let params = json!({ "id": id, "signal": if kill { "kill" } else { "term" } });
    let agent = agents::about(&link, "agents.stop", &params).await;
    say(&agent.map_err(|error| refused(error, id))?, output)
}

async fn remove(id: &str, purge: bool, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    let removed = link.raw("agents.remove", &json!({ "id": id, "purge": purge })).await;
    let removed = removed.map_err(|error| refused(error, id))?;
    match (output.is_json(), removed["removed"] == true) {
        (true, _) => output.document(&removed),
        (false, true) => output.line(format_args!("{id}: removed")),
        (false, false) => output.line(format_args!("{id}: there was none")),
    }
}

/// One line about an agent, or the whole of it as JSON.
fn say(agent: &ManagedAgent, output: Output) -> Result<(), Exit> {
    match output.is_json() {
        true => output.document(agent),
        false => output.line(sentence(agent)),
    }
}

/// An agent in one line: `helper: running, process 4711, attached`.
fn sentence(agent: &ManagedAgent) -> String {
    let mut words = vec![tone(&agent.status).paint(one_line(&agent.status))];
    words.extend(agent.pid.map(|pid| format!("process {pid}")));
    words.extend(agent.attached.then(|| "attached".to_owned()));
    words.extend(agent.reason.as_deref().map(|why| one_line(why).into_owned()));
    format!("{}: {}", Tone::Name.paint(one_line(agent.id())), words.join(", "))
}

/// Whether a start came to something; else why not, and where to look.
fn stands(agent: &ManagedAgent) -> Result<(), Exit> {
    match agent.status.as_str() {
        "backoff" | "errored" => {
            let (id, reason) = (agent.id(), agent.reason.as_deref().unwrap_or("no reason given"));
            let why = format!("agent `{id}` did not start: {reason}; `carport agents logs {id}`");
            Err(Exit::failed(why))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    fn parse(words: &str) -> Result<What, clap::Error> {
        flags(words.split_whitespace()).map(|args: Args| args.what)
    }

    fn agent(value: serde_json::Value) -> ManagedAgent {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_agent_is_named_by_its_id() {
        assert!(matches!(parse("start a").unwrap(), What::Start(agent) if agent.id == "a"));
        assert!(matches!(parse("stop a --kill").unwrap(), What::Stop { kill: true, .. }));
        assert!(matches!(parse("doctor").unwrap(), What::Doctor { id: None }));
        for wrong in ["start", "start a/b", "start ../x", "remove", "logs", "chat", "wait"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_start_that_failed_is_a_failure_with_its_reason() {
        let backoff =
            json!({ "spec": { "id": "a" }, "status": "backoff", "reason": "exited with 3" });
        let exit = stands(&agent(backoff)).unwrap_err();
        assert!(exit.message.contains("exited with 3"), "{}", exit.message);
        let running = json!({ "spec": { "id": "a" }, "status": "running", "pid": 7 });
        let running = agent(running);
        assert!(stands(&running).is_ok());
        let text = anstream::adapter::strip_str(&sentence(&running)).to_string();
        assert_eq!(text, "a: running, process 7");
    }
}
