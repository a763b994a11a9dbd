//! Events of the journal, with and without the chain, beside a bare sequential append of the same bytes.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::Arc,
    time::Instant,
};

use carport_bench_dispatch::{
    Error,
    stats::{median, table},
};
use carport_core::{Durability, SystemClock};
use carport_engine_journal::{Journal, Journals, Kind, NewEvent};
use serde_json::json;
use tokio::task::JoinSet;

/// What is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Events that each journal gets; beyond 13 333 its file is rewritten to the newest 10 000
    #[arg(long, value_delimiter = ',', default_value = "10000,100000")]
    events: Vec<usize>,
    /// How many journals get them at once
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    journals: Vec<usize>,
    /// How often all is measured; medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// Measures and prints the table.
pub(crate) async fn measure(args: &Args, root: &Path) -> Result<(), Error> {
    let mut rows = Vec::new();
    for events in &args.events {
        for journals in &args.journals {
            for chained in [false, true] {
                let (mut floors, mut ours) = (Vec::new(), Vec::new());
                for round in 0..args.rounds {
                    eprintln!("{journals} x {events}, chained {chained}: round {}", round + 1);
                    let directory = root.join("journals");
                    fs::create_dir(&directory)?;
                    let (rate, lines) = record(&directory, *journals, *events, chained).await?;
                    ours.push(rate);
                    floors.push(append(&root.join("floor"), &lines, journals * events)?);
                    fs::remove_dir_all(directory)?;
                }
                let floor = median(floors);
                let ours = median(ours);
                rows.push([
                    journals.to_string(),
                    events.to_string(),
                    if chained { "yes" } else { "no" }.into(),
                    format!("{floor:.0}"),
                    format!("{ours:.0}"),
                    format!("{:.3}", ours / floor),
                ]);
            }
        }
    }
    table(["journals", "events each", "chained", "bare appends/s", "events/s", "to floor"], rows);
    Ok(())
}

/// An event of the usual size.
fn event(n: usize) -> NewEvent {
    let data = json!({
        "tool": "read_file",
        "params_digest": "0123456789abcdef".repeat(4),
        "effect_keys": ["notes"],
        "duration_ms": 1.25,
    });
    let event = NewEvent::new(Kind::ActionSucceeded, data);
    event.of_proposal("a-proposal").of_action(format!("a{n}"))
}

/// Appends to so many journals at once until all is in their files: events a second, and the lines of
/// one file.
async fn record(
    directory: &Path,
    journals: usize,
    events: usize,
    chained: bool,
) -> Result<(f64, Vec<Vec<u8>>), Error> {
    let (all, writer) = Journals::new(directory.into(), Durability::Process, Arc::new(SystemClock));
    let writing = tokio::spawn(writer.run());
    let mut open = Vec::new();
    for n in 0..journals {
        let journal = all.open(&format!("journal-{n}")).await?;
        if chained {
            journal.enable_chain();
        }
        open.push(journal);
    }
    let (mut recording, began) = (JoinSet::new(), Instant::now());
    for journal in open {
        recording.spawn(fill(journal, events));
    }
    while let Some(done) = recording.join_next().await {
        done??;
    }
    let rate = (journals * events) as f64 / began.elapsed().as_secs_f64();
    writing.abort();
    let text = fs::read(directory.join("journal-0.jsonl"))?;
    let lines: Vec<_> = text.split_inclusive(|it| *it == b'\n').map(<[u8]>::to_vec).collect();
    if lines.len() < events.min(10_000) {
        return Err(format!("{} lines of {events} events", lines.len()).into());
    }
    Ok((rate, lines))
}

async fn fill(journal: Journal, events: usize) -> std::io::Result<()> {
    for n in 0..events {
        journal.append(event(n)).await;
    }
    journal.close().await
}

/// Appends so many lines to one file, each in a write of its own.
fn append(path: &Path, lines: &[Vec<u8>], count: usize) -> Result<f64, Error> {
    let mut file = File::create(path)?;
    let began = Instant::now();
    for line in lines.iter().cycle().take(count) {
        file.write_all(line)?;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}
