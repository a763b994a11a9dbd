//! What memory is worth and what it costs: how well it finds facts with and without the graph, how fast, and
//! what a fact takes, beside SQLite's full-text search over the same texts.

mod facts;
mod fts5;
mod latency;
mod measures;
mod model;
mod quality;
mod set;
mod size;

use carport_bench_dispatch::Error;
use carport_memory_graph::{Ask, Utility, Weights};
use clap::{Parser, Subcommand};

/// Measures the ranking and the graph in this process.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Recall, MRR and nDCG on the questions in `data`
    Quality(quality::Args),
    /// How long queries take on 1,000, 10,000 and 100,000 facts
    Latency(latency::Args),
    /// Memory and file per fact
    Size,
}

/// The ranking without the walk. What is left keeps its weights.
const LEXICAL: Weights = Weights { coverage: 0.5, bm25: 0.3, reached: 0.0 };

fn main() -> Result<(), Error> {
    match Args::parse().what {
        What::Quality(args) => quality::measure(&args),
        What::Latency(args) => latency::measure(&args),
        What::Size => size::measure(),
    }
}

/// As `memory.query` asks of a graph in which nobody has counted what is useful.
fn ask(text: &str) -> Ask<'_> {
    Ask { text, tenant: None, turns: false, utility: Utility::default(), meaning: None }
}
