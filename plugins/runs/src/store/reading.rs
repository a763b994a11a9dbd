//! Reads records back, a bounded page at a time.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::{NO_FOLLOW, aside};
use crate::record::{Line, RunRecord};

/// Records from an offset on.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) lines: Vec<Line>,
    /// Where the next page begins, if records remain.
    pub(crate) next: Option<u64>,
    /// Lines among them that do not read.
    pub(crate) unreadable: u64,
}

/// What a page may hold: at most so many records and bytes, and at least one record if one remains.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
}

/// A file without following a link in its place.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path)
}

/// Records from offset `cursor` on.
pub(super) fn page(path: &Path, cursor: u64, bounds: Bounds) -> io::Result<Page> {
    let mut page = Page::default();
    let mut records = Records::open(path)?;
    // What does not read before the page is of an earlier page.
    let (mut offset, mut bytes, mut earlier) = (0, 0, 0);
    while let Some(line) = records.next()? {
        if offset >= cursor {
            bytes += line.text().len();
            let full = page.lines.len() == bounds.records || bytes > bounds.bytes;
            if full && !page.lines.is_empty() {
                page.next = Some(offset);
                return Ok(page);
            }
            page.lines.push(if offset == 0 { without_format(line)? } else { line });
            page.unreadable = records.unreadable - earlier;
        } else {
            earlier = records.unreadable;
        }
        offset += 1;
    }
    page.unreadable = records.unreadable - earlier;
    Ok(page)
}

/// The file's first line also says which format it is in, which is nobody else's business.
fn without_format(line: Line) -> io::Result<Line> {
    match RunRecord::read(line.text()) {
        Ok(record @ RunRecord::Started(_)) => Ok(Line::of(&record)?),
        _ => Ok(line),
    }
}

/// The newest turns with an index below `end` that fit into `bytes`, and the index of the first.
pub(super) fn newest_turns(path: &Path, end: u64, bytes: usize) -> io::Result<(u64, Vec<Line>)> {
    let mut records = Records::open(path)?;
    let (mut kept, mut held) = (VecDeque::<(u64, Line)>::new(), 0);
    while let Some(line) = records.next()? {
        // A turn says where it is: lines before it may not have read.
        let Some(index) = turn_index(&line) else { continue };
        if index >= end {
            break;
        }
        held += line.text().len();
        kept.push_back((index, line));
        while held > bytes {
            let Some((_, oldest)) = kept.pop_front() else { break };
            held -= oldest.text().len();
        }
    }
    let first = kept.front().map_or(end, |(index, _)| *index);
    Ok((first, kept.into_iter().map(|(_, line)| line).collect()))
}

/// The index of a turn; `None` for another record.
fn turn_index(line: &Line) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Head<'a> {
        #[serde(borrow)]
        record: Cow<'a, str>,
        index: Option<u64>,
    }
    let head: Head<'_> = serde_json::from_str(line.text()).ok()?;
    head.index.filter(|_| head.record == "turn")
}

/// The records of a file in order. A line that does not read is passed over, counted and kept aside; a
/// line without its end is still being written.
pub(super) struct Records {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    /// Lines passed over so far.
    pub(super) unreadable: u64,
}

impl Records {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let reader = BufReader::with_capacity(64 << 10, open(path)?);
        Ok(Self { path: path.into(), reader, line: Vec::new(), unreadable: 0 })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            self.line.clear();
            let read = self.reader.read_until(b'\n', &mut self.line)?;
            if read == 0 || self.line.pop() != Some(b'\n') {
                return Ok(None);
            }
            if let Some(record) = read_record(&self.line) {
                return Ok(Some(record));
            }
            self.unreadable += 1;
            if let Err(error) = aside::keep(&self.path) {
                tracing::error!(file = %self.path.display(), %error, "unreadable lines were not copied");
            }
        }
    }
}

/// The record in a line, if it holds one.
pub(super) fn read_record(line: &[u8]) -> Option<Line> {
    let text = str::from_utf8(line).ok()?;
    // Every line of ours begins so. The rest is checked to be JSON, and not taken apart.
    let ours = text.starts_with(r#"{"record":""#);
    let tagged =
        || text.trim_start().starts_with('{') && serde_json::from_str::<Tagged>(text).is_ok();
    if ours || tagged() { Line::read(text).ok() } else { None }
}

#[derive(serde::Deserialize)]
struct Tagged {
    #[serde(rename = "record")]
    _record: String,
}
