//! How long a query takes: with the walk, without, and SQLite's.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use carport_bench_dispatch::{Error, stats};
use carport_memory_graph::{Ask, Weights};

use crate::{
    LEXICAL, ask,
    facts::{self, MadeUp, Told},
    fts5::Fts5,
    model, set,
};

/// How much is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Queries of each number of facts
    #[arg(long, default_value_t = 500)]
    queries: usize,
    /// A directory with a BERT sentence encoder, to see how long it takes for a query
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// Facts that a query asks for, as `memory.query` does if nothing else is said.
const LIMIT: usize = 5;
/// Words of a made-up query.
const WORDS: u64 = 6;

pub(crate) fn measure(args: &Args) -> Result<(), Error> {
    let mut rows = Vec::new();
    let questions: Vec<String> = set::questions()?.into_iter().map(|it| it.text).collect();
    rows.extend(times("the questions", &set::facts()?, &questions)?);
    for count in [1000, 10_000, 100_000] {
        let mut made_up = MadeUp::new();
        let facts = made_up.facts(count);
        let queries: Vec<String> = (0..args.queries).map(|_| made_up.text(WORDS)).collect();
        rows.extend(times("made up", &facts, &queries)?);
    }
    if let Some(directory) = &args.model {
        let taken = model::times(directory, &questions)?;
        let micros = |share| stats::percentile(&taken, share).as_micros();
        let (p50, p99) = (micros(0.5), micros(0.99));
        println!("what a question means: p50 {p50} us, p99 {p99} us\n");
    }
    stats::table(["texts", "facts", "arm", "p50 us", "p99 us", "p50 to FTS5"], rows);
    Ok(())
}

/// Each query by each arm in turn, so that whatever else the machine does meets all alike.
fn times(name: &str, told: &[Told], queries: &[String]) -> Result<Vec<[String; 6]>, Error> {
    let mut graph = facts::graph(told)?;
    let mut made_up = MadeUp::new();
    model::tell(&mut graph, &model::made_up(&mut made_up, told.len())?)?;
    let graph = graph.snapshot();
    let asked = model::made_up(&mut made_up, queries.len())?;
    let fts5 = Fts5::of(told, None)?;
    let mut taken: [Vec<Duration>; 4] = Default::default();
    for (query, meaning) in queries.iter().zip(&asked) {
        let start = Instant::now();
        fts5.find(query, LIMIT)?;
        taken[0].push(start.elapsed());
        let meant = (3, Weights::default(), Some(meaning));
        for (at, weights, meaning) in [(1, LEXICAL, None), (2, Weights::default(), None), meant] {
            let ask = Ask { meaning, ..ask(query) };
            let start = Instant::now();
            std::hint::black_box(graph.rank_by(weights, &ask, LIMIT));
            taken[at].push(start.elapsed());
        }
    }
    let micros = |taken: &[Duration], share| stats::percentile(taken, share).as_secs_f64() * 1e6;
    let floor = micros(&taken[0], 0.5);
    let rows = ["SQLite FTS5", "lexical only", "graph walk", "embeddings + walk"]
        .iter()
        .zip(&taken)
        .map(|(arm, taken)| {
            let (p50, p99) = (micros(taken, 0.5), micros(taken, 0.99));
            let figures = [format!("{p50:.0}"), format!("{p99:.0}"), format!("{:.2}", p50 / floor)];
            let [p50, p99, ratio] = figures;
            [name.into(), told.len().to_string(), (*arm).into(), p50, p99, ratio]
        });
    Ok(rows.collect())
}
