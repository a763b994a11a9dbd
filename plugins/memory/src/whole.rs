//! A file put in the place of another one, whole or not at all. Blocks on the disk.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, BufWriter},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat},
    io::Errno,
};

/// Writes `half` in an opened directory, syncs it, renames it to `name` and syncs the directory: a crash
/// leaves the old file or the new one. Returns the length of the new one.
///
/// # Errors
/// The disk's. The old file is as before, and no half one is left to take up room.
pub(crate) fn put(
    directory: &File,
    name: &OsStr,
    half: &OsStr,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<u64> {
    match unlinkat(directory, half, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let put = || -> io::Result<u64> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file = BufWriter::new(openat(directory, half, flags, OWN)?.into());
        write(&mut file)?;
        let file: File = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let length = file.metadata()?.len();
        renameat(directory, half, directory, name)?;
        Ok(length)
    };
    let length = put().inspect_err(|_| {
        let _ = unlinkat(directory, half, AtFlags::empty());
    })?;
    // The new file is the one that counts now, so this must not pass for a failure: whoever believed
    // it would go on writing to the old one, which nobody can read any more.
    if let Err(error) = directory.sync_all() {
        tracing::error!(%error, "a directory could not be synced; a loss of power may undo a rename");
    }
    Ok(length)
}

/// For this user only.
const OWN: Mode = Mode::RUSR.union(Mode::WUSR);

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, path::Path};

    use super::*;

    fn write(directory: &Path, text: &'static str) -> io::Result<u64> {
        let directory = File::open(directory)?;
        put(&directory, "name".as_ref(), "half".as_ref(), |file| file.write_all(text.as_bytes()))
    }

    #[test]
    fn it_replaces_what_is_there_and_what_a_crash_left() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("half"), "of an earlier process").unwrap();
        for text in ["one", "another"] {
            assert_eq!(write(root.path(), text).unwrap(), text.len() as u64);
            assert_eq!(fs::read_to_string(root.path().join("name")).unwrap(), text);
            assert!(!root.path().join("half").exists());
        }
    }

    #[test]
    fn what_fails_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("name")).unwrap();
        assert!(write(root.path(), "text").is_err());
        assert!(!root.path().join("half").exists());
        let directory = File::open(root.path()).unwrap();
        let failed = put(&directory, "other".as_ref(), "half".as_ref(), |file| {
            file.write_all(b"some of it")?;
            Err(io::Error::other("the disk failed"))
        });
        assert!(failed.is_err());
        assert!(!root.path().join("half").exists() && !root.path().join("other").exists());
    }
}
