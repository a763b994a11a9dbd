//! The one writer of a run's file.

use std::{fs::OpenOptions, io, os::unix::fs::OpenOptionsExt, path::Path};

use carport_core::{DiskSync, LineFile};

use super::NO_FOLLOW;

/// The file of an open run.
#[derive(Debug)]
pub(crate) struct RunFile {
    pub(crate) lines: LineFile,
    /// Whether the run has ended: nothing is written any more.
    pub(crate) done: bool,
}

impl RunFile {
    /// A file that must not exist yet, for this user only.
    pub(super) fn create(path: &Path, disk: DiskSync) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW);
        Ok(Self { lines: LineFile::new(options.open(path)?, disk), done: false })
    }
}
