//! `find_files`: files by the shape of their names.

use std::ops::ControlFlow;

use carport_core::bounds;
use globset::{GlobBuilder, GlobMatcher};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Basic, Root, ToolError, list::here, root::Inside, walk::walk};

/// Results of one search.
pub(crate) const MAX_RESULTS: usize = 1000;
/// Bytes of a pattern.
pub(crate) const MAX_PATTERN: usize = 1024;

/// Finds files by a glob pattern: `*.rs` matches names at any depth, `src/**/*.rs` whole paths below
/// `path`. Links are not followed, `.git` is not entered.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct FindFiles {
    /// `*`, `?`, `[a-z]`, `{a,b}`, and `**` for any directories; at most 1,024 bytes.
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: String,
    /// The directory to look below, relative to the workspace.
    #[serde(default = "here")]
    pub path: String,
    /// How many results at the most.
    #[serde(default = "max_results")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: usize,
}

pub(crate) fn max_results() -> usize {
    MAX_RESULTS
}

/// What was found.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FoundFiles {
    /// Paths, relative to the workspace, in the order of their names.
    pub files: Vec<String>,
    /// Whether a bound ended the search: of results, of 64 levels of directories, of 200,000 names.
    pub truncated: bool,
}

impl Basic for FindFiles {
    const NAME: &'static str = "find_files";
    type Output = FoundFiles;

    fn run(self, root: &Root) -> Result<FoundFiles, ToolError> {
        let from = Inside::read(&self.path)?;
        bounds::within("limit", self.limit, 1..=MAX_RESULTS)?;
        let shape = Shape::read("pattern", &self.pattern)?;
        let mut files = Vec::new();
        let whole = walk(root, &from, |found| {
            if !shape.matches(found.below) {
                return ControlFlow::Continue(());
            }
            if files.len() == self.limit {
                return ControlFlow::Break(());
            }
            files.push(found.path.to_owned());
            ControlFlow::Continue(())
        })?;
        Ok(FoundFiles { files, truncated: !whole })
    }
}

/// A glob pattern: of a whole path if it has a `/`, of a name else.
pub(crate) struct Shape {
    glob: GlobMatcher,
    whole: bool,
}

impl Shape {
    pub(crate) fn read(field: &str, pattern: &str) -> Result<Self, ToolError> {
        bounds::bytes(field, pattern, 1..=MAX_PATTERN)?;
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        let glob = glob.map_err(|error| ToolError::Parameters(format!("`{field}`: {error}")))?;
        Ok(Self { glob: glob.compile_matcher(), whole: pattern.contains('/') })
    }

    /// Whether a path below the directory of the search is meant.
    pub(crate) fn matches(&self, below: &str) -> bool {
        let name = below.rsplit('/').next().unwrap_or(below);
        self.glob.is_match(if self.whole { below } else { name })
    }
}
