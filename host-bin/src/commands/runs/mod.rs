//! `carport runs`: the recorded runs of agents, past and live.

use clap::{Subcommand, ValueEnum};

use crate::{
    cli::Global,
    client::{
        connect::connect,
        proof::{Role, agent_id},
        runs,
    },
    exit::Exit,
    output::Output,
};

mod export;
mod list;
pub(super) mod record;
mod show;
mod tail;

/// Flags of `carport runs`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List an agent's runs, newest first
    List(List),
    /// Show what a run recorded
    Show {
        /// The run: `carport runs list` shows it
        run: String,
    },
    /// Show what a run recorded and follow it to its end
    Tail {
        /// The run: `carport runs list` shows it
        run: String,
    },
    /// Write a run for other tools: as lines of JSON, or as OpenTelemetry traces
    Export(export::Export),
    /// Remove runs that have ended, for good
    Delete {
        /// The runs: `carport runs list` shows them
        #[arg(required = true)]
        runs: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct List {
    /// Whose runs
    #[arg(long, value_name = "ID", value_parser = any_agent)]
    agent: String,
    /// Only runs that stand so
    #[arg(long)]
    status: Option<Status>,
    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Status {
    /// Not ended
    InProgress,
    /// Ended with an outcome
    Completed,
    /// Ended without one
    Incomplete,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
        }
    }
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a number from 1 on".into()),
    }
}

/// An agent's id, or `name:` and the slug of an agent that only has a name.
pub(super) fn any_agent(text: &str) -> Result<String, String> {
    agent_id(text.strip_prefix("name:").unwrap_or(text)).map(|_| text.to_owned())
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    let output = Output::new(global.json);
    match args.what {
        What::List(wanted) => list::run(&wanted, global, output).await,
        What::Show { run } => show::run(&run, global, output).await,
        What::Tail { run } => tail::run(run, global, output).await,
        What::Export(wanted) => export::run(&wanted, global, output).await,
        What::Delete { runs } => delete(&runs, global, output).await,
    }
}

async fn delete(runs: &[String], global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Host).await?;
    for run in runs {
        let deleted = runs::delete(&link, run).await?;
        match output.is_json() {
            true => output.object(&deleted)?,
            false => output.line(format_args!("{run}: removed"))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::flags;

    fn list(words: &str) -> Result<List, clap::Error> {
        let words = ["list"].into_iter().chain(words.split_whitespace());
        match flags::<Args>(words)?.what {
            What::List(list) => Ok(list),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_list_is_of_one_agent() {
        assert!(list("").is_err());
        let wanted = list("--agent name:my-agent --status in_progress --limit 3").unwrap();
        assert_eq!(wanted.agent, "name:my-agent");
        assert_eq!(wanted.status.map(Status::word), Some("in_progress"));
        assert_eq!(wanted.limit, 3);
        assert!(list("--agent a --limit 0").is_err());
        assert!(list("--agent a/b").is_err());
        assert!(list("--agent a --status done").is_err());
    }
}
