//! `grep_files`: lines by what is in them.

use std::{fs::File, io::Read, ops::ControlFlow};

use carport_core::bounds;
use regex::bytes::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Basic, Root, ToolError,
    find::{MAX_PATTERN, MAX_RESULTS, Shape, max_results},
    list::here,
    root::{Inside, regular},
    walk::{Found, walk},
};

/// Bytes that one search reads, and of them at most so many of one file.
const MAX_SCANNED: u64 = 64 << 20;
const MAX_OF_FILE: u64 = 16 << 20;
/// Bytes of a compiled expression.
const MAX_COMPILED: usize = 1 << 20;
/// Characters of a line that are shown.
const MAX_SHOWN: usize = 500;
/// Bytes of a file that are looked at to tell whether it is text.
const SAMPLE: usize = 8192;

/// Finds lines that match a regular expression, in text files below a directory. Links are not
/// followed, `.git` and binary files are passed over; at most 64 MiB are read, 16 MiB of one file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GrepFiles {
    /// A regular expression, matched line by line; no look-around and no back-references. At most
    /// 1,024 bytes.
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: String,
    /// The directory to look below, or one file, relative to the workspace.
    #[serde(default = "here")]
    pub path: String,
    /// Only files of this shape, as in `find_files`.
    pub glob: Option<String>,
    /// Ignores case.
    #[serde(default)]
    pub case_insensitive: bool,
    /// How many lines at the most.
    #[serde(default = "max_results")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: usize,
}

/// A line that matches.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Line {
    /// The file, relative to the workspace.
    pub path: String,
    /// Counted from 1.
    pub line: u64,
    /// Its first 500 characters.
    pub text: String,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Grepped {
    /// In the order of files and lines.
    pub matches: Vec<Line>,
    /// Text files that were read.
    pub files: u64,
    /// Whether a bound ended the search: of results, bytes, levels of directories or names.
    pub truncated: bool,
}

impl Basic for GrepFiles {
    const NAME: &'static str = "grep_files";
    type Output = Grepped;

    fn run(self, root: &Root) -> Result<Grepped, ToolError> {
        let from = Inside::read(&self.path)?;
        bounds::within("limit", self.limit, 1..=MAX_RESULTS)?;
        let shape = self.glob.as_deref().map(|glob| Shape::read("glob", glob)).transpose()?;
        let mut search = Search {
            wanted: self.expression()?,
            limit: self.limit,
            left: MAX_SCANNED,
            short: false,
            found: Grepped::default(),
        };
        let walked = walk(root, &from, |file| match &shape {
            Some(shape) if !shape.matches(file.below) => ControlFlow::Continue(()),
            _ => search.visit(file),
        });
        let whole = match walked {
            Err(ToolError::NotADirectory(_)) => {
                search.file(root.file(&from)?, &from.shown()).is_continue()
            }
            walked => walked?,
        };
        search.found.truncated = search.short || !whole;
        Ok(search.found)
    }
}

impl GrepFiles {
    fn expression(&self) -> Result<Regex, ToolError> {
        bounds::bytes("pattern", &self.pattern, 1..=MAX_PATTERN)?;
        let built = RegexBuilder::new(&self.pattern)
            .case_insensitive(self.case_insensitive)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .build();
        built.map_err(|error| ToolError::Parameters(format!("`pattern`: {error}")))
    }
}

struct Search {
    wanted: Regex,
    limit: usize,
    /// Bytes that may still be read.
    left: u64,
    /// A file was not read to its end.
    short: bool,
    found: Grepped,
}

impl Search {
    /// A file on the way; one that cannot be read is passed over.
    fn visit(&mut self, file: &Found<'_>) -> ControlFlow<()> {
        match file.open().ok().and_then(|opened| regular(opened, file.path).ok()) {
            Some(opened) => self.file(opened, file.path),
            None => ControlFlow::Continue(()),
        }
    }

    fn file(&mut self, file: File, path: &str) -> ControlFlow<()> {
        let most = MAX_OF_FILE.min(self.left);
        let mut bytes = Vec::new();
        // One byte more tells whether there is more.
        if file.take(most + 1).read_to_end(&mut bytes).is_err() {
            return ControlFlow::Continue(());
        }
        if bytes[..bytes.len().min(SAMPLE)].contains(&0) {
            self.left = self.left.saturating_sub(bytes.len() as u64);
            return self.go_on();
        }
        if bytes.len() as u64 > most {
            bytes.truncate(most as usize);
            self.short = true;
        }
        self.left -= bytes.len() as u64;
        self.found.files += 1;
        self.lines(&bytes, path)?;
        self.go_on()
    }

    fn go_on(&self) -> ControlFlow<()> {
        if self.left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn lines(&mut self, bytes: &[u8], path: &str) -> ControlFlow<()> {
        for (line, number) in bytes.split(|byte| *byte == b'\n').zip(1..) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if !self.wanted.is_match(line) {
                continue;
            }
            if self.found.matches.len() == self.limit {
                return ControlFlow::Break(());
            }
            let text = String::from_utf8_lossy(line).chars().take(MAX_SHOWN).collect();
            self.found.matches.push(Line { path: path.to_owned(), line: number, text });
        }
        ControlFlow::Continue(())
    }
}
