//! What runs cost: recorded beside bare appends, listed and replayed out of a hundred thousand, followed by
//! up to a thousand. It drives a real daemon, the release build beside this program.

mod append;
mod archive;
mod daemon;
mod fanout;
mod floor;
mod stats;

use std::path::PathBuf;

use carport_bench_dispatch::Error;
use clap::{Parser, Subcommand};

/// Measures the runs plugin of a real daemon.
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
    /// Turns per second and latency, beside a bare sequential append of the same bytes
    Append(append::Args),
    /// Lists and traces out of many runs, and what a boot among them takes
    Archive(archive::Args),
    /// One run followed by many, and what a follower that never reads costs its writer
    Fanout(fanout::Args),
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
            What::Append(args) => append::measure(args, &root).await,
            What::Archive(args) => archive::measure(args, root()?.path()).await,
            What::Fanout(args) => fanout::measure(args, &root).await,
        }
    })
}
