//! The sentences of `data/sentences.tsv`.

use std::{fs, path::Path};

use carport_bench_dispatch::Error;

/// A line of the file.
pub(crate) struct Line<'d> {
    pub(crate) source: &'d str,
    pub(crate) text: &'d str,
    /// What the oracle says for the text as it stands.
    pub(crate) written: &'d str,
    /// What it says for the text in words, where a person says something else than it does.
    pub(crate) spoken: Option<&'d str>,
}

/// The whole file.
pub(crate) fn read() -> Result<String, Error> {
    Ok(fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sentences.tsv"))?)
}

/// Its lines, in order.
pub(crate) fn lines(data: &str) -> impl Iterator<Item = Line<'_>> {
    data.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let (source, text, written) = (columns.next()?, columns.next()?, columns.next()?);
        Some(Line { source, text, written, spoken: columns.next() })
    })
}

/// So many sentences of a source, evenly over all of it.
pub(crate) fn pick<'d>(data: &'d str, source: &str, count: usize) -> Result<Vec<&'d str>, Error> {
    let all: Vec<_> = lines(data).filter(|it| it.source == source).map(|it| it.text).collect();
    if count == 0 || all.len() < count {
        return Err(
            format!("`{source}` has {} sentences; 1 to so many can be had", all.len()).into()
        );
    }
    Ok((0..count).map(|nth| all[nth * all.len() / count]).collect())
}
