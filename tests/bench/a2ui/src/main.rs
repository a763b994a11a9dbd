//! What A2UI costs: an envelope checked and applied, on one surface and among a thousand, and told to a
//! hundred subscribers of a real daemon, the one that was built beside this program.

mod apply;
mod examples;
mod fanout;

use carport_bench_dispatch::Error;
use clap::{Parser, Subcommand};

/// Measures surfaces.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Envelopes of the official examples, checked and applied in the process
    Apply(apply::Args),
    /// Events told to many subscribers over sockets
    Fanout(fanout::Args),
}

fn main() -> Result<(), Error> {
    let args = Args::parse();
    match &args.what {
        What::Apply(args) => apply::measure(args),
        What::Fanout(args) => {
            let root = tempfile::tempdir()?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(fanout::measure(args, root.path()))
        }
    }
}
