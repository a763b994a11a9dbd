//! `read_file`: lines of a text, a bounded piece at a time.

use std::io::{BufRead, BufReader, Read};

use carport_core::bounds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Basic, Root, ToolError, root::Inside};

/// Bytes of text in one answer.
const MAX_TEXT: usize = 1 << 20;
/// Bytes that are passed over before the first line.
const MAX_SKIPPED: u64 = 256 << 20;

/// Reads a text file, from the line `offset` on. At most 1 MiB is read at once; `truncated` says that
/// there is more, and `next_offset` where it begins.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadFile {
    /// The file, relative to the workspace.
    pub path: String,
    /// The first line, counted from 1.
    #[serde(default = "first")]
    #[schemars(range(min = 1))]
    pub offset: u64,
    /// How many lines at the most; absent: as many as fit.
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
}

fn first() -> u64 {
    1
}

/// A piece of a text.
#[derive(Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReadText {
    /// The lines as they are in the file, with their ends.
    pub content: String,
    /// How many lines these are.
    pub lines: u64,
    /// Whether there is more than this.
    pub truncated: bool,
    /// The line that comes next, if there is one. A line of more than 1 MiB is cut, and the rest of it
    /// cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
}

impl Basic for ReadFile {
    const NAME: &'static str = "read_file";
    type Output = ReadText;

    fn run(self, root: &Root) -> Result<ReadText, ToolError> {
        let inside = Inside::read(&self.path)?;
        bounds::within("offset", self.offset, 1..=u64::MAX)?;
        let most = self.limit.unwrap_or(u64::MAX);
        bounds::within("limit", most, 1..=u64::MAX)?;
        let mut file = BufReader::new(root.file(&inside)?);
        let failed = |error: std::io::Error| ToolError::io(&self.path, &error);
        let mut skipped = 0;
        for _ in 1..self.offset {
            match pass_line(&mut file).map_err(failed)? {
                0 => return Ok(ReadText::default()),
                bytes => skipped += bytes,
            }
            if skipped > MAX_SKIPPED {
                return Err(ToolError::TooLarge { path: self.path, limit: MAX_SKIPPED as usize });
            }
        }
        let piece = piece(&mut file, self.offset, most).map_err(failed)?;
        piece.ok_or(ToolError::NotText(self.path))
    }
}

/// The next lines, as many as wanted and as fit; `None` if they are no text.
fn piece(file: &mut impl BufRead, offset: u64, most: u64) -> std::io::Result<Option<ReadText>> {
    let (mut content, mut lines, mut short, mut more) = (Vec::new(), 0, false, false);
    while lines < most && !short && !more {
        let before = content.len();
        let room = (MAX_TEXT - before) as u64;
        file.take(room + 1).read_until(b'\n', &mut content)?;
        if content.len() == before {
            break;
        } else if content.len() <= MAX_TEXT {
            lines += 1;
        } else if before > 0 {
            content.truncate(before);
            more = true;
        } else {
            // The first line is too long alone.
            (lines, short) = (1, true);
            if content.last() != Some(&b'\n') {
                pass_line(file)?;
            }
            cut(&mut content);
        }
    }
    let more = more || !file.fill_buf()?.is_empty();
    let next_offset = more.then_some(offset + lines);
    let read = |content| ReadText { content, lines, truncated: short || more, next_offset };
    Ok(String::from_utf8(content).ok().filter(|it| !it.contains('\0')).map(read))
}

/// Cuts to the bound, between two characters.
fn cut(content: &mut Vec<u8>) {
    content.truncate(MAX_TEXT);
    if let Err(error) = std::str::from_utf8(content)
        && error.error_len().is_none()
    {
        content.truncate(error.valid_up_to());
    }
}

/// Passes over the rest of a line. Returns how many bytes that were.
fn pass_line(file: &mut impl BufRead) -> std::io::Result<u64> {
    file.take(MAX_SKIPPED + 1).skip_until(b'\n').map(|bytes| bytes as u64)
}
