//! How near the voice's parts come to what they are measured against, and what live streams cost.

mod lab;
mod live;
mod noise;
mod phonemes;
mod recognise;
mod round_trip;
mod samples;
mod sentences;
mod speak;
mod words;

use carport_bench_dispatch::Error;
use carport_voice as _;
use clap::{Parser, Subcommand};

/// Measures the voice in this process: the phonemizer alone, the rest through the plugin.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Phoneme errors against the sentences in `data`, speed and memory of the phonemizer
    Phonemes(phonemes::Args),
    /// Word errors on recordings, as they are and in noise, and the real-time factor
    Recognise(recognise::Args),
    /// Latency and memory of live streams that are fed in real time
    Live(live::Args),
    /// Time to the first sound of speech, and the real-time factor
    Speak(speak::Args),
    /// Word errors of sentences that are spoken and heard again
    RoundTrip(round_trip::Args),
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    match Args::parse().what {
        What::Phonemes(args) => phonemes::measure(&args),
        What::Recognise(args) => recognise::measure(&args).await,
        What::Live(args) => live::measure(&args).await,
        What::Speak(args) => speak::measure(&args).await,
        What::RoundTrip(args) => round_trip::measure(&args).await,
    }
}

/// Percent of a whole, as the tables show it.
fn percent(part: usize, whole: usize) -> String {
    format!("{:.2}", 100.0 * part as f64 / whole.max(1) as f64)
}

/// Milliseconds, as the tables show them.
fn millis(time: std::time::Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e3)
}
