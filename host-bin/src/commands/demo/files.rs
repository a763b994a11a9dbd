//! The files that the demo's agent reads: real ones, few enough and small enough.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    fs::{self, DirEntry, File},
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Larger files are passed by.
const MAX_BYTES: u64 = 1024 * 1024;
/// Directory entries that are looked at before the walk ends.
const MAX_ENTRIES: usize = 20_000;
/// Directories that hold what tools made.
const PASSED_BY: [&str; 3] = [".git", "target", "node_modules"];

/// What a walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Relative to where the walk began; the shallow ones first, then by name.
    pub(super) files: Vec<PathBuf>,
    /// Files that are too large, cannot be opened, or are one too many.
    pub(super) skipped: usize,
}

/// Walks a directory, without following links.
pub(super) fn walk(base: &Path, most: usize) -> io::Result<Found> {
    let mut found = Found::default();
    let mut seen = 0;
    let mut directories = VecDeque::from([PathBuf::new()]);
    while let Some(directory) = directories.pop_front() {
        let entries = match fs::read_dir(base.join(&directory)) {
            Ok(entries) => entries,
            Err(error) if directory.as_os_str().is_empty() => return Err(error),
            Err(_) => continue,
        };
        let mut entries: Vec<DirEntry> =
            entries.flatten().take(MAX_ENTRIES.saturating_sub(seen)).collect();
        seen += entries.len();
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let path = directory.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && !is_passed_by(&entry.file_name()) => {
                    directories.push_back(path);
                }
                Ok(kind) if kind.is_file() => match found.files.len() < most && opens(&entry) {
                    true => found.files.push(path),
                    false => found.skipped += 1,
                },
                _ => {}
            }
        }
    }
    Ok(found)
}

fn is_passed_by(name: &OsStr) -> bool {
    PASSED_BY.iter().any(|passed_by| name == *passed_by)
}

fn opens(entry: &DirEntry) -> bool {
    let small = entry.metadata().is_ok_and(|metadata| metadata.len() <= MAX_BYTES);
    small && File::open(entry.path()).is_ok()
}

/// What the agent knows of a file that it read.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reading {
    pub(super) bytes: usize,
    /// For a file that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lines: Option<usize>,
    /// Lowercase hex.
    pub(super) sha256: String,
}

impl Reading {
    /// Of a file's whole content.
    pub(super) fn of(content: &[u8]) -> Self {
        let lines = std::str::from_utf8(content).ok().map(|text| text.lines().count());
        let sha256 = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { bytes: content.len(), lines, sha256 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        dir
    }

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn the_shallow_come_first_and_what_tools_made_is_passed_by() {
        let dir =
            tree(&["b", "a/z", "a/deep/x", ".git/HEAD", "target/out", "a/target/out", ".env"]);
        let found = walk(dir.path(), 10).unwrap();
        assert_eq!(found.files, paths(&[".env", "b", "a/z", "a/deep/x"]));
        assert_eq!(found.skipped, 0);
    }

    #[test]
    fn the_walk_is_bounded_and_counts_what_it_leaves_out() {
        let dir = tree(&["a", "b", "c"]);
        File::create(dir.path().join("0-large")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        let found = walk(dir.path(), 2).unwrap();
        assert_eq!((found.files, found.skipped), (paths(&["a", "b"]), 2));
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tree(&["real/file"]);
        let link =
            |to: &str, at: &str| std::os::unix::fs::symlink(to, dir.path().join(at)).unwrap();
        link(".", "loop");
        link("real/file", "alias");
        assert_eq!(walk(dir.path(), 10).unwrap().files, paths(&["real/file"]));
        assert!(walk(&dir.path().join("none"), 10).is_err());
    }

    #[test]
    fn a_reading_tells_text_from_bytes() {
        let text = Reading::of("one\ntwo\n".as_bytes());
        assert_eq!((text.bytes, text.lines), (8, Some(2)));
        assert_eq!(Reading::of(&[0xff, 0]).lines, None);
        let empty = Reading::of(b"");
        assert_eq!((empty.bytes, empty.lines), (0, Some(0)));
        assert!(empty.sha256.starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }
}
