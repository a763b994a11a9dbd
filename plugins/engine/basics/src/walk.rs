//! Looks through directories, by descriptors and within bounds. Links are seen and never followed.

use std::{
    ops::ControlFlow,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

use crate::{
    Root, ToolError,
    root::{Inside, MAX_DEPTH},
    write::HALF,
};

/// Names that a walk looks at.
const MAX_SEEN: usize = 200_000;
/// What nobody means by "all files".
const PASSED_OVER: &str = ".git";

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) raw: Vec<u8>,
    pub(crate) kind: FileType,
}

impl Name {
    /// For people; bytes that are no UTF-8 are replaced.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }
}

/// The names in a directory, `most` of them, sorted, and whether there are more.
pub(crate) fn names(directory: &OwnedFd, most: usize) -> Result<(Vec<Name>, bool), Errno> {
    let (mut names, mut more) = (Vec::<Name>::new(), false);
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let raw = entry.file_name().to_bytes();
        if [".", "..", HALF].iter().any(|it| it.as_bytes() == raw) {
            continue;
        }
        if names.len() == most {
            more = true;
            break;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => kind(directory, entry.file_name()),
            kind => kind,
        };
        names.push(Name { raw: raw.to_owned(), kind });
    }
    names.sort_by(|a, b| a.raw.cmp(&b.raw));
    Ok((names, more))
}

fn kind(directory: impl AsFd, name: &std::ffi::CStr) -> FileType {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
}

/// A regular file on the way.
pub(crate) struct Found<'a> {
    pub(crate) directory: &'a OwnedFd,
    pub(crate) name: &'a Name,
    /// From the root.
    pub(crate) path: &'a str,
    /// From where the walk began.
    pub(crate) below: &'a str,
}

impl Found<'_> {
    /// Opens it to read, if it still is what it was.
    pub(crate) fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(self.directory, self.name.raw.as_slice(), flags, Mode::empty())
    }
}

/// A directory that is being looked through.
struct Level {
    directory: OwnedFd,
    names: std::vec::IntoIter<Name>,
    /// How long the path to it is.
    length: usize,
}

/// Visits every regular file below a directory, in the order of their names. `false` if a bound or the
/// visitor ended it before.
pub(crate) fn walk(
    root: &Root,
    from: &Inside,
    visit: impl FnMut(&Found<'_>) -> ControlFlow<()>,
) -> Result<bool, ToolError> {
    walk_within(root, from, MAX_SEEN, visit)
}

fn walk_within(
    root: &Root,
    from: &Inside,
    mut left: usize,
    mut visit: impl FnMut(&Found<'_>) -> ControlFlow<()>,
) -> Result<bool, ToolError> {
    let directory = root.directory(from)?;
    let mut path = match from.shown() {
        here if here == "." => String::new(),
        below => below + "/",
    };
    let start = path.len();
    let (first, more) =
        names(&directory, left).map_err(|errno| ToolError::of(&from.given, errno))?;
    left -= first.len();
    let mut whole = !more;
    let mut levels = vec![Level { directory, names: first.into_iter(), length: start }];
    loop {
        let deepest = levels.len() == MAX_DEPTH;
        let Some(level) = levels.last_mut() else { return Ok(whole) };
        let Some(name) = level.names.next() else {
            levels.pop();
            continue;
        };
        path.truncate(level.length);
        path.push_str(&name.shown());
        if name.kind == FileType::RegularFile {
            let found = Found {
                directory: &level.directory,
                name: &name,
                path: &path,
                below: &path[start..],
            };
            if visit(&found).is_break() {
                return Ok(false);
            }
        }
        if name.kind != FileType::Directory || name.raw == PASSED_OVER.as_bytes() {
            continue;
        }
        if deepest {
            whole = false;
            continue;
        }
        // What is not readable, or has gone meanwhile, is passed over.
        let Ok((directory, names, more)) = enter(&level.directory, &name, left) else { continue };
        (left, whole) = (left - names.len(), whole && !more);
        path.push('/');
        let length = path.len();
        levels.push(Level { directory, names: names.into_iter(), length });
    }
}

fn enter(parent: &OwnedFd, name: &Name, most: usize) -> Result<(OwnedFd, Vec<Name>, bool), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name.raw.as_slice(), flags, Mode::empty())?;
    let (names, more) = names(&directory, most)?;
    Ok((directory, names, more))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_walk_is_bounded_by_names() {
        let base = tempfile::tempdir().unwrap();
        for path in ["a/1", "a/2", "b/3", "c/4"] {
            fs::create_dir_all(base.path().join(path).parent().unwrap()).unwrap();
            fs::write(base.path().join(path), "").unwrap();
        }
        let (root, here) = (Root::open(base.path()).unwrap(), Inside::read(".").unwrap());
        for most in 0..10 {
            let mut visited = 0;
            let whole = walk_within(&root, &here, most, |_| {
                visited += 1;
                ControlFlow::Continue(())
            });
            let expected = most.saturating_sub(3).min(4);
            assert_eq!((visited, whole.unwrap()), (expected, most >= 7), "{most}");
        }
    }
}
