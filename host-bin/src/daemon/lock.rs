//! One daemon per state root: a lock that the kernel drops with the process.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    thread,
    time::Duration,
};

use super::root::StateRoot;
use crate::exit::{Code, Exit};

/// `carport doctor` holds the lock for an instant when it looks at it; a daemon holds it for long.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(40);

/// The lock of a state root, held for as long as this value lives. The file holds the holder's pid
/// and stays when the lock goes: removing it would let two daemons lock two files of one name.
#[derive(Debug)]
pub(crate) struct RootLock(#[expect(dead_code, reason = "the open file is the lock")] File);

/// Who holds the lock of a state root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    /// Nobody.
    Nobody,
    /// A process; its id if it has written it already.
    Process(Option<u32>),
}

impl RootLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(root: &StateRoot) -> Result<Self, Exit> {
        let path = root.lock();
        let failed = |error: io::Error| Exit::failed(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        if !lock(&file).map_err(failed)? {
            return Err(held(root, pid(&mut file)));
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(failed)?;
        Ok(Self(file))
    }
}

impl Holder {
    /// Looks who holds the lock, without keeping it.
    pub(crate) fn of(root: &StateRoot) -> io::Result<Self> {
        let mut file = match File::open(root.lock()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nobody),
            file => file?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Self::Nobody),
            Err(TryLockError::WouldBlock) => Ok(Self::Process(pid(&mut file))),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "before the daemon starts nothing else runs")]
fn lock(file: &File) -> io::Result<bool> {
    for attempt in 1..=ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

fn pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn held(root: &StateRoot, pid: Option<u32>) -> Exit {
    let who = pid.map_or_else(|| "another daemon".into(), |pid| format!("a daemon (pid {pid})"));
    let root = root.path().display();
    let remedy = "stop it, or name another state root with --state-root DIR";
    Exit::new(Code::Held, format!("{who} already runs on the state root {root}: {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_holds_the_root_until_it_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::resolve(Some(dir.path())).unwrap();
        root.prepare().unwrap();
        assert_eq!(Holder::of(&root).unwrap(), Holder::Nobody);
        let first = RootLock::take(&root).unwrap();
        let pid = std::process::id();
        assert_eq!(Holder::of(&root).unwrap(), Holder::Process(Some(pid)));
        let refused = RootLock::take(&root).unwrap_err();
        assert_eq!(refused.code, Code::Held);
        assert!(refused.message.contains(&format!("pid {pid}")), "{}", refused.message);
        assert!(refused.message.contains(&dir.path().display().to_string()));
        drop(first);
        assert_eq!(Holder::of(&root).unwrap(), Holder::Nobody);
        drop(RootLock::take(&root).unwrap());
    }
}
