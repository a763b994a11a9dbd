//! Reads records back, a bounded page at a time.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::record::Line;

/// A reply stays under this many bytes of records.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// Records from an offset on.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) lines: Vec<Line>,
    /// Where the next page begins, if records remain.
    pub(crate) next: Option<u64>,
}

/// A file without following a link in its place.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    OpenOptions::new().read(true).custom_flags(no_follow).open(path)
}

/// Records from offset `cursor` on: at most `limit`, at most 8 MiB, at least one if one remains.
pub(super) fn page(path: &Path, cursor: u64, limit: usize) -> io::Result<Page> {
    let mut page = Page::default();
    let mut bytes = 0;
    let mut reader = BufReader::new(open(path)?);
    let (mut offset, mut text) = (0, String::new());
    while next_record(&mut reader, &mut text, path)? {
        if offset >= cursor {
            let full = page.lines.len() == limit || bytes + text.len() > PAGE_BYTES;
            if full && !page.lines.is_empty() {
                page.next = Some(offset);
                break;
            }
            bytes += text.len();
            page.lines.extend(Line::read(&text));
        }
        offset += 1;
    }
    Ok(page)
}

/// The newest turns with an index below `end` that fit into `bytes`, and the index of the first.
pub(super) fn newest_turns(path: &Path, end: u64, bytes: usize) -> io::Result<(u64, Vec<Line>)> {
    let mut reader = BufReader::new(open(path)?);
    let (mut kept, mut held, mut text) = (VecDeque::new(), 0, String::new());
    // The first record says how the run started.
    next_record(&mut reader, &mut text, path)?;
    let mut index = 0;
    while index < end && next_record(&mut reader, &mut text, path)? {
        held += text.len();
        kept.extend(Line::read(&text));
        index += 1;
        while held > bytes {
            let Some(oldest) = kept.pop_front() else { break };
            held -= oldest.text().len();
        }
    }
    Ok((index - kept.len() as u64, kept.into()))
}

/// The next record that reads; one that does not is passed over, logged and left where it is. A line
/// without its end is still being written.
pub(super) fn next_record(
    reader: &mut impl BufRead,
    text: &mut String,
    path: &Path,
) -> io::Result<bool> {
    loop {
        let mut bytes = Vec::new();
        if reader.read_until(b'\n', &mut bytes)? == 0 || bytes.pop() != Some(b'\n') {
            return Ok(false);
        }
        text.clear();
        match String::from_utf8(bytes) {
            Ok(line) if serde_json::from_str::<Tagged>(&line).is_ok() => {
                *text = line;
                return Ok(true);
            }
            _ => tracing::warn!(file = %path.display(), "a line that does not read was skipped"),
        }
    }
}

#[derive(serde::Deserialize)]
struct Tagged {
    #[serde(rename = "record")]
    _record: String,
}
