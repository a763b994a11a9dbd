//! `write_file`, and how a file is replaced: whole or not at all, and never through a link.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Write,
    os::fd::OwnedFd,
};

use carport_core::bounds;
use rustix::{
    fs::{
        AtFlags, FileType, FlockOperation, Mode, OFlags, fchmod, flock, openat, renameat, statat,
        unlinkat,
    },
    io::Errno,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Basic, Root, ToolError,
    root::{FILE_MODE, Inside, regular},
};

/// Bytes that a tool writes into one file.
pub(crate) const MAX_WRITTEN: usize = 8 << 20;
/// Where a file is written before it takes its place. One is enough: a directory has one writer at a
/// time.
pub(crate) const HALF: &str = ".carport-half";

/// Writes a text file, in the place of an old one if there is one. Directories on the way are made.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteFile {
    /// The file, relative to the workspace.
    pub path: String,
    /// All of its text, at most 8 MiB.
    pub content: String,
}

/// What was written.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Written {
    /// The file, relative to the workspace.
    pub path: String,
    /// Its size.
    pub bytes: usize,
    /// Whether there was no such file before.
    pub created: bool,
}

impl Basic for WriteFile {
    const NAME: &'static str = "write_file";
    type Output = Written;

    fn run(self, root: &Root) -> Result<Written, ToolError> {
        let inside = Inside::read(&self.path)?;
        bounds::bytes("content", &self.content, 0..=MAX_WRITTEN)?;
        let place = Place::of(&inside, root.make_directory(&inside.parent())?)?;
        let before = place.mode()?;
        place.put(self.content.as_bytes(), before.unwrap_or(FILE_MODE.into()))?;
        Ok(Written { path: inside.shown(), bytes: self.content.len(), created: before.is_none() })
    }
}

/// A name in a directory that nobody else writes to through these tools as long as it is held.
pub(crate) struct Place {
    directory: OwnedFd,
    name: OsString,
    given: String,
}

impl Place {
    pub(crate) fn of(inside: &Inside, directory: OwnedFd) -> Result<Self, ToolError> {
        let given = inside.given.clone();
        let Some(name) = inside.path.file_name().map(OsStr::to_owned) else {
            return Err(ToolError::NotAFile(given));
        };
        // Two edits of one file side by side would lose one of them.
        flock(&directory, FlockOperation::LockExclusive)
            .map_err(|errno| ToolError::of(&given, errno))?;
        Ok(Self { directory, name, given })
    }

    fn failed(&self) -> impl Fn(Errno) -> ToolError {
        |errno| ToolError::of(&self.given, errno)
    }

    /// The mode of the file that is there, if one is.
    pub(crate) fn mode(&self) -> Result<Option<Mode>, ToolError> {
        match statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.failed()(errno)),
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Ok(Some(Mode::from_raw_mode(stat.st_mode & 0o777))),
                _ => Err(ToolError::NotAFile(self.given.clone())),
            },
        }
    }

    /// The file that is there, to read.
    pub(crate) fn file(&self) -> Result<File, ToolError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&self.directory, &self.name, flags, Mode::empty()) {
            Ok(opened) => regular(opened, &self.given),
            Err(Errno::LOOP) => Err(ToolError::NotAFile(self.given.clone())),
            Err(errno) => Err(self.failed()(errno)),
        }
    }

    /// Puts a file with these bytes in its place.
    pub(crate) fn put(&self, bytes: &[u8], mode: Mode) -> Result<(), ToolError> {
        match unlinkat(&self.directory, HALF, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(self.failed()(errno)),
        }
        let written = self.write_half(bytes, mode).and_then(|()| {
            renameat(&self.directory, HALF, &self.directory, &self.name).map_err(self.failed())
        });
        if written.is_err() {
            // What is left of it goes the next time at the latest.
            let _ = unlinkat(&self.directory, HALF, AtFlags::empty());
        }
        written
    }

    fn write_half(&self, bytes: &[u8], mode: Mode) -> Result<(), ToolError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&self.directory, HALF, flags, FILE_MODE.into());
        let mut file = File::from(opened.map_err(self.failed())?);
        let io = |error| ToolError::io(&self.given, &error);
        file.write_all(bytes).map_err(io)?;
        // Not what the process would take away from new files.
        fchmod(&file, mode).map_err(self.failed())?;
        file.sync_data().map_err(io)
    }
}
