//! What a fact takes of memory and of its file.

use carport_bench_dispatch::{Error, process, stats};
use carport_memory_graph::{Graph, Limits, Line};

use crate::{
    facts::{self, MadeUp, Told},
    fts5::Fts5,
    set,
};

pub(crate) fn measure() -> Result<(), Error> {
    let mut sets = vec![("the questions'", set::facts()?)];
    sets.extend([1000, 10_000, 100_000].map(|count| ("made up", MadeUp::new().facts(count))));
    // Nothing is let go in between: what a graph takes is then what the process grows by.
    let graphs: Vec<(Graph, [usize; 3])> =
        sets.iter().map(|(_, told)| grow(told)).collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    for ((name, told), (_, [resident, counted, file])) in sets.iter().zip(&graphs) {
        let text = told.iter().map(|told| told.subject.len() + told.body.len()).sum();
        let each = |bytes: usize| (bytes / told.len()).to_string();
        let figures = [text, *resident, *counted, *file, fts5(told)?].map(each);
        let [text, resident, counted, file, fts5] = figures;
        let facts = told.len().to_string();
        rows.push([(*name).into(), facts, text, resident, counted, file, fts5]);
    }
    let header = ["texts", "facts", "text B", "resident B", "counted B", "file B", "FTS5 file B"];
    stats::table(header, rows);
    Ok(())
}

/// A graph of these facts, and bytes: by which the process has grown, that the graph says it takes, and
/// of its file.
fn grow(told: &[Told]) -> Result<(Graph, [usize; 3]), Error> {
    let pid = std::process::id();
    let before = process::resident(pid)?;
    let mut graph = Graph::new(Limits::DISK);
    let mut file = Line::first().encode().len() + 1;
    for (place, told) in told.iter().enumerate() {
        file += facts::add(&mut graph, place, told)?.encode().len() + 1;
    }
    let resident = process::resident(pid)?.saturating_sub(before) as usize;
    let counted = graph.bytes();
    Ok((graph, [resident, counted, file]))
}

/// Bytes of SQLite's file.
fn fts5(told: &[Told]) -> Result<usize, Error> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("facts.sqlite");
    drop(Fts5::of(told, Some(&path))?);
    Ok(std::fs::metadata(&path)?.len() as usize)
}
