//! `edit_file`: replaces an exact text.

use std::io::Read;

use carport_core::bounds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Basic, Root, ToolError,
    root::{FILE_MODE, Inside},
    write::{MAX_WRITTEN, Place},
};

/// Replaces a text in a file by another. The text must occur exactly once, to the letter, unless
/// `replace_all` is set. The file has at most 8 MiB before and after.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EditFile {
    /// The file, relative to the workspace.
    pub path: String,
    /// What is there, with its white space; not empty.
    #[schemars(length(min = 1))]
    pub old_text: String,
    /// What shall be there.
    pub new_text: String,
    /// Replaces every occurrence.
    #[serde(default)]
    pub replace_all: bool,
}

/// What was changed.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Edited {
    /// The file, relative to the workspace.
    pub path: String,
    /// How many occurrences were replaced.
    pub replacements: usize,
}

impl Basic for EditFile {
    const NAME: &'static str = "edit_file";
    type Output = Edited;

    fn run(self, root: &Root) -> Result<Edited, ToolError> {
        let inside = Inside::read(&self.path)?;
        bounds::bytes("old_text", &self.old_text, 1..=MAX_WRITTEN)?;
        bounds::bytes("new_text", &self.new_text, 0..=MAX_WRITTEN)?;
        let place = Place::of(&inside, root.directory(&inside.parent())?)?;
        let text = self.text(&place)?;
        let replacements = self.occurrences(&text)?;
        let length = text.len() - replacements * self.old_text.len();
        if length.saturating_add(replacements.saturating_mul(self.new_text.len())) > MAX_WRITTEN {
            return Err(ToolError::TooLarge { path: self.path, limit: MAX_WRITTEN });
        }
        let text = text.replace(&self.old_text, &self.new_text);
        place.put(text.as_bytes(), place.mode()?.unwrap_or(FILE_MODE.into()))?;
        Ok(Edited { path: inside.shown(), replacements })
    }
}

impl EditFile {
    fn text(&self, place: &Place) -> Result<String, ToolError> {
        let mut bytes = Vec::new();
        let read = place.file()?.take(MAX_WRITTEN as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| ToolError::io(&self.path, &error))?;
        if bytes.len() > MAX_WRITTEN {
            return Err(ToolError::TooLarge { path: self.path.clone(), limit: MAX_WRITTEN });
        }
        String::from_utf8(bytes).map_err(|_| ToolError::NotText(self.path.clone()))
    }

    /// How many occurrences are replaced.
    fn occurrences(&self, text: &str) -> Result<usize, ToolError> {
        let count = text.matches(&self.old_text).count();
        match count {
            0 => Err(ToolError::NoSuchText(self.path.clone())),
            1 if self.replace_all || !self.overlaps(text) => Ok(1),
            _ if self.replace_all => Ok(count),
            _ => Err(ToolError::NotUnique { path: self.path.clone(), count: count.max(2) }),
        }
    }

    /// Whether the one occurrence overlaps with another, as `aa` does in `aaa`.
    fn overlaps(&self, text: &str) -> bool {
        let Some(at) = text.find(&self.old_text) else { return false };
        let second = at + text[at..].chars().next().map_or(0, char::len_utf8);
        text[second..].contains(&self.old_text)
    }
}
