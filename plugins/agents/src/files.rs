//! Small private files that are replaced whole.

use std::{fs::Permissions, io, io::Write, os::unix::fs::PermissionsExt, path::Path};

use tempfile::NamedTempFile;

/// Puts `bytes` in the place of a file of mode `0600`: whoever reads it sees the old or the new, never
/// half of one. They are on the disk when this returns.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = NamedTempFile::with_prefix_in(".new-", directory)?;
    file.as_file().set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    std::fs::File::open(directory)?.sync_all()
}

/// Writes a file of mode `0600` unless there is one; `false` if there is. Never half of one.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let directory = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = NamedTempFile::with_prefix_in(".new-", directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(taken) => Err(taken.error),
    }
}

/// Removes a file; `false` if there was none.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
