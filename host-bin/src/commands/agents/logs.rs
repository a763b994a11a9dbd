//! `carport agents logs`: the end of what an agent printed.

use clap::ValueEnum;

use crate::{
    cli::Global,
    client::{
        agents::{self, TailLog, refused},
        connect::connect,
        proof::{Role, agent_id},
    },
    exit::Exit,
    output::Output,
};

/// Which lines.
#[derive(Debug, clap::Args)]
pub(super) struct Logs {
    /// The agent: `carport agents list` shows it
    #[arg(value_parser = agent_id)]
    id: String,
    /// So many lines of each stream; 0 for all that is kept, as far as a reply holds it
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=10_000))]
    lines: u32,
    /// What it printed where
    #[arg(long, value_name = "S", default_value = "combined")]
    stream: Stream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stream {
    /// Both, standard output first
    Combined,
    /// Standard output
    Stdout,
    /// Standard error
    Stderr,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Combined => "combined",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

pub(super) async fn run(wanted: &Logs, global: &Global, output: Output) -> Result<(), Exit> {
    let (link, _) = connect(global, &Role::Client).await?;
    let tail = agents::tail(&link, &wanted.id, wanted.lines, wanted.stream.word()).await;
    let tail = tail.map_err(|error| refused(error, &wanted.id))?;
    if output.is_json() {
        return output.document(&tail);
    }
    print(&tail, output)
}

/// Prints both windows; a heading says where the other begins.
fn print(tail: &TailLog, output: Output) -> Result<(), Exit> {
    let both = !tail.stdout.is_empty() && !tail.stderr.is_empty();
    for (name, lines) in [("stdout", &tail.stdout), ("stderr", &tail.stderr)] {
        if both {
            output.note(format_args!("== {name}"));
        }
        lines.iter().try_for_each(|line| output.text(&format!("{line}\n")))?;
    }
    Ok(())
}
