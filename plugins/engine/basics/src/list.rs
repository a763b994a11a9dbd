//! `list_dir`: what is in a directory.

use rustix::fs::{AtFlags, FileType, statat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Basic, Root, ToolError, root::Inside, walk::names};

/// Entries in one answer.
const MAX_ENTRIES: usize = 10_000;

/// Lists a directory, sorted by name; at most 10,000 entries.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListDir {
    /// The directory, relative to the workspace; `.` is the workspace itself.
    #[serde(default = "here")]
    pub path: String,
}

pub(crate) fn here() -> String {
    ".".into()
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntryType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, to whatever.
    Link,
    /// A socket, a pipe, a device.
    Other,
}

/// One entry.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Entry {
    /// Its name; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: EntryType,
    /// Bytes of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// The entries of a directory.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listed {
    /// The directory, relative to the workspace.
    pub path: String,
    /// Sorted by the bytes of their names.
    pub entries: Vec<Entry>,
    /// Whether there are more than these.
    pub truncated: bool,
}

impl Basic for ListDir {
    const NAME: &'static str = "list_dir";
    type Output = Listed;

    fn run(self, root: &Root) -> Result<Listed, ToolError> {
        self.list(root, MAX_ENTRIES)
    }
}

impl ListDir {
    fn list(&self, root: &Root, most: usize) -> Result<Listed, ToolError> {
        let inside = Inside::read(&self.path)?;
        let directory = root.directory(&inside)?;
        let listed = names(&directory, most);
        let (names, truncated) = listed.map_err(|errno| ToolError::of(&self.path, errno))?;
        let entries = names.iter().map(|name| {
            let kind = match name.kind {
                FileType::RegularFile => EntryType::File,
                FileType::Directory => EntryType::Directory,
                FileType::Symlink => EntryType::Link,
                _ => EntryType::Other,
            };
            let stat = || statat(&directory, name.raw.as_slice(), AtFlags::SYMLINK_NOFOLLOW).ok();
            let size = (kind == EntryType::File).then(stat).flatten();
            let size = size.and_then(|stat| u64::try_from(stat.st_size).ok());
            Entry { name: name.shown(), kind, size }
        });
        Ok(Listed { path: inside.shown(), entries: entries.collect(), truncated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_bounded() {
        let base = tempfile::tempdir().unwrap();
        let root = Root::open(base.path()).unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(base.path().join(name), "").unwrap();
        }
        for most in 0..5 {
            let listed = ListDir { path: here() }.list(&root, most).unwrap();
            assert_eq!((listed.entries.len(), listed.truncated), (most.min(3), most < 3));
        }
    }
}
