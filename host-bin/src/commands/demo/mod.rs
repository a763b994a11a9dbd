//! `carport demo`: an agent's run, recorded, watched, killed, replayed; and an agent under supervision.

use clap::ValueEnum;

use crate::{
    cli::Global,
    client::interrupt::interrupted,
    exit::{Code, Exit},
    output::Output,
};

mod account;
mod agent;
mod cast;
mod clerk;
mod files;
mod play;
mod process;
mod report;
mod said;
mod stage;
mod supervised;

use stage::Stage;

/// Starts a daemon of its own in a temporary directory, and an agent that reads the files of this
/// directory and records a turn for each. A second connection watches, a third approves. The daemon
/// is killed half-way and started again; then the traces are replayed and compared, record by
/// record, with what was acknowledged. At last another agent runs under the daemon's supervision: it is
/// chatted with, killed, comes back and is stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read so many files at most
    #[arg(long, value_name = "N", default_value_t = 48, value_parser = number_of_files)]
    files: usize,
    /// Keep the temporary state root and print where it is
    #[arg(long)]
    keep: bool,
    /// Play a part of the demo: the demo starts itself so
    #[arg(long, hide = true)]
    part: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The agent
    Agent,
    /// The supervised agent
    Clerk,
}

fn number_of_files(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..=1000) => Ok(number),
        _ => Err("a number from 1 to 1000".into()),
    }
}

pub(crate) async fn run(args: Args, global: &Global) -> Result<(), Exit> {
    match args.part {
        Some(Part::Agent) => agent::run(args.files, global).await,
        Some(Part::Clerk) => clerk::run(global).await,
        None => perform(args, global).await,
    }
}

async fn perform(args: Args, global: &Global) -> Result<(), Exit> {
    if global.state_root.is_some() {
        let why = "the demo never works on a state root of yours: leave --state-root out";
        return Err(Exit::usage(why));
    }
    let output = Output::new(global.json);
    let mut stage = Stage::set(args.files)?;
    let played = tokio::select! {
        played = play::play(&mut stage, output) => played,
        exit = interrupted() => Err(exit),
    };
    // Whatever came of it, no process outlives the demo.
    stage.strike().await;
    let kept = args.keep.then(|| stage.keep());
    let report = match played {
        Ok(report) => report,
        Err(exit) => {
            if let Some(path) = kept {
                output.note(format_args!("kept: {}", path.display()));
            }
            return Err(exit);
        }
    };
    report::print(&report, kept.as_deref(), output)?;
    match report.is_equal() {
        true => Ok(()),
        false => Err(Exit::new(Code::Failed, "what was replayed is not what was acknowledged")),
    }
}
