//! The lines of `transcript.jsonl`: writing, reading back, paging, and what a kill of the daemon leaves.

use std::collections::BTreeMap;

use crate::{EndedBy, Meeting, Segment, Status};

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
    /// In the order of their numbers; of lines with one number the last.
    pub segments: Vec<Segment>,
    /// Lines that do not read, counted from 1.
    pub damaged: Vec<usize>,
    /// Bytes up to the end of the last whole line.
    pub whole: u64,
}

/// Reads a file. What follows the last line break is a line that was being written, and is not read.
pub fn read(bytes: &[u8]) -> Read {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (mut segments, mut damaged) = (BTreeMap::new(), Vec::new());
    let lines = bytes[..end].split_inclusive(|byte| *byte == b'\n');
    for (at, line) in lines.enumerate() {
        match serde_json::from_slice::<Segment>(line) {
            Ok(segment) => drop(segments.insert(segment.n, segment)),
            Err(_) => damaged.push(at + 1),
        }
    }
    Read { segments: segments.into_values().collect(), damaged, whole: end as u64 }
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

/// Segments from number `from` on: at most `limit`, of about `bytes` bytes, and at least one if there is
/// one. `segments` are in the order of their numbers.
pub fn page(segments: &[Segment], from: u64, limit: usize, bytes: usize) -> Page<'_> {
    let begin = segments.partition_point(|it| it.n < from);
    let mut held = 0;
    let fits = |segment: &&Segment| {
        let is_first = held == 0;
        held += size(segment);
        is_first || held <= bytes
    };
    let rest = segments.get(begin..).unwrap_or_default();
    let taken: Vec<_> = rest.iter().take(limit).take_while(fits).collect();
    let next = rest.get(taken.len()).map(|it| it.n);
    Page { segments: taken, next }
}

/// About how long a segment's JSON is.
fn size(segment: &Segment) -> usize {
    let words = segment.words.iter().flatten().map(|word| word.text.len() + 80).sum::<usize>();
    segment.text.len() * 2 + segment.speaker.len() + segment.source.len() + words + 200
}

#[cfg(test)]
mod tests;
