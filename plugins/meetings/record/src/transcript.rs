//! The lines of `transcript.jsonl`: writing, reading back, paging, and what a kill of the daemon leaves.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read as _},
};

use serde::Deserialize;

use crate::{EndedBy, Meeting, Segment, Status};

/// Bytes of a line. A longer one is no segment and is never held in memory.
pub const MOST_LINE: usize = 1 << 20;
/// Lines that do not read and are named.
const MOST_DAMAGED: usize = 100;

/// Which segments are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The number of the first.
    pub from: u64,
    /// How many at most.
    pub limit: usize,
    /// Bytes at most, about; one segment is there even if it is longer.
    pub bytes: usize,
}

impl Wanted {
    /// All of a meeting, and no more of a file that holds more than a meeting can.
    pub const ALL: Self = Self { from: 0, limit: 100_000, bytes: 256 << 20 };
}

/// The line of a segment, with its end.
///
/// # Errors
/// A number in it is not finite.
pub fn line(segment: &Segment) -> serde_json::Result<String> {
    serde_json::to_string(segment).map(|text| text + "\n")
}

/// What a transcript's file holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Read {
    /// Those that were wanted, in the order of their numbers; of lines with one number the last.
    pub segments: Vec<Segment>,
    /// The number that the next page begins with, if more follow.
    pub next: Option<u64>,
    /// Lines that do not read, counted from 1; the first hundred.
    pub damaged: Vec<u64>,
    /// Bytes up to the end of the last whole line.
    pub whole: u64,
}

/// What every line says, whatever else it says.
#[derive(Deserialize)]
struct Numbered {
    n: u64,
}

/// Reads a file to its end, and holds no more of it than is wanted. What follows the last line break is a
/// line that was being written, and is not read.
///
/// # Errors
/// Those of the reader.
pub fn read(mut file: impl BufRead, wanted: Wanted) -> io::Result<Read> {
    let (mut found, mut page) = (Read::default(), Held::new(wanted));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut bytes = (&mut file).take(MOST_LINE as u64).read_until(b'\n', &mut line)? as u64;
        let is_short = line.last() == Some(&b'\n');
        if !is_short {
            let Some(rest) = skip_line(&mut file)? else { break };
            bytes += rest;
        }
        found.whole += bytes;
        let reads = is_short && page.take(&line).is_ok();
        if !reads && found.damaged.len() < MOST_DAMAGED {
            found.damaged.push(number);
        }
    }
    found.next = page.next;
    found.segments = page.segments.into_values().collect();
    Ok(found)
}

/// Passes over the rest of a line. Returns its bytes; `None` if the file ends first.
fn skip_line(file: &mut impl BufRead) -> io::Result<Option<u64>> {
    let mut skipped = 0;
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(bytes.len(), |at| at + 1);
        file.consume(used);
        skipped += used as u64;
        if end.is_some() {
            return Ok(Some(skipped));
        }
    }
}

/// The page that is wanted, of the lines so far.
struct Held {
    wanted: Wanted,
    segments: BTreeMap<u64, Segment>,
    bytes: usize,
    /// The first that had no room.
    next: Option<u64>,
}

impl Held {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, segments: BTreeMap::new(), bytes: 0, next: None }
    }

    fn take(&mut self, line: &[u8]) -> serde_json::Result<()> {
        let Numbered { n } = serde_json::from_slice(line)?;
        if n < self.wanted.from || self.next.is_some_and(|next| n >= next) {
            return Ok(());
        }
        let segment: Segment = serde_json::from_slice(line)?;
        self.bytes += size(&segment);
        if let Some(old) = self.segments.insert(n, segment) {
            self.bytes -= size(&old);
        }
        while self.is_full()
            && let Some((n, last)) = self.segments.pop_last()
        {
            self.bytes -= size(&last);
            self.next = Some(n);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let (Wanted { limit, bytes, .. }, held) = (self.wanted, self.segments.len());
        held > limit.max(1) || (held > 1 && self.bytes > bytes)
    }
}

/// A meeting that a dead daemon was recording, as it is from now on: cut off at the end of what was said
/// last. `None` if it was not being recorded.
pub fn recovered(mut meeting: Meeting, transcript: &[Segment]) -> Option<Meeting> {
    let last = transcript.iter().map(|it| it.end_ms).max().unwrap_or(0);
    let at = meeting.time_at(last);
    if meeting.status != Status::Recording {
        return None;
    }
    meeting.recount(transcript);
    meeting.end(Status::Interrupted, at, EndedBy::Crash).ok()?;
    Some(meeting)
}

/// Some segments in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<'a> {
    /// In the order of their numbers.
    pub segments: Vec<&'a Segment>,
    /// The number that the next page begins with, if more follow.
    pub next: Option<u64>,
}

/// The wanted ones of segments that are in the order of their numbers.
pub fn page(segments: &[Segment], wanted: Wanted) -> Page<'_> {
    let begin = segments.partition_point(|it| it.n < wanted.from);
    let mut held = 0;
    let fits = |segment: &&Segment| {
        let is_first = held == 0;
        held += size(segment);
        is_first || held <= wanted.bytes
    };
    let rest = segments.get(begin..).unwrap_or_default();
    let taken: Vec<_> = rest.iter().take(wanted.limit.max(1)).take_while(fits).collect();
    let next = rest.get(taken.len()).map(|it| it.n);
    Page { segments: taken, next }
}

/// About how long a segment's JSON is, and no shorter.
pub fn size(segment: &Segment) -> usize {
    let words = segment.words.iter().flatten().map(|word| word.text.len() + 80).sum::<usize>();
    segment.text.len() * 2 + segment.speaker.len() + segment.source.len() + words + 200
}

#[cfg(test)]
mod tests;
