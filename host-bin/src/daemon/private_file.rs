//! Files and directories that only their owner may read.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt as _, PermissionsExt},
    path::Path,
};

use atomic_write_file::{AtomicWriteFile, unix::OpenOptionsExt as _};

/// The permission bits of group and others.
pub(crate) const OTHERS: u32 = 0o077;

/// The bit of directories that many users write to.
const STICKY: u32 = 0o1000;

/// Writes `path` with mode 0600 so that a reader finds the old text or the new one, never half.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = AtomicWriteFile::options();
    options.preserve_mode(false).preserve_owner(false).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.commit()
}

/// Removes `path`; one that is gone already is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What is at a path that should be a private directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directory {
    /// Nothing.
    Missing,
    /// A directory of this user, closed to everybody else.
    Private,
    /// A directory of this user, with these permission bits for others.
    Open(u32),
    /// A directory like `/tmp`, where everybody keeps things.
    Shared,
    /// A symbolic link: whoever made it decides where secrets go.
    Link,
    /// Something that is no directory.
    Other,
    /// A directory of another user.
    Foreign(u32),
}

impl Directory {
    /// Looks at `path` without following a link.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        let found = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Missing),
            found => found?,
        };
        let owner = found.uid();
        Ok(match found.mode() & OTHERS {
            _ if found.is_symlink() => Self::Link,
            _ if !found.is_dir() => Self::Other,
            _ if found.mode() & STICKY != 0 => Self::Shared,
            _ if owner != rustix::process::geteuid().as_raw() => Self::Foreign(owner),
            0 => Self::Private,
            open => Self::Open(open),
        })
    }
}

/// Takes away what group and others may do in a directory.
pub(crate) fn close_to_others(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_even_if_the_one_it_replaces_was_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        write(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_directory_is_judged_without_following_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let judge = |name: &str| Directory::at(&at(name)).unwrap();
        assert_eq!(judge("none"), Directory::Missing);
        carport_core::make_private_dir(&at("mine")).unwrap();
        assert_eq!(judge("mine"), Directory::Private);
        fs::set_permissions(at("mine"), Permissions::from_mode(0o750)).unwrap();
        assert_eq!(judge("mine"), Directory::Open(0o050));
        close_to_others(&at("mine")).unwrap();
        assert_eq!(judge("mine"), Directory::Private);
        std::os::unix::fs::symlink(at("mine"), at("link")).unwrap();
        assert_eq!(judge("link"), Directory::Link);
        fs::set_permissions(at("mine"), Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(judge("mine"), Directory::Shared);
        fs::write(at("file"), "").unwrap();
        assert_eq!(judge("file"), Directory::Other);
    }
}
