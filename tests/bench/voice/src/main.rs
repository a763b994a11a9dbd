//! How near the voice's parts come to what they are measured against.

mod phonemes;

use clap::{Parser, Subcommand};

/// Measures the parts of the voice in this process.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Phoneme errors against the sentences in `data`, speed and memory of the phonemizer
    Phonemes(phonemes::Args),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Args::parse().what {
        What::Phonemes(args) => phonemes::measure(&args),
    }
}
