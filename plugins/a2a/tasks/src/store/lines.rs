//! A task as lines of JSON, and what they fold into.

use std::io;

use serde::Serialize;

use crate::{
    index::Row,
    log::{Change, Created, Fold, Line, Stored},
    progress::Progress,
};

/// A line of JSON, and its line feed.
pub(super) fn encode(line: &Line) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text)
}

/// Bytes of the JSON of a value, which is nowhere as a whole.
pub(super) fn json_bytes(value: &impl Serialize) -> io::Result<usize> {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    serde_json::to_writer(&mut count, value)?;
    Ok(count.0)
}

/// Bytes of the JSON of the artifact that a change adds.
pub(super) fn weight(change: &Change) -> usize {
    match change {
        Change::Artifact(it) => json_bytes(&it.artifact).unwrap_or(usize::MAX / 4),
        _ => 0,
    }
}

/// How a task was created, and its changes that read, in order. A line in the middle that does not read
/// is left out and logged: a change that cannot be known is no reason to lose the others.
pub(super) fn lines<'a>(
    id: &'a str,
    bytes: &'a [u8],
) -> io::Result<(Created, impl Iterator<Item = Stored> + 'a)> {
    let mut lines = bytes.split(|it| *it == b'\n').filter(|it| !it.is_empty());
    let first = lines.next().map(serde_json::from_slice::<Line>).transpose()?;
    let Some(Line::Created(created)) =
        first.filter(|it| matches!(it, Line::Created(it) if it.id == id))
    else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it does not begin with its creation",
        ));
    };
    let events = lines.filter_map(move |line| match serde_json::from_slice(line) {
        Ok(Line::Event(stored)) => Some(stored),
        Ok(Line::Created(_)) => {
            tracing::error!(task = id, "a second creation is left out");
            None
        }
        Err(error) => {
            tracing::error!(%error, task = id, "a change does not read and is left out");
            None
        }
    });
    Ok((created, events))
}

/// What the index knows of a task with these lines.
pub(super) fn row_of(id: &str, bytes: &[u8]) -> io::Result<Row> {
    let (created, events) = lines(id, bytes)?;
    let mut progress = Progress::begun(created.at, bytes.len());
    for stored in events {
        // Its line is counted already.
        progress.note(&stored, weight(&stored.change), 0);
    }
    Ok(Row::new(created.owner, created.context_id, progress))
}

/// The task after its change `at`, or now; with or without its artifacts.
pub(super) fn fold_of(
    id: &str,
    bytes: &[u8],
    at: Option<u64>,
    artifacts: bool,
) -> io::Result<Fold> {
    let (created, events) = lines(id, bytes)?;
    let mut fold = Fold::new(created);
    for stored in events.take_while(|it| at.is_none_or(|at| it.seq <= at)) {
        match stored.change {
            Change::Artifact(_) if !artifacts => fold.seq = stored.seq,
            _ => fold.apply(stored),
        }
    }
    Ok(fold)
}
