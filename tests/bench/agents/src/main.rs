//! What agents cost: from a start to the attached agent, from a stop to the empty tree, from the daemon's
//! death to that of the last process, restarts, memory. It drives a real daemon, the one that was built
//! beside this program.

mod agents;
mod memory;
mod restarts;
mod start;
mod stop;
mod survivors;

use std::path::PathBuf;

use carport_bench_dispatch::Error;
use clap::{Parser, Subcommand};

/// Measures the agents plugin of a real daemon.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
    /// Where state roots are made; they go at the end
    #[arg(long, global = true)]
    directory: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// From `agents.start` until the agent's own connection is bound, beside a bare fork and exec
    Start(start::Args),
    /// From `agents.stop` of a tree that ignores TERM until nothing of it is left
    Stop(stop::Args),
    /// From the SIGKILL of the daemon until the last process of its trees is dead
    Survivors(survivors::Args),
    /// Restarts of agents that exit at once
    Restarts(restarts::Args),
    /// Memory of the daemon and of the shims
    Memory(memory::Args),
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let root = || match &args.directory {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    runtime.block_on(async {
        match &args.what {
            What::Start(args) => start::measure(args, root()?.path()).await,
            What::Stop(args) => stop::measure(args, root()?.path()).await,
            What::Survivors(args) => survivors::measure(args, &root).await,
            What::Restarts(args) => restarts::measure(args, &root).await,
            What::Memory(args) => memory::measure(args, &root).await,
        }
    })
}
