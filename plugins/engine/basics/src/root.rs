//! The one directory that tools reach, and the ways into it that nobody can bend.
//!
//! `carport_core::resolve_under` judges a path and hands it back, so that a link made between the
//! judgement and the use leads out. Here the kernel judges while it opens, and what follows goes by
//! descriptors.

use std::{
    fs::File,
    io,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use carport_core::{bounds, make_private_dir};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, RawMode, fstat, mkdirat, openat},
    io::Errno,
};

use crate::ToolError;

/// Bytes of a path.
const MAX_PATH: usize = 4096;
/// How many parts a path may have, and how deep directories are looked through.
pub(crate) const MAX_DEPTH: usize = 64;
/// How often the kernel is asked again while directories are renamed.
#[cfg(target_os = "linux")]
const TRIES: usize = 64;
/// What the state root's own files and directories have.
pub(crate) const FILE_MODE: RawMode = 0o600;
const DIRECTORY_MODE: RawMode = 0o700;

/// A directory and what is below it. Opening one is cheap: a caller may do so for each call.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    /// Whether the kernel resolves paths; if it cannot, no link is followed at all.
    kernel: bool,
}

/// A relative path without `..`; empty for the root itself.
pub(crate) struct Inside {
    /// As it was given, for errors.
    pub(crate) given: String,
    pub(crate) path: PathBuf,
}

impl Inside {
    /// Reads the parameter `path`.
    pub(crate) fn read(given: &str) -> Result<Self, ToolError> {
        bounds::bytes("path", given, 1..=MAX_PATH)?;
        let mut path = PathBuf::new();
        for part in Path::new(given).components() {
            match part {
                Component::Normal(name) => path.push(name),
                Component::CurDir => {}
                _ => return Err(ToolError::Outside(given.into())),
            }
        }
        if given.contains('\0') || path.components().count() > MAX_DEPTH {
            let why = format!("`path`: must have no NUL and at most {MAX_DEPTH} parts");
            return Err(ToolError::Parameters(why));
        }
        Ok(Self { given: given.into(), path })
    }

    /// The path with `/` between its parts, `.` for the root.
    pub(crate) fn shown(&self) -> String {
        match self.path.as_os_str().is_empty() {
            true => ".".into(),
            false => self.path.to_string_lossy().into_owned(),
        }
    }

    /// The directory that it is in.
    pub(crate) fn parent(&self) -> Self {
        let path = self.path.parent().unwrap_or(Path::new("")).to_owned();
        Self { given: self.given.clone(), path }
    }
}

impl Root {
    /// Opens `path` and makes it, for this user only, if it is missing.
    ///
    /// # Errors
    /// What the system says, also if `path` is no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        make_private_dir(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { directory: openat(CWD, path, flags, Mode::empty())?, kernel: true })
    }

    /// A root that does not ask the kernel to resolve.
    #[cfg(test)]
    pub(crate) fn walking(path: &Path) -> io::Result<Self> {
        Ok(Self { kernel: false, ..Self::open(path)? })
    }

    /// Opens what is there already. Links are followed as long as they stay inside.
    pub(crate) fn reach(&self, inside: &Inside, flags: OFlags) -> Result<OwnedFd, ToolError> {
        let path = if inside.path.as_os_str().is_empty() { Path::new(".") } else { &inside.path };
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolved = if self.kernel { self.resolve(path, flags) } else { None };
        let opened = resolved.unwrap_or_else(|| self.walk(path, flags));
        opened.map_err(|errno| ToolError::of(&inside.given, errno))
    }

    /// The kernel's answer; `None` if it does not know how.
    #[cfg(target_os = "linux")]
    fn resolve(&self, path: &Path, flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
        use rustix::fs::{ResolveFlags, openat2};
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                // Something was renamed meanwhile, so that it cannot tell where it is.
                Err(Errno::AGAIN) => {}
                // Not known, or not allowed, to this process.
                Err(Errno::NOSYS | Errno::PERM) => return None,
                opened => return Some(opened),
            }
        }
        None
    }

    #[cfg(not(target_os = "linux"))]
    fn resolve(&self, _: &Path, _: OFlags) -> Option<Result<OwnedFd, Errno>> {
        None
    }

    /// Opens part after part and follows no link.
    fn walk(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut parts = path.components().peekable();
        let mut at: Option<OwnedFd> = None;
        while let Some(part) = parts.next() {
            let flags = match parts.peek() {
                Some(_) => OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                None => flags,
            };
            let from = at.as_ref().unwrap_or(&self.directory);
            at = Some(openat(from, part.as_os_str(), flags | OFlags::NOFOLLOW, Mode::empty())?);
        }
        at.ok_or(Errno::NOENT)
    }

    /// Opens a directory.
    pub(crate) fn directory(&self, inside: &Inside) -> Result<OwnedFd, ToolError> {
        self.reach(inside, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens a directory and makes what is missing of it, for this user only.
    pub(crate) fn make_directory(&self, inside: &Inside) -> Result<OwnedFd, ToolError> {
        let (parent, name) = match (self.directory(inside), inside.path.file_name()) {
            (Err(ToolError::NotFound(_)), Some(name)) => (inside.parent(), name),
            (opened, _) => return opened,
        };
        let parent = self.make_directory(&parent)?;
        let of = |errno| ToolError::of(&inside.given, errno);
        match mkdirat(&parent, name, DIRECTORY_MODE.into()) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(of(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(&parent, name, flags, Mode::empty()).map_err(of)
    }

    /// Opens a regular file to read.
    pub(crate) fn file(&self, inside: &Inside) -> Result<File, ToolError> {
        regular(self.reach(inside, OFlags::RDONLY)?, &inside.given)
    }
}

/// A descriptor, if it is a regular file's.
pub(crate) fn regular(opened: OwnedFd, given: &str) -> Result<File, ToolError> {
    let stat = fstat(&opened).map_err(|errno| ToolError::of(given, errno))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(opened.into()),
        _ => Err(ToolError::NotAFile(given.into())),
    }
}

#[cfg(test)]
mod tests;
