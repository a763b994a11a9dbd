//! What the engine costs: proposals, tool calls and verification over the socket and in the process, and
//! the journal, each beside a floor that does no more than it must. It drives a real daemon, the one that
//! was built beside this program.

mod actions;
mod floor;
mod journal;
mod proposals;
mod tools;
mod verify;

use carport_bench_dispatch::{
    Error,
    servers::{self, Server},
};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Measures the engine.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    /// Serve as one of the yardsticks until standard input closes (used by the measurement itself)
    #[arg(long, value_enum, hide = true)]
    serve: Option<Server>,
    #[command(subcommand)]
    what: Option<What>,
    /// Where state roots are made; they go at the end
    #[arg(long, global = true)]
    directory: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Proposals of state writes, independent and chained
    Actions(actions::Args),
    /// Round trips of tool calls, one at a time and many at once
    Tools(tools::Args),
    /// Verification of large proposals
    Verify(verify::Args),
    /// Events of the journal, with and without the chain
    Journal(journal::Args),
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(server) = args.serve {
        return runtime.block_on(servers::serve(server)).map_err(|it| it.to_string().into());
    }
    let root = match &args.directory {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir()?,
    };
    runtime.block_on(async {
        match &args.what {
            Some(What::Actions(args)) => actions::measure(args, root.path()).await,
            Some(What::Tools(args)) => tools::measure(args, root.path()).await,
            Some(What::Verify(args)) => verify::measure(args, root.path()).await,
            Some(What::Journal(args)) => journal::measure(args, root.path()).await,
            None => Err("say what to measure; `--help` lists it".into()),
        }
    })
}
