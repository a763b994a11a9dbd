//! A task as lines of JSON, and what they fold into.

use std::io::{self, BufRead};

use serde::Serialize;

use super::StoreError;
use crate::{
    index::Row,
    log::{Change, Created, Fold, Line, Stored},
    progress::{Progress, Refused},
};

/// A line of JSON with its line feed, and the line as it will be read again: that, and nothing else, is told.
pub(super) fn encode(line: &Line) -> Result<(Vec<u8>, Line), StoreError> {
    let mut text = serde_json::to_vec(line).map_err(io::Error::from)?;
    let again =
        serde_json::from_slice(&text).map_err(|error| Refused::Unreadable(error.to_string()))?;
    text.push(b'\n');
    Ok((text, again))
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

/// How much more the number of a change may be than that of the one before: lines may be missing, but no
/// number is so large that there is none after it.
const MAX_GAP: u64 = 1 << 20;

/// The changes of a task, read a line at a time, so that a long log is never in memory as a whole.
///
/// A line in the middle that does not read is left out and logged: a change that cannot be known is no
/// reason to lose the others. So is one whose number does not come after that of the change before, and
/// whatever follows the end of the task. What is behind the last line feed is no line.
pub(super) struct Log<'a, R> {
    id: &'a str,
    from: R,
    line: Vec<u8>,
    /// The last change that was read.
    last: u64,
    /// That change ended the task.
    ended: bool,
    /// Bytes of the whole lines so far.
    pub(super) whole: usize,
}

impl<'a, R: BufRead> Log<'a, R> {
    /// How a task was created, and what happened since.
    ///
    /// # Errors
    /// Not found: there is no whole line, for it is only being made.
    pub(super) fn open(id: &'a str, from: R) -> io::Result<(Created, Self)> {
        let mut log = Self::after(id, from, 0);
        if !log.read_line()? {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it has no whole line"));
        }
        match serde_json::from_slice(&log.line)? {
            Line::Created(created) if created.id == id => Ok((created, log)),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it does not begin with its creation",
            )),
        }
    }

    /// What happened after the change `last`, of a task that had not ended with it: `from` begins there.
    pub(super) fn after(id: &'a str, from: R, last: u64) -> Self {
        Self { id, from, line: Vec::new(), last, ended: false, whole: 0 }
    }

    /// Whether a change may follow what was read.
    fn follows(&self, stored: &Stored) -> bool {
        let gap = stored.seq.checked_sub(self.last);
        !self.ended && gap.is_some_and(|gap| (1..=MAX_GAP).contains(&gap))
    }

    /// Reads the next line, if there is a whole one.
    fn read_line(&mut self) -> io::Result<bool> {
        self.line.clear();
        let bytes = self.from.read_until(b'\n', &mut self.line)?;
        let is_whole = self.line.ends_with(b"\n");
        self.whole += if is_whole { bytes } else { 0 };
        Ok(is_whole)
    }
}

impl<R: BufRead> Iterator for Log<'_, R> {
    type Item = io::Result<Stored>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read_line() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
            match serde_json::from_slice(&self.line) {
                Ok(Line::Event(stored)) if self.follows(&stored) => {
                    self.last = stored.seq;
                    self.ended = stored.change.ends_task();
                    return Some(Ok(stored));
                }
                Ok(Line::Event(Stored { seq, .. })) => {
                    let (task, last) = (self.id, self.last);
                    tracing::error!(task, seq, last, "a change that cannot follow is left out");
                }
                Ok(Line::Created(_)) => {
                    tracing::error!(task = self.id, "a second creation is left out");
                }
                Err(error) => {
                    tracing::error!(%error, task = self.id, "a change does not read and is left out");
                }
            }
        }
    }
}

/// What the index knows of a task with these lines, and how many bytes of them are whole.
pub(super) fn row_of(id: &str, from: impl BufRead) -> io::Result<(Row, usize)> {
    let (created, mut log) = Log::open(id, from)?;
    let mut progress = Progress::begun(created.at, log.whole);
    let mut before = log.whole;
    while let Some(stored) = log.next().transpose()? {
        progress.note(&stored, weight(&stored.change), log.whole - before);
        before = log.whole;
    }
    let whole = log.whole;
    Ok((Row::new(created.owner, created.context_id, progress, whole as u64), whole))
}

/// The task after its change `upto`; with or without its artifacts.
pub(super) fn fold_of(
    id: &str,
    from: impl BufRead,
    upto: u64,
    artifacts: bool,
) -> io::Result<Fold> {
    let (created, mut log) = Log::open(id, from)?;
    let mut fold = Fold::new(created);
    while fold.seq < upto
        && let Some(stored) = log.next().transpose()?.filter(|it| it.seq <= upto)
    {
        match stored.change {
            Change::Artifact(_) if !artifacts => fold.seq = stored.seq,
            _ => fold.apply(stored),
        }
    }
    Ok(fold)
}
