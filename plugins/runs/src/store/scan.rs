//! What the directory shows without opening a file.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

use carport_core::decode_name;

/// The size and the last change of a file. As long as both are the same, so is what it holds: a run
/// that has ended is not written to again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) bytes: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::new(&fs::symlink_metadata(path)?))
    }

    fn new(metadata: &fs::Metadata) -> Self {
        let modified = metadata.mtime().wrapping_mul(1_000_000_000) + metadata.mtime_nsec();
        Self { bytes: metadata.len(), modified }
    }
}

/// The agents that have a directory.
pub(super) fn agents(root: &Path) -> io::Result<Vec<String>> {
    let mut agents = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            agents.extend(decode_name(&entry.file_name().to_string_lossy()));
        }
    }
    Ok(agents)
}

/// The runs in an agent's directory. Links are passed over.
pub(super) fn runs(directory: &Path) -> io::Result<Vec<(String, Stamp)>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some(run_id) = name.strip_suffix(".jsonl").and_then(decode_name) else { continue };
        // Of a link, the metadata are its own.
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => runs.push((run_id, Stamp::new(&metadata))),
            Ok(_) => tracing::warn!(file = %entry.path().display(), "is not a file: left alone"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(runs)
}
