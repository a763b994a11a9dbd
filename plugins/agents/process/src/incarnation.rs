//! Which process an agent last was: a pid that counts only with its start time and the boot it belongs to.
//!
//! While a shim lives, the kernel knows what is under it. Once it is killed, what is left is found by
//! descent from the child, by the child's session, and by the mark in the environment. A process that
//! left the session, lost its parents and cleared its environment is not found.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use procfs::process::{Process, Stat, StatFlags};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// In the environment of everything under a shim: the shim's pid and start time, which are nobody
/// else's in one boot.
pub(crate) const MARK: &str = "CARPORT_AGENT_SHIM";

/// How long a process may take over executing a program; a disk that hangs takes longer.
const EXECUTING: Duration = Duration::from_secs(1);

/// The value of [`MARK`].
pub(crate) fn mark(shim_pid: u32, shim_start_time: u64) -> String {
    format!("{shim_pid}.{shim_start_time}")
}

/// The value of [`MARK`] under this process.
pub(crate) fn own_mark() -> Option<String> {
    let own = std::process::id();
    Some(mark(own, stat(own)?.starttime))
}

/// `run/agents/{id}.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// The process that was started.
    pub pid: u32,
    /// When, in clock ticks since boot.
    pub start_time: u64,
    /// Which boot.
    pub boot_id: String,
    /// Its process group and session.
    pub pgid: u32,
    /// The shim around it.
    pub shim_pid: u32,
    /// When that was started.
    pub shim_start_time: u64,
}

impl Incarnation {
    /// The process `pid` under the shim `shim_pid`. One that is gone already gets a start time that no
    /// process has.
    pub fn of(pid: u32, shim_pid: u32) -> io::Result<Self> {
        let since = |pid| stat(pid).map_or(0, |it| it.starttime);
        Ok(Self {
            pid,
            start_time: since(pid),
            boot_id: boot_id()?,
            pgid: pid,
            shim_pid,
            shim_start_time: since(shim_pid),
        })
    }

    /// Reads a record. One that is missing or does not read names nobody.
    pub fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// Writes the record, for this user only. It is not synced: after a power cut it would name nobody.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(new, path)
    }

    /// A process of it that still lives: the child, else the shim, else any other.
    pub fn survivor(&self) -> Option<u32> {
        if !self.is_of_this_boot() {
            return None;
        }
        let alive = |pid, since| is_alive(pid, since).then_some(pid);
        alive(self.pid, self.start_time)
            .or_else(|| alive(self.shim_pid, self.shim_start_time))
            .or_else(|| self.left(&processes()).first().map(|it| it.pid.cast_unsigned()))
    }

    /// Sends KILL to everything that is left of it and answers which processes lived. Call it until
    /// there are none, and once more: a process has no environment while it executes a program.
    pub fn kill(&self) -> Vec<u32> {
        if !self.is_of_this_boot() {
            return Vec::new();
        }
        let table = processes();
        let left = self.left(&table);
        for process in &left {
            signal(process, Signal::KILL);
        }
        left.iter().map(|it| it.pid.cast_unsigned()).collect()
    }

    fn is_of_this_boot(&self) -> bool {
        boot_id().is_ok_and(|boot| boot == self.boot_id)
    }

    /// Who of the table belongs to it.
    fn left<'a>(&self, table: &'a [Stat]) -> Vec<&'a Stat> {
        let is = |it: &Stat, pid: u32, since: u64| {
            it.pid.cast_unsigned() == pid && it.starttime == since
        };
        // The session's number cannot have been given to others while its first process lives.
        let leader = table.iter().find(|it| is(it, self.pid, self.start_time)).map(|it| it.pid);
        let marked = format!("{MARK}={}", mark(self.shim_pid, self.shim_start_time));
        let roots = table.iter().filter(|it| {
            is(it, self.shim_pid, self.shim_start_time)
                || leader == Some(it.session)
                || has_variable(it, marked.as_bytes())
        });
        tree(table, &roots.map(|it| it.pid).collect::<Vec<_>>())
    }
}

/// Whether a process was started with this variable. What may not be read has none. While a process
/// executes a program it has none either, so that is waited out.
#[allow(
    clippy::disallowed_methods,
    reason = "it reads files too: it runs where blocking is allowed"
)]
fn has_variable(process: &Stat, variable: &[u8]) -> bool {
    let environment = || fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
    let mut seen = environment();
    if seen.is_empty() {
        let patience = Instant::now() + EXECUTING;
        while stat(process.pid.cast_unsigned()).is_some_and(|it| executes(&it))
            && Instant::now() < patience
        {
            thread::sleep(Duration::from_millis(1));
        }
        seen = environment();
    }
    seen.split(|byte| *byte == 0).any(|it| it == variable)
}

/// Whether a process has given up one program and does not have the next one's environment yet. A thread
/// of the kernel never has one; of what may not be read, the kernel says 1 for where its code starts.
fn executes(process: &Stat) -> bool {
    let is_kernel = process.flags & StatFlags::PF_KTHREAD.bits() != 0;
    lives(process) && !is_kernel && process.startcode != 1 && process.env_end == Some(0)
}

/// The kernel's name for this boot.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Whether the process `pid` that started at `since` still lives. A zombie does not.
pub fn is_alive(pid: u32, since: u64) -> bool {
    stat(pid).is_some_and(|it| it.starttime == since && lives(&it))
}

/// Every process that is no zombie.
pub(crate) fn processes() -> Vec<Stat> {
    let all = procfs::process::all_processes().into_iter().flatten();
    all.filter_map(|process| process.ok()?.stat().ok()).filter(lives).collect()
}

/// These processes and all that descend from them.
pub(crate) fn tree<'a>(table: &'a [Stat], roots: &[i32]) -> Vec<&'a Stat> {
    let mut inside: HashSet<i32> = roots.iter().copied().collect();
    loop {
        let before = inside.len();
        inside.extend(
            table
                .iter()
                .filter(|it| inside.contains(&it.ppid))
                .map(|it| it.pid)
                .collect::<Vec<_>>(),
        );
        if inside.len() == before {
            return table.iter().filter(|it| inside.contains(&it.pid)).collect();
        }
    }
}

/// Sends a signal to exactly the process that was seen, never to another that has its pid since.
pub(crate) fn signal(seen: &Stat, signal: Signal) -> bool {
    let send = || {
        let fd = pidfd_open(Pid::from_raw(seen.pid)?, PidfdFlags::empty()).ok()?;
        // Held by the descriptor now: if it is the one that was seen, it stays that one.
        stat(seen.pid as u32).filter(|now| now.starttime == seen.starttime)?;
        pidfd_send_signal(fd, signal).ok()
    };
    send().is_some()
}

fn stat(pid: u32) -> Option<Stat> {
    Process::new(i32::try_from(pid).ok()?).ok()?.stat().ok()
}

fn lives(stat: &Stat) -> bool {
    !matches!(stat.state, 'Z' | 'X')
}
