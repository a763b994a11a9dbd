//! What another process has spent, by the operating system's own accounting.

use std::{fs, io, time::Duration};

/// Time on a CPU so far, over all threads, in the kernel and outside it, to the nanosecond: the first
/// figure of `/proc/PID/task/TID/schedstat`.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let spent = text.split_whitespace().next().and_then(|it| it.parse::<u64>().ok());
        nanoseconds += spent.ok_or_else(|| io::Error::other("schedstat is not readable"))?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Resident memory in bytes: `VmRSS` of `/proc/PID/status`.
pub fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other("VmRSS is not readable"))
}
