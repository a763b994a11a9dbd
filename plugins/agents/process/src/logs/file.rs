//! The one writer of a log file: raw bytes, rotated by size.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use carport_core::{encode_name, make_private_dir};
use rustix::fs::OFlags;

use super::{KEPT, ROTATE_AT, Stream};

/// The log of one stream of the agent `id`.
pub fn path(state_root: &Path, id: &str, stream: Stream) -> carport_core::Result<PathBuf> {
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    Ok(state_root.join("logs").join(format!("{}.{stream}.log", encode_name("id", id)?)))
}

/// Opens no pipe that would keep whoever opens it waiting, and no link: what runs under this user can
/// put either in the place of a log.
pub(super) fn plain(open: &mut OpenOptions) -> &mut OpenOptions {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    open.custom_flags(flags.bits().cast_signed())
}

/// Rotated file number `number`, from 1; 0 is the current one.
pub(super) fn rotated(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

/// Removes a log and its rotated files.
pub(crate) fn purge(path: &Path) -> io::Result<()> {
    (0..=KEPT).try_for_each(|number| match fs::remove_file(rotated(path, number)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
}

/// Appends to a log. The file is opened at the first write and again after a failure.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    open: Option<(File, u64)>,
}

impl LogFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends these bytes. After an error some of them may be there.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (mut file, mut length) = match self.open.take() {
            Some(open) => open,
            None => self.open_file()?,
        };
        if length >= ROTATE_AT {
            drop(file);
            self.rotate()?;
            (file, length) = self.open_file()?;
        }
        file.write_all(bytes)?;
        self.open = Some((file, length + bytes.len() as u64));
        Ok(())
    }

    fn open_file(&self) -> io::Result<(File, u64)> {
        if let Some(directory) = self.path.parent() {
            make_private_dir(directory)?;
        }
        let mut open = OpenOptions::new();
        let file = plain(open.append(true).create(true).mode(0o600)).open(&self.path)?;
        let found = file.metadata()?;
        match found.is_file() {
            true => Ok((file, found.len())),
            false => Err(io::Error::other("is no regular file")),
        }
    }

    /// The oldest goes, every other one gets the next number.
    fn rotate(&self) -> io::Result<()> {
        for number in (0..KEPT).rev() {
            match fs::rename(rotated(&self.path, number), rotated(&self.path, number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}
